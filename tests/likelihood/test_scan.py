"""The scan gives the same values and gradients in every mode in which it compiles."""

import numpy as np
import pytest
import xarray as xr

import rlpymc as rl
from rlpymc.validation.examples import random_params, random_trials

NAMES = ("counterfactual", "delta(rates=sign, forgetting=True)+choice_kernel+lapse")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["NUMBA", "JAX"])
def test_modes_agree(name, mode):
    model = rl.get_model(name)
    trials = random_trials(model)
    params = random_params(model, trials)
    wanted, slopes = rl.log_prob(model, trials, params, gradient=True)
    found, found_slopes = rl.log_prob(model, trials, params, gradient=True, mode=mode)
    scale = 1 + np.abs(wanted.values).sum(axis=1, keepdims=True)
    assert (np.abs(found.values - wanted.values) <= 1e-9 * scale).all()
    for key in slopes:
        assert (np.abs(found_slopes[key].values - slopes[key].values) <= 1e-9 * scale[:, 0]).all()


def test_gradient_by_trial_sums_to_the_gradient_by_subject():
    model = rl.get_model("delta")
    trials = random_trials(model)
    params = random_params(model, trials)
    by_trial = xr.DataArray(np.tile(params["alpha"][:, None], trials.sizes["trial"]), dims=("subject", "trial"))
    value, slopes = rl.log_prob(model, trials, params, gradient=True)
    same, finer = rl.log_prob(model, trials, {**params, "alpha": by_trial}, gradient=True)
    np.testing.assert_allclose(same, value, atol=1e-12)
    assert finer["alpha"].dims == ("subject", "trial")
    np.testing.assert_allclose(finer["alpha"].sum("trial"), slopes["alpha"], atol=1e-10)


def test_extreme_parameters_are_finite_or_minus_infinity():
    model = rl.get_model("delta+lapse")
    trials = rl.simulate(
        model, rl.tasks.Bandit(means=(0, 1e4), sd=1e3), {"alpha": 0.5, "beta": 1, "lapse": 0.1}, 2, 300, 1
    )
    for beta in (0.0, 1e-300, 1e3):
        for lapse in (0.0, 1.0):
            value, slopes = rl.log_prob(model, trials, {"alpha": 0.5, "beta": beta, "lapse": lapse}, gradient=True)
            assert not np.isnan(value).any()
            assert all(np.isfinite(slopes[name]).all() for name in slopes)


def test_latents_are_the_values_before_each_trial_and_after_the_last():
    trials = rl.simulate(
        "delta", rl.tasks.Bandit(probs=(0.2, 0.8), block_length=5), {"alpha": 0.5, "beta": 3}, 2, 12, 3
    )
    found = rl.latents("delta", trials, {"alpha": 0.5, "beta": 3})
    for i in range(2):
        q = np.zeros(2)
        for t in range(12):
            q = np.zeros(2) if t % 5 == 0 else q
            np.testing.assert_allclose(found["q"].values[i, t], q, atol=1e-12)
            action, reward = trials["action"].values[i, t], trials["reward"].values[i, t]
            np.testing.assert_allclose(found["prediction_error"].values[i, t], reward - q[action], atol=1e-12)
            q[action] += 0.5 * (reward - q[action])
        np.testing.assert_allclose(found["q_final"].values[i], q, atol=1e-12)
