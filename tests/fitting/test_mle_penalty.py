"""Penalised maximum likelihood and the posterior's mode: what is added, and where the optimum then is."""

from functools import cache, partial
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import rlpymc as rl
from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.objective import Objective
from rlpymc.fitting.penalty import Shrinkage, log_priors, shrinkages
from rlpymc.model.parameters import interval, phi_interval, positive, real, softplus, unit
from rlpymc.model.priors import (
    Beta,
    DiscreteUniform,
    Exponential,
    Gamma,
    HalfNormal,
    LogNormal,
    Normal,
    Prior,
    Uniform,
)
from rlpymc.population.population import Population
from rlpymc.tasks import Bandit
from rlpymc.trials.model_data import data_for
from tests.helpers.messages import refusal

PRIORS = [
    Normal(0.3, 2.0),
    HalfNormal(1.5),
    LogNormal(0.2, 0.7),
    Beta(1.1, 1.1),
    Beta(1.0, 3.0),
    Gamma(2.0, 0.7),
    Gamma(1.0, 0.7),
    Exponential(0.8),
    Uniform(0.1, 0.9),
]
SUPPORTS = [real, positive, softplus, unit, interval(-2.0, 3.0), phi_interval(-2.0, 3.0)]
COUPLED = [("alpha_pos", "alpha_neg")]
RATES = "delta(rates=sign)"


@cache
def trials() -> xr.Dataset:
    """Return three subjects of 80 trials."""
    return rl.simulate(
        "delta", Bandit([0.25, 0.75], block_length=40), {"alpha": [0.3, 0.4, 0.25], "beta": 2.5}, 3, 80, 1
    )


def fit(model: str = "delta", data: xr.Dataset | None = None, **options: Any) -> rl.MLE:
    data = trials() if data is None else data
    return rl.fit_mle(model, data, **{"progress": False, "starts": 3, **options})


@cache
def with_priors() -> rl.MLE:
    return fit(priors=True)


refused = partial(refusal, fit)


def differences(f: Any, x: np.ndarray, h: float = 1e-5) -> tuple[np.ndarray, np.ndarray]:
    return (f(x + h) - f(x - h)) / (2 * h), (f(x + 10 * h) - 2 * f(x) + f(x - 10 * h)) / (100 * h * h)


# ---------------------------------------------------------------- what is added


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_derivatives_of_log_densities(prior: Prior) -> None:
    x = prior.quantile(np.array([0.1, 0.3, 0.6, 0.9]))
    value, slope, curvature = prior.derivatives(x)
    assert_allclose(value, prior.log_prob(x), rtol=1e-12, atol=1e-12)
    first, second = differences(prior.log_prob, x)
    assert_allclose(slope, first, rtol=1e-6, atol=1e-8)
    assert_allclose(curvature, second, rtol=1e-4, atol=1e-4)


def test_a_flat_density_has_no_slope_even_at_its_bounds() -> None:
    ends = np.array([0.0, 1.0])
    for found in Beta(1.0, 1.0).derivatives(ends):
        assert_array_equal(found, np.zeros(2))


def test_a_prior_of_ones_own_without_derivatives_is_named() -> None:
    class Odd(Prior):
        pass

    with pytest.raises(TypeError, match="Odd has no derivatives"):
        Odd().derivatives(0.5)


@pytest.mark.parametrize("support", SUPPORTS, ids=str)
def test_the_penalty_is_half_the_square_on_the_unbounded_scale(support: Any) -> None:
    x, term = support.constrain(np.array([-1.5, -0.2, 0.4, 2.0])), Shrinkage(support, 0.7)
    value, slope, curvature = term(x)
    assert_allclose(value, -0.35 * np.array([-1.5, -0.2, 0.4, 2.0]) ** 2, rtol=1e-12)
    first, second = differences(lambda v: term(v)[0], x)
    assert_allclose(slope, first, rtol=1e-5, atol=1e-7)
    assert_allclose(curvature, second, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["l2", "priors"])
def test_lem_21_gradients_of_reduced_functions(kind: str) -> None:
    """Something fixed, two parameters coupled, and a penalty: the gradient is that of the function."""
    data = data_for(rl.get_model(RATES), trials())
    population = Population("none", fixed={"beta": 2.0}, free=("q0",), coupled=COUPLED)
    parameters = [p for p in data.model.parameters if p.name != "beta"]
    terms = shrinkages(parameters, 0.8) if kind == "l2" else log_priors(population, parameters)
    coordinates = Coordinates(data, population, terms)
    assert coordinates.entries.labels == ["alpha_pos", "q0"]
    target = Objective(data, population, coordinates, "fused", "NUMBA").target(1, {}, 0.0)

    def by_hand(x: np.ndarray) -> float:
        params = {"alpha_pos": x[0], "alpha_neg": x[0], "q0": x[1], "beta": 2.0}
        log_lik = float(rl.log_prob(RATES, trials().isel(subject=[1]), params).sum())
        if kind == "l2":
            return -log_lik + 0.4 * (np.log(x[0] / (1 - x[0])) ** 2 + x[1] ** 2)
        priors = [data.model.parameter(name).prior for name in ("alpha_pos", "q0")]
        return -log_lik - sum(float(prior.log_prob(v)) for prior, v in zip(priors, x, strict=True))

    for x in (np.array([0.3, 0.1]), np.array([0.8, -0.5])):
        value, gradient = target.function(x)
        assert_allclose(value, by_hand(x), rtol=1e-12)
        assert_allclose(target.values(x[None]), [value], rtol=1e-12)
        steps = 1e-4 * np.eye(2)
        fourth_order = [
            (8 * (by_hand(x + s) - by_hand(x - s)) - (by_hand(x + 2 * s) - by_hand(x - 2 * s))) / 12e-4 for s in steps
        ]
        assert_allclose(gradient, fourth_order, rtol=0, atol=1e-8)


# ---------------------------------------------------------------- the penalised optimum


def penalised(x: np.ndarray, i: int, l2: float) -> float:
    """Negative log likelihood of a subject with a penalty, on the unbounded scale."""
    alpha, beta = 1 / (1 + np.exp(-x[0])), rl.get_model("delta").parameter("beta").support.constrain(x[1])
    log_lik = rl.log_prob("delta", trials().isel(subject=[i]), {"alpha": alpha, "beta": beta}).sum()
    return -float(log_lik) + 0.5 * l2 * float(x @ x)


def test_the_optimum_is_that_of_a_plain_search_on_the_unbounded_scale() -> None:
    found, l2 = fit(l2=0.5), 0.5
    support = rl.get_model("delta").parameter("beta").support
    for i in range(3):
        plain = minimize(penalised, [0.0, 0.0], args=(i, l2), method="BFGS")
        alpha, beta = 1 / (1 + np.exp(-plain.x[0])), support.constrain(plain.x[1])
        assert_allclose([found.params["alpha"][i], found.params["beta"][i]], [alpha, beta], rtol=1e-4)
        assert_allclose(found.log_lik[i], -plain.fun + 0.5 * l2 * plain.x @ plain.x, rtol=0, atol=1e-4)
    again = rl.log_prob("delta", trials(), found.params).sum("trial")
    assert_allclose(found.log_lik, again, rtol=1e-12)
    assert found.log_posterior is None


def test_standard_errors_have_the_curvature_of_the_penalty() -> None:
    found = fit(l2=0.5)
    hessian = -rl.hessian("delta", trials(), found.params).values
    for k, name in enumerate(("alpha", "beta")):
        x = found.params[name].values
        hessian[:, k, k] -= Shrinkage(rl.get_model("delta").parameter(name).support, 0.5)(x)[2]
    assert_allclose(found.cov, np.linalg.inv(hessian), rtol=1e-5)


def test_no_weight_changes_nothing_and_a_large_one_leads_to_zero() -> None:
    xr.testing.assert_identical(fit(l2=0.0).params, fit().params)
    strong = fit(l2=1e6)
    assert_allclose(strong.params["alpha"], np.full(3, 0.5), rtol=0, atol=1e-4)
    assert set(strong.status.values) == {"converged"}


def test_shared_parameters_are_penalised_once() -> None:
    found, support = fit(l2=2.0, shared=("alpha", "beta")), rl.get_model("delta").parameter("beta").support

    def whole(x: np.ndarray) -> float:
        params = {"alpha": 1 / (1 + np.exp(-x[0])), "beta": support.constrain(x[1])}
        return -float(rl.log_prob("delta", trials(), params).sum()) + float(x @ x)

    plain = minimize(whole, [0.0, 0.0], method="BFGS")
    wanted = [1 / (1 + np.exp(-plain.x[0])), support.constrain(plain.x[1])]
    assert_allclose([found.params["alpha"][0], found.params["beta"][0]], wanted, rtol=1e-4)
    mixed = fit(l2=2.0, shared="beta")

    def by_subject(x: np.ndarray) -> float:
        params = {"alpha": 1 / (1 + np.exp(-x[1:])), "beta": support.constrain(x[0])}
        return -float(rl.log_prob("delta", trials(), params).sum()) + float(x @ x)

    plain = minimize(by_subject, np.zeros(4), method="BFGS")
    assert_allclose(mixed.params["beta"], np.full(3, support.constrain(plain.x[0])), rtol=1e-4)
    assert_allclose(mixed.params["alpha"], 1 / (1 + np.exp(-plain.x[1:])), rtol=1e-3)


# ---------------------------------------------------------------- the posterior's mode


@pytest.mark.slow
def test_the_mode_is_that_of_pymc() -> None:
    found, model = with_priors(), rl.build("delta", trials(), pooling="none")
    mode = pm.find_MAP(model=model, progressbar=False, return_inferencedata=True, jitter=False)["posterior"]
    for name in ("alpha", "beta"):
        assert_allclose(found.params[name], mode[name][0, 0], rtol=2e-3)
    density = sum(
        rl.get_model("delta").parameter(name).prior.log_prob(found.params[name].values) for name in ("alpha", "beta")
    )
    assert_allclose(found.log_posterior, found.log_lik + density, rtol=1e-12)
    assert_allclose(found.totals["log_posterior"], found.log_posterior.sum(), rtol=1e-12)


def test_a_mapping_replaces_some_priors() -> None:
    narrow = fit(priors={"alpha": Beta(600.0, 400.0)})
    assert_allclose(narrow.params["alpha"], np.full(3, 0.6), rtol=0, atol=0.02)
    same = fit(priors={"alpha": rl.get_model("delta").parameter("alpha").prior})
    xr.testing.assert_allclose(same.params, with_priors().params, rtol=1e-6)


def test_a_prior_for_a_constant_frees_it() -> None:
    found = fit(priors={"q0": Normal(0.0, 0.1)})
    assert list(found.se) == ["alpha", "q0", "beta"]
    assert (np.abs(found.params["q0"]) < 0.5).all()


def test_flat_priors_give_maximum_likelihood_within_their_bounds() -> None:
    flat = fit(priors={"alpha": Uniform(0.0, 1.0), "beta": Uniform(0.0, 30.0)})
    xr.testing.assert_allclose(flat.params, fit().params, rtol=1e-3)
    held = fit(priors={"alpha": Uniform(0.9, 1.0), "beta": Uniform(0.0, 30.0)})
    assert_array_equal(held.params["alpha"], np.full(3, 0.9))
    assert set(held.status.values) == {"at a bound"}


def test_the_prior_of_a_shared_parameter_counts_once() -> None:
    prior = {"beta": Gamma(400.0, 400.0)}
    found = fit(priors=prior, shared=("alpha", "beta"))
    once = float(prior["beta"].log_prob(found.params["beta"].values[0]))
    alpha = rl.get_model("delta").parameter("alpha").prior
    wanted = found.log_lik.sum() + once + float(alpha.log_prob(found.params["alpha"].values[0]))
    assert_allclose(found.totals["log_posterior"], wanted, rtol=1e-12)
    assert_allclose(found.log_posterior, found.log_lik, rtol=1e-12)


def test_whole_numbers_have_their_priors() -> None:
    held = {"alpha": 0.1, "stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
    data = rl.simulate("rlwm", rl.tasks.RLWM((2, 4, 6), presentations=4), {**held, "capacity": 5}, 2, 40, 5)
    free = fit("rlwm", data, fixed=held, priors=True)
    narrow = fit("rlwm", data, fixed=held, priors={"capacity": DiscreteUniform(2, 3)})
    assert (narrow.params["capacity"] <= 3).all()
    assert_allclose(free.log_posterior, free.log_lik - np.log(4))
    assert_allclose(narrow.log_posterior, narrow.log_lik - np.log(2))


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize("l2", [-1.0, np.nan, np.inf])
def test_a_weight_is_a_number_from_zero_on(l2: float) -> None:
    message = refused(l2=l2)
    assert "l2" in message
    assert str(l2) in message


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"l2": 1.0, "priors": True}, ("l2", "priors", "not both")),
        ({"priors": {"alpha": Normal(0.0, 1.0)}}, ("Normal(0, 1)", "'alpha'", "unit")),
        ({"priors": {"alpha": Beta(0.5, 0.5)}}, ("Beta(0.5, 0.5)", "'alpha'", "infinite at 0", "no mode")),
        ({"priors": {"alpa": Beta(2.0, 2.0)}}, ("'alpa'", "Did you mean 'alpha'?")),
        ({"priors": {"alpha": Beta(2.0, 2.0)}, "fixed": {"alpha": 0.3}}, ("'alpha'", "choose one")),
    ],
    ids=["both", "outside the support", "infinite", "unknown", "fixed"],
)
def test_what_cannot_be_added_is_named(options: dict[str, Any], parts: tuple[str, ...]) -> None:
    message = refused(**options)
    for part in parts:
        assert part in message


def test_priors_are_records() -> None:
    with pytest.raises(TypeError, match=r"expected one of rlpymc\.priors"):
        fit(priors={"alpha": 0.3})
