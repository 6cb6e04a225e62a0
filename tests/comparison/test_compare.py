"""Comparison by LOO on hand-made fits: ArviZ's numbers, constant terms and all that may not be compared."""

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.comparison.table import check_same_data
from tests.helpers.messages import assert_says, refusal

CHAINS, DRAWS, N = 4, 250, 30


def terms(seed: int, mean: float = -0.7, spread: float = 0.1) -> np.ndarray:
    """Return harmless log likelihoods (chain, draw, obs)."""
    rng = np.random.default_rng(seed)
    return mean + 0.2 * rng.normal(size=N) + spread * rng.normal(size=(CHAINS, DRAWS, N))


def fit(values: np.ndarray, subjects: Any = None, responses: str | None = None) -> xr.DataTree:
    """Return a fit with this log likelihood by observation."""
    n = values.shape[2]
    coords = {
        "subject": ("obs", np.repeat(["b", "a", "c"], n // 3) if subjects is None else subjects),
        "trial": ("obs", np.arange(n)),
        "response": ("obs", ["action"] * n),
    }
    group = xr.Dataset({"choice": (("chain", "draw", "obs"), values)}, coords=coords)
    tree = xr.DataTree.from_dict({"log_likelihood": group})
    if responses is not None:
        tree.attrs["rlpymc"] = json.dumps({"responses": responses})
    return tree


def by_subject(values: np.ndarray) -> xr.DataTree:
    summed = np.stack([values[:, :, k * 10 : k * 10 + 10].sum(axis=2) for k in (1, 0, 2)], axis=2)
    group = xr.Dataset({"choice": (("chain", "draw", "subject"), summed)}, coords={"subject": ["a", "b", "c"]})
    return xr.DataTree.from_dict({"log_likelihood": group})


def loo(values: np.ndarray) -> Any:
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), np.zeros(values.shape[:2]))}),
            "log_likelihood": xr.Dataset({"choice": (("chain", "draw", "obs"), values)}),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return az.loo(tree, pointwise=True, reff=1.0)


refused = partial(refusal, rl.compare)


# ---------------------------------------------------------------- numbers


def test_a_folder_is_for_refits(tmp_path: Path) -> None:
    fits = {"a": fit(terms(1)), "b": fit(terms(2))}
    assert_says(refused(fits, folder=tmp_path), "folder is where refits are kept", "refit={'name': rl_model, ...}")


def test_the_numbers_are_arviz_s_unrounded() -> None:
    better, worse = terms(1), terms(2, mean=-0.9)
    table = rl.compare({"worse": fit(worse), "better": fit(better)})
    assert table.index.tolist() == ["better", "worse"]
    one, two = loo(better), loo(worse)
    assert_allclose(table["elpd"], [one.elpd, two.elpd], rtol=1e-4)
    assert_allclose(table["se"], [one.se, two.se], rtol=1e-4)
    assert_allclose(table["p"], [one.p, two.p], rtol=2e-2)
    difference = two.elpd_i.values - one.elpd_i.values
    assert_allclose(abs(table["elpd_diff"]), [0, abs(difference.sum())], rtol=1e-4, atol=1e-12)
    assert_allclose(table["dse"], [0, np.sqrt(N * difference.var())], rtol=1e-3, atol=1e-12)
    assert_allclose(table["weight"].sum(), 1.0)
    assert (table["n"] == N).all()
    assert (table["unit"] == "trial").all()
    assert (table["k_bad"] == 0).all()
    assert (table["k_max"] < 0.7).all()


def test_the_table_adds_up() -> None:
    table = rl.compare({"a": fit(terms(1)), "b": fit(terms(2)), "c": fit(terms(3, mean=-1.0))})
    assert table["elpd"].is_monotonic_decreasing
    assert_allclose(abs(table["elpd_diff"]), table["elpd"].iloc[0] - table["elpd"], atol=1e-9)


def test_a_term_that_is_the_same_in_all_draws_counts_as_it_stands() -> None:
    plain = terms(1)
    constant = np.full((CHAINS, DRAWS, 3), np.log(0.5))
    with_constant = np.concatenate([plain, constant], axis=2)
    other = np.concatenate([terms(2, mean=-0.9), constant], axis=2)
    subjects = np.repeat(["a", "b", "c"], 11)
    table = rl.compare({"one": fit(with_constant, subjects), "two": fit(other, subjects)})
    reference = loo(plain)
    assert_allclose(table.loc["one", "elpd"], reference.elpd + 3 * np.log(0.5), rtol=1e-4)
    pointwise = np.concatenate([reference.elpd_i.values, constant[0, 0]])
    assert_allclose(table.loc["one", "se"], np.sqrt(33 * pointwise.var(ddof=1)), rtol=1e-4)
    assert (table["n"] == 33).all()


def test_a_fit_whose_terms_are_all_constant_is_their_sum() -> None:
    constant = np.full((CHAINS, DRAWS, N), np.log(0.5))
    table = rl.compare({"chance": fit(constant), "better": fit(terms(1, mean=-0.3))})
    assert_allclose(table.loc["chance", "elpd"], N * np.log(0.5))
    assert table.loc["chance", "k_bad"] == 0


def test_one_chain_is_enough() -> None:
    table = rl.compare({"a": fit(terms(1)[:1]), "b": fit(terms(2)[:1])})
    assert np.isfinite(table["elpd"]).all()


# ---------------------------------------------------------------- subjects


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_by_subject_the_terms_of_a_subject_are_summed() -> None:
    one, two = terms(1, spread=0.02), terms(2, mean=-0.9, spread=0.02)
    from_obs = rl.compare({"one": fit(one), "two": fit(two)}, unit="subject", form="conditional")
    summed = rl.compare({"one": by_subject(one), "two": by_subject(two)}, unit="subject", form="conditional")
    pd.testing.assert_frame_equal(from_obs, summed)
    assert (from_obs["n"] == 3).all()
    assert_allclose(from_obs.loc["one", "elpd"], one.mean(axis=(0, 1)).sum(), atol=0.1)


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_a_fit_by_observation_may_be_compared_with_one_by_subject() -> None:
    one, two = terms(1, spread=0.02), terms(2, spread=0.02)
    table = rl.compare({"obs": fit(one), "sum": by_subject(two)}, unit="subject", form="conditional")
    assert set(table.index) == {"obs", "sum"}


def test_by_session_the_terms_of_a_person_s_session_are_summed() -> None:
    def in_sessions(values: np.ndarray) -> xr.DataTree:
        tree = fit(values)
        group = tree["log_likelihood"].to_dataset()
        return xr.DataTree.from_dict(
            {"log_likelihood": group.assign_coords(session=("obs", np.tile([1, 1, 2, 2, 2], 6)))}
        )

    one, two = terms(1, spread=0.02), terms(2, mean=-0.9, spread=0.02)
    table = rl.compare({"one": in_sessions(one), "two": in_sessions(two)}, unit="session")
    assert (table["n"] == 6).all()
    assert (table["unit"] == "session").all()
    elpd = rl.loo(in_sessions(one), "session").elpd_i
    summed = np.stack([one[:, :, :10][:, :, np.tile([True, True, False, False, False], 2)].sum(axis=2)], axis=2)
    assert_allclose(elpd.sel(unit=(elpd["subject"] == "b") & (elpd["session"] == 1)), loo(summed).elpd_i, rtol=1e-3)


def test_without_sessions_there_is_nothing_to_leave_out() -> None:
    fits = {"one": fit(terms(1)), "two": fit(terms(2))}
    assert_says(refused(fits, unit="session"), "fit 'one'", "no column 'session' or 'block'", "read_trials")
    text = refused({"one": by_subject(terms(1)), "two": fit(terms(2))}, unit="session")
    assert_says(text, "'one'", "by subject", "log_likelihood='obs'")


# ---------------------------------------------------------------- weights


def test_weights_by_stacking_maximise_the_mixture() -> None:
    one, two = terms(1), terms(2)
    table = rl.compare({"one": fit(one), "two": fit(two)})
    densities = np.exp([loo(one).elpd_i.values, loo(two).elpd_i.values])
    grid = np.linspace(0, 1, 1001)
    score = np.log(grid[:, None] * densities[0] + (1 - grid[:, None]) * densities[1]).sum(axis=1)
    assert_allclose(table.loc["one", "weight"], grid[score.argmax()], atol=0.01)


@pytest.mark.parametrize("weights", ["stacking", "pseudo-bma", "pseudo-bma+"])
def test_weights_do_not_underflow_where_units_are_long(weights: str) -> None:
    """Sums over a thousand trials are beyond what exp can hold; only their differences matter."""
    one, two = terms(1), terms(2, mean=-0.72)
    near = rl.compare({"one": fit(one), "two": fit(two)}, weights=weights)
    far = rl.compare({"one": fit(one - 2000), "two": fit(two - 2000)}, weights=weights)
    assert_allclose(far["weight"], near["weight"], atol=1e-3)
    assert_allclose(far["elpd"], near["elpd"] - 2000 * N, rtol=1e-6)
    assert_allclose(far["dse"], near["dse"], rtol=1e-3, atol=1e-9)


def test_weights_by_pseudo_bma_follow_from_the_elpd() -> None:
    fits = {"one": fit(terms(1)), "two": fit(terms(2, mean=-0.75)), "three": fit(terms(3))}
    table = rl.compare(fits, weights="pseudo-bma")
    shares = np.exp(table["elpd"] - table["elpd"].max())
    assert_allclose(table["weight"], shares / shares.sum(), rtol=1e-8)
    smooth = rl.compare(fits, weights="pseudo-bma+")
    assert_allclose(smooth["weight"].sum(), 1)
    assert smooth["weight"].max() < table["weight"].max()
    assert_allclose(smooth["se"], table["se"])
    assert_says(refused(fits, weights="waic"), "unknown weights 'waic'", "pseudo-bma")


# ---------------------------------------------------------------- what cannot be relied on


def test_large_pareto_k_are_counted_and_warned_of() -> None:
    wild = terms(1)
    wild[:, :, 4] = -10 * np.random.default_rng(3).exponential(size=(CHAINS, DRAWS)) ** 2
    with pytest.warns(UserWarning, match=r"Pareto k is above .* for 1 of 30 trials in 'wild'"):
        table = rl.compare({"wild": fit(wild), "tame": fit(terms(2))})
    assert table.loc["wild", "k_bad"] == 1
    assert table.loc["tame", "k_bad"] == 0
    assert table.loc["wild", "k_max"] > 0.7


def test_a_name_that_is_a_number_is_written_as_one() -> None:
    wild = terms(1)
    wild[:, :, 4] = -10 * np.random.default_rng(3).exponential(size=(CHAINS, DRAWS)) ** 2
    with pytest.warns(UserWarning, match=r"trials in '1':"):
        rl.compare({1: fit(wild), 2: fit(terms(2))})  # type: ignore[dict-item]


# ---------------------------------------------------------------- what may not be compared


def test_fits_of_different_rows_are_refused() -> None:
    one, two = fit(terms(1)), fit(terms(2))
    moved = two.copy()
    moved["log_likelihood"] = xr.DataTree(two["log_likelihood"].to_dataset().assign_coords(trial=("obs", range(1, 31))))
    assert_says(refused({"one": one, "two": moved}), "'one' and 'two'", "different rows", "trial")
    assert_says(refused({"one": one, "two": fit(terms(2), np.repeat(["a", "b", "z"], 10))}), "subject")


def test_fits_of_different_length_are_refused() -> None:
    text = refused({"one": fit(terms(1)), "two": fit(terms(2)[:, :, :27])})
    assert_says(text, "'one' and 'two'", "different data", "30", "27")


def test_fits_of_different_responses_are_refused() -> None:
    text = refused({"one": fit(terms(1), responses="abc"), "two": fit(terms(2), responses="xyz")})
    assert_says(text, "different responses", "one", "two")


def test_a_fit_without_log_likelihood_is_named_with_the_cure() -> None:
    assert_says(refused({"one": fit(terms(1)), "two": xr.DataTree()}), "'two'", "log_likelihood='obs'")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_log_likelihood_that_is_no_number_is_named(value: float) -> None:
    wrong = terms(2)
    wrong[1, 7, 12] = value
    text = refused({"one": fit(terms(1)), "two": fit(wrong)})
    assert_says(text, "fit 'two'", "subject 'a', trial 12", str(value), "draw 7 of chain 1")


def test_results_of_loo_are_compared_as_they_are() -> None:
    fits = {"one": fit(terms(1)), "two": fit(terms(2))}
    results = {name: rl.loo(one) for name, one in fits.items()}
    pd.testing.assert_frame_equal(rl.compare(results), rl.compare(fits))
    pd.testing.assert_frame_equal(rl.compare({"one": results["one"], "two": fits["two"]}), rl.compare(fits))
    text = refused({"one": results["one"], "two": rl.loo(fits["two"], "subject", form="conditional")})
    assert_says(text, "different units", "'trial'", "'subject, conditional'")


def test_other_responses_are_named_by_the_first_row() -> None:
    other = fit(terms(2))
    group = other["log_likelihood"].to_dataset().assign_coords(response=("obs", ["action"] * 29 + ["action2"]))
    text = refused({"one": fit(terms(1)), "two": xr.DataTree.from_dict({"log_likelihood": group})})
    assert_says(text, "differ in response", "'action' and 'action2'", "1 of 30")


def test_trials_need_terms_by_observation() -> None:
    text = refused({"one": by_subject(terms(1)), "two": by_subject(terms(2))})
    assert_says(text, "'one'", "by subject", "log_likelihood='obs'")


def test_one_fit_is_no_comparison() -> None:
    assert_says(refused({"one": fit(terms(1))}), "at least two", "1")
    assert_says(refused({}), "at least two", "0")


def test_what_is_no_fit_is_named() -> None:
    with pytest.raises(TypeError, match=r"expected the fit to be one from rlpymc\.sample, found NoneType"):
        rl.loo(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected 'a' to be a result of loo or leave_future_out, found int"):
        check_same_data({"a": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="found none"):
        check_same_data({})


def test_too_few_draws_are_named() -> None:
    terms = np.random.default_rng(1).normal(size=(2, 12, 3))
    few = xr.Dataset({"choice": (("chain", "draw", "obs"), terms)}, coords={"subject": ("obs", [0, 1, 2])})
    with pytest.raises(ValueError, match="the fit: found 24 draws in all chains, expected at least 25"):
        rl.loo(xr.DataTree.from_dict({"log_likelihood": few}))


def test_fits_come_by_name() -> None:
    assert_says(refused([fit(terms(1)), fit(terms(2))], error=TypeError), "name")


def test_an_unknown_unit_is_answered_with_the_nearest() -> None:
    fits = {"one": fit(terms(1)), "two": fit(terms(2))}
    assert_says(refused(fits, unit="subjects"), "unit 'subjects'", "Did you mean 'subject'?")


def test_a_term_that_varies_by_rounding_counts_as_constant() -> None:
    nearly = terms(1)
    nearly[:, :, 0] = np.log(0.5)
    nearly[0, 0, 0] += 2e-16
    table = rl.compare({"a": fit(nearly), "b": fit(terms(2))})
    assert np.isfinite(table["elpd"]).all()
