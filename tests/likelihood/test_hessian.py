"""Second derivatives: exact ones through the scan, differences of the loop's gradient, and of log likelihoods alone."""

from functools import cache, partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.tasks import Bandit, RandomMDP
from tests.helpers.messages import refusal

LAPSING = "delta+stickiness+lapse"
VALUES = {"alpha": [0.3, 0.4, 0.25], "stickiness": 0.3, "beta": 2.0, "lapse": [0.1, 0.05, 0.2]}


@cache
def trials() -> xr.Dataset:
    """Return three subjects of 60 trials in blocks of 20."""
    return rl.simulate(LAPSING, Bandit([0.25, 0.75], block_length=20), VALUES, 3, 60, 1)


@cache
def found(backend: str) -> xr.DataArray:
    return rl.hessian(LAPSING, trials(), VALUES, backend=backend)


def by_log_lik(model: str, data: xr.Dataset, params: dict[str, Any], names: list[str], h: float = 1e-3) -> np.ndarray:
    """Return the Hessians by differences of log likelihoods, in parameters that are numbers."""
    x = np.stack([np.broadcast_to(params[name], len(data["subject"])).astype(float) for name in names], axis=1)

    def value(step: np.ndarray) -> np.ndarray:
        return rl.log_prob(model, data, {**params, **dict(zip(names, (x + step).T, strict=True))}).sum("trial").values

    steps = h * np.eye(len(names))
    return np.moveaxis(
        np.array(
            [[(value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / (4 * h * h) for a in steps] for b in steps]
        ),
        2,
        0,
    )


refused = partial(refusal, rl.hessian)


def test_exact_derivatives_and_differences_of_the_gradient_agree() -> None:
    assert found("fused").dims == ("subject", "estimate", "estimate_")
    assert found("fused")["estimate"].values.tolist() == ["alpha", "beta", "stickiness", "lapse"]
    assert_allclose(found("fused"), found("scan"), rtol=1e-4, atol=1e-6)


def test_they_are_those_of_the_log_likelihood() -> None:
    names = found("scan")["estimate"].values.tolist()
    assert_allclose(found("scan"), by_log_lik(LAPSING, trials(), VALUES, names), rtol=1e-3, atol=1e-2)


def test_a_hessian_is_symmetric_and_each_subjects_own() -> None:
    assert_allclose(found("scan"), found("scan").transpose("subject", "estimate_", "estimate"), rtol=1e-9, atol=1e-9)
    one = {k: v[1] if isinstance(v, list) else v for k, v in VALUES.items()}
    assert_allclose(rl.hessian(LAPSING, trials().isel(subject=[1]), one)[0], found("fused")[1], rtol=1e-7, atol=1e-7)


def test_differences_stay_within_the_support() -> None:
    """Beyond a lapse of 0 or 1, or a rate of 1, there is no likelihood to be had, or another one."""
    edge = {**VALUES, "alpha": [1.0, 0.0, 0.3], "lapse": [0.0, 0.5, 1.0]}
    model = rl.get_model(LAPSING)
    inside = {**edge, "alpha": [0.999, 0.001, 0.3], "lapse": [0.001, 0.5, 0.999]}
    at_edge, near = rl.hessian(model, trials(), edge), rl.hessian(model, trials(), inside)
    assert np.isfinite(at_edge).all()
    assert_allclose(at_edge, near, rtol=0.1, atol=1.0)


def test_constants_count_when_they_are_freed_and_entries_of_a_table_have_labels() -> None:
    values = {"alpha": 0.2, "beta": 2.0, "gamma": 0.8}
    data = rl.simulate("q_mdp", RandomMDP(3, 2), values, 2, 40, 1)
    q0 = np.random.default_rng(1).normal(size=(3, 2))
    plain, freed = (
        rl.hessian("q_mdp", data, {**values, "q0": q0}),
        rl.hessian("q_mdp", data, {**values, "q0": q0}, free="q0"),
    )
    assert plain["estimate"].values.tolist() == ["alpha", "gamma", "beta"]
    table = [f"q0[{s},{a}]" for s in range(3) for a in range(2)]
    assert freed["estimate"].values.tolist() == ["alpha", "gamma", *table, "beta"]
    both = ["alpha", "gamma", "beta"]
    assert_allclose(freed.sel(estimate=both, estimate_=both), plain, rtol=1e-6, atol=1e-6)
    step = np.zeros((3, 2))
    step[1, 0] = 1e-4
    slopes = [rl.log_prob("q_mdp", data, {**values, "q0": q0 + s * step}, gradient=True)[1]["q0"] for s in (1, -1)]
    wanted = (slopes[0] - slopes[1]).values.reshape(2, -1) / 2e-4
    assert_allclose(freed.sel(estimate="q0[1,0]", estimate_=table), wanted, rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_is_named() -> None:
    by_trial = xr.DataArray(np.full((3, 60), 0.3), dims=("subject", "trial"))
    message = refused(LAPSING, trials(), {**VALUES, "alpha": by_trial})
    assert "'alpha'" in message
    assert "varies by trial" in message
    message = refused(LAPSING, trials(), VALUES, free=["q"])
    assert "'q'" in message
    assert "q0" in message
    assert "fused" in refused(LAPSING, trials(), VALUES, backend="scam")


def test_a_hessian_of_choices_that_tell_nothing_is_zero() -> None:
    data = rl.simulate("delta", Bandit([0.5, 0.5]), {"alpha": 0.3, "beta": 1.0}, 2, 10, 1)
    data = data.assign(reward=data["reward"] * 0)
    assert_array_equal(rl.hessian("delta", data, {"alpha": 0.3, "beta": 0.0}), np.zeros((2, 2, 2)))
