"""Of one subject there is no population: what asks for one names pooling="none", and that works."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

MEND = "rlpymc.build(..., pooling='none')"


@cache
def trials() -> xr.Dataset:
    return rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), {"alpha": 0.4, "beta": 3.0}, 2, 60, seed=1)


@cache
def sampled(subjects: int = 1, **options: Any) -> tuple[rl.RLModel, xr.DataTree, list[str]]:
    """Return the model of some subjects, its fit, and what was warned of."""
    model = rl.build("delta", trials().isel(subject=slice(subjects)), **options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = rl.sample(model, draws=100, tune=300, chains=1, seed=1, progress=False)
    return model, fit, [str(w.message) for w in said if MEND in str(w.message)]


def test_sampling_a_population_of_one_is_warned_of() -> None:
    (text,) = sampled()[2]
    assert_says(text, "one subject, 0", "partial pooling", "alpha, beta", MEND)
    for fine in (
        {"pooling": "none"},  # the mend
        {"pooling": "complete"},
        {"subjects": 2},
        {"shared": ("alpha", "beta")},
    ):
        assert sampled(**fine)[2] == []


def problems(fit: xr.DataTree) -> str:
    """Return what is said of a fit whose transitions diverged, and that moved through a slow energy."""
    stats = fit["sample_stats"].to_dataset()
    shape = stats["diverging"].shape
    energy = np.cumsum(np.random.default_rng(1).normal(size=shape), axis=1)
    bad = stats.assign(diverging=(("chain", "draw"), np.ones(shape, dtype=bool)), energy=(("chain", "draw"), energy))
    found = fit.copy()
    found["sample_stats"] = bad
    said = [p for p in rl.diagnose(found).problems if "diverged" in p or "BFMI" in p]
    assert len(said) == 2
    assert len({MEND in p for p in said}) == 1
    return said[0]


def test_what_is_wrong_with_the_posterior_of_one_has_the_same_mend() -> None:
    assert_says(problems(sampled()[1]), MEND)
    for fine in ({"pooling": "none"}, {"subjects": 2}):
        assert MEND not in problems(sampled(**fine)[1])


def test_expectation_maximisation_of_one_subject_is_refused() -> None:
    text = refusal(rl.fit_em, "delta", trials().isel(subject=[0]), progress=False)
    assert_says(text, "1 subject", "fit_mle", MEND)


def test_one_subject_left_out_leaves_nothing_and_the_mend_is_its_evidence() -> None:
    model, fit, _ = sampled()
    fit, terms = fit.copy(), fit["log_likelihood"].to_dataset()
    tail = -10 * np.random.default_rng(3).exponential(size=terms["choice"].shape[:2]) ** 2  # no weights carry this
    fit["log_likelihood"] = terms.assign(choice=terms["choice"] + tail[..., None])
    options = {"form": "conditional", "progress": False}
    assert_says(refusal(rl.loo, fit, "subject", refit=model, **options), "nothing is left", MEND, "integrated")
    with pytest.warns(UserWarning, match="form='integrated'") as said:
        rl.loo(fit, "subject", form="conditional")
    assert_says(str(said[0].message), "1 of 1 subjects", MEND)
    model, fit, _ = sampled(pooling="none")
    rl.marginal_log_likelihood(model, fit)
    found = rl.loo(fit, "subject")
    assert found.n == 1
    assert not found.bad.any()
