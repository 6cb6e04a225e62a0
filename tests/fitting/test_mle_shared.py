"""Maximum likelihood with shared parameters: one value for all, estimated together with everybody's own."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import rlpymc as rl
from rlpymc.tasks import RLWM, Bandit
from tests.golden.mle import increments
from tests.helpers.messages import refusal

RATES = "delta(rates=sign)"


@cache
def trials() -> xr.Dataset:
    """Return four subjects of 120, 120, 120 and 70 trials in blocks of 40."""
    params = {"alpha": [0.3, 0.4, 0.25, 0.5], "beta": 2.5}
    data = rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), params, 4, 120, 1).copy(deep=True)
    ended = (data["subject"] == 3) & (data["trial"] >= 70)
    for mask in ("exists", "scored", "learned", "reset"):
        data[mask] = data[mask] & ~ended
    return data


def fit(model: str = "delta", **options: Any) -> rl.MLE:
    return rl.fit_mle(model, trials(), **{"progress": False, "starts": 3, **options})


@cache
def beta_shared() -> rl.MLE:
    return fit(shared="beta")


@cache
def all_shared() -> rl.MLE:
    return fit(shared=("alpha", "beta"))


def negative(x: np.ndarray) -> float:
    """Negative log likelihood of all, given beta and everybody's alpha."""
    return -float(rl.log_prob("delta", trials(), {"beta": x[0], "alpha": x[1:]}).sum())


refused = partial(refusal, fit)


# ---------------------------------------------------------------- the optimum


def test_a_shared_parameter_is_estimated_together_with_everybodys_own() -> None:
    found = beta_shared()
    plain = minimize(negative, [2.0, 0.4, 0.4, 0.4, 0.4], method="L-BFGS-B", bounds=[(0, 20), *[(0, 1)] * 4])
    assert_allclose(found.totals["log_lik"], -plain.fun, rtol=0, atol=1e-5)
    assert_allclose(found.params["beta"], np.full(4, plain.x[0]), rtol=1e-3)
    assert_allclose(found.params["alpha"], plain.x[1:], rtol=0, atol=3e-3)
    assert len(set(found.params["beta"].values)) == 1
    assert set(found.status.values) == {"converged"}


def test_log_likelihoods_are_by_subject() -> None:
    found = beta_shared()
    again = rl.log_prob("delta", trials(), found.params).sum("trial")
    assert_allclose(found.log_lik, again, rtol=1e-12)


def test_covariances_are_those_of_the_whole_hessian() -> None:
    found = beta_shared()
    x = np.concatenate([found.params["beta"].values[:1], found.params["alpha"].values])
    steps, n = np.diag(2e-3 * x), x.size
    hessian = np.empty((n, n))
    for j, a in enumerate(steps):
        for k, b in enumerate(steps):
            terms = negative(x + a + b) - negative(x + a - b) - negative(x - a + b) + negative(x - a - b)
            hessian[j, k] = terms / (4 * a[j] * b[k])
    cov = np.linalg.inv(hessian)
    assert_allclose(found.se["beta"], np.full(4, np.sqrt(cov[0, 0])), rtol=1e-3)
    for i in range(4):
        pair = [1 + i, 0]
        assert_allclose(found.cov[i], cov[np.ix_(pair, pair)], rtol=1e-3)


def test_with_all_shared_subjects_are_fitted_as_one() -> None:
    """One subject whose state starts again where another one's would begin has the same likelihood."""
    found, table = all_shared(), rl.to_table(trials())
    table = table.assign(subject=0, trial=np.arange(430), part=table["subject"] * 1000 + table["block"])
    whole = rl.read_trials(table[["subject", "trial", "action", "reward", "part"]], reset="part")
    assert whole["reset"].sum() == 3 * 3 + 2
    alone = rl.fit_mle("delta", whole, progress=False, starts=3)
    for name in ("alpha", "beta"):
        assert_allclose(found.params[name], np.full(4, alone.params[name][0]), rtol=0, atol=1e-4)
        assert_allclose(found.se[name], np.full(4, alone.se[name][0]), rtol=1e-3)
    assert_allclose(found.totals["log_lik"], alone.log_lik[0], rtol=0, atol=1e-7)
    assert_allclose(found.totals["aic"], alone.aic[0], rtol=0, atol=1e-6)
    assert_allclose(found.totals["bic"], alone.bic[0], rtol=0, atol=1e-6)


def test_nothing_else_to_estimate_leaves_the_shared_ones() -> None:
    one = fit(shared="beta", fixed={"alpha": 0.3})
    plain = minimize(lambda x: negative(np.array([x[0], *[0.3] * 4])), [2.0], method="L-BFGS-B", bounds=[(0, 20)])
    assert_allclose(one.params["beta"], np.full(4, plain.x[0]), rtol=1e-4)
    assert list(one.se) == ["beta"]


def test_a_shared_constant_is_freed() -> None:
    found = fit(shared="q0")
    assert len(set(found.params["q0"].values)) == 1
    assert found.params["q0"][0] != 0
    assert list(found.se) == ["alpha", "q0", "beta"]
    assert found.totals["log_lik"] >= fit().totals["log_lik"] - 1e-6


def test_shared_parameters_can_be_coupled() -> None:
    pair = ("alpha_pos", "alpha_neg")
    found = fit(RATES, shared=pair, coupled=[pair])
    as_delta = fit(shared="alpha")
    assert_array_equal(found.params["alpha_pos"], found.params["alpha_neg"])
    assert_allclose(found.totals["log_lik"], as_delta.totals["log_lik"], rtol=0, atol=1e-5)
    assert found.totals["n_params"] == as_delta.totals["n_params"] == 5


def test_loops_and_scans_agree() -> None:
    scan = fit(shared="beta", backend="scan", mode="JAX", starts=1)
    assert_allclose(scan.totals["log_lik"], beta_shared().totals["log_lik"], rtol=0, atol=1e-6)
    assert_allclose(scan.se["beta"], beta_shared().se["beta"], rtol=1e-3)


def test_the_same_seed_gives_the_same_estimates() -> None:
    xr.testing.assert_identical(fit(shared="beta").params, beta_shared().params)


def test_the_order_of_subjects_does_not_matter() -> None:
    order = [2, 0, 3, 1]
    turned = rl.fit_mle("delta", trials().isel(subject=order), shared="beta", progress=False, starts=3)
    assert_allclose(turned.log_lik, beta_shared().log_lik[order], rtol=0, atol=1e-4)
    assert_allclose(turned.se["alpha"], beta_shared().se["alpha"][order], rtol=1e-2)


# ---------------------------------------------------------------- whole numbers


def test_whole_numbers_stay_everybodys_own() -> None:
    """The best of all combinations of two people's capacities, each with a rate of learning in common."""
    task = RLWM((2, 3, 4, 5, 6), presentations=4)
    held = {"stick": 0.1, "rho": 0.9, "forget": 0.1, "epsilon": 0.05, "bias_wm": 0.5, "bias_rl": 0.3}
    data = rl.simulate("rlwm", task, {**held, "alpha": 0.1, "capacity": [2, 5]}, 2, 80, 5)
    found = rl.fit_mle("rlwm", data, fixed=held, shared="alpha", starts=2, progress=False)
    rates = np.linspace(0.0, 1.0, 201)
    table = [
        [rl.log_prob("rlwm", data, {**held, "alpha": a, "capacity": k}).sum("trial").values for k in (2, 3, 4, 5)]
        for a in rates
    ]
    best = np.max(table, axis=1).sum(axis=1)  # each with the capacity that suits him at this rate
    k = int(best.argmax())
    assert best[k] - 1e-9 <= found.totals["log_lik"] <= best[k] + 0.1
    assert found.params["capacity"].values.tolist() == [2 + int(j) for j in np.argmax(table[k], axis=0)]
    assert abs(float(found.params["alpha"][0]) - rates[k]) < 0.01
    assert found.totals["n_params"] == 3


# ---------------------------------------------------------------- criteria


def test_criteria_count_shared_parameters_once() -> None:
    """Each parameter is charged for the trials that it is estimated from (LEM-24 where all is shared)."""
    n = np.array([120, 120, 120, 70])
    found = beta_shared()
    assert found.totals["n_params"] == 5
    assert found.totals["n_trials"] == 430
    assert_allclose(found.aic, 2 * 1.25 - 2 * found.log_lik)
    assert_allclose(found.bic, np.log(n) + np.log(430) / 4 - 2 * found.log_lik)
    assert_allclose(found.totals["aic"], 2 * 5 - 2 * found.log_lik.sum())
    assert_allclose(found.totals["bic"], np.log(n).sum() + np.log(430) - 2 * found.log_lik.sum())
    assert_allclose(all_shared().totals["bic"], 2 * np.log(430) - 2 * all_shared().log_lik.sum())
    alone = fit()
    assert_allclose(alone.totals["bic"], alone.bic.sum())
    assert alone.totals["n_params"] == 8


@pytest.mark.parametrize(
    ("options", "n_params"),
    [
        ({}, 6),
        ({"shared": "alpha"}, 4),
        ({"shared": ("alpha", "beta")}, 2),
        ({"fixed": {"alpha": 0.3}}, 3),
        ({"fixed": {"alpha": 0.3}, "shared": "beta"}, 1),
    ],
    ids=["none shared", "one shared", "both shared", "one fixed", "one fixed, one shared"],
)
def test_lem_23_so_many_numbers_are_estimated(options: dict[str, Any], n_params: int) -> None:
    data = trials().isel(subject=slice(0, 3), trial=slice(0, 30))
    assert rl.fit_mle("delta", data, progress=False, starts=1, **options).totals["n_params"] == n_params


# ---------------------------------------------------------------- status


def test_what_one_subject_leaves_open_is_no_matter_of_the_others() -> None:
    """The first subject chose the same for nothing: his learning rate is anybody's guess."""
    data = trials().copy(deep=True)
    data["reward"][0] = 0.0
    found = rl.fit_mle("delta", data, shared="beta", progress=False, starts=3)
    assert found.status[0] == "flat direction"
    assert found.note[0] == "alpha from 0 to 1"
    assert np.isnan(found.se["alpha"][0])
    assert set(found.status.values[1:]) == {"converged"}
    assert np.isfinite(found.se["beta"]).all()
    others = rl.fit_mle("delta", data.isel(subject=[1, 2, 3]), shared="beta", progress=False, starts=3)
    assert_allclose(found.se["beta"][1:], others.se["beta"], rtol=1e-2)
    assert_allclose(found.se["alpha"][1:], others.se["alpha"], rtol=1e-2)


def test_impossible_data_of_one_subject_name_him() -> None:
    found = fit("delta+epsilon_greedy", fixed={"alpha": 0.5, "q0": 0.0}, shared="epsilon", starts=1)
    assert np.isfinite(found.log_lik).all()
    impossible = fit("delta+epsilon_greedy", fixed={"alpha": 0.5, "epsilon": 0.0}, shared="q0", starts=1)
    assert set(impossible.status.values) == {"failed"}
    assert "impossible" in impossible.note.values[0]


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"shared": ["bta"]}, ("'bta'", "shared", "Did you mean 'beta'?")),
        ({"shared": "beta", "fixed": {"beta": 1.0}}, ("'beta'", "fixed", "choose one")),
        (
            {"model": RATES, "shared": "alpha_neg", "coupled": [("alpha_pos", "alpha_neg")]},
            ("'alpha_pos'", "'alpha_neg'", "share both"),
        ),
        ({"shared": "beta", "method": "dual_annealing"}, ("'dual_annealing'", "local method")),
    ],
    ids=["unknown", "fixed", "half a couple", "a global method"],
)
def test_what_cannot_be_shared_is_named(options: dict[str, Any], parts: tuple[str, ...]) -> None:
    message = refused(**options)
    for part in parts:
        assert part in message


# ---------------------------------------------------------------- the law of what a fit gains


@pytest.mark.slow
def test_gains_of_fits_of_a_q_learner_follow_their_law() -> None:
    """Half a chi2: of 3 numbers over the truth, and of 30 free start values; one data set is in tests/golden/mle.py."""
    gains = np.array([increments("right", seed) for seed in range(10, 18)])
    for gain, n in zip(gains.T, (3, 30), strict=True):
        assert (gain > 0).all()
        assert abs(gain.mean() - n / 2) < 3 * np.sqrt(n / 2 / len(gains))  # a half chi2 has variance n / 2
