"""Fits in files: those that earlier versions wrote are read, those of later ones refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.fitting.files import SPEC_VERSION
from tests.helpers.messages import assert_says, refusal

SAVED = Path(__file__).parent / "saved"  # by the first version, which wrote no spec_version


@pytest.fixture(scope="module")
def trials():
    return rl.read_trials(pd.read_csv(SAVED / "trials.csv"))


@pytest.fixture(scope="module")
def model(trials):
    return rl.build("delta", trials)


def test_a_fit_of_the_first_version_is_read_and_used(model, trials):
    fit = rl.load(SAVED / "delta.nc")
    assert (fit.attrs["sampled_by"], fit.attrs["why"]) == ("unknown", "unknown")
    draws = fit["posterior"].sel(chain=1, draw=7)
    terms = rl.log_prob("delta", trials, {k: draws[k].values for k in ("alpha", "beta")})
    kept = fit["log_likelihood"]["choice"].sel(chain=1, draw=7).values
    assert_allclose(kept, terms.values.ravel(), rtol=1e-12)
    choices = rl.predict(model, fit, draws=3, seed=1)  # refuses fits of other data or another model
    assert_allclose(choices["action_probs"].sum("option"), 1.0)


@pytest.mark.filterwarnings("ignore:Pareto k:UserWarning")
def test_a_fit_of_the_first_version_is_compared():
    assert np.isfinite(rl.loo(rl.load(SAVED / "delta.nc"), unit="trial").elpd)


def test_a_fit_of_a_later_version_is_refused(tmp_path):
    fit = rl.load(SAVED / "delta.nc")
    fit.attrs["spec_version"] = SPEC_VERSION + 1
    rl.save(fit, tmp_path / "fit.nc")
    message = refusal(rl.load, tmp_path / "fit.nc")
    assert_says(message, "fit.nc", f"spec_version {SPEC_VERSION + 1}", f"at most {SPEC_VERSION}", "pip install")


def test_a_fit_of_this_version_keeps_what_it_says(tmp_path):
    fit = rl.load(SAVED / "delta.nc")
    fit.attrs |= {"spec_version": SPEC_VERSION, "sampled_by": "machine", "why": ""}
    rl.save(fit, tmp_path / "fit.nc")
    assert rl.load(tmp_path / "fit.nc").attrs == fit.attrs
