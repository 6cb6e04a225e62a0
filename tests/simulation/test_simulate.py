"""Simulated behaviour: repeatable, with the probabilities that the likelihood gives, in tasks that do what they say."""

import functools
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import rlpymc as rl
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.tasks import RLWM, Bandit, Chain, Choices, Prediction, RandomMDP, Task, TwoStep
from rlpymc.trials.model_data import data_for
from rlpymc.validation.examples import random_params, random_trials
from tests.helpers.messages import assert_says, refusal

PARAMS = {"alpha": 0.3, "beta": 2.0}


def simulate(task: Any = None, model: str = "delta", n_trials: int = 10, seed: Any = 1, **params: Any) -> xr.Dataset:
    return rl.simulate(model, task or Bandit([0.2, 0.8]), params or PARAMS, 3, n_trials, seed)


refused = partial(refusal, simulate)


def no_bandit(*args: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the tests look at the message)
        Bandit(*args, **options)
    return str(info.value)


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
    world = task.begin(n, 1, rng)
    return task.outcome(world, 0, "action", {"action": np.full(n, arm)}, rng)["reward"]


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


# ---------------------------------------------------------------- subjects who stop


STICKY = {"alpha": 0.6, "beta": 2.0, "stickiness": 0.8}
TWO_STEP = {"alpha1": 0.5, "alpha2": 0.6, "beta1": 3.0, "beta2": 2.0, "lam": 0.4, "w": 0.5, "stickiness": 0.3}
MEMORY = {"alpha": 0.2, "stick": 0.1, "rho": 0.8, "forget": 0.2, "epsilon": 0.05, "bias_wm": 0.3, "bias_rl": 0.3}
PLANNING = {"alpha": 0.3, "gamma": 0.8, "beta": 2.0}


def ends(t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
    """Subject 0 goes on to the end, subject 1 stops after trial 2, subject 2 after trial 5."""
    return np.array([False, t == 2, t >= 5])


def test_subjects_stop_one_by_one_and_are_padded_from_there() -> None:
    trials = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 8, 1, stop=ends)
    exists = np.arange(8) < np.array([8, 3, 6])[:, None]
    for mask in ("exists", "scored", "learned"):
        assert_array_equal(trials[mask], exists)
    assert (trials["action"].values[~exists] == -1).all()
    assert np.isnan(trials["reward"].values[~exists]).all()
    assert (trials["action"].values[exists] >= 0).all()
    assert np.isfinite(trials["reward"].values[exists]).all()


def test_those_who_go_on_do_not_notice_that_others_stop() -> None:
    alone = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 8, 1)
    trials = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 8, 1, stop=ends)
    exists = trials["exists"].values
    for name in ("action", "reward", "log_prob"):
        assert_array_equal(trials[name].values[exists], alone[name].values[exists])


def test_what_was_simulated_with_stops_has_the_likelihood_s_log_probability_and_is_a_table() -> None:
    trials = rl.simulate("two_step_hybrid", TwoStep(), TWO_STEP, 3, 8, 1, stop=ends)
    found = rl.log_prob("two_step_hybrid", trials, TWO_STEP)
    assert_allclose(trials["log_prob"].values[trials["exists"].values], found.values[trials["exists"].values])
    assert (found.values[~trials["exists"].values] == 0).all()
    assert (found.values[trials["exists"].values] < 0).all()
    again = rl.read_trials(rl.to_table(trials))
    for name in ("action1", "action2", "reward", "exists", "scored", "learned", "reset"):
        assert_array_equal(again[name], trials[name])


def test_when_all_have_stopped_the_simulation_is_over() -> None:
    calls = []

    def stop(t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        calls.append((t, sorted(x)))
        return np.full(3, t == 3)

    trials = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 8, 1, stop=stop)
    assert trials.sizes["trial"] == 4
    assert trials["exists"].values.all()
    assert calls == [(t, ["action", "reward"]) for t in range(4)]


def test_who_has_stopped_does_not_start_again() -> None:
    trials = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 2, 6, 1, stop=lambda t, x: np.array([t == 1, False]))
    assert trials["exists"].values[0].tolist() == [True, True, False, False, False, False]


def test_stopping_follows_what_happened() -> None:
    trials = rl.simulate(
        "delta", Bandit([0.5, 0.5]), PARAMS, 20, 30, 1, stop=lambda t, x: np.asarray(x["reward"] == 1.0)
    )
    last = trials["exists"].values.sum(axis=1) - 1
    rewards_, rows = trials["reward"].values, np.arange(20)
    assert len(set(last)) > 2
    assert (rewards_[rows, last] == 1).all()
    assert np.nansum(rewards_) == 20


@pytest.mark.parametrize(
    ("answer", "found"),
    [([True, False], "bool (2,)"), ([1, 0, 0], "int64 (3,)"), (True, "bool ()"), (None, "object ()")],
    ids=str,
)
def test_an_answer_to_stop_that_is_no_boolean_for_each_subject_is_refused(answer: Any, found: str) -> None:
    with pytest.raises(ValueError, match="stop") as info:
        rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 5, 1, stop=lambda t, x: answer)
    assert_says(str(info.value), found, "boolean for each of 3 subjects")


def test_parameters_by_trial_where_all_stop_early() -> None:
    alpha = xr.DataArray(np.linspace(0, 1, 8), dims="trial")
    trials = rl.simulate(
        "delta", Bandit([0.2, 0.8]), {"alpha": alpha, "beta": 2.0}, 3, 8, 1, stop=lambda t, x: np.full(3, t == 3)
    )
    assert trials.sizes["trial"] == 4
    assert_allclose(trials["true_alpha"].values[0], alpha.values[:4])
    assert_allclose(trials["log_prob"], rl.log_prob("delta", trials, {"alpha": alpha[:4], "beta": 2.0}))


# ---------------------------------------------------------------- first rows


def test_states_go_on_from_given_rows() -> None:
    before = rl.simulate("delta+stickiness", Bandit([0.2, 0.8]), STICKY, 3, 6, 1, latents=True)
    whole = rl.simulate("delta+stickiness", Bandit([0.2, 0.8]), STICKY, 3, 5, 2, first_rows=before, latents=True)
    assert whole.sizes["trial"] == 11
    for name in ("action", "reward", "scored", "learned", "reset", "q", "last", "action_probs", "log_prob"):
        assert_array_equal(whole[name].values[:, :6], before[name].values)
    for state in ("q", "last"):
        assert_array_equal(whole[state].values[:, 6], before[f"{state}_final"].values)
    assert not whole["reset"].values[:, 6:].any()
    assert_allclose(whole["log_prob"], rl.log_prob("delta+stickiness", whole, STICKY), rtol=1e-12)


def test_choices_after_given_rows_come_from_what_was_learned_in_them() -> None:
    """With alpha = 1 and a large beta the simulator itself has to know the last reward of each action."""
    table = pd.DataFrame({"subject": ["a"] * 2 + ["b"] * 2, "action": [0, 1, 0, 1], "reward": [1.0, 0.0, 0.0, 1.0]})
    first = rl.read_trials(table)
    params = {"alpha": 1.0, "beta": 500.0}
    trials = rl.simulate("delta", Bandit(means=[1.0, 1.0], sd=0.0), params, 2, 4, 1, first_rows=first)
    assert trials["action"].values[:, 2:].tolist() == [[0] * 4, [1] * 4]


def test_masks_of_given_rows_are_kept_and_followed() -> None:
    table = pd.DataFrame(
        {
            "subject": "a",
            "action": [0.0, 1.0, np.nan, 1.0],
            "reward": [1.0, 1.0, np.nan, 1.0],
            "scored": [True, False, False, True],
            "learned": [True, False, False, False],
            "reset": [False, False, True, False],
        }
    )
    first, params = rl.read_trials(table), {"alpha": 1.0, "beta": 500.0, "q0": 0.5}
    trials = rl.simulate("delta", Bandit(means=[1.0, 0.0], sd=0.0), params, 1, 3, 1, first_rows=first, latents=True)
    for mask in ("scored", "learned", "reset"):
        assert_array_equal(trials[mask].values[:, :4], first[mask].values)
        assert trials[mask].values[0, 4:].tolist() == [mask != "reset"] * 3
    assert trials["action"].values[0, :4].tolist() == [0, 1, -1, 1]
    assert_allclose(trials["q"].values[0, 4], 0.5)  # all that was learned was before the reset
    assert_array_equal(trials["log_prob"].values[0, [1, 2]], 0)


def test_a_world_of_states_goes_on_from_the_last_next_state() -> None:
    n = 5
    chain = np.zeros((n, 2, n))
    for s in range(n):
        chain[s, :, (s + 1) % n] = 1.0
    task = RandomMDP(n, 2, transitions=chain, rewards=np.ones((n, 2)), start=0)  # 0 1 2 3 | 0 1 2 3 | 0 ...
    before = rl.simulate("q_mdp", task, PLANNING, 2, 6, 1)
    assert before["state"].values[0].tolist() == [0, 1, 2, 3, 0, 1]
    whole = rl.simulate("q_mdp", task, PLANNING, 2, 5, 2, first_rows=before)
    assert_array_equal(whole["state"].values[:, 6:], [[2, 3, 0, 1, 2]] * 2)
    ended = rl.simulate("q_mdp", task, PLANNING, 2, 3, 2, first_rows=before.isel(trial=slice(0, 4)))
    assert_array_equal(ended["state"].values[:, 4:], [[0, 1, 2]] * 2)
    assert_allclose(whole["log_prob"], rl.log_prob("q_mdp", whole, PLANNING), rtol=1e-12)


def test_given_rows_of_two_responses() -> None:
    task = TwoStep(missed=0.3)
    before = rl.simulate("two_step_hybrid", task, TWO_STEP, 3, 8, 1)
    assert before["scored"].dims == ("subject", "trial", "response")
    whole = rl.simulate("two_step_hybrid", TwoStep(), TWO_STEP, 3, 4, 2, first_rows=before)
    assert_array_equal(whole["scored"].values[:, :8], before["scored"].values)
    assert whole["scored"].values[:, 8:].all()
    assert_allclose(whole["log_prob"], rl.log_prob("two_step_hybrid", whole, TWO_STEP), rtol=1e-12)


def test_stop_counts_the_trials_that_are_lived() -> None:
    seen = []

    def stop(t: int, x: Mapping[str, np.ndarray]) -> np.ndarray:
        seen.append(t)
        return np.array([t == 1, False, False])

    before = simulate(n_trials=4)
    trials = rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 3, 1, first_rows=before, stop=stop)
    assert seen == [0, 1, 2]
    assert trials["exists"].values.sum(axis=1).tolist() == [6, 7, 7]


def test_given_rows_that_do_not_fit_are_refused() -> None:
    before, task = simulate(), Bandit([0.2, 0.8])
    padded = rl.simulate("delta", task, PARAMS, 3, 8, 1, stop=ends)
    for rows, parts in (
        (before.isel(subject=[0, 1]), ("first_rows", "2 subjects", "expected 3")),
        (padded, ("first_rows", "padding")),
        (before.drop_vars("reward"), ("reward",)),
    ):
        with pytest.raises(ValueError) as info:  # noqa: PT011 (the message is looked at)
            rl.simulate("delta", task, PARAMS, 3, 4, 1, first_rows=rows)
        assert_says(str(info.value), *parts)
    with pytest.raises(TypeError, match="read_trials"):
        rl.simulate("delta", task, PARAMS, 3, 4, 1, first_rows=rl.to_table(before))


def test_given_rows_with_more_actions_than_the_task_has_are_refused() -> None:
    before = rl.simulate("delta", Bandit([0.2, 0.5, 0.8]), PARAMS, 3, 10, 1)
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the message is looked at)
        rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 3, 4, 1, first_rows=before)
    assert_says(str(info.value), "first_rows", "2")


def test_given_rows_of_blocks_of_working_memory() -> None:
    task, params = RLWM((2, 3), presentations=4), {**MEMORY, "capacity": 3}
    before = rl.simulate("rlwm", task, params, 2, 20, 1)
    whole = rl.simulate("rlwm", task, params, 2, 20, 2, first_rows=before)
    assert whole.sizes["trial"] == 40
    assert_array_equal(whole["stimulus"].values[:, :20], before["stimulus"].values)
    assert_allclose(whole["log_prob"], rl.log_prob("rlwm", whole, params), rtol=1e-12)


def test_given_rows_of_a_chain() -> None:
    table = pd.DataFrame({"subject": [0, 0, 1, 1], "state": [0, 2, 1, 1], "next_state": [2, 1, 1, 0]})
    whole = rl.simulate("markov_chain", Chain(3), {"w": 0.0}, 2, 5, 1, first_rows=rl.read_trials(table))
    assert whole["state"].values[:, :3].tolist() == [[0, 2, 1], [1, 1, 0]]
    assert_array_equal(whole["state"].values[:, 1:], whole["next_state"].values[:, :-1])
    assert_allclose(whole["log_prob"], np.log(1 / 3))


def test_given_rows_of_a_model_that_does_not_read_the_states_of_its_world() -> None:
    task = RandomMDP(4, 2)
    before = rl.simulate("delta", task, PARAMS, 2, 6, 1)
    whole = rl.simulate("delta", task, PARAMS, 2, 4, 2, first_rows=before)
    assert_array_equal(whole["action"].values[:, :6], before["action"].values)


def test_given_rows_in_which_all_was_on_offer_go_before_a_task_that_offers_some() -> None:
    before = rl.simulate("delta", Bandit([0.2, 0.5, 0.8]), PARAMS, 2, 6, 1)
    whole = rl.simulate("delta", Bandit([0.2, 0.5, 0.8], on_offer=2), PARAMS, 2, 4, 2, first_rows=before)
    assert whole["available"].values.sum(axis=2).tolist() == [[3] * 6 + [2] * 4] * 2


def test_given_rows_with_a_column_that_the_task_does_not_give_are_refused_by_name() -> None:
    before = rl.simulate("delta", Bandit([0.2, 0.5, 0.8], on_offer=2), PARAMS, 2, 6, 1)
    with pytest.raises(ValueError, match=r"first_rows.*'available'"):
        rl.simulate("delta", Bandit([0.2, 0.5, 0.8]), PARAMS, 2, 4, 2, first_rows=before)


def test_given_rows_keep_their_blocks() -> None:
    task = Bandit([0.2, 0.8], block_length=4)
    before = rl.simulate("delta", task, PARAMS, 3, 12, 1)
    whole = rl.simulate("delta", task, PARAMS, 3, 8, 1, first_rows=before)
    assert_array_equal(whole["block"].values[:, :12], before["block"].values)


# ---------------------------------------------------------------- latents


@pytest.mark.parametrize(
    ("model", "task", "params"),
    [
        ("delta+stickiness", Bandit([0.2, 0.8], missed=0.2), {**PARAMS, "stickiness": 0.5}),
        ("two_step_hybrid", TwoStep(missed=0.3, no_feedback=0.2), TWO_STEP),
    ],
    ids=["one response", "two responses"],
)
def test_latents_that_come_with_a_simulation_are_those_of_latents(model: str, task: Task, params: Any) -> None:
    plain = rl.simulate(model, task, params, 3, 10, 1)
    trials = rl.simulate(model, task, params, 3, 10, 1, latents=True)
    known = rl.latents(model, plain, params)
    assert len(known.data_vars) >= 4
    assert set(trials.data_vars) == {*plain.data_vars, *known.data_vars}
    xr.testing.assert_identical(
        trials[list(known.data_vars)].drop_vars("response", errors="ignore").drop_attrs(), known
    )
    xr.testing.assert_identical(trials[list(plain.data_vars)].drop_attrs(), plain.drop_attrs())
    assert trials.attrs == plain.attrs


# ---------------------------------------------------------------- forced, missed, no feedback


FORCED = np.isin(np.arange(12), [2, 5, 7])
MISSED = np.isin(np.arange(12), [3, 7])  # trial 7: whom the experimenter forces may still miss
HIDDEN = np.isin(np.arange(12), [4, 5, 9])


@functools.cache
def odd_trials(n: int = 4, model: str = "delta+stickiness") -> xr.Dataset:
    """Return trials in which every reward is 1, so that learning from one that is hidden would show."""
    task = Bandit(means=[1.0, 1.0], sd=0.0, forced=FORCED, missed=MISSED, no_feedback=HIDDEN)
    return rl.simulate(model, task, STICKY, n, 12, 1, latents=True)


def plain_probs(actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the probabilities of both actions, values and memory, all before the trial, of one subject."""
    q, last, out = np.zeros(2), np.zeros(2), []
    for t, action in enumerate(actions):
        weights = np.exp(STICKY["beta"] * q + STICKY["stickiness"] * last)
        out.append((weights / weights.sum(), q.copy(), last.copy()))
        if MISSED[t]:
            continue
        if not HIDDEN[t]:
            q[action] += STICKY["alpha"] * (1 - q[action])
        last = np.eye(2)[action]
    probs, values, memory = (np.array(part) for part in zip(*out, strict=True))
    return probs, values, memory


def test_masks_and_blanks_of_forced_missed_and_hidden_trials() -> None:
    trials = odd_trials()
    assert_array_equal(trials["scored"].values, [~FORCED & ~MISSED] * 4)
    assert_array_equal(trials["learned"].values, [~MISSED & ~HIDDEN] * 4)
    assert_array_equal(trials["action"].values == -1, [MISSED] * 4)
    assert_array_equal(np.isnan(trials["reward"].values), [MISSED | HIDDEN] * 4)
    assert (trials["reward"].values[:, ~(MISSED | HIDDEN)] == 1).all()
    assert_array_equal(trials["log_prob"].values == 0, [FORCED | MISSED] * 4)
    assert trials["exists"].values.all()


def test_what_is_learned_on_forced_missed_and_hidden_trials_is_that_of_a_plain_loop() -> None:
    trials = odd_trials()
    for i in range(4):
        probs, values, memory = plain_probs(trials["action"].values[i])
        assert_allclose(trials["q"].values[i], values, rtol=1e-12)
        assert_array_equal(trials["last"].values[i], memory)
        scored = ~FORCED & ~MISSED
        made = probs[np.arange(12), trials["action"].values[i]]
        assert_allclose(trials["log_prob"].values[i][scored], np.log(made[scored]), rtol=1e-12)


def test_a_choice_without_feedback_is_remembered_and_not_learned_from_and_so_a_forced_one() -> None:
    """The same, said of single trials: 4 has no feedback, 2 is forced, 5 both, 3 is missed."""
    trials = odd_trials()
    q, last, action = trials["q"].values, trials["last"].values, trials["action"].values
    for t in (4, 5):
        assert_array_equal(q[:, t + 1], q[:, t])
        assert_array_equal(last[:, t + 1], np.eye(2)[action[:, t]])
    rows = np.arange(4)
    assert (q[rows, 3, action[:, 2]] > q[rows, 2, action[:, 2]]).all()
    assert_array_equal(last[:, 3], np.eye(2)[action[:, 2]])
    assert_array_equal(q[:, 4], q[:, 3])
    assert_array_equal(last[:, 4], last[:, 3])


@pytest.mark.parametrize("backend", ["fused", pytest.param("scan", marks=pytest.mark.slow)])
def test_the_simulator_itself_learns_what_the_plain_loop_learns(backend: str) -> None:
    """Mean log probabilities are those of choices drawn from the plain loop's probabilities; so are forced ones."""
    n = 3000
    task = Bandit(means=[1.0, 1.0], sd=0.0, forced=FORCED, missed=MISSED, no_feedback=HIDDEN)
    action = rl.simulate("delta+stickiness", task, STICKY, n, 12, 1, backend=backend)["action"].values
    histories, number = np.unique(action, axis=0, return_inverse=True)
    probs = np.array([plain_probs(history)[0] for history in histories])[number.ravel()]
    probs[:, FORCED] = 0.5
    with np.errstate(divide="ignore"):
        logs = np.log(probs)
    made = np.take_along_axis(logs, np.maximum(action, 0)[..., None], axis=2)[..., 0]
    expected = (probs * logs).sum(axis=2)
    variance = (probs * logs**2).sum(axis=2) - expected**2
    for t in np.flatnonzero(~MISSED & (np.arange(12) > 0) & ~FORCED):
        assert abs((made - expected)[:, t].sum()) < 4.5 * np.sqrt(variance[:, t].sum()), t
    for t in np.flatnonzero(FORCED & ~MISSED):
        assert_near(action[:, t], 0.5, 0.5)


def test_two_responses_break_off_at_any_of_them() -> None:
    trials = rl.simulate("two_step_hybrid", TwoStep(missed=0.5), TWO_STEP, 20, 30, 1)
    first, second = (trials[name].values >= 0 for name in ("action1", "action2"))
    assert_array_equal(trials["scored"].values, np.stack([first, second], axis=2))
    assert trials["scored"]["response"].values.tolist() == ["action1", "action2"]
    assert not (second & ~first).any()
    assert_near(second, 0.5, 0.5)
    assert_near(first, 0.75, np.sqrt(0.75 * 0.25))
    assert_array_equal(trials["learned"].values, second)
    assert_array_equal(trials["state2"].values == -1, ~first)
    assert_array_equal(np.isnan(trials["reward"].values), ~second)


def test_a_trial_of_two_responses_without_feedback_shows_the_state_and_not_the_reward() -> None:
    hidden = np.arange(10) % 2 == 1
    trials = rl.simulate("two_step_hybrid", TwoStep(no_feedback=hidden), TWO_STEP, 5, 10, 1)
    assert (trials["state2"].values >= 0).all()
    assert_array_equal(np.isnan(trials["reward"].values), [hidden] * 5)
    assert_array_equal(trials["learned"].values, [~hidden] * 5)
    assert trials["scored"].values.all()


def test_numbers_that_are_missed_or_forced() -> None:
    task = Prediction(sd=1.0, bounds=(0.0, 10.0), forced=FORCED, missed=MISSED, no_feedback=HIDDEN)
    params = {"alpha": 0.5, "sigma": 0.1, "v0": -50.0}
    trials = rl.simulate("delta_prediction", task, params, 50, 12, 1)
    forced = FORCED & ~MISSED
    assert_array_equal(np.isnan(trials["prediction"].values), [MISSED] * 50)
    assert_array_equal(np.isnan(trials["outcome"].values), [MISSED | HIDDEN] * 50)
    assert_array_equal(trials["scored"].values, [~FORCED & ~MISSED] * 50)
    given = trials["prediction"].values[:, forced]
    assert ((given >= 0) & (given <= 10)).all()
    assert (trials["prediction"].values[:, 0] < -49).all()
    assert_allclose(trials["log_prob"], rl.log_prob("delta_prediction", trials, params))


def test_continuous_responses_are_normal_around_the_learned_value() -> None:
    trials = rl.simulate(
        "delta_prediction", Prediction(sd=3.0), {"alpha": 0.5, "sigma": 2.0, "v0": 100.0}, 300, 20, 1, latents=True
    )
    z = (trials["prediction"].values - trials["v"].values) / 2.0
    assert_near(z, 0.0, 1.0)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)
    assert_allclose(trials["log_prob"], -0.5 * z**2 - np.log(2) - 0.5 * np.log(2 * np.pi))
    v, outcome = trials["v"].values, trials["outcome"].values
    assert_allclose(v[:, 0], 100)
    assert_allclose(v[:, 1:], (v + 0.5 * (outcome - v))[:, :-1])


# ---------------------------------------------------------------- families and tasks


FAMILIES: dict[str, tuple[Task, dict[str, float]]] = {
    "hmm(delta+choice_kernel)": (
        Bandit([0.2, 0.5, 0.8], on_offer=2, missed=0.1),
        {**PARAMS, "alpha_kernel": 0.3, "beta_kernel": 1.0, "leave": 0.2},
    ),
    "two_step_hybrid": (TwoStep(missed=0.2, forced=0.1, no_feedback=0.1), TWO_STEP),
    "rlwm": (RLWM((2, 3), presentations=5, missed=0.1), {**MEMORY, "capacity": 3}),
    "q_mdp": (RandomMDP(4, 3, missed=0.1), PLANNING),
    "model_based": (  # a state of it is called as a column is
        RandomMDP(4, 3, missed=0.1),
        {"alpha_transition": 0.3, "alpha_reward": 0.4, "gamma": 0.8, "beta": 2.0},
    ),
    "delta_prediction": (Prediction(missed=0.1), {"alpha": 0.3, "sigma": 2.0}),
    "habituating_markov_chain": (Chain(3, missed=0.1, forced=0.1), {"w0": 0.0, "c": 2.0}),
}


def test_every_family_is_here() -> None:
    families = {rl.get_model(name).family for name in FAMILIES}
    assert set(rl.list_models()["family"]) == families


LONG = ("model_based", "hmm(delta+choice_kernel)")  # to compile


@pytest.mark.parametrize("model", [pytest.param(k, marks=pytest.mark.slow) if k in LONG else k for k in FAMILIES])
def test_both_backends_simulate_the_same_trials(model: str) -> None:
    task, params = FAMILIES[model]
    fused, scan = (rl.simulate(model, task, params, 3, 15, 1, backend=b, latents=True) for b in ("fused", "scan"))
    assert set(fused.data_vars) == set(scan.data_vars)
    for name in fused.data_vars:
        assert_allclose(scan[name].values, fused[name].values, rtol=1e-9, atol=1e-12, err_msg=str(name))
    for response in rl.get_model(model).responses:
        assert len(np.unique(fused[response.name].values)) > 1


def test_an_unknown_backend_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="backend") as info:
        rl.simulate("delta", Bandit([0.2, 0.8]), PARAMS, 2, 2, 1, backend="jit")
    assert_says(str(info.value), "'jit'", "fused", "scan")


@pytest.mark.parametrize("model", FAMILIES)
def test_a_simulation_of_every_family_is_trials_and_a_table_and_trials_again(model: str) -> None:
    task, params = FAMILIES[model]
    trials = rl.simulate(model, task, params, 3, 15, 1)
    again = rl.read_trials(rl.to_table(trials), facts=rl.facts(trials))
    read = [i.name for i in rl.get_model(model).inputs if i.name in trials]
    assert len(read) > 1
    for name in {*read, "exists", "scored", "learned", "reset"}:
        assert_array_equal(again[name].values, trials[name].values, err_msg=name)
    assert_array_equal(rl.log_prob(model, again, params), rl.log_prob(model, trials, params))
    if "missed" in vars(task) and len(task.responses) > 1:
        assert (again["action2"].values[again["action1"].values >= 0] == -1).any()
        assert again["scored"]["response"].values.tolist() == list(task.responses)


@pytest.mark.parametrize(
    ("model", "task", "parts"),
    [
        ("delta", TwoStep(), ("delta responds with action", "asks for action1, action2")),
        ("delta", Prediction(), ("delta responds with action", "asks for prediction")),
        ("two_step_hybrid", Bandit([0.2, 0.8]), ("two_step_hybrid responds with action1, action2", "asks for action")),
        ("q_mdp", Bandit([0.2, 0.8]), ("q_mdp reads 'state'", "does not give", "reward, action")),
        ("rlwm", RandomMDP(4, 2), ("rlwm reads 'stimulus'", "does not give", "next_state")),
        ("biased_coin", Choices(3), ("biased_coin is for n_actions=2", "found n_actions=3")),
        ("markov_chain", RandomMDP(4, 2), ("markov_chain responds with next_state", "asks for action")),
        ("delta_prediction", Bandit([0.2, 0.8]), ("delta_prediction responds with prediction", "asks for action")),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_models_and_tasks_that_do_not_fit_are_refused(model: str, task: Task, parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError) as info:  # noqa: PT011 (the message is looked at)
        rl.simulate(model, task, {}, 2, 5, 1)
    assert_says(str(info.value), *parts)


def test_a_capacity_that_is_no_whole_number_is_refused() -> None:
    assert_says(refused(RLWM((2, 3)), "rlwm", **MEMORY, capacity=2.5), "'capacity'", "2.5", "integer(2, 5)")


@pytest.mark.parametrize("backend", ["fused", "scan"])
def test_a_step_leaves_the_arrays_that_it_was_given(backend: str) -> None:
    model = rl.get_model("q_mdp")
    data = data_for(model, random_trials(model, 2))
    params = random_params(model, data.trials)
    learners, every = likelihood_of(data, backend).stepper(params), np.ones(2, dtype=bool)
    learners.begin(0, every)
    response = learners.respond("action", {"state": np.array([1, 2])})
    logits = response.arguments["logits"].copy()
    before = {k: v.copy() for k, v in learners.state.items()}
    x = {k: v[:, 0].copy() for k, v in data.inputs.items()}
    kept = {k: v.copy() for k, v in x.items()}
    learners.update(x, every, every)
    assert any((learners.state[k] != before[k]).any() for k in before)
    learners.respond("action", {"state": np.array([0, 0])})
    assert_array_equal(response.arguments["logits"], logits)
    for k in kept:
        assert_array_equal(x[k], kept[k])


@pytest.mark.parametrize("name", ["two_step_hybrid", "delta_prediction", "soft_planner"])
def test_simulated_trials_come_back_from_a_file(tmp_path, name):
    task = {
        "two_step_hybrid": TwoStep(),
        "delta_prediction": Prediction(),
        "soft_planner": rl.tasks.GridWorld(2, 2, episode_length=3),
    }[name]
    params = {p.name: p.plausible for p in rl.get_model(name).parameters if p.value is None}
    trials = rl.simulate(name, task, params, 2, 6, seed=1, latents=True)
    trials.to_netcdf(tmp_path / "trials.nc")
    again = xr.load_dataset(tmp_path / "trials.nc")
    assert rl.facts(again) == rl.facts(trials)
    xr.testing.assert_identical(rl.log_prob(name, again, params), rl.log_prob(name, trials, params))
