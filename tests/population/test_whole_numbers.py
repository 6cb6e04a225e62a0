"""Parameters that are whole numbers: profiled by maximum likelihood, summed over and drawn again by NUTS."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.posterior import draw_whole_numbers, flat, parameter_draws
from rlpymc.model.priors import DiscreteUniform, HalfNormal, Normal, Uniform
from rlpymc.tasks import RLWM, Bandit
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import assert_says, refusal

PARAMS = {"alpha": 0.1, "stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
VALUES = [2, 3, 4, 5]
SUBJECTS = ["a", "b", "c"]
FREE = ("alpha",)  # one compiled gradient serves all tests
FIXED = {k: v for k, v in PARAMS.items() if k not in FREE}


@cache
def trials() -> xr.Dataset:
    """Return three subjects with capacities of 2, 3 and 5, in blocks of 2 to 6 stimuli."""
    task = RLWM((2, 3, 4, 5, 6), presentations=5)
    made = rl.simulate("rlwm", task, {**PARAMS, "capacity": [2, 3, 5]}, 3, 100, 5)
    return rl.read_trials(rl.to_table(made.assign_coords(subject=SUBJECTS)))


def by_capacity(**params: Any) -> np.ndarray:
    """Return each subject's log likelihood at each capacity, (subject, capacity)."""
    everything = {**FIXED, **params}
    each = [rl.log_prob("rlwm", trials(), {**everything, "capacity": k}).sum("trial") for k in VALUES]
    return np.stack([v.values for v in each], axis=1)


def fit(free: tuple[str, ...] = FREE, **fixed: Any) -> rl.MLE:
    held = {k: v for k, v in PARAMS.items() if k not in free}
    return rl.fit_mle("rlwm", trials(), fixed={**held, **fixed}, starts=1, progress=False)


@pytest.fixture(scope="module")
def found() -> rl.MLE:
    return fit()


@pytest.fixture(scope="module")
def by_hand() -> list[rl.MLE]:
    """A fit with each capacity."""
    return [fit(capacity=k) for k in VALUES]


@pytest.fixture(scope="module")
def model() -> rl.RLModel:
    return rl.build("rlwm", trials(), fixed=FIXED)


def refused(model: Any = "rlwm", **options: Any) -> str:
    return refusal(rl.build, model, trials(), **options)


# ---------------------------------------------------------------- maximum likelihood


def test_the_best_whole_number_is_found(found: rl.MLE, by_hand: list[rl.MLE]) -> None:
    table = np.stack([each.log_lik.values for each in by_hand])
    best = table.argmax(axis=0)
    assert_allclose(found.log_lik, table.max(axis=0), rtol=1e-8)
    assert_array_equal(found.params["capacity"], np.array(VALUES)[best])
    assert found.params["capacity"].dims == ("subject",)
    assert len(set(best)) > 1, "the data of this test should tell capacities apart"
    for name in FREE:
        wanted = np.array([by_hand[k].params[name].values[i] for i, k in enumerate(best)])
        assert_allclose(found.params[name], wanted, atol=1e-4)


def test_the_log_likelihood_is_that_of_log_prob_at_the_estimates(found: rl.MLE) -> None:
    assert_allclose(found.log_lik, rl.log_prob("rlwm", trials(), found.params).sum("trial"), rtol=1e-10)


def test_a_whole_number_counts_as_a_parameter_in_the_criteria(found: rl.MLE, by_hand: list[rl.MLE]) -> None:
    assert_allclose(found.aic, 2 * 2 - 2 * found.log_lik)
    assert_allclose(found.bic, 2 * np.log(100) - 2 * found.log_lik)
    assert_allclose(by_hand[0].aic, 2 * 1 - 2 * by_hand[0].log_lik)


def test_a_whole_number_has_no_standard_error(found: rl.MLE) -> None:
    assert list(found.se) == ["alpha"]
    assert found.cov["estimate"].values.tolist() == ["alpha"]
    table = found.to_dataframe()
    assert "capacity" in table.columns
    assert "capacity_se" not in table.columns


def test_standard_errors_are_those_at_the_best_whole_number(found: rl.MLE, by_hand: list[rl.MLE]) -> None:
    for i in range(3):
        same = by_hand[VALUES.index(int(found.params["capacity"][i]))]
        assert found.status[i] == same.status[i]
        assert_allclose(found.se["alpha"][i], same.se["alpha"][i], rtol=1e-2)


def test_only_a_whole_number_to_estimate() -> None:
    only = fit(free=())
    table = by_capacity(**PARAMS)
    assert_array_equal(only.params["capacity"], np.array(VALUES)[table.argmax(axis=1)])
    assert_allclose(only.log_lik, table.max(axis=1), rtol=1e-10)
    assert_allclose(only.aic, 2 - 2 * only.log_lik)
    assert set(only.status.values) == {"converged"}
    assert list(only.se) == []
    assert only.cov.shape == (3, 0, 0)


def test_a_whole_number_fixed_by_subject() -> None:
    held = fit(capacity=[5, 2, 3])
    assert held.params["capacity"].values.tolist() == [5, 2, 3]
    assert_allclose(held.log_lik[1], fit(capacity=2).log_lik[1], rtol=1e-8)


def test_an_estimate_on_the_wall_of_a_box_is_said_to_be_there() -> None:
    """Subjects who repeat themselves whatever happens are stickier than the box allows."""
    data = trials().copy(deep=True)
    data["action"][:] = 0
    data["reward"][:] = 0.0
    held = {k: v for k, v in PARAMS.items() if k != "stick"} | {"capacity": 3}
    stuck = rl.fit_mle("rlwm", data, fixed=held, starts=1, progress=False)
    assert_array_equal(stuck.params["stick"], 1.0)
    assert stuck.status.values.tolist() == ["at a bound"] * 3
    assert stuck.note.values.tolist() == ["stick"] * 3
    assert np.isnan(stuck.se["stick"]).all()
    data["action"][:] = (data["trial"] % 2).values
    turning = rl.fit_mle("rlwm", data, fixed=held, starts=1, progress=False)
    assert_array_equal(turning.params["stick"], -1.0)
    assert turning.status.values.tolist() == ["at a bound"] * 3


@pytest.mark.parametrize("value", [2.5, 1, 6, np.nan])
def test_values_that_are_no_whole_number_in_the_support_are_refused(value: float) -> None:
    for use in (lambda p: fit(**p), lambda p: rl.log_prob("rlwm", trials(), {**PARAMS, **p})):
        with pytest.raises(ValueError, match="capacity") as info:
            use({"capacity": value})
        assert_says(str(info.value), f"{value:g}", "integer(2, 5)", "'a'")


# ---------------------------------------------------------------- the density


def point_of(model: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in model.initial_point().items()}


def prior_at(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return values on the natural scale and their log density, for a Beta(1.1, 1.1) on the log-odds scale."""
    value = special.expit(x)
    return value, float((stats.beta(1.1, 1.1).logpdf(value) + np.log(value * (1 - value))).sum())


@pytest.mark.parametrize(
    ("form", "backend"), [("distribution", "fused"), pytest.param("potential", "scan", marks=pytest.mark.slow)]
)
def test_the_density_is_summed_over_whole_numbers(form: str, backend: str) -> None:
    model = rl.build("rlwm", trials(), likelihood=form, pooling="none", fixed=FIXED, backend=backend)
    assert {v.name for v in model.free_RVs} == {"alpha"}
    point = point_of(model)
    alpha, prior = prior_at(point["alpha_logodds__"])
    expected = prior + (special.logsumexp(by_capacity(alpha=alpha), axis=1) - np.log(4)).sum()
    assert_allclose(model.compile_logp(mode="FAST_COMPILE")(point), expected, rtol=1e-9)


def test_under_partial_pooling_weights_are_the_group_s(model: rl.RLModel) -> None:
    assert {v.name for v in model.free_RVs} == {"alpha_mu", "alpha_sigma", "alpha_z", "capacity_probs"}
    assert model.named_vars_to_dims["capacity_probs"] == ("capacity_value",)
    assert list(model.coords["capacity_value"]) == VALUES
    point = point_of(model)
    probs = special.softmax(np.append(point["capacity_probs_simplex__"], -point["capacity_probs_simplex__"].sum()))
    alpha = special.expit(point["alpha_mu"] + np.exp(point["alpha_sigma_log__"]) * point["alpha_z"])
    likelihood = special.logsumexp(by_capacity(alpha=alpha) + np.log(probs), axis=1).sum()
    logp = model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")
    assert_allclose(logp(point), likelihood, rtol=1e-9)
    prior = model.compile_logp(vars=[model["capacity_probs"]], jacobian=False, mode="FAST_COMPILE")
    assert_allclose(prior(point), stats.dirichlet(np.ones(4)).logpdf(probs), rtol=1e-8)


def slopes(model: Any, point: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient, and central differences of the density."""
    logp, found = model.compile_logp(mode="FAST_COMPILE"), []
    for variable in model.value_vars:
        name = variable.name
        for k in np.ndindex(np.shape(point[name])):
            step = np.zeros(np.shape(point[name]))
            step[k] = 1e-5
            found.append((logp(point | {name: point[name] + step}) - logp(point | {name: point[name] - step})) / 2e-5)
    return model.compile_dlogp(mode="FAST_COMPILE")(point), np.array(found)


@pytest.mark.slow
def test_the_gradient_is_that_of_the_sum(model: rl.RLModel) -> None:
    exact, numerical = slopes(model, point_of(model))
    assert np.isfinite(exact).all()
    assert_allclose(exact, numerical, rtol=1e-4, atol=1e-5)


def test_a_prior_of_one_s_own_weighs_whole_numbers() -> None:
    """Values without probability do not count, and the density is finite."""
    narrow = {"capacity": DiscreteUniform(3, 4)}
    model = rl.build("rlwm", trials(), pooling="none", fixed=PARAMS, priors=narrow)
    expected = (special.logsumexp(by_capacity(**PARAMS)[:, 1:3], axis=1) - np.log(2)).sum()
    assert_allclose(model.compile_logp(mode="FAST_COMPILE")({}), expected, rtol=1e-9)


def test_a_prior_of_one_s_own_under_partial_pooling() -> None:
    model = rl.build("rlwm", trials(), fixed=PARAMS, priors={"capacity": DiscreteUniform(3, 4)})
    point = point_of(model)
    assert np.isfinite(model.compile_logp(mode="FAST_COMPILE")(point))
    assert np.isfinite(model.compile_dlogp(mode="FAST_COMPILE")(point)).all()


def test_a_whole_number_that_can_be_one_thing_alone_is_as_if_it_were_fixed() -> None:
    alone = rl.build("rlwm", trials(), fixed=FIXED, priors={"capacity": DiscreteUniform(4, 4)})
    fixed = rl.build("rlwm", trials(), fixed={**FIXED, "capacity": 4})
    assert [v.name for v in alone.free_RVs] == [v.name for v in fixed.free_RVs]
    one, other = (MachinePosterior(m).density() for m in (alone, fixed))
    x = np.random.default_rng(1).normal(size=one.size)
    assert_allclose(one(x)[0], other(x)[0], rtol=1e-12)
    assert_allclose(one(x)[1], other(x)[1], rtol=1e-12)
    point = {"alpha_mu": x[0], "alpha_sigma_log__": x[1], "alpha_z": x[2:]}
    assert_allclose(one(x)[0], alone.compile_logp(mode="FAST_COMPILE")(point), rtol=1e-7)


def test_a_model_with_a_fixed_whole_number_is_the_likelihood() -> None:
    model = rl.build("rlwm", trials(), fixed={**PARAMS, "capacity": 4})
    assert_allclose(model.compile_logp(mode="FAST_COMPILE")({}), by_capacity(**PARAMS)[:, 2].sum(), rtol=1e-10)


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize("options", [{"shared": "capacity"}, {"pooling": "complete"}], ids=str)
def test_a_whole_number_for_all_is_refused(options: dict[str, Any]) -> None:
    assert_says(refused(**options), "'capacity'", "whole number", "differ between subjects", "fix it")


@pytest.mark.parametrize("form", ["categorical", "bernoulli"])
def test_forms_that_cannot_sum_are_refused(form: str) -> None:
    assert_says(refused(likelihood=form), "capacity", "whole number", "distribution or potential")


@pytest.mark.parametrize("prior", [Normal(3.0, 0.1), Uniform(2.0, 5.0), DiscreteUniform(1, 5)], ids=str)
def test_priors_outside_the_whole_numbers_are_refused(prior: Any) -> None:
    assert_says(refused(priors={"capacity": prior}), "'capacity'", str(prior), "integer(2, 5)")


@pytest.mark.parametrize("part", ["mu", "sigma"])
def test_hyperpriors_of_a_whole_number_are_refused(part: str) -> None:
    prior = Normal(0.0, 1.0) if part == "mu" else HalfNormal(1.0)
    assert_says(refused(priors={f"capacity_{part}": prior}), f"capacity_{part}")


def test_a_discrete_prior_of_a_number_is_refused() -> None:
    assert_says(refused(priors={"alpha": DiscreteUniform(0, 1)}, pooling="none"), "'alpha'", "DiscreteUniform(0, 1)")


# ---------------------------------------------------------------- draws


@pytest.fixture(scope="module")
def posterior(model: rl.RLModel) -> xr.DataTree:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        return rl.sample(model, 50, 50, 2, seed=1, progress=False)


def test_a_fit_has_draws_of_whole_numbers(posterior: xr.DataTree) -> None:
    draws = posterior["posterior"]["capacity"]
    assert draws.dims == ("chain", "draw", "subject")
    assert draws["subject"].values.tolist() == SUBJECTS
    assert set(np.unique(draws)) <= set(VALUES)
    assert len(np.unique(draws)) > 1


def test_the_log_likelihood_of_a_fit_is_at_its_whole_numbers(posterior: xr.DataTree) -> None:
    draw = posterior["posterior"].to_dataset().isel(chain=1, draw=20)
    params = {**FIXED, "alpha": draw["alpha"].values, "capacity": draw["capacity"].values}
    wanted = rl.log_prob("rlwm", trials(), params).values
    terms = posterior["log_likelihood"]["choice"].values[1, 20]
    assert_allclose(terms, wanted[trials()["scored"].values], rtol=1e-9)


def test_predictions_take_the_draws_of_whole_numbers(model: rl.RLModel, posterior: xr.DataTree) -> None:
    draws = flat(posterior["posterior"].to_dataset().isel(chain=[0], draw=[7, 9]))
    turned = data_for(rl.get_model("rlwm"), trials().isel(subject=[2, 0]))
    found = parameter_draws(model, draws, turned)["capacity"]
    assert_array_equal(found, posterior["posterior"]["capacity"].values[0, [7, 9]][:, [2, 0]])


def many(n: int = 4000, **values: Any) -> xr.Dataset:
    """Return a posterior in which all draws are the same; lists are by subject."""
    found = {}
    for name, value in values.items():
        value = np.asarray(value, dtype=float)
        dims = ("chain", "draw", *([f"{name.removesuffix('_probs')}_value"] if "probs" in name else ["subject"]))
        found[name] = (dims[: 2 + value.ndim], np.broadcast_to(value, (1, n, *value.shape)))
    return xr.Dataset(found, coords={"subject": SUBJECTS, "capacity_value": VALUES})


def assert_frequencies(drawn: np.ndarray, probs: np.ndarray) -> None:
    """Draws (draw, subject) are as frequent as (subject, capacity) says, and independent between subjects."""
    for k, value in enumerate(VALUES):
        error = np.sqrt(probs[:, k] * (1 - probs[:, k]) / len(drawn)) + 1e-12
        assert (abs((drawn == value).mean(axis=0) - probs[:, k]) < 4.5 * error).all(), value


def weak() -> rl.RLModel:
    """A model of a few trials, which leave the capacity open."""
    return rl.build("rlwm", few(), pooling="none", fixed={k: v for k, v in PARAMS.items() if k != "alpha"})


@cache
def few() -> xr.Dataset:
    return trials().isel(trial=slice(70, 84)).assign(reset=trials()["exists"] & (trials()["trial"] == 70))


def exact(log_weights: np.ndarray, **params: Any) -> np.ndarray:
    each = [rl.log_prob("rlwm", few(), {**PARAMS, **params, "capacity": k}).sum("trial").values for k in VALUES]
    return special.softmax(np.stack(each, axis=1) + log_weights, axis=1)


def test_whole_numbers_are_drawn_by_their_conditional_probabilities() -> None:
    alpha = [0.1, 0.5, 0.9]
    drawn = draw_whole_numbers(weak(), many(alpha=alpha), seed=1)["capacity"].values[0]
    probs = exact(np.zeros(4), alpha=alpha)
    assert ((probs > 0.01).sum(axis=1) > 1).all(), "the data of this test should leave the capacity open"
    assert_frequencies(drawn, probs)
    pairs = (drawn[:, 0] == 2) & (drawn[:, 1] == 2)
    p = probs[0, 0] * probs[1, 0]
    assert abs(pairs.mean() - p) < 4.5 * np.sqrt(p * (1 - p) / len(drawn))


def test_whole_numbers_are_drawn_with_the_group_s_weights() -> None:
    model = rl.build("rlwm", few(), fixed={k: v for k, v in PARAMS.items() if k != "alpha"})
    weights = [0.5, 0.3, 0.15, 0.05]
    alpha = [0.1, 0.5, 0.9]
    drawn = draw_whole_numbers(model, many(alpha=alpha, capacity_probs=weights), seed=1)["capacity"].values[0]
    assert_frequencies(drawn, exact(np.log(weights), alpha=alpha))


def test_the_same_seed_draws_the_same_whole_numbers() -> None:
    one, same, other = (draw_whole_numbers(weak(), many(50, alpha=[0.1, 0.5, 0.9]), seed=s) for s in (1, 1, 2))
    assert_array_equal(one["capacity"], same["capacity"])
    assert (one["capacity"] != other["capacity"]).any()


def test_new_people_get_whole_numbers_of_the_group(model: rl.RLModel) -> None:
    weights = [0.1, 0.2, 0.3, 0.4]
    parts = {"alpha_mu": 0.0, "alpha_sigma": 0.0, "capacity_probs": weights, "alpha": [0.1] * 3, "capacity": [2] * 3}
    new = trials().isel(subject=[0]).assign_coords(subject=["new"])
    draws, data = many(4000, **parts).squeeze("chain").rename(draw="sample"), data_for(rl.get_model("rlwm"), new)
    drawn = parameter_draws(model, draws, data, np.random.default_rng(1))["capacity"]
    assert drawn.shape == (4000, 1)
    assert_frequencies(drawn, np.array([weights]))


@pytest.mark.parametrize("pooling", ["none", "partial"])
def test_prior_predictive_draws(pooling: str) -> None:
    with rl.build("rlwm", few(), pooling=pooling, fixed=FIXED):
        drawn = pm.sample_prior_predictive(30, random_seed=1, compile_kwargs={"mode": "FAST_COMPILE"})
    choice = drawn["prior_predictive"]["choice"]
    assert choice.dims == ("chain", "draw", "subject", "trial")
    assert set(np.unique(choice)) == {0, 1, 2}
    if pooling == "partial":
        assert_allclose(drawn["prior"]["capacity_probs"].sum("capacity_value"), 1)


@pytest.mark.filterwarnings("ignore:Numba will use object mode")
def test_random_draws_choose_among_whole_numbers_by_their_weights() -> None:
    """A certain memory of k of 4 stimuli repeats what was rewarded, and else guesses among three actions."""
    certain = {"alpha": 0.0, "stick": 0.0, "rho": 1.0, "forget": 0.0, "epsilon": 0.0, "bias_wm": 0.0, "bias_rl": 0.0}
    task = RLWM((4, 6), presentations=2)  # the first of two blocks, with facts as in the other tests
    data = rl.simulate("rlwm", task, {**certain, "capacity": 5}, 3, 8, 1).isel(subject=[0])
    data["reward"][:] = 1.0
    model = rl.build("rlwm", data, pooling="none", fixed=certain)
    drawn = pm.draw(model["choice"], draws=150, random_seed=1, mode="FAST_COMPILE")[:, 0]
    stimulus = data["stimulus"].values[0]
    before = int(np.flatnonzero(stimulus == stimulus[-1])[0])
    repeated = np.mean([w + (1 - w) / 3 for w in (0.5, 0.75, 1.0, 1.0)])  # 2/3 with a capacity of 2, 1 with 4 or 5
    assert abs((drawn[:, 7] == drawn[:, before]).mean() - repeated) < 4.5 * np.sqrt(repeated * (1 - repeated) / 150)


def test_models_without_whole_numbers_are_left_alone() -> None:
    data = rl.simulate("delta", Bandit([0.2, 0.8]), {"alpha": 0.3, "beta": 2.0}, 3, 10, 1)
    draws = many(5, alpha=[0.1, 0.2, 0.3], beta=[1.0, 2.0, 3.0])
    assert draw_whole_numbers(rl.build("delta", data, pooling="none"), draws, 1) is draws
