"""Formulas: what the mean of a group depends on."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.population.model_matrix import Formula
from tests.helpers.densities import assert_one_density
from tests.helpers.messages import assert_says, refusal

AGES = [20.0, 35.0, 50.0, 28.0, 61.0, 44.0]
DRUGS = ["placebo", "b", "a", "a", "placebo", "b"]


@cache
def trials() -> xr.Dataset:
    """Return six people's choices; their ages, drugs and sessions stand beside each trial."""
    params = {"alpha": [0.2, 0.3, 0.5, 0.4, 0.6, 0.7], "beta": 3.0}
    made = rl.simulate("delta", rl.tasks.Bandit([0.2, 0.8]), params, 6, 20, seed=1)
    table = rl.to_table(made)
    subject = pd.Index(made["subject"].values).get_indexer(table["subject"])
    extra = {"age": np.array(AGES)[subject], "drug": np.array(DRUGS)[subject]}
    return rl.read_trials(table.assign(**extra, session=table["trial"].to_numpy() % 2, one=1.0))


FORMULAS: dict[str, dict[str, Any]] = {
    "numbers and factors": {"formulas": {"alpha": "~ age + drug", "beta": "age"}},
    "interaction": {"formulas": {"alpha": "~ scale(age) * C(drug, Treatment('placebo'))"}},
    "means of levels": {"formulas": {"alpha": "0 + drug"}, "priors": "wide"},
    "intercept alone": {"formulas": {"alpha": "1"}, "shared": ["beta"]},
    "a vector": {"formulas": {"bias": "~ drug"}},
    "equal": {"formulas": {"alpha_pos": "age"}, "coupled": [("alpha_pos", "alpha_neg")]},
}


@cache
def built(case: str) -> rl.RLModel:
    names = {"a vector": "biased_random", "equal": "delta(rates=sign)"}
    return rl.build(names.get(case, "delta"), trials(), **FORMULAS[case])


# ------------------------------------------------------------------------------------------------ model matrices


def test_the_model_matrix_is_that_of_treatment_contrasts() -> None:
    formula = Formula.learn("alpha", "~ age * drug", built("intercept alone").data)
    age, a, b = (np.array(v, dtype=float) for v in (AGES, [d == "b" for d in DRUGS], [d == "placebo" for d in DRUGS]))
    wanted = np.stack([np.ones(6), age, a, b, age * a, age * b], axis=1)
    assert formula.names == ["Intercept", "age", "drug[b]", "drug[placebo]", "age:drug[b]", "age:drug[placebo]"]
    assert_allclose(formula.of_subjects(built("intercept alone").data), wanted)


def test_what_was_learned_holds_for_some_of_the_people() -> None:
    whole = built("interaction")
    some = rl.build("delta", trials().isel(subject=[0, 4]), **whole.spec.population.options)
    of_all, of_some = (m.spec.population.effects(m.data)[0] for m in (whole, some))
    assert [v.prior for v in of_some.variables] == [v.prior for v in of_all.variables]
    for one, other in zip(of_all.covariates, of_some.covariates, strict=True):
        assert (one.values[0], one.values[4]) == other.values


# ------------------------------------------------------------------------------------------------------ densities


@pytest.mark.parametrize("case", FORMULAS)
def test_machine_code_and_pymc_have_one_density(case: str) -> None:
    assert_one_density(built(case), [0.3, 1.0])


def test_the_density_is_that_of_a_plain_reading() -> None:
    """Intercepts at the means of columns, coefficients Normal(0, s / sd), subjects around what these say."""
    model = built("numbers and factors")
    density = MachinePosterior(model).density()
    x = np.random.default_rng(3).normal(size=density.size)
    v = {name: x[place] for name, place in density.places.items()}
    drug = np.array([[d == "b" for d in DRUGS], [d == "placebo" for d in DRUGS]], dtype=float)
    columns = {"age": np.array(AGES), "drug[b]": drug[0], "drug[placebo]": drug[1]}
    spec = rl.get_model("delta")
    total, params = 0.0, {}
    for name, terms in {"alpha": ["age", "drug[b]", "drug[placebo]"], "beta": ["age"]}.items():
        parameter = spec.parameter(name)
        low, middle, high = parameter.support.unconstrain(parameter.prior.quantile(np.array([0.16, 0.5, 0.84])))
        s = (high - low) / 2
        own = v[f"{name}_centre"] + 0.0
        total += stats.norm(middle, 0.8 * s).logpdf(own).sum()
        for term in terms:
            b = v[f"{name}_{term}"]
            total += stats.norm(0, 0.8 * s / columns[term].std(ddof=1)).logpdf(b).sum()
            own = own + b * (columns[term] - columns[term].mean())
        sigma = np.exp(v[f"{name}_sigma"])
        total += (stats.halfnorm(scale=0.6 * s).logpdf(sigma) + v[f"{name}_sigma"]).sum()
        total += stats.norm().logpdf(v[f"{name}_z"]).sum()
        params[name] = parameter.support.constrain(own + sigma * v[f"{name}_z"])
    total += float(rl.log_prob("delta", trials(), params).sum())
    assert_allclose(density(x)[0], total, rtol=1e-10)


@pytest.mark.parametrize("case", FORMULAS)
def test_informed_coordinates_are_an_exact_change_of_variables(case: str) -> None:
    plain, posterior = MachinePosterior(built(case)).density(), MachinePosterior(built(case), "informed")
    density, found = posterior.density(), posterior.coordinates
    x = np.random.default_rng(2).normal(size=density.size)
    jacobian = found.noncentred(x + 1e-30j * np.eye(len(x))).imag.T / 1e-30
    value, slopes = density(x)
    wanted, _ = plain(found.noncentred(x[None])[0])
    assert_allclose(value, wanted + np.linalg.slogdet(jacobian)[1], rtol=1e-11)
    steps = 1e-5 * np.eye(len(x))
    by_difference = [(density(x + step)[0] - density(x - step)[0]) / 2e-5 for step in steps]
    assert_allclose(slopes, by_difference, rtol=1e-6, atol=1e-6 * np.abs(slopes).max())


def test_sites_know_the_means_that_a_formula_gives() -> None:
    """The search estimates coefficients together, and starts chains there."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=60)
    y = 1.0 + 2.0 * x + 0.5 * rng.normal(size=60)
    responses = y[:, None] + 0.1 * rng.normal(size=(60, 30))
    table = pd.DataFrame({"subject": np.repeat(range(60), 30), "prediction": responses.ravel(), "x": np.repeat(x, 30)})
    model = rl.build("gaussian", rl.read_trials(table), formulas={"mu": "x"})
    posterior = MachinePosterior(model, "informed").coordinates
    centre = {k: float(posterior._sites.centre[v][0]) for k, v in posterior.points.places.items() if k.startswith("mu")}
    slope, intercept = np.polyfit(x, responses.mean(axis=1), 1)
    assert_allclose(centre["mu_x"], slope, rtol=0.05)
    assert_allclose(centre["mu_centre"], intercept + slope * x.mean(), rtol=0.05)


# --------------------------------------------------------------------------------------------------------- results


def test_a_fit_has_terms_by_level_and_the_intercept_where_columns_are_0() -> None:
    options: dict[str, Any] = {"draws": 20, "tune": 50, "chains": 1, "progress": False, "log_likelihood": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        fit = rl.sample(built("numbers and factors"), seed=1, **options)
    found = fit["posterior"].to_dataset()
    assert found["alpha_drug"].dims == ("chain", "draw", "alpha_drug_dim")
    assert found["alpha_drug_dim"].values.tolist() == ["b", "placebo"]
    assert {"alpha_mu", "alpha_drug[b]"}.isdisjoint(found.data_vars)
    drug = xr.DataArray(
        [[d == "b" for d in DRUGS], [d == "placebo" for d in DRUGS]], dims=["alpha_drug_dim", "subject"]
    )
    age = xr.DataArray(AGES, dims="subject")
    mean = found["alpha_Intercept"] + found["alpha_age"] * age + (found["alpha_drug"] * drug).sum("alpha_drug_dim")
    wanted = 1 / (1 + np.exp(-(mean + found["alpha_sigma"] * found["alpha_z"])))
    assert_allclose(found["alpha"].values, wanted.transpose("chain", "draw", "subject").values, rtol=1e-10)
    assert_allclose(mean.mean("subject").values, found["alpha_centre"].values, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"formulas": {"alpha": "~ agee"}}, ["'agee'", "Did you mean 'age'?", "'alpha'"]),
        ({"formulas": {"gamma": "~ age"}}, ["'gamma'", "formulas", "alpha, q0, beta"]),
        ({"formulas": {"alpha": "age +"}}, ["'alpha'", "'~ age +'", "cannot be read"]),
        ({"formulas": {"alpha": "y ~ age"}}, ["'alpha'", "right of ~"]),
        ({"formulas": {"alpha": "age + (1 | subject)"}}, ["1|subject", "alpha_sigma", "leave it out"]),
        ({"formulas": {"alpha": "~ 0"}}, ["'~ 0'", "nothing in it", "expected '1'"]),
        ({"formulas": {"alpha": "~ one"}}, ["one is 1 for all subjects", "leave it out"]),
        ({"formulas": {"alpha": "~ age + I(2 * age)"}}, ["follows from the others", "leave a term out"]),
        ({"formulas": {"alpha": "~ age * drug * scale(age)"}}, ["coefficients for 6 subjects", "fewer"]),
        (
            {"formulas": {"alpha": "age + (age | subject)"}},
            ["age does not vary within subjects", "leave (age | subject) out"],
        ),
        ({"formulas": {"alpha": "age + (1 | session)"}}, ["(1|session)", "(x | subject)", "(1 | subject:session)"]),
        ({"formulas": {"alpha": "(1 | subject:one)"}}, ["one is 1.0 on all trials", "two at least"]),
        ({"formulas": {"alpha": "age"}, "pooling": "none"}, ["'alpha'", "none pooling", "pool it partially"]),
        ({"formulas": {"alpha": "age"}, "shared": ["alpha"]}, ["'alpha'", "complete pooling"]),
        (
            {"formulas": {"alpha": "age"}, "fixed": {"alpha": 0.3}},
            ["'alpha' is not estimated", "leave the formula out"],
        ),
        ({"formulas": {"q0": "age"}}, ["'q0' is not estimated", "free=['q0']"]),
        ({"formulas": {"alpha": "age"}, "priors": {"alpha_mu": rl.priors.Normal()}}, ["alpha_mu", "alpha_Intercept"]),
    ],
)
def test_a_formula_that_makes_no_sense_is_refused_with_the_mend(options: dict[str, Any], parts: list[str]) -> None:
    assert_says(refusal(rl.build, "delta", trials(), **options), *parts)


def test_what_is_no_formula_is_refused() -> None:
    message = refusal(rl.build, "delta", trials(), formulas={"alpha": 3}, error=TypeError)
    assert_says(message, "'alpha'", "3", "expected a text")
    assert_says(refusal(rl.build, "delta", trials(), formulas="age", error=TypeError), "'age'", "by parameter")


def test_a_missing_covariate_is_named_with_the_subject() -> None:
    ages = trials()["age"].copy()
    ages[2] = np.nan
    message = refusal(rl.build, "delta", trials().assign(age=ages), formulas={"alpha": "age"})
    assert_says(message, "'age' is missing for subject", "leave the subject out")


def test_priors_of_coefficients_can_be_given() -> None:
    given = {"alpha_Intercept": rl.priors.Normal(1, 2), "alpha_drug": rl.priors.Normal(0, 0.3)}
    model = rl.build("delta", trials(), formulas={"alpha": "drug"}, priors=given)
    of = {v.key: v.prior for v in model.spec.population.effects(model.data)[0].variables}
    assert of["centre"] == rl.priors.Normal(1, 2)
    assert of["drug[b]"] == of["drug[placebo]"] == rl.priors.Normal(0, 0.3)
    assert_one_density(model, [0.3, 1.0])
