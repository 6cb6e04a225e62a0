"""Maximum likelihood with formulas: parameters that follow from what is known of subjects, without deviations."""

from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit, logit, ndtr
from scipy.stats import binom

import rlpymc as rl
from rlpymc.fitting.mle.problem import Problem
from rlpymc.model import Input, Model, Parameter, positive, real
from rlpymc.population.population import Population
from rlpymc.tasks import RLWM, Bandit
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal

RATES = "delta(rates=sign)"
AGES = np.array([31.0, 22.0, 47.0, 58.0, 25.0, 40.0])
GROUPS = ["old", "new", "new", "old", "old", "new"]
HELD = {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
FALL = 1.9207  # half the quantile of chi2(1) at 95 %


@cache
def trials() -> xr.Dataset:
    """Return six subjects of 80 trials in blocks of 40, with their ages and groups."""
    params = {"alpha": [0.3, 0.4, 0.25, 0.5, 0.35, 0.3], "beta": [2.0, 2.5, 3.0, 3.5, 2.0, 2.5]}
    data = rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), params, 6, 80, 1)
    return data.assign(age=("subject", AGES), group=("subject", GROUPS), one=("subject", np.ones(6)))


def fit(model: Any = "delta", data: xr.Dataset | None = None, **options: Any) -> rl.MLE:
    data = trials() if data is None else data
    return rl.fit_mle(model, data, **{"progress": False, "starts": 3, **options})


@cache
def beta_by_age() -> rl.MLE:
    return fit(formulas={"beta": "~ age"})


def rows(**columns: Any) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Return 40 subjects of 15 trials, and their columns and those given, (subject, trial), in long form."""
    rng = np.random.default_rng(4)
    x, group = rng.normal(3.0, 2.0, 40), rng.permutation(np.repeat(["a", "b"], 20))
    known = {"subject": np.arange(40), "x": x, "group": group}
    table = {name: np.repeat(values, 15) for name, values in known.items()}
    table |= {name: make(rng, table["x"], table["group"] == "b") for name, make in columns.items()}
    return rl.read_trials(pd.DataFrame(table)), table


@cache
def words() -> xr.Dataset:
    """Return what two people with different capacities learn by heart."""
    params = {**HELD, "alpha": 0.1, "capacity": [2, 5]}
    found = rl.simulate("rlwm", RLWM((2, 3, 4, 5, 6), presentations=4), params, 2, 80, 5)
    return found.assign(age=("subject", [30.0, 40.0]))


# ---------------------------------------------------------------- what formulas become


@pytest.mark.parametrize("options", [{}, {"shared": ["alpha"]}, {"l2": 0.7}], ids=["own", "all in common", "penalised"])
def test_an_intercept_alone_is_a_shared_parameter(options: dict[str, Any]) -> None:
    found = fit(formulas={"beta": "1"}, **options)
    shared = fit(**{**options, "shared": ["beta", *options.get("shared", ())]})
    assert_allclose(found.totals, shared.totals, rtol=1e-6)
    for name in ("alpha", "beta"):
        assert_allclose(found.params[name], shared.params[name], rtol=1e-6)
    if not options.get("l2"):  # the curvature of a penalty depends on the scale
        assert_allclose(found.se["beta"], shared.se["beta"], rtol=1e-6)
        assert_allclose(found.se["alpha"], shared.se["alpha"], rtol=1e-6)
    assert_allclose(np.exp(found.coefficients["beta"]), shared.params["beta"][:1], rtol=1e-6)


def test_levels_of_both_parameters_are_separate_fits_of_the_groups() -> None:
    found = fit(formulas={"alpha": "0 + group", "beta": "0 + group"})
    for group in ("new", "old"):
        members = trials()["group"].values == group
        alone = fit(data=trials().isel(subject=members), shared=("alpha", "beta"))
        assert_allclose(found.log_lik[members], alone.log_lik, rtol=0, atol=1e-5)
        for name in ("alpha", "beta"):
            assert_allclose(found.params[name][members], alone.params[name], rtol=1e-3)
            assert_allclose(found.se[name][members], alone.se[name], rtol=1e-3)
    assert found.coefficients["alpha_coefficient"].values.tolist() == ["group[new]", "group[old]"]
    assert found.totals["n_params"] == 4


def test_the_optimum_and_errors_are_those_of_a_plain_search() -> None:
    """Everybody's rate and two coefficients, by SciPy and a numerical Hessian of the plain log likelihood."""
    some = trials().isel(subject=[0, 2, 3])
    ages = some["age"].values
    found, x = fit(data=some, formulas={"beta": "~ age"}), (ages - ages.mean()) / 10

    def negative(v: np.ndarray) -> float:
        params = {"beta": np.exp(v[0] + v[1] * x), "alpha": expit(v[2:])}
        return -float(rl.log_prob("delta", some, params).sum())

    plain = minimize(negative, [1.0, 0.2, -0.5, -0.5, -0.5], method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-6})
    assert_allclose(found.totals["log_lik"], -plain.fun, rtol=0, atol=1e-5)
    slope = plain.x[1] / 10
    assert_allclose(found.coefficients["beta"], [plain.x[0] - slope * ages.mean(), slope], rtol=1e-2)
    steps, signs = 1e-3 * np.eye(5), [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
    hessian = [[sum(w * negative(plain.x + i * a + j * b) for i, j, w in signs) for a in steps] for b in steps]
    cov = np.linalg.inv(np.array(hessian) / 4e-6)[:2, :2]
    back = np.array([[1.0, -ages.mean() / 10], [0.0, 0.1]])  # to coefficients of ages as they are
    cov = back @ cov @ back.T
    assert_allclose(found.coefficients_se["beta"], np.sqrt(np.diag(cov)), rtol=2e-3)
    assert_allclose(found.cov[2].sel(estimate="beta_age", estimate_="beta_Intercept"), cov[0, 1], rtol=4e-3)
    errors = np.sqrt(cov[0, 0] + 2 * cov[0, 1] * ages + cov[1, 1] * ages**2)
    assert_allclose(found.se["beta"], found.params["beta"] * errors, rtol=1e-2)


def test_a_gaussian_mean_is_that_of_ordinary_least_squares() -> None:
    data, columns = rows(prediction=lambda rng, x, b: 0.4 + 0.15 * x - 0.3 * b + 0.8 * rng.normal(size=x.size))
    found = fit("gaussian", data, formulas={"mu": "~ x * group"}, shared="sd")
    b = columns["group"] == "b"
    X = np.stack([np.ones(b.size), columns["x"], b, columns["x"] * b], axis=1)
    estimate, squares, *_ = np.linalg.lstsq(X, columns["prediction"])
    variance = squares[0] / b.size  # of maximum likelihood, without degrees of freedom
    table = found.coefficient_table
    assert table.index.tolist() == ["mu_Intercept", "mu_x", "mu_group[b]", "mu_x:group[b]"]
    assert_allclose(table["estimate"], estimate, rtol=1e-5)
    se = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    assert_allclose(table["se"], se, rtol=1e-5)
    assert_allclose(table["z"], estimate / se, rtol=1e-4)
    assert_allclose(table["p"], 2 * ndtr(-np.abs(estimate / se)), rtol=1e-3)
    assert_allclose(
        table[["lower", "upper"]], np.stack([estimate - 1.959964 * se, estimate + 1.959964 * se], 1), rtol=1e-4
    )
    assert_allclose(found.params["sd"], np.full(40, np.sqrt(variance)), rtol=1e-5)
    assert set(found.status.values) == {"converged"}


def test_a_biased_coin_is_logistic_regression() -> None:
    data, columns = rows(action=lambda rng, x, b: (rng.random(x.size) < expit(-1 + 0.3 * x - 0.4 * b)).astype(int))
    found = fit("biased_coin", data, formulas={"bias": "x + group"})
    X, y = np.stack([np.ones(600), columns["x"], columns["group"] == "b"], axis=1), columns["action"]
    estimate = np.zeros(3)
    for _ in range(20):  # iteratively reweighted least squares
        p = expit(X @ estimate)
        information = X.T @ (X * (p * (1 - p))[:, None])
        estimate = estimate + np.linalg.solve(information, X.T @ (y - p))
    assert_allclose(found.coefficients["bias"], estimate, rtol=1e-5)
    assert_allclose(found.coefficients_se["bias"], np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-5)
    assert_allclose(found.cov[0], np.linalg.inv(information), rtol=1e-4)
    assert_allclose(
        found.totals["aic"], 2 * 3 + 2 * np.logaddexp(0, np.where(y, -1, 1) * (X @ estimate)).sum(), rtol=1e-7
    )
    assert_allclose(found.totals["bic"] - found.totals["aic"], 3 * np.log(600) - 6, rtol=1e-7)


def test_each_entry_of_a_vector_has_coefficients_of_its_own() -> None:
    """Choices among three whose probabilities differ between groups have the shares of each group."""
    rng = np.random.default_rng(2)
    group = np.repeat(["a", "b"], 4)
    actions = [rng.choice(3, 30, p=[0.2, 0.3, 0.5] if g == "a" else [0.6, 0.3, 0.1]) for g in group]
    table = {"subject": np.repeat(range(8), 30), "action": np.concatenate(actions), "group": np.repeat(group, 30)}
    found = fit("biased_random", rl.read_trials(pd.DataFrame(table)), formulas={"bias": "~ group"})
    shares = [np.bincount(table["action"][table["group"] == g], minlength=3) for g in "ab"]
    first, second = (np.log(s[1:] / s[0]) for s in shares)
    assert found.coefficients["bias"].dims == ("bias_dim_0", "bias_coefficient")
    assert_allclose(found.coefficients["bias"].sel(bias_coefficient="Intercept"), first, rtol=1e-4)
    assert_allclose(found.coefficients["bias"].sel(bias_coefficient="group[b]"), second - first, rtol=1e-4)
    errors = [np.sqrt(1 / s[1:] + 1 / s[0]) for s in shares]  # of log odds
    assert_allclose(found.coefficients_se["bias"].sel(bias_coefficient="Intercept"), errors[0], rtol=1e-4)
    assert_allclose(found.se["bias"][[0, 7]], errors, rtol=1e-4)
    labels = ["bias_Intercept[0]", "bias_Intercept[1]", "bias_group[b][0]", "bias_group[b][1]"]
    assert found.coefficient_table.index.tolist() == found.cov["estimate"].values.tolist() == labels


def test_the_first_of_equal_parameters_carries_the_formula() -> None:
    pair = ("alpha_pos", "alpha_neg")
    found = fit(RATES, formulas={"alpha_pos": "~ age"}, coupled=[pair])
    as_delta = fit(formulas={"alpha": "~ age"})
    assert_array_equal(found.params["alpha_pos"], found.params["alpha_neg"])
    assert_allclose(found.coefficients["alpha_pos"], as_delta.coefficients["alpha"], rtol=1e-3)
    assert_allclose(found.totals["log_lik"], as_delta.totals["log_lik"], rtol=0, atol=1e-5)


def test_of_one_subject_formulas_are_the_parameters_themselves() -> None:
    one = trials().isel(subject=[1])
    found, plain = fit(data=one, formulas={"alpha": "1", "beta": "0 + age"}), fit(data=one)
    assert_allclose(found.totals, plain.totals, rtol=1e-6)
    assert_allclose(found.params["beta"], plain.params["beta"], rtol=1e-4)
    assert_allclose(found.se["beta"], plain.se["beta"], rtol=1e-4)
    assert_allclose(found.coefficients["beta"] * AGES[1], np.log(plain.params["beta"]), rtol=1e-4)


def test_whole_numbers_stay_everybodys_own() -> None:
    found = fit("rlwm", words(), fixed=HELD, starts=2, formulas={"alpha": "1"})
    shared = fit("rlwm", words(), fixed=HELD, starts=2, shared="alpha")
    assert_array_equal(found.params["capacity"], shared.params["capacity"])
    assert_allclose(found.params["alpha"], shared.params["alpha"], rtol=1e-6)
    assert found.totals["n_params"] == shared.totals["n_params"] == 3


# ---------------------------------------------------------------- searches


@pytest.mark.parametrize(
    ("model", "l2", "options"),
    [
        ("delta", 0.0, {"formulas": {"alpha": "~ age + group"}}),
        ("delta", 0.8, {"formulas": {"alpha": "0 + group", "beta": "age"}, "shared": ["q0"]}),
        (RATES, 0.0, {"formulas": {"alpha_pos": "age"}, "coupled": [("alpha_pos", "alpha_neg")]}),
        ("biased_random", 0.3, {"formulas": {"bias": "~ age * group"}}),
    ],
    ids=["own besides", "penalised", "equal ones", "a vector"],
)
def test_the_gradient_of_the_joint_objective_is_that_of_differences(
    model: str, l2: float, options: dict[str, Any]
) -> None:
    data = data_for(rl.get_model(model), trials())
    joint = Problem(data, Population("none", **options), l2, False, "fused", "NUMBA", None, {}).joint()
    target = joint.target([({}, 0.0)] * 6)
    natural = np.random.default_rng(1).uniform(0.2, 0.7, len(joint.scale))
    x = natural / joint.scale
    steps = 1e-5 * np.eye(len(x)) / joint.scale
    differences = [(target.function(x + s)[0] - target.function(x - s)[0]) / (2 * s.max()) for s in steps]
    value, gradient = target.function(x)
    assert_allclose(gradient, differences, rtol=1e-6, atol=1e-6 * np.abs(gradient).max())
    assert_allclose(target.values(x[None]), value, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"shared": "alpha"}], ids=["own besides", "all in common"])
def test_seeds_lead_to_one_optimum(options: dict[str, Any]) -> None:
    found = [fit(formulas={"beta": "~ age * group"}, seed=seed, starts=10, **options) for seed in range(3)]
    for other in found[1:]:
        assert_allclose(other.totals["log_lik"], found[0].totals["log_lik"], rtol=0, atol=1e-6)
        assert_allclose(other.coefficients["beta"], found[0].coefficients["beta"], rtol=1e-2)


def test_a_better_point_that_a_profile_leads_to_is_kept() -> None:
    """Powell's method comes back from there to where it was."""
    found = fit(formulas={"beta": "~ age * group"}, method="Powell")
    other = fit(formulas={"beta": "~ age * group"}, starts=10)
    assert_allclose(found.totals["log_lik"], other.totals["log_lik"], rtol=0, atol=1e-5)


def test_units_and_origins_of_columns_do_not_matter() -> None:
    """Dates of birth in days, say: large numbers that hardly differ; nor does a penalty depend on them."""
    turned = trials().assign(born=("subject", 1e5 - 365.25 * AGES))
    for l2 in (0.0, 0.5):
        found = fit(data=turned, formulas={"beta": "~ born"}, l2=l2)
        before = beta_by_age() if not l2 else fit(formulas={"beta": "~ age"}, l2=l2)
        assert_allclose(found.totals["log_lik"], before.totals["log_lik"], rtol=0, atol=1e-5)
        assert_allclose(found.coefficients["beta"][1] * -365.25, before.coefficients["beta"][1], rtol=1e-2)
        assert_allclose(found.coefficients_se["beta"][1] * 365.25, before.coefficients_se["beta"][1], rtol=1e-2)
        at_zero = before.coefficients["beta"][0] + before.coefficients["beta"][1] * 1e5 / 365.25
        assert_allclose(found.coefficients["beta"][0], at_zero, rtol=1e-2)


def test_a_penalty_draws_coefficients_by_standard_deviations_of_their_columns() -> None:
    data, columns = rows(prediction=lambda rng, x, b: 0.4 + 0.15 * x + 0.8 * rng.normal(size=x.size))
    found = fit("gaussian", data, formulas={"mu": "~ x"}, fixed={"sd": 0.8}, l2=30.0)
    x, y = columns["x"], columns["prediction"]
    Z = np.stack([np.ones(x.size), (x - x.mean()) / x.std()], axis=1)
    centre, slope = np.linalg.solve(Z.T @ Z / 0.64 + 30 * np.eye(2), Z.T @ y / 0.64)
    assert_allclose(found.coefficients["mu"], [centre - slope * x.mean() / x.std(), slope / x.std()], rtol=1e-5)
    assert found.coefficient_table[["z", "p"]].isna().all(axis=None)
    assert found.coefficient_table["se"].notna().all()


def test_a_callback_sees_coefficients_and_what_they_say_of_everybody() -> None:
    seen: list[Any] = []
    found = fit(formulas={"beta": "~ age"}, shared="alpha", test=trials(), callback=seen.append)
    assert found.history is not None
    known = found.history[["beta_Intercept", "beta_age"]].to_numpy()
    assert_allclose([p.params["beta"] for p in seen], np.exp(known @ np.stack([np.ones(6), AGES])), rtol=1e-9)
    assert_allclose(found.history["test_log_lik"], found.history["log_lik"], rtol=1e-12)
    assert_allclose(found.test_log_lik, found.log_lik, rtol=1e-12)


# ---------------------------------------------------------------- what is not known


def test_a_level_without_failures_has_a_flat_direction_and_an_interval_that_is_open() -> None:
    actions = np.repeat([[0, 1] * 10, [1] * 20], 2, axis=0)
    table = pd.DataFrame(
        {"subject": np.repeat(range(4), 20), "action": actions.ravel(), "group": np.repeat(list("aabb"), 20)}
    )
    found = fit("biased_coin", rl.read_trials(table), formulas={"bias": "0 + group"})
    assert set(found.status.values) == {"flat direction"}
    assert found.note.values[0].startswith("bias_group[b] from ")
    assert found.note.values[0].endswith(" to inf")
    row = found.coefficient_table.loc["bias_group[b]"]
    assert np.isnan(row["se"])
    assert_allclose(row["lower"], logit(np.exp(-FALL / 40)), rtol=1e-3)  # 40 ones have lost so much there
    assert row["upper"] == np.inf
    beside = fit("biased_coin", rl.read_trials(table), formulas={"bias": "~ group"}).coefficient_table
    assert beside.loc["bias_Intercept", ["se", "lower", "upper"]].isna().all()  # it does not move alone
    assert beside.loc["bias_group[b]", "upper"] == np.inf


def folded(p: Any, s: Any, x: Any) -> Any:
    del s, x
    return rl.responses.Normal(rl.math.abs(p.mu), p.sd)


FOLDED = Model(
    name="folded",
    family="toy",
    summary="a mean that cannot be negative",
    reference="none",
    inputs=(Input("prediction", real, response=True),),
    parameters=(
        Parameter("mu", real, prior=rl.priors.Normal(0.0, 1.0)),
        Parameter("sd", positive, value=1.0, prior=rl.priors.Gamma(2.0, 2.0)),
    ),
    policy=folded,
)


@cache
def negative_responses() -> xr.Dataset:
    """Return three people's responses, negative on average: the mean |mu| is best at its kink."""
    responses = np.array([-0.5, -0.1, 0.2, -0.4, -0.6, 0.3, -0.2, -0.4, 0.1, -0.3, -0.2, -0.3])
    columns = {"subject": np.repeat(range(3), 4), "prediction": responses, "x": np.repeat([1.0, 2.0, 4.0], 4)}
    return rl.read_trials(pd.DataFrame(columns))


@pytest.mark.parametrize("formula", ["1", "0 + x"])
def test_at_a_kink_an_interval_of_the_profile_stands_in_for_a_standard_error(formula: str) -> None:
    found = fit(FOLDED, negative_responses(), formulas={"mu": formula})
    x, y = (negative_responses()[name].values for name in ("x", "prediction"))
    x = np.ones_like(x) if formula == "1" else x
    squares, slope = (
        (x**2).sum(),
        -(x * y).sum(),
    )  # half the sum of (y - |b| x)**2 rises by slope |b| + squares b**2 / 2
    end = (np.sqrt(slope**2 + 2 * FALL * squares) - slope) / squares
    assert set(found.status.values) == {"at a kink"}
    ends = found.coefficient_table[["lower", "upper"]].to_numpy()
    assert_allclose(ends, [[-end, end]], rtol=1e-3)
    assert np.isnan(found.coefficient_table["se"]).all()
    assert np.isnan(found.se["mu"]).all()
    assert np.isnan(found.interval["mu"]).all()


def test_intervals_are_in_units_of_their_columns() -> None:
    fits = [fit(FOLDED, negative_responses(), formulas={"mu": f}, free="sd") for f in ("0 + x", "0 + I(1000 * x)")]
    first, second = (found.coefficient_table[["lower", "upper"]].to_numpy() for found in fits)
    assert np.isfinite(first).all()
    assert_allclose(second * 1000, first, rtol=1e-3)


# ---------------------------------------------------------------- results


def test_coefficients_stand_in_tables_and_in_print() -> None:
    found = beta_by_age()
    table = found.to_dataframe()
    assert_allclose(table["beta_age"], np.full(6, found.coefficients["beta"][1]))
    assert_allclose(table["beta_Intercept_se"], np.full(6, found.coefficients_se["beta"][0]))
    assert list(found.coefficients) == list(found.coefficients_se) == ["beta"]
    assert found.totals["n_params"] == 8
    assert_allclose(found.aic, 2 * (1 + 2 / 6) - 2 * found.log_lik)
    first, second = repr(found).split("\n\n")
    assert_says(first, "beta_Intercept", "estimate", "se", "z", "p", "lower")
    assert "beta_age" not in second
    assert_says(found._repr_html_(), "beta_age", "alpha_se")
    without = fit(shared=("alpha", "beta"))
    assert without.coefficient_table.empty
    assert list(without.coefficients) == []
    assert len(repr(without).split("\n\n")) == 1


# ---------------------------------------------------------------- what does not fit

refused = partial(refusal, fit)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"formulas": {"gamma": "~ age"}}, ["'gamma'", "formulas", "alpha, q0, beta"]),
        ({"formulas": {"alpha": "~ agee"}}, ["'agee'", "Did you mean 'age'?", "'alpha'"]),
        (
            {"formulas": {"alpha": "age"}, "fixed": {"alpha": 0.3}},
            ["'alpha' is not estimated", "leave the formula out"],
        ),
        ({"formulas": {"q0": "age"}}, ["'q0' is not estimated", "free=['q0']"]),
        ({"formulas": {"alpha": "age"}, "shared": "alpha"}, ["'alpha' is shared", "intercept alone", "choose one"]),
        ({"formulas": {"alpha": "age + (1 | subject)"}}, ["1|subject", "in `fit_mle`, not at all", "leave it out"]),
        ({"formulas": {"alpha": "age"}, "bounds": {"alpha": (0, 0.5)}}, ["bounds['alpha']", "formula", "unit"]),
        ({"formulas": {"alpha": "age"}, "priors": True}, ["priors", "l2", "build"]),
        ({"formulas": {"alpha": "one"}}, ["one is 1 for all subjects", "leave it out"]),
        ({"formulas": {"alpha": "age"}, "method": "dual_annealing"}, ["'dual_annealing'", "local method"]),
        (
            {"model": RATES, "formulas": {"alpha_neg": "age"}, "coupled": [("alpha_pos", "alpha_neg")]},
            ["'alpha_neg' is equal to 'alpha_pos'", "give that one the formula"],
        ),
    ],
)
def test_a_formula_that_makes_no_sense_is_refused_with_the_mend(options: dict[str, Any], parts: list[str]) -> None:
    assert_says(refused(**options), *parts)


def test_a_whole_number_has_no_formula() -> None:
    message = refused("rlwm", words(), formulas={"capacity": "age"})
    assert_says(message, "'capacity' is a whole number", "leave the formula out")


def test_names_that_parameters_have_are_taken() -> None:
    data = rl.read_trials(rl.to_table(trials()).assign(reward_other=0.5)).assign(other=("subject", AGES))
    assert_says(refused("counterfactual", data, formulas={"alpha": "other"}), "alpha_other has a meaning", "rename")


def test_what_is_no_formula_is_refused() -> None:
    assert_says(refused(formulas={"alpha": 3}, error=TypeError), "'alpha'", "3", "expected a text")
    assert_says(refused(formulas="age", error=TypeError), "'age'", "by parameter")


# ---------------------------------------------------------------- coverage


@pytest.mark.slow
def test_intervals_of_coefficients_cover_the_truth_as_often_as_they_should() -> None:
    """Of 200 simulated groups; counts of covered truths are binomial, and within what 99.9 % of such counts are."""
    n, rng, covered = 200, np.random.default_rng(7), np.zeros(2)
    for seed in range(n):
        x = rng.normal(size=30)
        params = {"alpha": expit(-0.6 + 0.5 * x), "beta": 3.0}
        data = rl.simulate("delta", Bandit([0.25, 0.75], block_length=25), params, 30, 50, seed).assign(
            x=("subject", x)
        )
        table = fit(data=data, formulas={"alpha": "~ x"}, shared="beta", starts=2).coefficient_table
        covered += (table["lower"] < [-0.6, 0.5]) & (table["upper"] > [-0.6, 0.5])
    low, high = binom.interval(0.999, n, 0.95)
    assert ((low <= covered) & (covered <= high)).all(), covered
