"""Bounds of estimates: the best within them, and what is no bound is refused."""

from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

import rlpymc as rl
from rlpymc.tasks import Bandit
from tests.helpers.messages import assert_says, refusal

P = {"alpha": 0.4, "beta": 2.5}


@cache
def trials() -> xr.Dataset:
    return rl.simulate("delta", Bandit([0.25, 0.75], block_length=40), P, 4, 120, 1)


def fit(model: str = "delta", **options: Any) -> rl.MLE:
    return rl.fit_mle(model, trials(), progress=False, **options)


refused = partial(refusal, fit)


def test_bounds_that_hold_anyway_change_nothing() -> None:
    assert_allclose(fit(bounds={"beta": (0, 30)}).log_lik, fit().log_lik, rtol=1e-9)


def test_the_best_within_bounds_is_found() -> None:
    limit = float(fit().params["beta"].min()) / 2
    found = fit(bounds={"beta": (0, limit)})
    assert_allclose(found.params["beta"], limit)
    assert (found.status == "at a bound").all()
    assert found.se["beta"].isnull().all()
    for i in range(4):
        one = trials().isel(subject=[i])
        best = minimize_scalar(
            lambda a, one=one: -float(rl.log_prob("delta", one, {"alpha": a, "beta": limit}).sum()), bounds=(0, 1)
        )
        assert_allclose(found.log_lik[i], -best.fun, atol=1e-6)


@pytest.mark.parametrize("options", [{"shared": "beta"}, {"priors": True}, {"l2": 0.1}, {"method": "Nelder-Mead"}])
def test_bounds_hold_with_every_option(options: dict[str, Any]) -> None:
    found = fit(bounds={"beta": (4.0, 5.0), "alpha": (0.05, 0.06)}, **options)
    for name, (low, high) in {"beta": (4.0, 5.0), "alpha": (0.05, 0.06)}.items():
        assert ((found.params[name] >= low) & (found.params[name] <= high)).all()


def test_bounds_of_what_is_coupled() -> None:
    found = fit("delta(rates=sign)", coupled=[("alpha_pos", "alpha_neg")], bounds={"alpha_pos": (0.0, 0.1)})
    assert (found.params["alpha_pos"] <= 0.1).all()
    assert_allclose(found.params["alpha_neg"], found.params["alpha_pos"])


@pytest.mark.parametrize(
    ("bounds", "parts"),
    [
        ({"bta": (0, 1)}, ("'bta'", "Did you mean 'beta'?")),
        ({"q0": (0, 1)}, ("'q0'", "alpha, beta")),
        ({"beta": (3, 1)}, ("bounds['beta']", "(3, 1)", "below the upper one")),
        ({"alpha": (0.2, 1.5)}, ("bounds['alpha']", "(0.2, 1.5)", "0 to 1")),
        ({"beta": (2, 2)}, ("bounds['beta']", "fixed={'beta': ...}")),
        ({"beta": 30}, ("bounds['beta']", "found 30", "(0, 30)")),
        ({"beta": (0, np.nan)}, ("bounds['beta']", "nan")),
        ({"beta": ("a", "b")}, ("bounds['beta']", "('a', 'b')")),
    ],
)
def test_what_is_no_bound_is_refused(bounds: Any, parts: tuple[str, ...]) -> None:
    assert_says(refused(bounds=bounds), *parts)


def test_bounds_that_are_no_mapping_are_refused() -> None:
    assert_says(refused(bounds=[(0, 1)], error=TypeError), "bounds: found [(0, 1)]", "{'beta': (0, 30)}")
