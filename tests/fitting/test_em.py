"""Expectation-maximisation: every step beside plain NumPy or SciPy, and populations whose evidence is known exactly."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from functools import cache, partial
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

import rlpymc as rl
from rlpymc.fitting.em import e_step, evidence, quasi_newton
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.tasks import Bandit, RandomMDP
from tests.helpers import coins as plain
from tests.helpers.coins import HEADS, THROWS, coins
from tests.helpers.messages import assert_says, refusal

START = {"alpha_mu": -0.5, "alpha_sigma": 0.8, "beta_mu": 0.9, "beta_sigma": 0.5}
N = 6


@cache
def trials() -> xr.Dataset:
    """Return six subjects of 60 trials, the last of whom stopped earlier."""
    rng = np.random.default_rng(1)
    params = {"alpha": expit(rng.normal(-0.5, 0.8, N)), "beta": np.exp(rng.normal(0.9, 0.4, N))}
    made = rl.simulate("delta", Bandit([0.25, 0.75]), params, N, 60, 1)
    table = rl.to_table(made.assign_coords(subject=list("abcdef")))
    found = rl.read_trials(table[(table["subject"] != "f") | (table["trial"] < 40)])
    return found.assign(age=("subject", [20.0, 31, 25, 44, 38, 29]))


def fit(model: str = "delta", data: xr.Dataset | None = None, **options: Any) -> rl.EM:
    return rl.fit_em(model, trials() if data is None else data, **{"progress": False, **options})


def log_lik(params: dict[str, Any], data: xr.Dataset | None = None) -> np.ndarray:
    data = trials() if data is None else data
    return rl.log_prob("delta", data, params).sum("trial").values


@cache
def at_start(**options: Any) -> rl.EM:
    """Return the E step at START, without a round."""
    return fit(start=START, iterations=0, tol=None, **options)


refused = partial(refusal, fit)


def modes(em: rl.EM) -> np.ndarray:
    return np.stack([em.params_unbounded[k].values for k in ("alpha", "beta")], axis=1)


# ---------------------------------------------------------------- E step


def joint(u: np.ndarray, i: int, mu: np.ndarray, sigma: np.ndarray) -> float:
    """Log likelihood of one subject and log density of the group, without its constant."""
    one = trials().isel(subject=[i])
    value = log_lik({"alpha": expit(u[0]), "beta": np.exp(u[1])}, one)[0]
    return float(value - 0.5 * (((u - mu) / sigma) ** 2).sum())


@pytest.mark.parametrize("i", [0, 5], ids=["whole", "padded"])
def test_modes_and_hessians_are_those_of_a_search_on_values(i: int) -> None:
    em, mu, sigma = at_start(), np.array([-0.5, 0.9]), np.array([0.8, 0.5])
    found = minimize(
        lambda u: -joint(u, i, mu, sigma), mu, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    assert_allclose(modes(em)[i], found.x, atol=1e-5)
    h, u = 1e-3 * np.eye(2), modes(em)[i]
    plain_hessian = np.array(
        [
            [sum(s * t * joint(u + s * a + t * b, i, mu, sigma) for s in (1, -1) for t in (1, -1)) / 4e-6 for b in h]
            for a in h
        ]
    )
    assert_allclose(em.hessian[i], plain_hessian, rtol=1e-4)


def test_densities_are_those_of_the_parameters() -> None:
    em = at_start()
    assert_allclose(em.log_lik, log_lik({k: em.params[k] for k in ("alpha", "beta")}), rtol=1e-10)
    sigma = np.array([0.8, 0.5])
    prior = -0.5 * (((modes(em) - [-0.5, 0.9]) / sigma) ** 2 + np.log(2 * np.pi * sigma**2)).sum(axis=1)
    assert_allclose(em.log_joint, em.log_lik.sum() + prior.sum(), rtol=1e-10)
    laplace = em.log_lik + prior + np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(-em.hessian.values)[1]
    assert_allclose(em.log_evidence, laplace, rtol=1e-8)
    assert_allclose(em.params["alpha"], expit(modes(em)[:, 0]), rtol=1e-12)


def test_backends_and_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    few = trials().isel(subject=[0, 1, 5])
    loop, shared_out = (fit(data=few, iterations=1, tol=None, threads=k) for k in (1, 2))
    xr.testing.assert_identical(loop.params, shared_out.params)
    monkeypatch.setattr(
        "rlpymc.fitting.em.unbounded.likelihood_of",
        lambda data, backend, by_trial, **how: likelihood_of(
            data, backend, by_trial, **(how | {"mode": "FAST_COMPILE"})
        ),
    )  # is ready at once
    loop, scan = (plain.fit(iterations=1, tol=None, backend=k) for k in ("fused", "scan"))
    xr.testing.assert_allclose(loop.params, scan.params, rtol=1e-7)
    assert_allclose(float(scan.sigma["bias"]), float(loop.sigma["bias"]), rtol=1e-7)


def test_the_order_of_subjects_does_not_matter() -> None:
    order = [3, 1, 5, 0, 4, 2]
    found, turned = fit(iterations=3, tol=None), fit(data=trials().isel(subject=order), iterations=3, tol=None)
    assert_allclose(turned.params["alpha"], found.params["alpha"][order], rtol=1e-8)
    assert_allclose(float(turned.sigma["beta"]), float(found.sigma["beta"]), rtol=1e-8)


def test_an_e_step_that_fails_is_said_and_its_values_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quasi_newton, "MOST", 1)
    monkeypatch.setattr(e_step, "POLISHED", 1)
    with pytest.warns(UserWarning, match=r"E step did not converge for \d of 6 subjects \('a'"):
        found = fit(iterations=2, tol=None)
    assert (found.status == "failed").any()
    assert (found.history["n_failed"] > 0).all()
    assert (found.history["change"] > 0).all()
    assert_says(repr(found), "E step failed for")


def test_no_m_step_is_left_out_however_unequal_the_subjects() -> None:
    rng = np.random.default_rng(2)
    heads = rng.binomial(20, expit(rng.normal(0, 2, 40)))
    for rounds in (1, 2, 10):
        em = plain.fit(heads, 20, start={"bias_mu": 0.0, "bias_sigma": 1.0}, iterations=rounds, tol=None)
        found = [float(em.mu["bias"]), float(em.sigma["bias"])]
        assert_allclose(found, plain.expectation_maximisation(heads, 20, rounds), atol=1e-9)
        assert len(em.history) == rounds


# ---------------------------------------------------------------- M step


def test_the_m_step_takes_means_and_uncertainty() -> None:
    m, minus = modes(at_start()), -at_start().hessian.values
    by_variance = {
        "huys": np.diagonal(np.linalg.inv(minus), axis1=1, axis2=2),
        "conditional": 1 / np.diagonal(minus, axis1=1, axis2=2),
    }
    for variance, s in by_variance.items():
        em = fit(start=START, iterations=1, tol=None, variance=variance)
        sigma = np.sqrt((m**2 + s).mean(axis=0) - m.mean(axis=0) ** 2)
        assert_allclose([em.mu["alpha"], em.mu["beta"]], m.mean(axis=0), rtol=1e-9)
        assert_allclose([em.sigma["alpha"], em.sigma["beta"]], sigma, rtol=1e-8)
    assert (by_variance["huys"] > by_variance["conditional"]).all()
    assert_allclose(float(em.group["alpha"]), expit(m[:, 0].mean()), rtol=1e-9)


def test_the_m_step_of_a_full_covariance() -> None:
    m, s = modes(at_start()), np.linalg.inv(-at_start().hessian.values)
    em = fit(start=START, iterations=1, tol=None, covariance="full")
    wanted = (m[:, :, None] * m[:, None, :] + s).mean(axis=0) - np.outer(m.mean(axis=0), m.mean(axis=0))
    assert_allclose(em.cov, wanted, rtol=1e-7)
    assert em.cov["estimate"].values.tolist() == ["alpha", "beta"]
    assert_allclose(em.sigma["alpha"] ** 2, wanted[0, 0], rtol=1e-7)


def test_covariates_are_regressed_on() -> None:
    age = pd.DataFrame({"age": [20.0, 31, 25, 44, 38, 29], "drug": [0, 1, 0, 1, 1, 0]}, index=list("abcdef"))
    data = trials().assign({k: ("subject", v) for k, v in age.items()})
    em = fit(data=data, start=START, iterations=1, tol=None, formulas={"alpha": "~ age + drug"})
    design = np.column_stack([np.ones(N), age])
    wanted = np.linalg.lstsq(design, modes(at_start())[:, 0], rcond=None)[0]
    assert_allclose(em.coefficients["alpha"], wanted, rtol=1e-6)
    assert em.coefficients["alpha_coefficient"].values.tolist() == ["Intercept", "age", "drug"]
    assert_allclose(float(em.mu["alpha"]), modes(at_start())[:, 0].mean(), rtol=1e-8)
    left = modes(at_start())[:, 0] - design @ wanted
    s = np.linalg.inv(-at_start().hessian.values)[:, 0, 0]
    assert_allclose(float(em.sigma["alpha"]) ** 2, (left**2 + s).mean(), rtol=1e-6)
    assert_says(repr(em), "alpha: age", "alpha: drug")
    table = em.coefficient_table
    assert table.index.tolist() == ["alpha_Intercept", "alpha_age", "alpha_drug"]
    assert_allclose(table["estimate"], wanted, rtol=1e-6)
    assert_allclose(table["se"], em.se["alpha_coefficients"])
    assert_allclose(table["p"], 2 * stats.norm.sf(np.abs(table["estimate"] / table["se"])), rtol=1e-9)


def test_correlated_parameters_with_covariates_of_their_own_are_weighted() -> None:
    x = np.array([0.0, 1, 0, 1, 1, 0])
    options: dict[str, Any] = {"covariance": "full", "formulas": {"alpha": "x"}, "start": START, "tol": None}
    first, second = (fit(data=trials().assign(x=("subject", x)), iterations=k, **options) for k in (1, 2))
    precision, m = np.linalg.inv(first.cov.values), modes(first)
    left, right = np.zeros((3, 3)), np.zeros(3)
    for i in range(N):  # each subject's two numbers on the three coefficients
        design = np.array([[1, x[i], 0], [0, 0, 1]])
        left += design.T @ precision @ design
        right += design.T @ precision @ m[i]
    wanted = np.linalg.solve(left, right)
    assert_allclose([*second.coefficients["alpha"].values, *second.coefficients["beta"].values], wanted, rtol=1e-6)


def test_a_difference_between_groups_is_found() -> None:
    rng = np.random.default_rng(3)
    drug = np.repeat([0.0, 1.0], 60)
    heads = rng.binomial(40, expit(-0.5 + 1.0 * drug + rng.normal(0, 0.4, 120)))
    data = plain.coins(heads, 40).assign(drug=("subject", drug))
    em = rl.fit_em("biased_coin", data, progress=False, formulas={"bias": "drug"})
    se = np.sqrt(4 / 120 * (0.4**2 + 1 / (40 * 0.24)))  # of a difference of two means of 60
    assert abs(float(em.coefficients["bias"][1]) - 1.0) < 3 * se
    assert float(em.sigma["bias"]) < 0.6 < float(plain.fit(heads, 40).sigma["bias"])


# ---------------------------------------------------------------- without a group


def test_a_flat_prior_is_maximum_likelihood() -> None:
    em = plain.fit(prior="flat")
    assert_allclose(em.params["bias"], np.array(HEADS) / THROWS, rtol=1e-9)
    w = logit(np.array(HEADS) / THROWS)
    assert_allclose([em.mu["bias"], em.sigma["bias"]], [w.mean(), w.std()], rtol=1e-8)
    found, alone = fit(prior="flat"), rl.fit_mle("delta", trials(), progress=False)
    assert_allclose(found.log_lik, alone.log_lik, atol=1e-6)
    assert np.isnan(found.log_evidence).all()
    assert_allclose(found.bic_int, -2 * found.log_lik.sum() + 2 * N * np.log(340))


def test_what_data_do_not_tell_is_a_flat_direction() -> None:
    em = plain.fit((0, 10), 20, prior="flat")
    assert em.status.values.tolist() == ["flat direction", "converged"]
    assert em.params["bias"][0] < 1e-6


@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_a_penalty_counts_shared_numbers_once(l2: float) -> None:
    shared = plain.fit(shared="bias", l2=l2)
    wanted = brentq(lambda w: sum(HEADS) - 5 * THROWS * expit(w) - l2 * w, -3, 3, xtol=1e-13)
    assert_allclose(shared.params_unbounded["bias"], np.full(5, wanted), atol=1e-7)
    own = plain.fit(prior="flat", l2=l2)
    wanted = [brentq(lambda w, k=k: k - THROWS * expit(w) - l2 * w, -3, 3, xtol=1e-13) for k in HEADS]
    assert_allclose(own.params_unbounded["bias"], wanted, atol=1e-9)


def test_shared_parameters_are_at_the_joint_maximum() -> None:
    em = fit(start={k: v for k, v in START.items() if "alpha" in k}, shared="beta", iterations=0, tol=None)
    mu, sigma = -0.5, 0.8

    def function(u: np.ndarray) -> float:
        value = log_lik({"alpha": expit(u[:N]), "beta": np.exp(u[N])}).sum()
        return float(-value + 0.5 * (((u[:N] - mu) / sigma) ** 2).sum())

    found = minimize(function, np.append(np.full(N, mu), 0.9), tol=1e-10)
    assert_allclose(em.params_unbounded["alpha"], found.x[:N], atol=1e-3)
    assert_allclose(em.params_unbounded["beta"], np.full(N, found.x[N]), atol=1e-3)
    here = np.append(em.params_unbounded["alpha"].values, em.params_unbounded["beta"].values[0])
    assert function(here) <= found.fun + 1e-9
    assert "beta" not in em.mu


def test_all_shared_is_plain_maximum_likelihood() -> None:
    em = fit(shared=["alpha", "beta"])
    found = minimize(lambda u: -log_lik({"alpha": expit(u[0]), "beta": np.exp(u[1])}).sum(), [0.0, 0.5], tol=1e-9)
    assert_allclose(em.log_evidence.sum(), -found.fun, atol=1e-7)
    assert_allclose(em.bic_int, 2 * found.fun + 2 * np.log(340), atol=1e-6)
    assert em.converged
    assert len(em.history) == 0
    assert_allclose(em.mc_marginal_logp(repetitions=2).total, em.log_lik.sum())


def test_coupled_parameters_are_one() -> None:
    coupled = fit("delta(rates=sign)", coupled=[("alpha_pos", "alpha_neg")], iterations=2, tol=None)
    single = fit(iterations=2, tol=None)
    assert_array_equal(coupled.params["alpha_pos"], coupled.params["alpha_neg"])
    assert_allclose(coupled.params["alpha_pos"], single.params["alpha"], rtol=1e-6)
    assert coupled.n_free == single.n_free == 2 * N


def test_fixed_values_are_kept_and_constants_are_freed() -> None:
    by_subject = np.linspace(1.0, 3.0, N)
    em = fit(fixed={"beta": by_subject}, free="q0", iterations=1, tol=None)
    assert_array_equal(em.params["beta"], by_subject)
    assert list(em.mu) == ["alpha", "q0"]
    assert fit(fixed={"alpha": 0.3, "beta": 2.0}).n_free == 0


def test_entries_of_a_shared_array_are_counted_each() -> None:
    data = rl.simulate("biased_random", Bandit([0.5] * 3), {"bias": [0.5, -0.5]}, 3, 40, 1)
    own, shared = (fit("biased_random", data, iterations=1, tol=None, **k) for k in ({}, {"shared": "bias"}))
    counts = np.array([(data["action"].values == k).sum() for k in range(3)])
    assert_allclose(shared.params["bias"][0], np.log(counts[1:] / counts[0]), atol=1e-6)
    assert_allclose(shared.bic_int, -2 * shared.log_evidence.sum() + 2 * np.log(120))
    assert_allclose(own.bic_int, -2 * own.log_evidence.sum() + 4 * np.log(120))
    assert own.mu["bias"].dims == ("bias_dim_0",)
    assert own.cov["estimate"].values.tolist() == ["bias[0]", "bias[1]"]


def test_a_learner_in_a_random_world() -> None:
    name = "q_mdp(terminal=bootstraps)"
    data = rl.simulate(name, RandomMDP(10, 3), {"alpha": 0.15, "beta": 1.8, "gamma": 0.85}, 8, 60, 1)
    with warnings.catch_warnings():  # modes may lie where two values are tied, and there the likelihood has a kink
        warnings.filterwarnings("ignore", message=".*E step did not converge")
        own = fit(name, data, iterations=2, tol=None)
    shared = fit(name, data, shared=["alpha", "beta", "gamma"])

    def joint(params: dict[str, Any]) -> np.ndarray:
        value = rl.log_prob(name, data, params).sum("trial").values
        for k, support in (("alpha", logit), ("gamma", logit), ("beta", np.log)):
            value = value - 0.5 * ((support(params[k]) - float(own.mu[k])) / float(own.sigma[k])) ** 2
        return value

    best = {k: own.params[k].values for k in ("alpha", "gamma", "beta")}
    assert_allclose(own.log_lik, rl.log_prob(name, data, best).sum("trial"), rtol=1e-9)
    for k in best:
        for factor in (0.999, 1.001):
            assert (joint({**best, k: best[k] * factor}) < joint(best)).all()
    truth = rl.log_prob(name, data, {"alpha": 0.15, "beta": 1.8, "gamma": 0.85}).sum()
    assert float(shared.log_lik.sum()) >= float(truth)
    assert (shared.n_free, own.n_free) == (3, 24)


# ---------------------------------------------------------------- convergence


def test_rounds_end_when_little_changes() -> None:
    em = plain.fit(tol=1e-6)
    assert em.converged
    last, before = em.history.iloc[-1], em.history.iloc[-2]
    assert last["change"] <= 1e-6 < before["change"]
    assert_allclose(
        last["change"], max(abs(last["bias_mu"] - before["bias_mu"]), before["bias_sigma"] - last["bias_sigma"])
    )
    assert_allclose(last["bias_sigma"], float(em.sigma["bias"]))


def test_too_few_rounds_are_said() -> None:
    with pytest.warns(UserWarning, match=r"after 2 rounds .*tol=0.0001; give more iterations"):
        em = plain.fit(iterations=2)
    assert em.converged is False
    assert plain.fit(iterations=2, tol=None).converged is None
    assert plain.fit(iterations=0).converged is None


def test_the_last_e_step_comes_after_the_last_m_step() -> None:
    em = plain.fit(iterations=3, tol=None)
    start = {"bias_mu": float(em.mu["bias"]), "bias_sigma": float(em.sigma["bias"])}
    assert_allclose(em.params["bias"], plain.fit(start=start, iterations=0, tol=None).params["bias"], rtol=1e-9)


# ---------------------------------------------------------------- evidence


@cache
def at_group() -> rl.EM:
    return plain.fit(start={"bias_mu": 0.3, "bias_sigma": 0.4}, iterations=0, tol=None)


def test_monte_carlo_agrees_with_quadrature() -> None:
    found = at_group().mc_marginal_logp(repetitions=10, seed=3)
    spread = found.by_subject.std("repetition", ddof=1) / np.sqrt(10)
    assert (np.abs(found.by_subject.mean("repetition") - plain.log_marginal(0.3, 0.4)) < 4 * spread).all()
    assert_allclose(found.total, found.by_subject.sum("subject"))
    assert (np.diff(found.total) >= 0).all()
    assert_allclose(found.bic_int, -2 * found.total + 2 * np.log(100))


def test_monte_carlo_does_not_depend_on_how_many_draws_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = at_group().mc_marginal_logp(2, 1000, seed=4)
    monkeypatch.setattr(evidence, "CHUNK_TRIALS", 700)
    xr.testing.assert_allclose(at_group().mc_marginal_logp(2, 1000, seed=4), whole, rtol=1e-12)


def test_expectation_maximisation_makes_small_deviations_too_small() -> None:
    rng = np.random.default_rng(5)
    found, exact = [], []
    for _ in range(5):
        heads = rng.binomial(10, expit(rng.normal(0.0, 0.6, 30)))
        found.append(float(plain.fit(heads, 10, tol=1e-5).sigma["bias"]))
        best = minimize(lambda x, k=heads: -plain.log_marginal(x[0], np.exp(x[1]), k, 10).sum(), [0.0, -0.5])
        exact.append(float(np.exp(best.x[1])))
    assert (np.array(found) < exact).all()


def test_few_rounds_stay_near_a_start_that_is_too_wide() -> None:
    equal = (10,) * 20  # the true standard deviation is 0
    few, many = (float(plain.fit(equal, iterations=k, tol=None).sigma["bias"]) for k in (2, 50))
    assert few > 2 * many > 0


def test_nuts_and_expectation_maximisation_agree_with_quadrature() -> None:
    model = rl.build("biased_coin", coins(), priors={"bias": rl.priors.Beta(1, 1)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.SamplingWarning)
        posterior = rl.sample(model, 5000, 1000, 4, seed=1, target_accept=0.95, progress=False, log_likelihood=False)[
            "posterior"
        ]
    width = logit(0.84)  # of the prior on the unbounded scale: Normal(0, 0.8 width), HalfNormal(0.6 width)
    mu, sigma = np.linspace(-4, 4, 121), np.linspace(0.01, 7, 140)
    log_p = np.array([[plain.log_marginal(m, s, nodes=40).sum() for s in sigma] for m in mu])
    log_p -= 0.5 * (mu[:, None] / (0.8 * width)) ** 2 + 0.5 * (sigma / (0.6 * width)) ** 2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    for name, values in (("bias_mu", mu[:, None]), ("bias_sigma", sigma[None])):
        mean = (p * values).sum()
        sd = np.sqrt((p * (values - mean) ** 2).sum())
        draws = posterior[name].values
        error = sd / np.sqrt(float(az.ess(draws)))
        assert abs(draws.mean() - mean) < 4 * error
        assert abs(draws.std() / sd - 1) < 0.05
    em = plain.fit(tol=1e-8)  # has no priors, and is near the maximum of the marginal likelihood
    best = minimize(lambda x: -plain.log_marginal(x[0], np.exp(x[1])).sum(), [0.0, 0.0]).x
    assert_allclose([float(em.mu["bias"]), float(em.sigma["bias"])], [best[0], np.exp(best[1])], atol=0.04)


# ---------------------------------------------------------------- a folder

PROGRAM = """
import sys
from tests.helpers.coins import fit
print("ready", flush=True)
fit(iterations=150, tol=None, folder=sys.argv[1], covariance="full")
"""
RUN: dict[str, Any] = {"iterations": 150, "tol": None, "covariance": "full"}


def same(a: rl.EM, b: rl.EM) -> None:
    for name in ("mu", "sigma", "params", "coefficients"):
        xr.testing.assert_identical(getattr(a, name), getattr(b, name))
    for name in ("cov", "hessian", "log_evidence"):
        assert_array_equal(getattr(a, name), getattr(b, name))
    pd.testing.assert_frame_equal(a.history, b.history, check_exact=True)


def rounds_in(folder: Path) -> int:
    if not (folder / "rounds.npz").exists():
        return 0
    with np.load(folder / "rounds.npz") as kept:
        return len(kept["history"])


def test_a_run_that_is_killed_goes_on_to_the_same_result(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    for at_least in (0, 1, 20):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, env=dict(os.environ), text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while process.poll() is None and rounds_in(tmp_path) < at_least:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert 20 <= rounds_in(tmp_path) < 150
    same(plain.fit(folder=tmp_path, **RUN), plain.fit(**RUN))


def test_a_run_goes_on_from_every_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"iterations": 4, "tol": None, "shared": "beta"}
    whole = fit(**options)
    for stop in (1, 2, 3):
        folder = tmp_path / str(stop)

        def breaks(*args: Any, folder: Path = folder, stop: int = stop) -> Any:
            if rounds_in(folder) == stop:
                raise KeyboardInterrupt
            return evidence.laplace(*args)

        with monkeypatch.context() as patch:
            patch.setattr("rlpymc.fitting.em.rounds.laplace", breaks)
            with pytest.raises(KeyboardInterrupt):
                fit(folder=folder, **options)
        assert rounds_in(folder) == stop
        same(fit(folder=folder, **options), whole)


def test_more_rounds_go_on_from_a_finished_run(tmp_path: Path) -> None:
    fit(folder=tmp_path, iterations=2, tol=None)
    same(fit(folder=tmp_path, iterations=4, tol=None), fit(iterations=4, tol=None))
    message = refused(folder=tmp_path, iterations=3, tol=None)
    assert_says(message, "the folder holds 4 rounds", "iterations=3 asks for fewer")


def test_a_finished_run_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(folder=tmp_path, iterations=2, tol=None)
    monkeypatch.setattr("rlpymc.fitting.em.rounds.Rounds._next", None)
    same(fit(folder=tmp_path, iterations=2, tol=None), first)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model": "delta+stickiness"}, "model"),
        ({"data": "other"}, "data"),
        ({"tol": 1e-3}, "tol"),
        ({"variance": "conditional"}, "variance"),
        ({"fixed": {"beta": 2.0}}, "fixed"),
        ({"formulas": {"alpha": "age"}}, "formulas"),
        ({"start": {"alpha_mu": 0.1}}, "start"),
        ({"seed": 1}, "seed"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_folder_of_another_run_is_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    fit(folder=tmp_path, iterations=1, tol=None)
    if "data" in changes:
        changes = {"data": trials().isel(subject=slice(0, 5))}
    message = refused(**{"folder": tmp_path, "iterations": 1, "tol": None, **changes})
    assert_says(message, str(tmp_path), "another run", what)


# ---------------------------------------------------------------- what it looks like


def test_the_table_has_a_row_for_each_subject() -> None:
    table = at_start().to_dataframe()
    assert table.index.tolist() == list("abcdef")
    assert table.columns.tolist() == ["alpha", "q0", "beta", "log_lik", "log_evidence", "status"]
    assert (table["q0"] == 0).all()


def test_printing_shows_the_group() -> None:
    em = plain.fit()
    for text in (repr(em), em._repr_html_()):
        assert_says(text, "coin, 5 subjects", "converged", "log evidence", "BIC_int", "sigma", "group", "bias")


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"variance": "hyus"}, ("variance 'hyus'", "Did you mean 'huys'?")),
        ({"covariance": "ful"}, ("covariance 'ful'", "full")),
        ({"prior": "uniform"}, ("prior 'uniform'", "flat")),
        ({"backend": "loop"}, ("backend 'loop'",)),
        ({"variance": "conditional", "covariance": "full"}, ("conditional", "diagonal")),
        ({"iterations": -1}, ("iterations: found -1", "at least 0")),
        ({"tol": 0.0}, ("tol: found 0.0",)),
        ({"l2": -1.0}, ("l2: found -1.0",)),
        ({"iterations": "ten"}, ("iterations: found 'ten'", "whole number")),
        ({"iterations": 2.5}, ("iterations: found 2.5", "whole number")),
        ({"tol": "small"}, ("tol: found 'small'", "or None")),
        ({"l2": None}, ("l2: found None", "positive")),
        ({"seed": -1}, ("seed: found -1", "at least 0")),
        ({"threads": 0}, ("threads: found 0", "at least 1")),
        ({"coupled": 3}, ("coupled: found 3", "groups")),
        ({"fixed": {"alfa": 0.3}}, ("'alfa'", "Did you mean 'alpha'?")),
        ({"shared": "gamma"}, ("'gamma'", "shared")),
        ({"fixed": {"alpha": 0.3}, "shared": "alpha"}, ("'alpha'", "choose one")),
        ({"start": {"alpha_my": 0.0}}, ("'alpha_my'", "alpha_mu")),
        ({"start": {"alpha_mu": np.nan}}, ("'alpha_mu'", "finite")),
        ({"start": {"alpha_sigma": 0.0}}, ("'alpha_sigma'", "positive")),
        ({"start": {"beta": -1.0}, "shared": "beta"}, ("'beta'", "inside its support")),
        ({"formulas": {"bete": "age"}}, ("'bete'", "beta")),
        ({"formulas": {"beta": "age"}, "shared": "beta"}, ("'beta'", "complete pooling")),
        ({"formulas": {"alpha": "aeg"}}, ("'aeg'", "'alpha'")),
        ({"formulas": {"alpha": "poly(age, 5)"}}, ("6 subjects", "7 parameters")),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, dict) else "",
)
def test_wrong_options_are_named(options: dict[str, Any], parts: tuple[str, ...]) -> None:
    assert_says(refused(**options), *parts)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"fixed": {"alpha_neg": 0.2}}, ("'alpha_neg'", "not estimated")),
        ({"shared": "alpha_neg"}, ("'alpha_neg'", "'alpha_pos'", "share both")),
    ],
    ids=["fixed", "shared"],
)
def test_what_cannot_be_coupled_is_named(options: dict[str, Any], parts: tuple[str, ...]) -> None:
    pair = [("alpha_pos", "alpha_neg")]
    assert_says(refused(model="delta(rates=sign)", coupled=pair, **options), *parts)


def test_one_subject_is_no_group() -> None:
    one = trials().isel(subject=[0])
    assert_says(refused(data=one), "'alpha'", "1 subject for 2 parameters", "mean and standard deviation", "fit_mle")
    assert fit(data=one, prior="flat").n_free == 2
    assert fit(data=one, shared=["alpha", "beta"]).n_free == 2


def test_a_subject_without_scored_trials_is_named() -> None:
    data = trials().copy(deep=True)
    data["scored"][1] = False
    assert_says(refused(data=data), "no scored trial", "'b'")


def test_whole_numbers_are_refused_with_advice() -> None:
    params = {"alpha": 0.1, "stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
    data = rl.simulate("rlwm", rl.tasks.RLWM((2, 3), presentations=3), {**params, "capacity": 3}, 2, 15, 1)
    assert_says(refused(model="rlwm", data=data), "'capacity'", "whole number", "fixed=", "fit_mle")


def test_a_staircase_is_refused() -> None:
    assert_says(refused(model="delta+epsilon_greedy"), "epsilon_greedy", "staircase", "softmax+lapse")


def test_data_that_are_impossible_are_named() -> None:
    data = rl.simulate("biased_random", Bandit([0.5] * 2), {"bias": [0.0]}, 3, 10, 1)
    changed = rl.get_model("biased_random").changed(
        values=lambda p, s, x: rl.math.concatenate([rl.math.zeros(1), rl.math.log(rl.math.zeros(1) * p.bias)])
    )
    with pytest.raises(ValueError, match=re.escape("impossible at all")):
        rl.fit_em(changed, data, progress=False)


def test_a_flat_prior_has_no_marginal_likelihood() -> None:
    with pytest.raises(ValueError, match="flat prior"):
        plain.fit(prior="flat").mc_marginal_logp()
    with pytest.raises(ValueError, match="n_samples: found 0"):
        at_group().mc_marginal_logp(n_samples=0)
