"""Contrasts: what formulas say of groups, from draws that are known."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats

import rlpymc as rl
from rlpymc.population.kept_formulas import to_dataset
from rlpymc.population.model_matrix import Formula
from tests.helpers.messages import assert_says, refusal

AGES = np.array([20.0, 35.0, 50.0, 28.0, 61.0, 44.0])
GROUPS = np.array(["ill", "well", "well", "ill", "ill", "well"])
CHAINS, DRAWS = 2, 500


def fit_of(text: str, values: dict[str, Any], parameter: str = "alpha", model: str = "delta") -> xr.DataTree:
    """Return a fit that holds these draws, and what a formula was learned from."""
    table = pd.DataFrame({"age": AGES, "group": GROUPS}, index=[f"s{k}" for k in range(6)])
    names = [k for k in ("age", "group") if k in text]
    formula = Formula(parameter, text, table[names])
    spec = {"model": model, "preset": "matched", "formulas": {parameter: text}}
    draws = xr.Dataset(values, coords={"chain": range(CHAINS), "draw": range(DRAWS)})
    tree = xr.DataTree.from_dict({"posterior": draws, "covariates": to_dataset({parameter: formula})})
    tree.attrs["rlpymc"] = json.dumps({"spec": spec})
    return tree


def normal(mean: float, sd: float, seed: int) -> tuple[tuple[str, str], np.ndarray]:
    return ("chain", "draw"), np.random.default_rng(seed).normal(mean, sd, (CHAINS, DRAWS))


def two_groups() -> xr.DataTree:
    values = {"alpha_Intercept": normal(-1.0, 0.2, 1), "alpha_age": normal(0.03, 0.005, 2)}
    dims, drug = normal(0.8, 0.3, 3)
    values["alpha_group"] = (*dims, "alpha_group_dim"), drug[..., None]  # type: ignore[assignment]
    dims, sigma = normal(0.0, 0.1, 4)
    values["alpha_sigma"] = dims, np.exp(sigma) * 0.5
    tree = fit_of("age + group", values)
    posterior = tree["posterior"].to_dataset().assign_coords(alpha_group_dim=["well"])
    return tree.assign({"posterior": xr.DataTree(posterior)})


def test_differences_are_those_of_the_draws_on_every_scale() -> None:
    fit = two_groups()
    found = rl.contrast(fit, "alpha", "group")
    v = {k: x.values.reshape(CHAINS, DRAWS) for k, x in fit["posterior"].to_dataset().data_vars.items()}
    assert found.draws["contrast"].values.tolist() == ["well - ill"]
    assert_allclose(found.draws["link"].values[..., 0], v["alpha_group"], rtol=1e-10)
    assert_allclose(found.draws["effect_size"].values[..., 0], v["alpha_group"] / v["alpha_sigma"], rtol=1e-10)
    ill = v["alpha_Intercept"] + v["alpha_age"] * AGES.mean()
    natural = 1 / (1 + np.exp(-ill - v["alpha_group"])) - 1 / (1 + np.exp(-ill))
    assert_allclose(found.draws["natural"].values[..., 0], natural, rtol=1e-10)


def test_means_over_people_are_means_over_people() -> None:
    fit = two_groups()
    found = rl.contrast(fit, "alpha", "group").means["average"]
    v = {k: x.values.reshape(CHAINS, DRAWS)[0, 0] for k, x in fit["posterior"].to_dataset().data_vars.items()}
    z = stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    for level, add in (("ill", 0.0), ("well", v["alpha_group"])):
        people = v["alpha_Intercept"] + v["alpha_age"] * AGES[:, None] + add + v["alpha_sigma"] * z
        assert_allclose(found.sel(level=level).values[0, 0], (1 / (1 + np.exp(-people))).mean(), rtol=1e-6)


def test_the_table_says_how_sure_the_sign_is_and_whether_it_matters() -> None:
    found = rl.contrast(two_groups(), "alpha", "group", rope=0.5, prob=0.5)
    sizes = found.draws["effect_size"].values.ravel()
    row = found.table.loc[("well - ill", "effect_size")]
    assert_allclose(row["median"], np.median(sizes))
    assert_allclose([row["25%"], row["75%"]], np.quantile(sizes, [0.25, 0.75]))
    assert_allclose(row["direction"], (sizes > 0).mean())
    assert_allclose(row["inside"], (np.abs(sizes) < 0.5).mean())
    assert_says(str(found), "alpha by group", "within 0.5 standard deviations", "well - ill")


def test_a_number_is_compared_at_its_mean_and_one_standard_deviation_more() -> None:
    fit = two_groups()
    slope = fit["posterior"]["alpha_age"].values
    usual = rl.contrast(fit, "alpha", "age").draws["link"].values[..., 0]
    assert_allclose(usual, slope * AGES.std(ddof=1), rtol=1e-10)
    asked = rl.contrast(fit, "alpha", "age", levels=[60, 20], at={"group": "ill"}).draws["link"].values[..., 0]
    assert_allclose(asked, -40 * slope, rtol=1e-10)


def test_what_interacts_is_held_where_it_is_told() -> None:
    values: dict[str, Any] = {"alpha_Intercept": normal(0, 1, 1), "alpha_age": normal(0, 1, 2)}
    for name, seed in (("alpha_group", 3), ("alpha_age:group", 4)):
        dims, drawn = normal(0, 1, seed)
        values[name] = (*dims, f"{name}_dim"), drawn[..., None]
    values["alpha_sigma"] = ("chain", "draw"), np.ones((CHAINS, DRAWS))
    fit = fit_of("age * group", values)
    labels = {f"{name}_dim": ["well"] for name in ("alpha_group", "alpha_age:group")}
    fit = fit.assign({"posterior": xr.DataTree(fit["posterior"].to_dataset().assign_coords(labels))})
    v = {k: x.values.reshape(CHAINS, DRAWS) for k, x in fit["posterior"].to_dataset().data_vars.items()}
    usual = rl.contrast(fit, "alpha", "group").draws["link"].values[..., 0]
    assert_allclose(usual, v["alpha_group"] + AGES.mean() * v["alpha_age:group"], rtol=1e-9)
    young = rl.contrast(fit, "alpha", "group", at={"age": 20.0}).draws["link"].values[..., 0]
    assert_allclose(young, v["alpha_group"] + 20 * v["alpha_age:group"], rtol=1e-9)


def test_vectors_have_a_row_for_each_entry() -> None:
    shape = (CHAINS, DRAWS, 3)
    rng = np.random.default_rng(0)
    own = ("chain", "draw", "bias_dim")
    values: dict[str, Any] = {k: (own, rng.normal(size=shape)) for k in ("bias_Intercept", "bias_age")}
    values["bias_sigma"] = own, np.ones(shape)
    found = rl.contrast(fit_of("age", values, "bias", "biased_random"), "bias", "age")
    slopes = values["bias_age"][1] * AGES.std(ddof=1)
    assert_allclose(found.draws["link"].transpose("chain", "draw", "bias_dim", "contrast").values[..., 0], slopes)
    assert len(found.table) == 3 * 4
    assert_says(refusal(rl.plots.contrast, found), "'bias'", "several entries")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"by": "grup"}, ["'grup'", "Did you mean 'group'?", "'alpha'"]),
        ({"by": "group", "levels": ["ill", "wel"]}, ["'wel'", "Did you mean 'well'?"]),
        ({"by": "group", "levels": ["ill"]}, ["levels", "two or more"]),
        ({"by": "age", "levels": ["old", "young"]}, ["'old'", "expected a number"]),
        ({"by": "group", "at": {"drug": 1}}, ["'drug'", "age, group"]),
        ({"by": "group", "rope": -1}, ["rope", "-1", "above 0"]),
        ({"by": "group", "prob": 1.5}, ["prob", "1.5", "between 0 and 1"]),
        ({"by": "group", "parameter": "beta"}, ["'beta'", "alpha"]),
    ],
)
def test_what_cannot_be_compared_is_refused(options: dict[str, Any], parts: list[str]) -> None:
    options = {"parameter": "alpha", **options}
    assert_says(refusal(rl.contrast, two_groups(), **options), *parts)


def test_a_fit_without_a_formula_is_told_how_to_get_one() -> None:
    fit = two_groups()
    fit.attrs["rlpymc"] = json.dumps({"spec": {"model": "delta", "preset": "matched"}})
    assert_says(refusal(rl.contrast, fit, "alpha", "group"), "no formula", "formulas={'alpha': '~ group'}")


def test_figures_show_every_level_and_coefficient() -> None:
    fit = two_groups()
    figure = rl.plots.contrast(rl.contrast(fit, "alpha", "group"))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["ill", "well"]
    assert [t.get_text() for t in figure.axes[1].get_yticklabels()] == ["well - ill"]
    rows = [t.get_text() for t in rl.plots.effects(fit).axes[0].get_yticklabels()]
    assert rows == ["alpha: age", "alpha: group[well]"]
