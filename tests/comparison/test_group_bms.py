"""Group model selection against exact values: decisive evidences, Beta distributions, and what changes nothing."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import betaln, digamma, gammaln

import rlpymc as rl
from tests.helpers.messages import refusal

DECISIVE = 200.0  # nats


def decisive(*counts: int) -> pd.DataFrame:
    """Return evidences that leave no doubt of whose model is which."""
    best = np.repeat(np.arange(len(counts)), counts)
    names = [f"m{k}" for k in range(len(counts))]
    return pd.DataFrame(np.where(np.arange(len(counts)) == best[:, None], 0.0, -DECISIVE), columns=names)


def undecided(seed: int = 0, n: int = 15, models: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(-100, 2, (n, models)), index=[f"s{i}" for i in range(n)], columns=[*"abc"][:models])


refused = partial(refusal, rl.group_bms)


def test_decisive_evidences_are_counted() -> None:
    found = rl.group_bms(decisive(7, 2, 3))
    assert_allclose(found.alpha, [8, 3, 4], rtol=1e-12)
    assert_allclose(found.frequencies, np.array([8, 3, 4]) / 15)
    variance = [stats.dirichlet([8, 3, 4]).var()[k] for k in range(3)]
    assert_allclose(found.frequencies_sd, np.sqrt(variance))
    assert_allclose(found.assignment.values.argmax(axis=1), np.repeat([0, 1, 2], [7, 2, 3]))


@pytest.mark.parametrize("counts", [(7, 2), (10, 9), (0, 12)])
def test_of_two_models_the_exceedance_is_that_of_a_beta_distribution(counts: tuple[int, int]) -> None:
    found = rl.group_bms(decisive(*counts))
    exact = stats.beta(1 + counts[0], 1 + counts[1]).sf(0.5)
    assert_allclose(found.exceedance, [exact, 1 - exact], atol=1e-9)


def test_of_two_people_and_two_models_the_free_energy_is_exact() -> None:
    """With decisive evidences the posterior is Dirichlet(3, 1), and the bound is the evidence: ln B(3, 1) / B(1, 1)."""
    found = rl.group_bms(decisive(2, 0))
    differ, equal = betaln(3, 1) - betaln(1, 1), 2 * np.log(0.5)
    assert_allclose(found.bor, np.exp(equal) / (np.exp(equal) + np.exp(differ)), rtol=1e-9)  # 3/7
    assert_allclose(found.bor, 3 / 7, rtol=1e-9)
    expected = (1 - 3 / 7) * 7 / 8 + 3 / 7 / 2  # P(r > 1/2) under Beta(3, 1) is 7/8
    assert_allclose(found.protected_exceedance["m0"], expected, rtol=1e-8)


def test_of_three_models_the_exceedance_is_that_of_dirichlet_draws() -> None:
    found = rl.group_bms(decisive(5, 4, 2))
    draws = np.random.default_rng(1).dirichlet([6, 5, 3], size=200_000)
    shares = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert_allclose(found.exceedance, shares, atol=5 * np.sqrt(0.25 / len(draws)))
    assert_allclose(found.exceedance.sum(), 1, atol=1e-8)


def test_if_all_people_use_one_model_nothing_else_is_left() -> None:
    found = rl.group_bms(decisive(40, 0, 0))
    assert_allclose(found.frequencies, np.array([41, 1, 1]) / 43)
    assert found.exceedance["m0"] > 1 - 1e-6
    assert found.bor < 1e-6


@pytest.mark.parametrize(("n", "models"), [(20, 2), (20, 4), (500, 2)])
def test_if_evidences_are_the_same_nothing_is_known(n: int, models: int) -> None:
    same = np.random.default_rng(0).normal(-50, 9, n)
    found = rl.group_bms({f"m{k}": same for k in range(models)})
    for values in (found.frequencies, found.exceedance, found.protected_exceedance):
        assert_allclose(values, 1 / models, atol=1e-8)
    alpha = 1 + n / models  # of each model; the bound is not tight, so that not even here the risk is 1
    mean_log, entropy = digamma(alpha) - digamma(models * alpha), stats.dirichlet(np.full(models, alpha)).entropy()
    bound = n * (mean_log + np.log(models)) + entropy + gammaln(models)
    assert_allclose(found.bor, 1 / (1 + np.exp(bound)), rtol=1e-8)
    assert found.bor > 0.7


def test_the_order_of_models_and_people_does_not_matter() -> None:
    table = undecided()
    one = rl.group_bms(table)
    other = rl.group_bms(table[["c", "a", "b"]].iloc[::-1])
    pd.testing.assert_frame_equal(other.to_dataframe().loc[["a", "b", "c"]], one.to_dataframe(), rtol=1e-6)
    pd.testing.assert_frame_equal(other.assignment.loc[table.index, table.columns], one.assignment, rtol=1e-6)


def test_a_constant_for_each_person_changes_nothing() -> None:
    table = undecided()
    shifted = table.add(np.random.default_rng(5).normal(0, 1000, len(table)), axis=0)
    one, other = rl.group_bms(table), rl.group_bms(shifted)
    assert_allclose(other.to_dataframe(), one.to_dataframe(), rtol=1e-6)
    assert_allclose(other.bor, one.bor, rtol=1e-6)


def test_the_fixed_point_is_one() -> None:
    """Counts and assignments satisfy the update equations, written out person by person."""
    table, found = undecided(), rl.group_bms(undecided())
    sums = np.zeros(3)
    for i in range(len(table)):
        weight = np.array([np.exp(table.iloc[i, k] + 100 + digamma(found.alpha.iloc[k])) for k in range(3)])
        sums += weight / weight.sum()
        assert_allclose(found.assignment.iloc[i], weight / weight.sum(), rtol=1e-6)
    assert_allclose(found.alpha, 1 + sums, rtol=1e-6)


def test_it_prints_as_a_table() -> None:
    text = repr(rl.group_bms(decisive(7, 2)))
    assert "9 subjects" in text
    assert "protected_exceedance" in text


# ---------------------------------------------------------------- what may be given


def test_arrays_series_and_data_arrays_are_taken_by_label() -> None:
    table = undecided()
    labels = table.index.tolist()
    mixed = {
        "a": table["a"].iloc[::-1],
        "b": xr.DataArray(table["b"].values, dims="subject", coords={"subject": labels}),
        "c": table["c"].sample(frac=1, random_state=1),
    }
    pd.testing.assert_frame_equal(rl.group_bms(mixed).to_dataframe(), rl.group_bms(table).to_dataframe(), rtol=1e-6)
    plain = {name: table[name].values for name in table}
    assert_allclose(rl.group_bms(plain).to_dataframe(), rl.group_bms(table).to_dataframe(), rtol=1e-6)


def test_missing_and_unequal_subjects_are_named() -> None:
    table = undecided()
    text = refused({"a": table["a"], "b": table["b"].drop("s3")})
    assert "'a' and 'b'" in text
    assert "'b' has no subject 's3'" in text
    text = refused({"a": np.zeros(4), "b": np.zeros(5)})
    assert "(4 and 5)" in text


def test_evidences_that_are_no_numbers_are_named() -> None:
    table = undecided()
    table.loc["s2", "b"] = np.nan
    assert "model 'b', subject 's2': found nan" in refused(table)
    table.loc["s2", "b"] = -np.inf
    assert "found -inf" in refused(table)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": np.zeros(3)}, "at least two models, found 1"),
        ({}, "at least two models"),
        ({"a": np.zeros(0), "b": np.zeros(0)}, "at least one subject"),
        ({"a": np.zeros((2, 2)), "b": np.zeros(2)}, r"shape (2, 2), expected (subject,)"),
        ({"a": xr.DataArray(np.zeros(3), dims="trial"), "b": np.zeros(3)}, "expected one by subject"),
    ],
)
def test_what_is_no_table_of_evidences_is_refused(given: Any, message: str) -> None:
    assert message in refused(given)


def test_evidences_come_by_model() -> None:
    assert "by model" in refused([np.zeros(3)], error=TypeError)


def test_words_for_numbers_and_two_models_of_one_name_are_named() -> None:
    assert "'b': found 'x' among them" in refused({"a": [1.0, 2.0], "b": ["x", "y"]}, error=TypeError)
    assert "a model is there twice" in refused({1: [1.0, 2.0], "1": [2.0, 3.0]})
