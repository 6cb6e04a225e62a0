"""Standard errors of populations: the curvature of the log evidence, with all modes found anew, and what has none."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp

import rlpymc as rl
from rlpymc.fitting.em import e_step, information, quasi_newton, standard_errors
from rlpymc.fitting.em.e_step import EStep
from rlpymc.fitting.em.evidence import laplace
from rlpymc.tasks import Bandit, RandomMDP
from tests.helpers import coins as plain
from tests.helpers.messages import assert_says

N, AGE = 30, np.linspace(-1.0, 1.0, 30)
SD = {"alpha": 0.8, "beta": 0.5}
SAME = 1e-5  # relative to the information about each number alone


@cache
def trials(sd_beta: float = SD["beta"]) -> xr.Dataset:
    """Return 30 subjects of 100 trials."""
    rng = np.random.default_rng(1)
    params = {"alpha": expit(rng.normal(-0.5, SD["alpha"], N)), "beta": np.exp(rng.normal(1.0, sd_beta, N))}
    return rl.simulate("delta", Bandit([0.2, 0.8]), params, N, 100, 1).assign(age=("subject", AGE))


@cache
def fit(sd_beta: float = SD["beta"], by_age: bool = False, **options: Any) -> rl.EM:
    formulas = {"alpha": "~ age"} if by_age else None
    return rl.fit_em("delta", trials(sd_beta), formulas=formulas, progress=False, **options)


# ---------------------------------------------------------------- against numerical curvature


def numerical(function: Callable[[np.ndarray], float], x: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return minus the second derivatives of a function, by differences over two steps."""

    def by(h: np.ndarray) -> np.ndarray:
        e, size = np.diag(h), len(x)
        around = [[function(x + s * e[k]) for k in range(size)] for s in (1, -1)]
        here, found = function(x), np.empty((size, size))
        for j in range(size):
            for k in range(j + 1):
                both = function(x + e[j] + e[k]) + function(x - e[j] - e[k]) - 2 * here
                single = sum(side[j] + side[k] for side in around) - 4 * here
                found[j, k] = found[k, j] = (single - both) / (2 * h[j] * h[k])
        return found

    return (4 * by(step / 2) - by(step)) / 3


def covariance(logs: np.ndarray, correlation: float) -> np.ndarray:
    """Return covariances of two numbers with such logarithms of standard deviations."""
    sd = np.exp(logs)
    return np.array([[1, correlation], [correlation, 1]]) * np.outer(sd, sd)


def log_evidence(em: rl.EM, x: np.ndarray) -> float:
    """Return the log evidence of a group by coefficients, logarithms of sds and correlation, with modes found anew."""
    made, n = em._made, em._made.group.coefficients[0].size + 1
    cov = covariance(x[n : n + 2], x[n + 2] if len(x) > n + 2 else 0.0)
    group = made.group.with_values(x[:n], cov)
    modes = EStep(made.problem, group, made.l2).search(made.modes.rows, made.modes.curvature, None)
    assert modes.converged.all()
    return float(laplace(modes, group).sum())


@pytest.mark.parametrize(
    "options", [{}, {"by_age": True}, {"covariance": "full"}, {"l2": 0.7}], ids=lambda v: "-".join(v) or "plain"
)
def test_errors_are_the_curvature_of_the_log_evidence(options: dict[str, Any]) -> None:
    em = fit(**options)
    group, n = em._made.group, em._made.group.coefficients[0].size + 1
    full = [] if group.diagonal else [float(em.cov[0, 1] / em.sigma["alpha"] / em.sigma["beta"])]
    x = np.concatenate([*group.coefficients, np.log(group.sigma), full])
    found = information.information(em._made.problem, group, em._made.modes, em._made.l2)
    assert not found.taken_as_normal.any()
    size = np.sqrt(np.diag(found.matrix))
    wanted = numerical(lambda v: log_evidence(em, v), x, 0.1 / size)
    assert_allclose(found.matrix / np.outer(size, size), wanted / np.outer(size, size), atol=SAME)

    inverse = np.linalg.inv(wanted)
    error = np.sqrt(np.diag(inverse))
    of_mean = inverse[: n - 1, : n - 1]
    at_mean = np.ones(1) if n == 2 else np.array([1.0, AGE.mean()])
    assert_allclose(em.se["alpha_coefficients"], error[: n - 1], rtol=1e-4)
    assert_allclose(em.se["alpha_mu"], np.sqrt(at_mean @ of_mean @ at_mean), rtol=1e-4)
    assert_allclose(em.se["beta_mu"], error[n - 1], rtol=1e-4)
    for k, name in enumerate(("alpha", "beta")):
        assert_allclose(em.se[f"{name}_sigma"], float(em.sigma[name]) * error[n + k], rtol=1e-4)
    assert em.se.attrs["note"] == ""
    if full:
        slope = np.array([float(em.cov[0, 1])] * 2 + [float(em.sigma["alpha"] * em.sigma["beta"])])
        within = inverse[n:, n:]
        assert_allclose(em.se["cov"][0, 1], np.sqrt(slope @ within @ slope), rtol=1e-4)
        assert_allclose(em.se["cov"][0, 0], 2 * em.sigma["alpha"] * em.se["alpha_sigma"], rtol=1e-6)
    else:
        assert "cov" not in em.se


@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_errors_of_what_is_shared(l2: float) -> None:
    em = fit(0.0, shared="beta", l2=l2)
    beta = float(em.params["beta"][0])

    def function(x: np.ndarray) -> float:
        start, fixed = {"alpha_mu": x[0], "alpha_sigma": np.exp(x[1])}, {"beta": np.exp(x[2])}
        held = rl.fit_em("delta", trials(0.0), start=start, fixed=fixed, iterations=0, tol=None, l2=l2, progress=False)
        return float(held.log_evidence.sum()) - 0.5 * l2 * x[2] ** 2

    x = np.array([float(em.mu["alpha"]), np.log(float(em.sigma["alpha"])), np.log(beta)])
    inverse = np.linalg.inv(numerical(function, x, np.array([0.02, 0.02, 0.01])))
    error = np.sqrt(np.diag(inverse))
    assert_allclose(em.se["alpha_mu"], error[0], rtol=1e-4)
    assert_allclose(em.se["alpha_sigma"], float(em.sigma["alpha"]) * error[1], rtol=1e-4)
    assert_allclose(em.se["beta"], beta * error[2], rtol=1e-4)


def test_the_group_that_is_found_is_near_the_evidence_s_maximum_and_not_at_it() -> None:
    em = fit()
    x = np.concatenate([*em._made.group.coefficients, np.log(em._made.group.sigma)])
    error = np.array([em.se[f"{k}_mu"] for k in SD] + [em.se[f"{k}_sigma"] / em.sigma[k] for k in SD])
    steps = np.diag(0.01 * error)
    slope = [(log_evidence(em, x + h) - log_evidence(em, x - h)) / 0.02 for h in steps]  # in standard errors
    assert 0.05 < np.abs(slope).max() < 0.5


# ---------------------------------------------------------------- against what is known exactly


def heads(n: int, throws: int, sd: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.binomial(throws, expit(rng.normal(0.3, sd, n)))


def test_errors_are_those_of_the_exact_marginal_likelihood() -> None:
    """Of coins, whose marginal likelihood quadrature gives: Laplace's approximation costs a few per cent."""
    k = heads(40, 20, 0.8, 1)
    em = plain.fit(k, 20)
    x = np.array([float(em.mu["bias"]), np.log(float(em.sigma["bias"]))])
    exact = numerical(lambda v: float(plain.log_marginal(v[0], np.exp(v[1]), k, 20).sum()), x, np.full(2, 0.05))
    error = np.sqrt(np.diag(np.linalg.inv(exact)))
    assert_allclose(em.se["bias_mu"], error[0], rtol=0.02)
    assert_allclose(em.se["bias_sigma"], float(em.sigma["bias"]) * error[1], rtol=0.05)


def test_errors_of_what_all_share_are_those_of_maximum_likelihood() -> None:
    both = ["alpha", "beta"]
    em, mle = (f("delta", trials(), shared=both, progress=False) for f in (rl.fit_em, rl.fit_mle))
    for name in both:
        assert_allclose(em.se[name], mle.se[name][0], rtol=1e-3)
    assert set(em.se) == set(both)


def test_the_error_of_a_mean_is_that_of_an_intercept_at_the_mean() -> None:
    rng = np.random.default_rng(3)
    k, age = heads(30, 20, 0.5, 3), rng.normal(40.0, 10.0, 30)
    data = [plain.coins(k, 20).assign(age=("subject", x)) for x in (age, age - age.mean())]
    found = [rl.fit_em("biased_coin", one, formulas={"bias": "~ age"}, progress=False) for one in data]
    assert_allclose(found[0].se["bias_mu"], found[1].se["bias_coefficients"][0], rtol=1e-4)
    assert_allclose(found[0].se["bias_coefficients"][1], found[1].se["bias_coefficients"][1], rtol=1e-4)
    assert found[0].se["bias_coefficients"][0] > 3 * found[0].se["bias_mu"]


def test_entries_of_an_array_have_an_error_each() -> None:
    rng = np.random.default_rng(1)
    bias = rng.normal([0.4, -0.3], [0.9, 0.5], (25, 2))
    data = rl.simulate("biased_random", Bandit([0.5] * 3), {"bias": bias}, 25, 60, 1)
    em = rl.fit_em("biased_random", data, covariance="full", progress=False)
    assert em.se["bias_mu"].dims == em.mu["bias"].dims
    assert em.se["bias_coefficients"].dims == em.coefficients["bias"].dims
    assert_allclose(em.se["bias_mu"], em.se["bias_coefficients"][:, 0])
    assert em.se["cov"].dims == em.cov.dims
    assert_allclose(em.se["cov"], em.se["cov"].values.T, rtol=1e-8)
    curvature = -em.hessian.values - np.linalg.inv(em.cov.values)
    of_persons = np.diagonal(np.linalg.inv(curvature), axis1=1, axis2=2).mean(axis=0)
    assert_allclose(em.se["bias_mu"], np.sqrt((em.sigma["bias"] ** 2 + of_persons) / 25), rtol=0.1)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    inside, ratio = [], []
    for seed in range(200):
        em = plain.fit(heads(40, 40, 0.8, seed), 40)
        mu, sigma = (float(v["bias"]) for v in (em.mu, em.sigma))
        inside.append(
            [
                abs(mu - 0.3) < 1.96 * float(em.se["bias_mu"]),
                abs(np.log(sigma / 0.8)) < 1.96 * float(em.se["bias_sigma"]) / sigma,
            ]
        )
        ratio.append([mu, float(em.se["bias_mu"]), sigma, float(em.se["bias_sigma"])])
    covered, columns = np.mean(inside, axis=0), np.array(ratio)
    assert (np.abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 200)).all()
    for value, error in ((0, 1), (2, 3)):
        assert abs(columns[:, error].mean() / columns[:, value].std(ddof=1) - 1) < 4 / np.sqrt(2 * 200)


# ---------------------------------------------------------------- where there are none


def test_a_standard_deviation_at_0_has_none_and_its_note_says_so() -> None:
    em = plain.fit((10,) * 20, 20)
    assert np.isnan(em.se["bias_sigma"])
    assert_says(em.se.attrs["note"], "do not tell bias_sigma from 0")
    assert_allclose(em.se["bias_mu"], 1 / np.sqrt(400 * 0.25), rtol=0.01)  # as of 400 throws of one coin


def test_a_standard_deviation_that_others_leave_open_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = np.array([[6.0, 3.0], [3.0, 2.0]])  # about the logarithm 2 with the mean known, and 0.5 with it unknown
    made_up = information.Information(matrix, np.tile(matrix / 5, (5, 1, 1)), np.zeros(5, dtype=bool))
    monkeypatch.setattr(standard_errors, "information", lambda *_: made_up)
    em = plain.fit()
    assert np.isnan(em.se["bias_sigma"])
    assert_allclose(em.se["bias_mu"], np.sqrt(np.linalg.inv(matrix)[0, 0]))


def test_covariances_with_what_does_not_vary_have_none() -> None:
    alone = fit(0.0, shared="beta")
    start = {"alpha_mu": float(alone.mu["alpha"]), "alpha_sigma": float(alone.sigma["alpha"])}
    start |= {"beta_mu": float(np.log(alone.params["beta"][0])), "beta_sigma": 0.01}
    em = rl.fit_em("delta", trials(0.0), covariance="full", start=start, iterations=0, tol=None, progress=False)
    assert np.isnan(em.se["beta_sigma"])
    assert np.isfinite(em.se["alpha_sigma"])
    assert np.isfinite(em.se["cov"].values).tolist() == [[True, False], [False, False]]
    for part in ("mu", "sigma"):  # of what does vary as if the other were one for all
        assert_allclose(em.se[f"alpha_{part}"], alone.se[f"alpha_{part}"], rtol=0.01)
    assert_says(em.se.attrs["note"], "beta_sigma")


def assert_none(em: rl.EM, *said: str) -> None:
    assert all(np.isnan(v.values).all() for v in em.se.values())
    assert_says(em.se.attrs["note"], "no standard errors", *said)


def test_a_flat_prior_has_none() -> None:
    assert_none(plain.fit(prior="flat"), "prior='flat'")
    shared = plain.fit(prior="flat", shared="bias")  # where there is nothing that a prior would be of
    assert_allclose(shared.se["bias"], np.sqrt(0.52 * 0.48 / 100), rtol=1e-4)


def test_an_e_step_that_failed_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quasi_newton, "MOST", 1)
    monkeypatch.setattr(e_step, "POLISHED", 1)
    with pytest.warns(UserWarning, match="E step did not converge"):
        em = plain.fit(iterations=1, tol=None)
    assert_none(em, "did not converge for subject", "'c0'")


def test_an_evidence_that_rises_leaves_none_and_names_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    def bent(*arguments: Any) -> information.Information:
        found = information.information(*arguments)
        found.by_subject[2, 0, 0] -= 2 * found.matrix[0, 0]
        return information.Information(found.by_subject.sum(axis=0), found.by_subject, found.taken_as_normal)

    monkeypatch.setattr(standard_errors, "information", bent)
    assert_none(plain.fit(), "does not fall off in all directions", "'c2'", "rlpymc.sample")


def test_nothing_estimated_has_no_errors() -> None:
    em = rl.fit_em("delta", trials(), fixed={"alpha": 0.3, "beta": 2.0}, progress=False)
    assert not em.se


# ---------------------------------------------------------------- who is far from normal


def test_without_higher_derivatives_information_is_that_of_normal_posteriors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing of the complete information is the variance of its slope in each posterior (Louis 1982)."""
    monkeypatch.setattr(information, "CORRECTION", 0.0)
    made = fit()._made
    found = information.information(made.problem, made.group, made.modes, made.l2)
    assert found.taken_as_normal.all()
    precision = np.linalg.inv(made.group.cov)
    assert_allclose(found.matrix[:2, :2], (precision - precision @ made.modes.cov @ precision).sum(axis=0), rtol=1e-6)
    em = rl.fit_em("delta", trials(), iterations=2, tol=None, progress=False)
    assert_says(em.se.attrs["note"], "subject 0, 1, 2, 3, 4, ...", "taken to be normal around the mode")


def by_quadrature(em: rl.EM, nodes: int = 15) -> np.ndarray:
    """Return the exact information about means and logarithms of standard deviations, of two parameters.

    The complete information, less the variance of its slope, over each subject's posterior.
    """
    made, sigma = em._made, em._made.group.sigma
    x, weight = hermegauss(nodes)
    points, weights = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2), np.outer(weight, weight).ravel()
    rows = made.modes.rows + np.einsum("nij,kj->kni", np.linalg.cholesky(made.modes.cov), points)
    away = (rows - made.group.mean) / sigma
    log_lik = np.array([made.problem(row)[0] for row in rows])
    log_p = log_lik - 0.5 * (away**2).sum(axis=2) + (np.log(weights) + 0.5 * (points**2).sum(axis=1))[:, None]
    p = np.exp(log_p - logsumexp(log_p, axis=0))
    slope = np.concatenate([away / sigma, away**2 - 1], axis=2)
    spread = np.einsum("kn,kna,knb->ab", p, slope, slope)
    mean = np.einsum("kn,kna->na", p, slope)
    first, second = (np.einsum("kn,kni->i", p, away**power) for power in (1, 2))
    crossed = np.diag(2 * first / sigma)
    complete = np.block([[np.diag(len(mean) / sigma**2), crossed], [crossed, np.diag(2 * second)]])
    return complete - (spread - mean.T @ mean)


def test_kinks_do_not_bend_the_evidence() -> None:
    """A learner whose values are maxima of others has kinks near some modes, where differences would be anything."""
    name, rng = "q_mdp(terminal=bootstraps)", np.random.default_rng(1)
    params = {k: f(rng.normal(m, s, 20)) for k, f, m, s in (("alpha", expit, -1.5, 0.5), ("beta", np.exp, 0.6, 0.4))}
    data = rl.simulate(name, RandomMDP(10, 3), {**params, "gamma": 0.8}, 20, 100, 1)
    em = rl.fit_em(name, data, fixed={"gamma": 0.8}, progress=False)
    assert_says(em.se.attrs["note"], "subject 2, 7: taken to be normal around the mode")
    error = np.sqrt(np.diag(np.linalg.inv(by_quadrature(em))))
    assert_allclose([em.se[f"{k}_mu"] for k in params], error[:2], rtol=0.05)


def test_errors_are_computed_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    kept = information.information
    monkeypatch.setattr(standard_errors, "information", lambda *a: calls.append(1) or kept(*a))
    em = plain.fit()
    assert repr(em)
    assert not calls
    assert em.se is em.se
    assert len(calls) == 1
