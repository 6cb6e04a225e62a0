"""Simulated behaviour: repeatable, with the probabilities that the likelihood gives, in tasks that do what they say."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.tasks import Bandit

PARAMS = {"alpha": 0.3, "beta": 2.0}


def simulate(task: Any = None, model: str = "delta", n_trials: int = 10, seed: Any = 1, **params: Any) -> xr.Dataset:
    return rl.simulate(model, task or Bandit([0.2, 0.8]), params or PARAMS, 3, n_trials, seed)


def refused(*args: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the tests look at the message)
        simulate(*args, **options)
    return str(info.value)


def no_bandit(*args: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the tests look at the message)
        Bandit(*args, **options)
    return str(info.value)


def assert_says(text: str, *parts: str) -> None:
    for part in parts:
        assert part in text


def assert_near(sample: np.ndarray, mean: float, sd: float) -> None:
    """A sample's mean lies within four standard errors."""
    assert abs(sample.mean() - mean) < 4 * sd / np.sqrt(sample.size)


# ---------------------------------------------------------------- promises


def test_the_same_seed_gives_the_same_trials() -> None:
    xr.testing.assert_identical(simulate(), simulate())
    xr.testing.assert_identical(simulate(), simulate(seed=np.random.default_rng(1)))
    assert not simulate().equals(simulate(seed=2))


@pytest.mark.parametrize("model", ["delta", "delta+stickiness+lapse", "wsls"])
def test_the_log_probability_is_that_of_the_likelihood(model: str) -> None:
    params = {"delta": PARAMS, "wsls": {"epsilon": 0.2}}.get(model, {**PARAMS, "stickiness": 0.7, "lapse": 0.1})
    trials = simulate(Bandit([0.2, 0.5, 0.8], on_offer=2, block_length=4), model, **params)
    found = rl.log_prob(model, trials, params, mode="FAST_COMPILE")
    assert_allclose(trials["log_prob"], found, rtol=1e-12)
    assert (trials["log_prob"] < 0).any()


def test_a_simulation_is_trials_and_a_table_and_trials_again() -> None:
    trials = simulate(Bandit([0.2, 0.5, 0.8], on_offer=2, block_length=4))
    again = rl.read_trials(rl.to_table(trials))
    for name in ("action", "reward", "available", "block", "exists", "scored", "learned", "reset"):
        assert_array_equal(again[name].values, trials[name].values)


def test_true_parameters_are_kept() -> None:
    trials = simulate(alpha=[0.1, 0.2, 0.3], beta=2.0)
    assert trials["true_alpha"].values.tolist() == [0.1, 0.2, 0.3]
    assert trials["true_beta"].values.tolist() == [2, 2, 2]
    by_trial = xr.DataArray(np.linspace(0, 1, 10), dims="trial")
    assert simulate(alpha=by_trial, beta=2.0)["true_alpha"].dims == ("subject", "trial")


def test_the_masks_of_a_simulation() -> None:
    trials = simulate(Bandit([0.2, 0.8], block_length=4))
    assert trials["reset"].values.tolist() == [[k % 4 == 0 for k in range(10)]] * 3
    assert trials["block"].values[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert all(trials[mask].values.all() for mask in ("exists", "scored", "learned"))


def test_a_parameter_by_block_of_the_task() -> None:
    value = xr.DataArray([0.1, 0.9, 0.5], dims="block", coords={"block": [0, 1, 2]})
    trials = simulate(Bandit([0.2, 0.8], block_length=4), alpha=value, beta=2.0)
    assert trials["true_alpha"].values[0].tolist() == [0.1] * 4 + [0.9] * 4 + [0.5] * 2


# ---------------------------------------------------------------- the bandit


def rewards(task: Bandit, arm: int, n: int = 20_000) -> np.ndarray:
    rng = np.random.default_rng(1)
    return task.outcome(0, {"action": np.full(n, arm)}, rng)["reward"]


@pytest.mark.parametrize("arm", [0, 1])
def test_binary_rewards_are_as_frequent_as_they_should_be(arm: int) -> None:
    found = rewards(Bandit([0.2, 0.75]), arm)
    assert set(found) == {0.0, 1.0}
    p = [0.2, 0.75][arm]
    assert_near(found, p, np.sqrt(p * (1 - p)))


@pytest.mark.parametrize("arm", [0, 1])
def test_gaussian_rewards_have_their_mean_and_sd(arm: int) -> None:
    found = rewards(Bandit(means=[-1.0, 2.0], sd=3.0), arm)
    assert_near(found, [-1.0, 2.0][arm], 3.0)
    assert abs(found.std() - 3) < 4 * 3 / np.sqrt(2 * found.size)


def test_choices_are_as_frequent_as_their_probabilities() -> None:
    trials = rl.simulate("biased_random", Bandit([0.5] * 3), {"bias": [1.0, -0.5]}, 3000, 3, 1)
    p = np.exp([0, 1.0, -0.5]) / np.exp([0, 1.0, -0.5]).sum()
    for k in range(3):
        assert_near(trials["action"].values == k, p[k], np.sqrt(p[k] * (1 - p[k])))


def test_only_what_is_on_offer_is_chosen_and_every_pair_is_offered() -> None:
    trials = simulate(Bandit([0.2, 0.5, 0.8], on_offer=2), n_trials=100)
    offered = trials["available"].values
    assert (offered.sum(axis=2) == 2).all()
    assert np.take_along_axis(offered, trials["action"].values[..., None], axis=2).all()
    assert len(np.unique(offered.reshape(-1, 3), axis=0)) == 3


def test_full_feedback_shows_the_other_option_s_reward() -> None:
    task = Bandit(means=[0.0, 10.0, 20.0], sd=0.0, feedback="full", on_offer=2)
    params = {"alpha": 0.3, "alpha_other": 0.2, "beta": 0.1}
    trials = simulate(task, "counterfactual", n_trials=50, **params)
    index = np.arange(3)
    other = (trials["available"].values & (index != trials["action"].values[..., None])).argmax(axis=2)
    assert_array_equal(trials["reward"], trials["action"].values * 10.0)
    assert_array_equal(trials["reward_other"], other * 10.0)


def test_levels_may_drift() -> None:
    levels = np.zeros((10, 2))
    levels[5:] = 1.0
    assert simulate(Bandit(levels))["reward"].values.tolist() == [[0.0] * 5 + [1.0] * 5] * 3
    assert_says(refused(Bandit(levels), n_trials=11), "10 trials", "trial 10")


def test_values_start_again_with_a_block() -> None:
    trials = simulate(Bandit([0.0, 1.0], block_length=4), alpha=1.0, beta=50.0)
    assert_allclose(trials["log_prob"][:, ::4], np.log(0.5))


# ---------------------------------------------------------------- what does not fit


def test_wrong_parameters_are_refused() -> None:
    assert_says(refused(alpha=0.3), "needs a value for beta")
    assert_says(refused(alpha=0.3, bta=1.0), "'bta'", "Did you mean 'beta'?")
    assert_says(refused(alpha=1.3, beta=1.0), "'alpha'", "1.3", "unit")
    assert_says(refused(alpha=[0.1, 0.2], beta=1.0), "'alpha'", "(2,)", "(3,) by subject")


def test_a_task_that_lacks_what_the_model_reads_is_refused() -> None:
    text = refused(model="counterfactual", alpha=0.3, alpha_other=0.2, beta=1.0)
    assert_says(text, "counterfactual reads 'reward_other'", "does not give")


@pytest.mark.parametrize(("subjects", "n_trials"), [(0, 5), (3, 0)])
def test_somebody_has_to_do_something(subjects: int, n_trials: int) -> None:
    with pytest.raises(ValueError, match="at least one of each"):
        rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, subjects, n_trials)


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(TypeError, match="task"):
        rl.simulate("delta", "bandit", PARAMS, 2, 2)  # type: ignore[arg-type]


def test_a_bandit_that_cannot_be_is_refused() -> None:
    assert_says(no_bandit(), "probs or means")
    assert_says(no_bandit([0.1, 0.9], means=[0, 1]), "probs or means")
    assert_says(no_bandit([0.2, 1.8]), "probs", "[0, 1]")
    assert_says(no_bandit(means=[0.0, np.inf]), "finite")
    assert_says(no_bandit(means=[0.0, 1.0], sd=-1.0), "sd")
    assert_says(no_bandit([0.5]), "1 actions", "at least 2")
    assert_says(no_bandit([0.5, 0.5], on_offer=3), "on_offer=3")
    assert_says(no_bandit([0.5, 0.5], feedback="all"), "'all'", "'full'")
    assert_says(no_bandit([0.1, 0.2, 0.3], feedback="full"), "on_offer=2")


@pytest.mark.parametrize(
    "options",
    [{"block_length": 0}, {"block_length": -2}, {"block_length": 2.5}, {"on_offer": 0}, {"sd": np.nan}],
    ids=str,
)
def test_settings_of_a_bandit_that_make_no_sense_are_named(options: dict[str, Any]) -> None:
    assert_says(no_bandit(means=[0.5, 0.5], **options), next(iter(options)))


def test_levels_of_three_dimensions_are_refused() -> None:
    assert_says(no_bandit(np.full((2, 5, 2), 0.5)), "(n_trials, n_actions)")
