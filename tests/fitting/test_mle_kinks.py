"""Sharp maxima, where the gradient of the likelihood jumps, and flat ones, along which the likelihood hardly falls."""

from functools import cache

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import expit

import rlpymc as rl
from rlpymc.tasks import Bandit, DriftingBandit

MODEL = "delta(rates=sign)"
NAMES = ("alpha_pos", "alpha_neg", "beta")
FALL = 1.9207  # half the quantile of chi2(1) at 95 %
LIMITS = pytest.mark.parametrize(
    "limited", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["limits", "no limits"]
)


@cache
def trials(limited: bool) -> xr.Dataset:
    """Return sixty subjects of 200 trials, with rewards that are multiples of 0.1."""
    limits = {} if limited else {"limits": None}
    task = DriftingBandit(4, decay=0.98, center=0, sd_drift=0.2, sd=0.5, round_to=0.1, **limits)
    return rl.simulate(MODEL, task, {"alpha_pos": 0.5, "alpha_neg": 0.2, "beta": 3.0}, 60, 200, 1)


@cache
def fit(limited: bool) -> rl.MLE:
    return rl.fit_mle(MODEL, trials(limited), progress=False)


def kinked(limited: bool) -> np.ndarray:
    return np.flatnonzero(fit(limited).status == "at a kink")


@cache
def smooth_trials() -> xr.Dataset:
    return rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), {"alpha": 0.3, "beta": 2.5}, 3, 80, 1)


# ---------------------------------------------------------------- kinks


@LIMITS
def test_a_sharp_maximum_is_neither_flat_nor_a_failure(limited: bool) -> None:
    assert set(fit(limited).status.values) <= {"converged", "at a bound", "at a kink"}
    assert len(kinked(limited))


@pytest.mark.slow
@LIMITS
def test_no_point_around_a_kink_is_better(limited: bool) -> None:
    rng, found = np.random.default_rng(1), fit(limited)
    for i in kinked(limited)[:5]:
        one = trials(limited).isel(subject=[i])

        def value(x: np.ndarray, one: xr.Dataset = one) -> float:
            return -float(rl.log_prob(MODEL, one, dict(zip(NAMES, x, strict=True))).sum())

        x = np.array([float(found.params[name][i]) for name in NAMES])
        for size in (1e-1, 1e-3):
            simplex = np.clip(np.vstack([x, x + size * rng.normal(size=(3, 3))]), 0, [1, 1, np.inf])
            bounds, options = [(0, 1), (0, 1), (0, None)], {"initial_simplex": simplex, "xatol": 1e-9, "fatol": 1e-10}
            other = minimize(value, x, method="Nelder-Mead", bounds=bounds, options=options)
            assert -other.fun <= float(found.log_lik[i]) + 1e-6


@LIMITS
@pytest.mark.parametrize("name", NAMES)
def test_at_the_ends_of_an_interval_the_profile_has_fallen_as_far_as_it_should(limited: bool, name: str) -> None:
    found, people = fit(limited), kinked(limited)
    data, interval = trials(limited).isel(subject=people), found.interval[name][people]
    for bound in ("lower", "upper"):
        end = interval.sel(bound=bound)
        fall = found.log_lik[people] - rl.fit_mle(MODEL, data, fixed={name: end}, progress=False).log_lik
        at_bound = (end == 0) | ((end == 1) & (name != "beta"))
        assert_allclose(fall.values[~at_bound], FALL, rtol=0, atol=1e-2)
        assert (fall.values[at_bound] < FALL + 1e-2).all()
    estimate = found.params[name][people]
    assert ((interval.sel(bound="lower") < estimate) & (estimate <= interval.sel(bound="upper"))).all()


def test_an_interval_takes_the_place_of_standard_errors_at_kinks_alone() -> None:
    found = fit(False)
    sharp = found.status == "at a kink"
    for name in NAMES:
        assert_array_equal(found.interval[name].notnull().all("bound"), sharp)
        assert found.se[name].where(sharp, drop=True).isnull().all()
        assert found.se[name].where(found.status == "converged", drop=True).notnull().all()
    table = found.to_dataframe()
    assert_array_equal(table["beta_lower"], found.interval["beta"].sel(bound="lower"))
    assert_array_equal(table["beta_upper"], found.interval["beta"].sel(bound="upper"))
    assert found.note.where(sharp, drop=True).str.contains("alpha").all()


def test_smooth_maxima_have_no_kink() -> None:
    found = rl.fit_mle("delta", smooth_trials(), progress=False, starts=2)
    assert set(found.status.values) == {"converged"}
    assert found.interval.isnull().all().to_array().all()
    assert "alpha_lower" not in found.to_dataframe()


@pytest.mark.parametrize("shared", [("beta",), ("alpha_pos",), NAMES], ids=["beta", "alpha_pos", "all"])
def test_kinks_where_parameters_are_shared(shared: tuple[str, ...]) -> None:
    data = trials(False).isel(subject=slice(0, 8))
    found = rl.fit_mle(MODEL, data, shared=shared, progress=False, starts=3)
    assert set(found.status.values) <= {"converged", "at a kink"}
    sharp = np.flatnonzero(found.status == "at a kink")
    assert sharp.size, "the data of this test should put somebody at a kink"
    for name in NAMES:
        interval = found.interval[name].isel(subject=sharp[0])
        if interval.isnull().any():
            assert np.isfinite(found.se[name][sharp[0]])
        elif name in shared:
            others = [other for other in shared if other != name]
            for end in interval.values[(interval.values > 0) & ((interval.values < 1) | (name == "beta"))]:
                options = {"shared": others, "fixed": {name: end}, "progress": False, "starts": 3}
                fall = found.totals["log_lik"] - rl.fit_mle(MODEL, data, **options).totals["log_lik"]
                assert_allclose(fall, FALL, rtol=0, atol=1e-2)


@LIMITS
def test_kinks_of_modes_without_a_group(limited: bool) -> None:
    found = rl.fit_em(MODEL, trials(limited), prior="flat", progress=False)
    at_bound = found.params["alpha_pos"] > 0.999
    assert (found.status == "at a kink").any()
    assert set(found.status.values[~at_bound]) <= {"converged", "at a kink"}


# ---------------------------------------------------------------- flat directions


def test_what_choices_do_not_depend_on_is_flat_over_the_interval_shown() -> None:
    data = smooth_trials()
    found = rl.fit_mle("delta", data, fixed={"beta": 0.0}, progress=False)
    assert set(found.status.values) == {"flat direction"}
    assert set(found.note.values) == {"alpha from 0 to 1"}
    assert_array_equal(found.interval["alpha"], [[0.0, 1.0]] * 3)


def test_along_a_flat_direction_the_profile_falls_by_less_than_it_may() -> None:
    data = smooth_trials().copy(deep=True)
    data["reward"][0] = 0.0
    data["action"][0] = 0
    found = rl.fit_mle("delta", data, progress=False)
    assert found.status.values.tolist() == ["flat direction", "converged", "converged"]
    low, high = found.interval["alpha"].values[0]
    for alpha in np.linspace(low, high, 5):
        again = rl.fit_mle("delta", data.isel(subject=[0]), fixed={"alpha": alpha}, progress=False)
        assert float(found.log_lik[0] - again.log_lik[0]) < 0.05


def test_a_rate_that_rises_without_end_is_flat_from_somewhere_on() -> None:
    data = smooth_trials().isel(subject=[0], trial=slice(0, 30))
    data = data.assign(action=data["action"] * 0, reward=data["reward"] * 0 + 1.0)
    found = rl.fit_mle("delta", data, progress=False)
    assert found.status[0] == "flat direction"
    start = float(str(found.note[0].item()).split("beta from ")[1].split(" to inf")[0])
    for beta, falls in ((start * 1.01, False), (start * 10, False), (start * 0.9, True)):
        again = rl.fit_mle("delta", data, fixed={"beta": beta}, progress=False)
        assert (float(found.log_lik[0] - again.log_lik[0]) > 0.05) == falls


def test_a_ridge_far_out_is_no_kink() -> None:
    """Ever slower learning with ever larger beta: the likelihood is smooth, on the scale of the small learning rate."""
    rng = np.random.default_rng(3)
    alpha, beta = expit(rng.normal(-1, 0.8, 20)), np.exp(rng.normal(1.3, 0.5, 20))
    data = rl.simulate("delta", Bandit((0.3, 0.7)), {"alpha": alpha, "beta": beta}, 20, 100, 4).isel(subject=[6, 15])
    found = rl.fit_mle("delta", data, progress=False)
    assert set(found.status.values) == {"flat direction"}
    assert found.note.str.contains("beta from .* to inf").all()


def test_a_plateau_with_an_edge_is_not_flat() -> None:
    found = rl.fit_mle("delta+epsilon_greedy", smooth_trials(), progress=False, starts=4)
    assert "flat direction" not in found.status.values
    level = found.note.str.contains("on a plateau: alpha")
    assert level.any()
    interval = found.interval["alpha"].where(level, drop=True)
    assert ((interval.sel(bound="lower") > 0) | (interval.sel(bound="upper") < 1)).any()
