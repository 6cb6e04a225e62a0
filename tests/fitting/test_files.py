"""Fits in files: earlier versions' are read, later ones', damaged and hostile ones are refused, and none is lost."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.fitting.files import SEALED, SPEC_VERSION, to_bytes
from rlpymc.storage import seal
from tests.helpers.messages import assert_says, refusal
from tests.helpers.registering import forgetting

SAVED = Path(__file__).parent / "saved"  # by the first version, which wrote no spec_version


@pytest.fixture(scope="module")
def trials():
    return rl.read_trials(pd.read_csv(SAVED / "trials.csv"))


@pytest.fixture(scope="module")
def model(trials):
    return rl.build("delta", trials)


def test_a_fit_of_the_first_version_is_read_and_used(model, trials):
    fit = rl.load(SAVED / "delta.nc")
    assert [fit.attrs[k] for k in ("sampled_by", "sampled_in", "why")] == ["unknown"] * 3
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
    fit.attrs |= {"spec_version": SPEC_VERSION, "sampled_by": "machine", "sampled_in": "informed", "why": ""}
    rl.save(fit, tmp_path / "fit.nc")
    assert rl.load(tmp_path / "fit.nc").attrs == fit.attrs


# ---------------------------------------------------------------- pointwise log likelihoods are made again


def sampled(model, unit="obs"):
    with pytest.warns(rl.SamplingWarning):
        return rl.sample(model, draws=40, tune=40, chains=2, seed=1, progress=False, log_likelihood=unit)


@pytest.mark.parametrize("unit", ["obs", "subject"])
def test_pointwise_log_likelihoods_are_left_out_and_made_again(model, tmp_path, unit):
    fit, sizes = sampled(model, unit), {}
    for kept in (True, None, False):
        rl.save(fit, tmp_path / "fit.nc", log_likelihood=kept)
        sizes[kept] = (tmp_path / "fit.nc").stat().st_size
        xr.testing.assert_identical(rl.load(tmp_path / "fit.nc"), fit)
    assert sizes[None] == sizes[False] < sizes[True]


def keeps_terms(path):
    with h5py.File(path) as file:
        return "choice" in file["log_likelihood"]


def test_those_of_variants_with_fixed_parameters_are_made_again(trials, tmp_path):
    options = {"fixed": {"beta": 3.0}, "priors": {"q0": rl.priors.Normal(0, 1)}}
    fit = sampled(rl.build("delta(rates=sign)+stickiness", trials, **options))
    rl.save(fit, tmp_path / "fit.nc")
    assert not keeps_terms(tmp_path / "fit.nc")
    xr.testing.assert_identical(rl.load(tmp_path / "fit.nc"), fit)


def test_those_of_a_model_that_another_process_does_not_know_are_kept(trials, tmp_path):
    with forgetting():
        own = rl.register(rl.get_model("delta").changed(name="delta_of_my_own"))
        rl.save(sampled(rl.build(own, trials)), tmp_path / "fit.nc")
    assert keeps_terms(tmp_path / "fit.nc")


def test_those_of_a_model_that_only_has_the_name_are_kept(trials, tmp_path):
    other = rl.get_model("delta").changed(values=lambda p, s, x: 0.5 * s.q)
    fit = sampled(rl.build(other, trials))
    rl.save(fit, tmp_path / "fit.nc")
    assert keeps_terms(tmp_path / "fit.nc")
    xr.testing.assert_identical(rl.load(tmp_path / "fit.nc"), fit)


# ---------------------------------------------------------------- damaged and hostile files


@pytest.mark.slow
def test_flipped_bits_in_a_fit_are_found(model, tmp_path):
    path = tmp_path / "fit.nc"
    rl.save(sampled(model), path)
    good, rng = path.read_bytes(), np.random.default_rng(1)
    for place in [0, 1, len(good) - 1, len(good) - 20, len(good) - 90, *rng.integers(len(good), size=60)]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        assert_says(refusal(rl.load, path), "fit.nc", "save it again")
    for bad in (b"", good[:1000], good[: len(good) // 2], b"text", good[:-1]):
        path.write_bytes(bad)
        assert_says(refusal(rl.load, path), "fit.nc", "save it again")


@pytest.mark.parametrize("kind", ["link", "storage", "virtual"])
def test_a_fit_that_points_to_another_file_is_refused(tmp_path, kind):
    secret, file = tmp_path / "secret", BytesIO()
    secret.write_bytes(b"12345678" * 10)
    with h5py.File(file, "w") as hostile:
        group = hostile.create_group("posterior")
        if kind == "link":
            group["alpha"] = h5py.ExternalLink(str(secret), "/alpha")
        elif kind == "storage":
            group.create_dataset("alpha", (10,), "f8", external=[(str(secret), 0, 80)])
        else:
            layout = h5py.VirtualLayout((10,), "f8")
            layout[:] = h5py.VirtualSource(str(secret), "alpha", (10,))
            group.create_virtual_dataset("alpha", layout)
    for content in (file.getvalue(), seal(file.getvalue(), SEALED)):
        (tmp_path / "fit.nc").write_bytes(content)
        with pytest.raises(ValueError, match=r"fit\.nc: is no fit") as refused:
            rl.load(tmp_path / "fit.nc")
        assert_says(str(refused.value), "/posterior/alpha", "another file")


def test_a_file_of_something_else_is_refused(tmp_path):
    tree = xr.DataTree.from_dict({"/": xr.Dataset({"a": 1}, attrs={"spec_version": SPEC_VERSION})})
    (tmp_path / "fit.nc").write_bytes(seal(to_bytes(tree), {"holds": "chain"}))
    assert_says(refusal(rl.load, tmp_path / "fit.nc"), "fit.nc", "holds")


def test_a_folder_that_is_not_there_is_named_before_anything_is_written(tmp_path):
    fit = rl.load(SAVED / "delta.nc")
    text = refusal(rl.save, fit, tmp_path / "missing" / "fit.nc", error=FileNotFoundError)
    assert_says(text, "missing", "make it first")
    assert_says(refusal(rl.save, fit, tmp_path, error=IsADirectoryError), "expected the name of a file")


FULL = """
import resource, sys
import rlpymc as rl
fit = rl.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    rl.save(fit, sys.argv[2], log_likelihood=True)
except OSError as problem:
    print("told:", problem.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on files")
@pytest.mark.parametrize(
    "limit", [0, pytest.param(1000, marks=pytest.mark.slow), pytest.param(40_000, marks=pytest.mark.slow)]
)
def test_a_disk_that_is_full_loses_nothing(tmp_path, limit):
    path = tmp_path / "fit.nc"
    rl.save(rl.load(SAVED / "delta.nc"), path)
    good = path.read_bytes()
    program = [sys.executable, "-c", FULL, str(SAVED / "delta.nc"), str(path), str(limit)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.startswith("told:")) == (0, True), done.stderr
    assert path.read_bytes() == good
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]
