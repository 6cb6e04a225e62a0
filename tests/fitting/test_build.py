"""Built models: four forms of one likelihood, pooling, priors by rule, data that can be replaced."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

import rlpymc as rl
from rlpymc.model.priors import Beta, Gamma, HalfNormal, LogNormal, Normal, Uniform
from rlpymc.tasks import Bandit
from tests.helpers.messages import assert_says, refusal

NAN = float("nan")
FORMS = ["distribution", "categorical", "bernoulli", "potential"]


def trials(shift: int = 0) -> xr.Dataset:
    """Return three subjects with a forced and a missed choice, a reset and padding; `shift` gives other data."""
    action = np.array([0, 1, 1, 0, 1, 1, 0, NAN, 1, 0, 0, 1, 0])
    reward = np.array([1.0, 0.0, 1.0, 0.5, 0.0, 0.0, 1.0, NAN, 1.0, 0.0, 1.0, 1.0, 0.0])
    if shift:
        action, reward = np.where(np.isnan(action), NAN, 1 - action), reward + 0.3 * shift
    table = {
        "subject": ["a"] * 5 + ["b"] * 5 + ["c"] * 3,
        "block": [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        "action": action,
        "reward": reward,
        "scored": [1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
        "learned": [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1],
    }
    return rl.read_trials(pd.DataFrame(table), reset="block")


def three_actions() -> xr.Dataset:
    return rl.simulate("delta", Bandit([0.2, 0.5, 0.8]), {"alpha": 0.3, "beta": 2.0}, 2, 4, 1)


def point_of(model: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in model.initial_point().items()}


def logp(model: pm.Model) -> Callable[[dict[str, Any]], float]:
    return model.compile_logp(mode="FAST_COMPILE")


def refused(*args: Any, **options: Any) -> str:
    return refusal(rl.build, *(args or ("delta", trials())), **options)


def log_lik(model: str, data: xr.Dataset, **params: Any) -> float:
    return float(rl.log_prob(model, data, params, mode="FAST_COMPILE").sum())


# ---------------------------------------------------------------- one likelihood in four forms


@pytest.mark.parametrize("pooling", ["none", "complete", "partial"])
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("delta", {}),
        ("delta", {"fixed": {"alpha": [0.1, 0.2, 0.3]}, "free": ("q0",), "shared": ("beta",)}),
        ("delta+stickiness+lapse", {"fixed": {"lapse": 0.1}}),
        ("biased_random", {}),
    ],
    ids=["plain", "fixed, free and shared", "rules", "a vector"],
)
def test_four_forms_have_one_log_density(model: str, options: dict[str, Any], pooling: str) -> None:
    data = trials()
    built = {form: rl.build(model, data, likelihood=form, pooling=pooling, **options) for form in FORMS}
    point = point_of(built["potential"])
    found = {form: float(logp(b)(point)) for form, b in built.items()}
    assert_allclose(list(found.values()), found["potential"], rtol=1e-12)


def test_the_log_density_is_prior_times_likelihood() -> None:
    data = trials()
    point = {"alpha_logodds__": np.array([0.3, -0.2, 1.0]), "beta_log__": np.array([0.5, 0.1, -0.4])}
    alpha, beta = special.expit(point["alpha_logodds__"]), np.exp(point["beta_log__"])
    prior = stats.beta(1.1, 1.1).logpdf(alpha) + np.log(alpha * (1 - alpha))
    prior += stats.gamma(2, scale=2).logpdf(beta) + np.log(beta)
    expected = prior.sum() + log_lik("delta", data, alpha=alpha, beta=beta)
    assert_allclose(logp(rl.build("delta", data, pooling="none"))(point), expected, rtol=1e-8)


@pytest.mark.parametrize(("priors", "mean", "spread"), [(None, 0.8, 0.6), ("wide", 1.0, 1.0)], ids=str)
def test_the_log_density_under_partial_pooling_by_hand(priors: str | None, mean: float, spread: float) -> None:
    data = trials()
    names = ["alpha_mu", "alpha_sigma_log__", "beta_mu", "beta_sigma_log__"]
    point: dict[str, Any] = dict(zip(names, np.array([0.2, -0.5, 0.7, -0.3]), strict=True))
    point |= {"alpha_z": np.array([0.5, -1.0, 0.2]), "beta_z": np.array([0.1, 0.4, -0.6])}
    expected = 0.0
    values = {}
    for name, prior, link, back in (
        ("alpha", Beta(1.1, 1.1), special.logit, special.expit),
        ("beta", Gamma(2.0, 0.5), np.log, np.exp),
    ):
        low, middle, high = link(prior.quantile([0.16, 0.5, 0.84]))
        width = (high - low) / 2
        mu, log_sigma, z = point[f"{name}_mu"], point[f"{name}_sigma_log__"], point[f"{name}_z"]
        expected += stats.norm(middle, mean * width).logpdf(mu) + stats.norm().logpdf(z).sum()
        expected += stats.halfnorm(scale=spread * width).logpdf(np.exp(log_sigma)) + log_sigma
        values[name] = back(mu + np.exp(log_sigma) * z)
    expected += log_lik("delta", data, **values)
    assert_allclose(logp(rl.build("delta", data, priors=priors))(point), expected, rtol=1e-8)


# ---------------------------------------------------------------- variables


def test_names_and_dims_under_partial_pooling() -> None:
    model = rl.build("delta", trials())
    assert {v.name for v in model.free_RVs} == {
        f"{p}_{part}" for p in ("alpha", "beta") for part in ("mu", "sigma", "z")
    }
    assert model.named_vars_to_dims["alpha"] == ("subject",)
    assert model.named_vars_to_dims["choice"] == ("subject", "trial")
    assert list(model.coords["subject"]) == ["a", "b", "c"]


@pytest.mark.parametrize(("pooling", "dims"), [("none", ("subject", "bias_dim_0")), ("complete", ("bias_dim_0",))])
def test_dims_of_a_parameter_with_a_shape_of_its_own(pooling: str, dims: tuple[str, ...]) -> None:
    model = rl.build("biased_random", three_actions(), pooling=pooling)
    assert model.named_vars_to_dims["bias"] == dims
    assert len(model.coords["bias_dim_0"]) == 2


def test_the_group_s_value_is_that_of_a_subject_at_the_mean() -> None:
    model = rl.build("delta", trials())
    mu, group = pm.draw([model["alpha_mu"], model["alpha_group"]], draws=3, random_seed=1, mode="FAST_COMPILE")
    assert_allclose(group, special.expit(mu))


def test_shared_parameters_are_one_for_all() -> None:
    model = rl.build("delta", trials(), shared="beta")
    assert {v.name for v in model.free_RVs} == {"alpha_mu", "alpha_sigma", "alpha_z", "beta"}
    assert model["beta"].ndim == 0


def test_a_prior_or_free_frees_a_constant() -> None:
    for options in ({"free": "q0"}, {"free": ["q0"]}, {"priors": {"q0": Normal(0.0, 2.0)}}):
        model = rl.build("delta", trials(), pooling="none", **options)
        assert "q0" in {v.name for v in model.free_RVs}


def test_priors_replace_the_model_s_own() -> None:
    model = rl.build("delta", trials(), priors={"beta": LogNormal(0.5, 1.0), "alpha_sigma": HalfNormal(0.3)})
    alpha, beta = model.spec.population.effects(model.data)
    mu, sigma = (beta.named[f"beta_{part}"].prior for part in ("mu", "sigma"))
    low, _, high = stats.norm(0.5, 1.0).ppf([0.16, 0.5, 0.84])
    assert_allclose([mu.mu, mu.sigma, sigma.sigma], [0.5, 0.8 * (high - low) / 2, 0.6 * (high - low) / 2])
    assert alpha.named["alpha_sigma"].prior == HalfNormal(0.3)


def test_a_model_in_which_nothing_is_free_is_its_likelihood() -> None:
    model = rl.build("delta", trials(), fixed={"alpha": 0.3, "beta": 2.0})
    assert model.free_RVs == []
    assert_allclose(logp(model)({}), log_lik("delta", trials(), alpha=0.3, beta=2.0))


def test_fixed_values_are_found_by_the_label_of_the_subject() -> None:
    value = xr.DataArray([0.1, 0.2, 0.3], dims="subject", coords={"subject": ["c", "b", "a"]})
    model = rl.build("delta", trials(), fixed={"alpha": value, "beta": 2.0})
    assert_allclose(logp(model)({}), log_lik("delta", trials(), alpha=[0.3, 0.2, 0.1], beta=2.0))


def test_printing_says_what_was_built() -> None:
    assert_says(str(rl.build("delta+lapse", trials())), "delta+lapse", "partial pooling", "distribution", "alpha_mu")


# ---------------------------------------------------------------- what does not fit


def test_options_that_do_not_exist_are_answered_with_the_nearest() -> None:
    assert_says(refused(likelihood="categoric"), "likelihood 'categoric'", "Did you mean 'categorical'?")
    assert_says(refused(pooling="part"), "pooling 'part'", "Did you mean 'partial'?")
    assert_says(refused(backend="jit"), "backend 'jit'", "scan")
    assert_says(refused("detla", trials()), "Did you mean 'delta'?")


@pytest.mark.parametrize("group", ["priors", "fixed", "free", "shared"])
def test_unknown_parameters_are_answered_with_the_nearest(group: str) -> None:
    value = {"priors": {"alhpa": Beta(1, 1)}, "fixed": {"alhpa": 0.3}}.get(group, ["alhpa"])
    assert_says(refused(**{group: value}), f"in {group} 'alhpa'", "Did you mean 'alpha'?")


@pytest.mark.parametrize("other", [{"free": ["q0"]}, {"shared": ["q0"]}, {"priors": {"q0": Normal(0, 1)}}], ids=str)
def test_what_is_fixed_is_not_free(other: dict[str, Any]) -> None:
    assert_says(refused(fixed={"q0": 0.1}, **other), "'q0'", "fixed", "choose one")


@pytest.mark.parametrize("prior", [Normal(0.5, 1.0), Uniform(0.0, 2.0), Gamma(2.0, 0.5)], ids=str)
def test_a_prior_that_reaches_outside_the_support(prior: Any) -> None:
    assert_says(refused(priors={"alpha": prior}), str(prior), "'alpha'", "unit")


def test_a_prior_of_a_spread_is_positive() -> None:
    assert_says(refused(priors={"alpha_sigma": Normal(0.0, 1.0)}), "alpha_sigma", "Normal(0, 1)")


@pytest.mark.parametrize(
    "options",
    [
        {"priors": {"alpha_mu": Normal(0, 1)}, "fixed": {"alpha": 0.3}},
        {"priors": {"alpha_mu": Normal(0, 1)}, "shared": ["alpha"]},
        {"priors": {"q0_sigma": HalfNormal(1)}},
    ],
    ids=["fixed", "shared", "constant"],
)
def test_a_hyperprior_that_nothing_would_use_is_refused(options: dict[str, Any]) -> None:
    assert_says(refused(**options), next(iter(options["priors"])))


def test_a_hyperprior_without_partial_pooling_is_refused() -> None:
    assert_says(refused(pooling="none", priors={"alpha_mu": Normal(0, 1)}), "alpha_mu")


def test_a_prior_too_wide_for_the_unbounded_scale_is_refused() -> None:
    assert_says(refused(priors={"alpha": Beta(0.001, 0.001)}), "alpha", "Beta(0.001, 0.001)")


def test_what_is_no_prior_is_refused() -> None:
    for wrong in (0.3, pm.Beta.dist(1, 1), stats.beta(1, 1)):
        assert_says(refused(priors={"alpha": wrong}, error=TypeError), "priors['alpha']", "rlpymc.priors")


def test_fixed_values_are_numbers_inside_the_support() -> None:
    assert_says(refused(fixed={"alpha": 1.2}), "fixed 'alpha'", "1.2", "unit")
    assert_says(refused(fixed={"alpha": NAN}), "fixed 'alpha'", "nan")
    assert_says(refused(fixed={"alpha": [0.1, 0.2]}), "fixed 'alpha'", "(2,)", "(3,)")


def test_fixed_parameters_come_with_their_values() -> None:
    assert_says(refused(fixed=["alpha"], error=TypeError), "fixed", "alpha")


def test_bernoulli_is_for_two_actions() -> None:
    assert_says(refused("delta", three_actions(), likelihood="bernoulli"), "two actions", "3", "categorical")


def test_a_table_is_not_trials() -> None:
    assert_says(refused("delta", rl.to_table(trials()), error=TypeError), "read_trials", "DataFrame")


def test_a_subject_without_scored_trials_is_named() -> None:
    data = trials()
    data["scored"][1] = False
    assert_says(refused("delta", data), "no scored trial", "'b'")


# ---------------------------------------------------------------- other data


@pytest.mark.parametrize("form", FORMS)
def test_set_trials_gives_the_model_of_the_new_data(form: str) -> None:
    model, new = rl.build("delta", trials(), likelihood=form), trials(shift=1)
    density, point = logp(model), point_of(model)
    before = density(point)
    model.set_trials(new)
    again = rl.build("delta", new, likelihood=form)
    assert_allclose(density(point), logp(again)(point), rtol=1e-12)
    assert density(point) != before
    model.set_trials(trials())
    assert density(point) == before


def test_set_trials_takes_the_new_subjects_labels() -> None:
    model = rl.build("delta", trials())
    model.set_trials(trials().assign_coords(subject=["x", "y", "z"]))
    assert list(model.coords["subject"]) == ["x", "y", "z"]


def test_set_trials_refuses_another_shape() -> None:
    model = rl.build("delta", trials(), likelihood="categorical")
    other = trials()
    other["scored"][0, 0] = False
    for new, word in (
        (trials().isel(subject=[0, 1]), "exists"),
        (trials().assign(reset=trials()["exists"] & (trials()["trial"] == 0)), "reset"),
        (other, "scored"),
        (trials().assign_attrs(facts={"n_actions": 3}), "facts"),
    ):
        with pytest.raises(ValueError, match=word):
            model.set_trials(new)
    with pytest.raises(TypeError, match="read_trials"):
        model.set_trials(rl.to_table(trials()))


# ---------------------------------------------------------------- in a user's own model


@pytest.mark.parametrize("form", FORMS)
def test_a_regression_of_one_s_own(form: str) -> None:
    data, age = trials(), np.array([-1.0, 0.0, 1.0])
    with pm.Model() as model:
        intercept, slope = pm.Normal("intercept"), pm.Normal("slope")
        alpha = pm.math.sigmoid(intercept + slope * age)
        getattr(rl.get_model("delta"), form)("choice", data, alpha=alpha, beta=2.0)
    expected = stats.norm.logpdf([0.1, 0.4]).sum()
    expected += log_lik("delta", data, alpha=special.expit(0.1 + 0.4 * age), beta=2.0)
    assert_allclose(logp(model)({"intercept": 0.1, "slope": 0.4}), expected, rtol=1e-8)


def test_a_parameter_by_trial_of_one_s_own() -> None:
    data = trials()
    with pm.Model() as model:
        alpha = pm.Uniform("alpha", shape=(3, 5))
        rl.get_model("delta").distribution("choice", data, alpha=alpha, beta=2.0)
    logodds = np.random.default_rng(1).normal(size=(3, 5))
    value = special.expit(logodds)
    by_trial = xr.DataArray(value, dims=("subject", "trial"))
    expected = np.log(value * (1 - value)).sum() + log_lik("delta", data, alpha=by_trial, beta=2.0)
    assert_allclose(logp(model)({"alpha_interval__": logodds}), expected, rtol=1e-8)


def test_two_data_sets_in_one_model() -> None:
    one, two = trials(), three_actions()
    with pm.Model() as model:
        beta = pm.Uniform("beta", 0, 4)
        rl.get_model("delta").distribution("first", one, alpha=0.3, beta=beta)
        rl.get_model("delta").distribution("second", two, alpha=0.3, beta=beta)
    expected = log_lik("delta", one, alpha=0.3, beta=2.0) + log_lik("delta", two, alpha=0.3, beta=2.0)
    assert_allclose(logp(model)({"beta_interval__": 0.0}), expected + np.log(0.25), rtol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("params", "parts"),
    [
        ({"alpha": 0.3}, ("needs a value for beta",)),
        ({"alpha": 0.3, "bta": 1.0}, ("'bta'", "Did you mean 'beta'?")),
        ({"alpha": [0.1, 0.2], "beta": 1.0}, ("'alpha'", "(2,)", "(3,) by subject")),
        ({"alpha": 1.5, "beta": 1.0}, ("'alpha'", "1.5", "unit")),
    ],
    ids=["missing", "unknown", "shape", "outside"],
)
def test_parameters_that_do_not_fit_in_one_s_own_model(form: str, params: dict[str, Any], parts: Any) -> None:
    with pm.Model(), pytest.raises(ValueError) as info:  # noqa: PT011 (the message is looked at)
        getattr(rl.get_model("delta"), form)("choice", trials(), **params)
    assert_says(str(info.value), *parts)


# ---------------------------------------------------------------- random draws


@pytest.mark.filterwarnings("ignore:Numba will use object mode")
@pytest.mark.parametrize("pooling", ["none", "complete", "partial"])
def test_prior_predictive_draws_are_yoked(pooling: str) -> None:
    data = trials()
    model = rl.build("delta", data, pooling=pooling)
    drawn = [pm.draw(model["choice"], draws=20, random_seed=1, mode="FAST_COMPILE") for _ in range(2)]
    assert_array_equal(drawn[0], drawn[1])
    scored = data["scored"].values
    recorded = model.data.inputs["action"]
    assert (drawn[0][:, ~scored] == recorded[~scored]).all()
    assert set(np.unique(drawn[0])) == {0, 1}
    assert (drawn[0][:, scored].std(axis=0) > 0).any()


@pytest.mark.filterwarnings("ignore:Numba will use object mode")
def test_draws_follow_the_density() -> None:
    """With alpha = 1 and a large beta all follows from the first, random choice, as outcomes stay as recorded."""
    table = {"subject": ["a"] * 3, "action": [0, 0, 0], "reward": [1.0, 1.0, -1.0]}
    with pm.Model():
        choice = rl.get_model("delta").distribution("c", rl.read_trials(pd.DataFrame(table)), alpha=1.0, beta=100.0)
        drawn = pm.draw(choice, draws=200, random_seed=1, mode="FAST_COMPILE")[:, 0]
    assert_array_equal(drawn[:, 1], drawn[:, 0])
    assert_array_equal(drawn[:, 2], drawn[:, 0])
    assert abs(drawn[:, 0].mean() - 0.5) < 4 * 0.5 / np.sqrt(200)
