"""Experiments: what they draw is what they say, the same from the same seed, and each is a Gymnasium environment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.seeding import np_random
from numpy.testing import assert_allclose, assert_array_equal

from rlpymc.tasks import (
    RLWM,
    Bandit,
    Chain,
    Choices,
    DriftingBandit,
    Prediction,
    RandomMDP,
    Reversal,
    Task,
    TwoStep,
    World,
)
from tests.helpers.messages import assert_says, refusal

TASKS: dict[str, Callable[..., Task]] = {
    "binary bandit": lambda **o: Bandit([0.2, 0.8], **o),
    "gaussian bandit": lambda **o: Bandit(means=[-1.0, 0.0, 1.0], **o),
    "full feedback": lambda **o: Bandit([0.2, 0.8], feedback="full", **o),
    "drifting": DriftingBandit,
    "drifting, high payoffs": lambda **o: DriftingBandit(limits=(20, 80), **o),
    "reversal by the clock": lambda **o: Reversal(every=5, **o),
    "reversal by criterion": lambda **o: Reversal((0.1, 0.9, 0.3), criterion=2, loss=-1.0, **o),
    "two steps": TwoStep,
    "rlwm": RLWM,
    "mdp": RandomMDP,
    "prediction": Prediction,
    "choices": Choices,
    "chain": Chain,
}
EXPERIMENTS = TASKS | {"two of three": lambda **o: Bandit([0.2, 0.5, 0.8], on_offer=2, **o)}  # refuses some actions
every_task = pytest.mark.parametrize("make", TASKS.values(), ids=TASKS.keys())
every_experiment = pytest.mark.parametrize("make", EXPERIMENTS.values(), ids=EXPERIMENTS.keys())


def assert_near(sample: Any, mean: float, sd: float) -> None:
    """A sample's mean lies within four standard errors."""
    assert abs(np.mean(sample) - mean) < 4 * sd / np.sqrt(np.size(sample))


def assert_share(hits: Any, p: float) -> None:
    assert_near(hits, p, np.sqrt(p * (1 - p)))


def live(
    task: Task, n_subjects: int = 3, n_trials: int = 20, seed: int = 1, choose: Any = None
) -> tuple[World, dict[str, np.ndarray]]:
    """Let subjects respond as the experimenter would, or as told, and return the world and all columns."""
    rng = np.random.default_rng(seed)
    world, rows = task.begin(n_subjects, n_trials, rng), []
    for t in range(n_trials):
        x = task.offer(world, t, rng)
        for name in task.responses:
            x[name] = (choose or task.force)(world, t, name, x, rng)
            x |= task.outcome(world, t, name, x, rng)
        rows.append({k: np.copy(v) for k, v in x.items()})
    return world, {k: np.stack([row[k] for row in rows], axis=1) for k in rows[0]}


def always(*actions: int) -> Any:
    """Each subject repeats an action."""
    return lambda *_: np.array(actions)


# ---------------------------------------------------------------- promises of every task


@every_task
def test_every_task_is_an_environment(make: Callable[..., Task]) -> None:
    check_env(make(), skip_render_check=True)
    check_env(make(n_trials=2, forced=0.5, missed=0.5, no_feedback=0.5), skip_render_check=True)


def test_a_task_with_few_on_offer_is_an_environment() -> None:
    check_env(EXPERIMENTS["two of three"](forced=1.0), skip_render_check=True)


@every_experiment
def test_the_same_seed_gives_the_same_numbers(make: Callable[..., Task]) -> None:
    first, again, other = (live(make(), seed=seed)[1] for seed in (1, 1, 2))
    assert first.keys() == again.keys()
    for name, column in first.items():
        assert_array_equal(column, again[name])
    assert any((column != other[name]).any() for name, column in first.items())


@every_experiment
def test_columns_are_those_that_are_announced_and_of_the_types_that_models_read(make: Callable[..., Task]) -> None:
    task = make()
    _, columns = live(task)
    assert columns.keys() == {*task.columns, *task.responses}
    for name, column in columns.items():
        real = name in ("reward", "reward_other", "outcome", "set_size", "prediction")
        assert column.dtype == (float if real else bool if name in ("available", "done") else np.int64), name
        if name in task.columns:
            assert all(task.columns[name].contains(np.asarray(cell, task.columns[name].dtype)) for cell in column[0])


@every_experiment
def test_subjects_do_not_share_their_luck(make: Callable[..., Task]) -> None:
    _, columns = live(make(), n_subjects=2, n_trials=60)
    brought = [column for name, column in columns.items() if name not in make().responses]
    assert any((column[0] != column[1]).any() for column in brought) or not brought


@every_experiment
def test_a_missed_response_leaves_the_world_as_it_is(make: Callable[..., Task]) -> None:
    task, rng = make(), np.random.default_rng(1)
    world = task.begin(50, 30, rng)
    task.offer(world, 0, rng)
    for t in range(30):
        x = task.offer(world, t, rng)
        before = {k: np.copy(v) for k, v in vars(world).items()}
        for name in task.responses:
            response = task.force(world, t, name, x, rng)
            x[name] = np.where(np.arange(50) < 25, np.nan if name == "prediction" else -1, response)
            if name != "prediction":
                x[name] = x[name].astype(int)
            x |= task.outcome(world, t, name, x, rng)
        for key, value in vars(world).items():
            assert_array_equal(value[:25] if np.ndim(value) else value, before[key][:25] if np.ndim(value) else value)


@every_task
def test_a_share_of_trials_is_forced_missed_or_without_feedback(make: Callable[..., Task]) -> None:
    task = make(forced=0.2, missed=0.5, no_feedback=1.0)
    world = task.begin(500, 40, np.random.default_rng(1))
    assert_share(world.forced, 0.2)
    assert_share(world.missed.any(axis=2), 0.5)
    assert world.missed.shape == (500, 40, len(task.responses))
    assert world.no_feedback.all()
    assert (world.forced[0] != world.forced[1]).any()


@every_task
def test_trials_that_are_forced_missed_or_without_feedback_may_be_named(make: Callable[..., Task]) -> None:
    pattern = np.arange(40) % 3 == 0
    task = make(forced=pattern, missed=pattern[::-1], no_feedback=[True] * 40)
    world = task.begin(2, 30, np.random.default_rng(1))
    assert_array_equal(world.forced, [pattern[:30]] * 2)
    assert_array_equal(world.missed, np.repeat([pattern[::-1][:30]] * 2, len(task.responses)).reshape(2, 30, -1))
    assert world.no_feedback.all()
    with pytest.raises(ValueError, match="is described for 40 trials, and trial 40 was asked for"):
        task.begin(2, 41, np.random.default_rng(1))


@every_task
def test_the_experimenter_picks_all_that_is_on_offer_alike(make: Callable[..., Task]) -> None:
    task, rng = make(), np.random.default_rng(1)
    picked = task.force(task.begin(3000, 1, rng), 0, task.responses[0], {}, rng)
    if isinstance(task.action_space, spaces.Box):
        low, high = task.action_space.low, task.action_space.high
        assert_near(picked, (low + high) / 2, (high - low) / np.sqrt(12))
        assert picked.min() < low + (high - low) / 100 < high - (high - low) / 100 < picked.max()
    else:
        n = task.facts["n_states" if task.responses == ("next_state",) else "n_actions"]
        assert task.action_space == spaces.Discrete(n)
        for k in range(n):
            assert_share(picked == k, 1 / n)


def test_without_extras_nothing_is_drawn_for_them() -> None:
    """Data that were simulated before these options existed stay what they were."""
    task, rng, plain = Bandit([0.2, 0.8]), np.random.default_rng(3), np.random.default_rng(3)
    world = task.begin(5, 10, rng)
    for t in range(10):
        assert task.offer(world, t, rng) == {}
        reward = task.outcome(world, t, "action", {"action": np.array([0, 1, 0, 1, 1])}, rng)["reward"]
        assert_array_equal(reward, plain.random(5) < np.array([0.2, 0.8])[[0, 1, 0, 1, 1]])
    assert rng.bit_generator.state == plain.bit_generator.state


def test_a_missed_trial_of_two_responses_breaks_off_at_any() -> None:
    missed = TwoStep(missed=0.4).begin(500, 40, np.random.default_rng(1)).missed
    assert_share(missed[..., 0], 0.2)
    assert_share(missed[..., 1], 0.4)
    assert not (missed[..., 0] & ~missed[..., 1]).any()


def test_learners_start_again_with_a_block() -> None:
    resets = [t for t in range(12) if TwoStep(block_length=5).resets(t)]
    assert resets == [0, 5, 10]
    assert [t for t in range(12) if TwoStep().resets(t)] == [0]


# ---------------------------------------------------------------- environments for one subject


def test_an_environment_lasts_its_trials() -> None:
    task = Bandit([0.2, 0.8], n_trials=3)
    with pytest.raises(ResetNeeded, match="reset"):
        task.step(0)
    task.reset(seed=1)
    ends = [task.step(1)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    with pytest.raises(ResetNeeded, match="reset"):
        task.step(0)


@every_task
def test_an_environment_is_the_experiment_for_one_subject(make: Callable[..., Task]) -> None:
    """The same responses from the same seed bring the same columns."""
    task = make(n_trials=15)
    seen, info = task.reset(seed=4)
    records, rewards, options = [], [], np.random.default_rng(2)
    made: dict[tuple[int, str], Any] = {}
    for t in range(15):
        for k, name in enumerate(task.responses):
            assert seen["response"] == k
            made[t, name] = 200.0 * options.random() if name == "prediction" else options.integers(2)
            seen, reward, *_, info = task.step(made[t, name])
            rewards.append(reward)
        records.append(info)
    rng, _ = np_random(4)
    world = task.begin(1, 15, rng)
    for t in range(15):
        x = task.offer(world, t, rng)
        for name in task.responses:
            x[name] = np.array([made[t, name]])
            x |= task.outcome(world, t, name, x, rng)
        assert records[t].keys() == x.keys()
        for name, value in x.items():
            assert_array_equal(records[t][name], value[0])
    if "reward" in task.columns:
        assert rewards[len(task.responses) - 1 :: len(task.responses)] == [record["reward"] for record in records]
    elif "outcome" in task.columns:
        assert rewards == [-abs(record["prediction"] - record["outcome"]) for record in records]
    else:
        assert rewards == [0.0] * 15


def test_outcomes_are_seen_beside_the_next_offer_and_then_no_more() -> None:
    task = TwoStep(common=1.0, bounds=(0.999999, 1.0))
    seen, info = task.reset(seed=1)
    assert (seen["response"], seen["state2"], seen["reward"], info) == (0, 0, 0.0, {})
    seen, reward, *_, info = task.step(1)
    assert (seen["response"], seen["state2"], seen["reward"], reward) == (1, 1, 0.0, 0.0)
    assert info == {"action1": 1, "state2": 1}
    seen, reward, *_, info = task.step(0)
    assert (seen["response"], seen["state2"], seen["reward"], reward) == (0, 1, 1.0, 1.0)
    assert info == {"action1": 1, "state2": 1, "action2": 0, "reward": 1.0}
    seen, *_ = task.step(0)
    assert (seen["state2"], seen["reward"]) == (0, 0.0)


def test_the_state_that_is_seen_is_the_next_one() -> None:
    task = RandomMDP(terminal=(), n_trials=20)
    task.reset(seed=1)
    for _ in range(19):
        seen, *_, info = task.step(0)
        assert seen["state"] == seen["next_state"] == info["next_state"]
        assert seen["reward"] == info["reward"] != 0


def test_a_forced_action_is_announced_and_made() -> None:
    task = Bandit([0.0] * 4, forced=[True] * 20 + [False], n_trials=21)
    _, info = task.reset(seed=1)
    forced = []
    for _ in range(20):
        announced = info["forced"]
        *_, info = task.step((announced + 1) % 4)
        forced.append(announced)
        assert info["action"] == announced
    assert len(set(forced)) > 1
    assert "forced" not in info
    assert task.step(2)[4] == {"action": 2, "reward": 0.0}


def test_outcomes_without_feedback_are_hidden() -> None:
    task = TwoStep(common=1.0, bounds=(0.999999, 1.0), no_feedback=1.0)
    task.reset(seed=1)
    seen, *_ = task.step(1)
    assert seen["state2"] == 1
    seen, reward, *_, info = task.step(1)
    assert (seen["reward"], reward, info["reward"]) == (0.0, 0.0, 1.0)


def test_nobody_is_made_to_miss_in_an_environment() -> None:
    task = Bandit([1.0, 1.0], missed=1.0)
    task.reset(seed=1)
    assert task.step(1)[4] == {"action": 1, "reward": 1.0}


def test_what_is_not_on_offer_is_refused() -> None:
    task = Bandit([0.2, 0.5, 0.8], on_offer=2)
    _, info = task.reset(seed=1)
    absent, there = int(info["available"].argmin()), np.flatnonzero(info["available"])
    text = refusal(task.step, absent)
    assert_says(text, "action on trial 0", f"{absent} is not on offer", f"there is: {there[0]}, {there[1]}")
    assert task.step(there[0])[4]["action"] == there[0]
    assert_says(refusal(task.step, 3), "found 3", "Discrete(3)")
    assert_says(refusal(task.step, 0.5), "found 0.5")
    prediction = Prediction()
    prediction.reset(seed=1)
    assert_says(refusal(prediction.step, 301.0), "prediction on trial 0", "found 301", "Box(0.0, 300.0")
    assert_says(refusal(prediction.step, np.nan), "found nan")


def test_a_forced_action_is_one_on_offer() -> None:
    task, rng = Bandit([0.2, 0.5, 0.8], on_offer=2), np.random.default_rng(1)
    world = task.begin(3000, 1, rng)
    x = task.offer(world, 0, rng)
    picked = task.force(world, 0, "action", x, rng)
    assert x["available"][np.arange(3000), picked].all()
    assert all(abs((picked == k).mean() - 1 / 3) < 0.04 for k in range(3))


def test_a_task_says_what_follows_a_response() -> None:
    task = Task({"n_actions": 2}, {})
    task.reset(seed=1)
    with pytest.raises(NotImplementedError, match="Task does not say"):
        task.step(0)


# ---------------------------------------------------------------- bandits


def test_a_bandit_described_by_trial_lasts_its_trials() -> None:
    assert Bandit(np.full((7, 2), 0.5)).n_trials == 7
    assert Bandit([0.5, 0.5]).n_trials == 100
    assert Bandit([0.5, 0.5], n_trials=5).n_trials == 5
    with pytest.raises(ValueError, match="the bandit is described for 7 trials, and trial 7 was asked for"):
        Bandit(np.full((7, 2), 0.5)).begin(1, 8, np.random.default_rng(1))


@pytest.mark.parametrize("arm", [0, 1])
def test_rewards_of_a_bandit_are_distributed_as_told(arm: int) -> None:
    binary = live(Bandit([0.2, 0.75]), 500, 40, choose=always(*[arm] * 500))[1]["reward"]
    assert set(np.unique(binary)) == {0.0, 1.0}
    assert_share(binary, [0.2, 0.75][arm])
    gaussian = live(Bandit(means=[-1.0, 2.0], sd=3.0), 500, 40, choose=always(*[arm] * 500))[1]["reward"]
    assert_near(gaussian, [-1.0, 2.0][arm], 3.0)
    assert abs(gaussian.std() - 3) < 4 * 3 / np.sqrt(2 * gaussian.size)


def test_the_walk_of_daw_is_stationary() -> None:
    world = DriftingBandit().begin(1000, 150, np.random.default_rng(1))
    sd = 2.8 / np.sqrt(1 - 0.9836**2)
    assert world.means.shape == (1000, 150, 4)
    for t in (0, 60, 149):
        assert_near(world.means[:, t], 50.0, sd)
        assert abs(world.means[:, t].std() - sd) < 4 * sd / np.sqrt(2 * 4000)
    step = world.means[:, 1:] - 0.9836 * world.means[:, :-1] - (1 - 0.9836) * 50.0
    assert_near(step, 0.0, 2.8)
    assert abs(step.std() - 2.8) < 4 * 2.8 / np.sqrt(2 * step.size)
    centred = world.means - 50
    assert_allclose((centred[:, 1:] * centred[:, :-1]).mean() / (centred**2).mean(), 0.9836, atol=0.01)


def test_payoffs_of_a_drifting_bandit() -> None:
    world, columns = live(DriftingBandit(), 500, 40)
    mean = np.take_along_axis(world.means, columns["action"][..., None], axis=2)[..., 0]
    reward = columns["reward"]
    inside = (mean > 20) & (mean < 80)
    assert_array_equal(reward, np.round(reward))
    assert_near((reward - mean)[inside], 0.0, np.sqrt(16 + 1 / 12))
    assert_allclose((reward - mean)[inside].std(), np.sqrt(16 + 1 / 12), rtol=0.03)
    low = live(DriftingBandit(start=-20.0, decay=1.0, sd_drift=0.0), 5)[1]["reward"]
    high = live(DriftingBandit(start=120.0, decay=1.0, sd_drift=0.0), 5)[1]["reward"]
    assert (np.unique(low).tolist(), np.unique(high).tolist()) == ([1.0], [100.0])
    free = live(DriftingBandit(2, start=(-20.0, 500.0), decay=1.0, sd_drift=0.0, sd=0.3, limits=None, round_to=None))[1]
    assert_allclose(free["reward"], np.array([-20.0, 500.0])[free["action"]], atol=2)
    assert (free["reward"] != np.round(free["reward"])).all()
    fives = live(DriftingBandit(round_to=5.0, limits=None))[1]["reward"]
    assert_array_equal(fives % 5, 0.0)


def test_subjects_meet_walks_of_their_own_unless_told() -> None:
    rng = np.random.default_rng(1)
    own, same = DriftingBandit().begin(2, 9, rng).means, DriftingBandit(same_for_all=True).begin(2, 9, rng).means
    assert (own[0] != own[1]).all()
    assert_array_equal(same[0], same[1])
    assert (np.diff(same[0], axis=0) != 0).all()


# ---------------------------------------------------------------- reversal learning


def test_the_best_option_changes_by_the_clock() -> None:
    _, columns = live(Reversal((1.0, 0.0), every=4), 2, 12, choose=always(0, 1))
    assert columns["reward"].tolist() == [[1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]]


def test_more_than_two_options_rotate() -> None:
    _, columns = live(Reversal((1.0, 0.0, 0.0), every=2, loss=-0.5), 3, 8, choose=always(0, 1, 2))
    best = columns["reward"].argmax(axis=0)
    assert best.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert set(np.unique(columns["reward"])) == {-0.5, 1.0}


def test_the_best_option_changes_once_it_was_chosen_in_a_row() -> None:
    actions = [0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1]  # three in a row at trials 5 and 10
    choose = lambda world, t, *_: np.array([actions[t]])  # noqa: E731
    world, columns = live(Reversal((1.0, 0.0), criterion=3), 1, 12, choose=choose)
    best = [0] * 6 + [1] * 5 + [0]
    assert columns["reward"][0].tolist() == [float(a == b) for a, b in zip(actions, best, strict=True)]
    assert world.reversals.tolist() == [2]


def test_a_missed_response_breaks_no_row() -> None:
    actions = [0, -1, 0, 1]
    choose = lambda world, t, *_: np.array([actions[t]])  # noqa: E731
    assert live(Reversal((1.0, 0.0), criterion=2), 1, 4, choose=choose)[1]["reward"][0, 3] == 1.0


def test_rewards_of_reversal_learning_are_as_frequent_as_told() -> None:
    _, columns = live(Reversal(every=100), 1000, 20, choose=always(*[0, 1] * 500))
    assert_share(columns["reward"][::2], 0.8)
    assert_share(columns["reward"][1::2], 0.2)


# ---------------------------------------------------------------- two steps


def test_common_transitions_are_common() -> None:
    _, columns = live(TwoStep(common=0.7), 500, 40)
    for action in (0, 1):
        assert_share(columns["state2"][columns["action1"] == action] == action, 0.7)


def test_probabilities_of_reward_drift_between_their_bounds() -> None:
    world = TwoStep().begin(500, 200, np.random.default_rng(1))
    probs = world.probs
    assert 0.25 <= probs.min() < 0.26 < 0.74 < probs.max() <= 0.75
    for t in (0, 199):  # uniform, and so it stays
        assert_near(probs[:, t], 0.5, 0.5 / np.sqrt(12))
        assert abs(probs[:, t].std() - 0.5 / np.sqrt(12)) < 0.01
    inside = np.abs(probs[:, :-1] - 0.5) < 0.1
    step = np.diff(probs, axis=1)[inside]
    assert_near(step, 0.0, 0.025)
    assert_allclose(step.std(), 0.025, rtol=0.02)
    assert np.abs(np.corrcoef(probs[:, 0].reshape(500, 4).T) - np.eye(4)).max() < 0.2


def test_rewards_of_two_steps_are_those_of_the_state_and_the_action_there() -> None:
    world, columns = live(TwoStep(bounds=(0.0, 1.0), sd_drift=0.0), 2000, 10)
    prob = world.probs[np.arange(2000)[:, None], np.arange(10), columns["state2"], columns["action2"]]
    assert set(np.unique(columns["reward"])) == {0.0, 1.0}
    assert_near(columns["reward"] - prob, 0.0, np.sqrt(1 / 6))
    assert_allclose(np.corrcoef(columns["reward"].ravel(), prob.ravel())[0, 1], np.sqrt(1 / 3), atol=0.03)


# ---------------------------------------------------------------- learning and working memory


def test_each_stimulus_is_shown_as_often_as_told() -> None:
    task = RLWM((2, 4, 3), presentations=5)
    _, columns = live(task, 4, task.length)
    assert (task.length, task.n_trials, task.facts) == (45, 45, {"n_actions": 3, "n_stimuli": 4})
    for block, size in enumerate((2, 4, 3)):
        here = columns["block"][0] == block
        assert (columns["set_size"][:, here] == size).all()
        for stimuli in columns["stimulus"][:, here]:
            assert np.bincount(stimuli).tolist() == [5] * size
    assert (np.diff(columns["block"]) >= 0).all()
    assert (columns["stimulus"][0] != columns["stimulus"][1]).any()
    assert [t for t in range(45) if task.resets(t)] == [0, 10, 30]


def test_one_action_is_correct_for_each_stimulus() -> None:
    task = RLWM((3, 6), n_actions=4)
    world, columns = live(task, 300, 60)
    correct = world.correct[np.arange(300)[:, None], columns["block"], columns["stimulus"]]
    assert_array_equal(columns["reward"], columns["action"] == correct)
    for action in range(4):
        assert_share(world.correct == action, 0.25)


def test_unreliable_feedback_says_the_contrary() -> None:
    world, columns = live(RLWM((3,), reliability=0.8), 500, 39)
    correct = world.correct[np.arange(500)[:, None], columns["block"], columns["stimulus"]] == columns["action"]
    assert_share(columns["reward"][correct], 0.8)
    assert_share(columns["reward"][~correct], 0.2)


def test_more_trials_than_there_are_is_refused() -> None:
    task, rng = RLWM((2, 2), presentations=3), np.random.default_rng(1)
    assert_says(refusal(task.begin, 1, 13, rng), "RLWM is described for 12 trials, and trial 12 was asked for")
    assert_says(refusal(task.resets, 12), "12 trials")
    assert_says(refusal(RLWM, (2, 2), presentations=3, n_trials=13), "12 trials")
    assert task.begin(1, 12, rng).stimulus.shape == (1, 12)


# ---------------------------------------------------------------- random worlds


def test_worlds_are_drawn_for_each_subject() -> None:
    world = RandomMDP(reward_sd=2.0).begin(400, 5, np.random.default_rng(1))
    assert world.transitions.shape == (400, 10, 3, 10)
    assert_allclose(world.transitions.sum(axis=3), 1.0)
    assert (world.transitions >= 0).all()
    assert_near(world.rewards, 0.0, 2.0)
    assert abs(world.rewards.std() - 2) < 4 * 2 / np.sqrt(2 * world.rewards.size)
    uniform = np.random.default_rng(2).random((20_000, 10))  # divided by their sum, and not Dirichlet(1)
    assert_allclose(world.transitions.std(), (uniform / uniform.sum(axis=1, keepdims=True)).std(), rtol=0.02)


def test_transitions_are_as_frequent_as_they_should_be() -> None:
    given = np.array([[[0.0, 0.6, 0.4], [1.0, 0.0, 0.0]], [[0.1, 0.1, 0.8], [0.0, 1.0, 0.0]], [[0.2, 0.8, 0.0]] * 2])
    rewards = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    task = RandomMDP(3, 2, terminal=(), transitions=given, rewards=rewards)
    _, x = live(task, 1000, 30)
    for s in range(3):
        for a in range(2):
            here = (x["state"] == s) & (x["action"] == a)
            assert here.sum() > 500
            assert (x["reward"][here] == rewards[s][a]).all()
            for to in range(3):
                if given[s, a, to] in (0, 1):
                    assert (x["next_state"][here] == to).mean() == given[s, a, to]
                else:
                    assert_share(x["next_state"][here] == to, given[s, a, to])
    assert not x["done"].any()
    assert_array_equal(x["state"][:, 1:], x["next_state"][:, :-1])


def test_who_misses_a_response_meets_the_same_state_again() -> None:
    task = RandomMDP(terminal=range(10))
    _, x = live(task, 50, 5, choose=lambda world, t, *_: np.arange(50) % 2 - 1)
    assert (x["state"][::2] == x["state"][::2, :1]).all()
    assert (x["next_state"][::2] == x["state"][::2]).all()
    assert not x["done"][::2].any()
    assert x["done"][1::2].all()


def test_after_the_end_anything_may_come() -> None:
    _, x = live(RandomMDP(5, 2, terminal=(1, 4)), 1000, 30)
    assert_array_equal(x["done"], np.isin(x["next_state"], (1, 4)))
    before, after = x["done"][:, :-1], x["state"][:, 1:]
    assert_array_equal(after[~before], x["next_state"][:, :-1][~before])
    for state in range(5):
        assert_share(after[before] == state, 0.2)
        assert_share(x["state"][:, 0] == state, 0.2)


def test_the_last_state_is_terminal_unless_told_and_episodes_may_have_one_start() -> None:
    _, x = live(RandomMDP(4, 2, start=2), 100, 30)
    assert_array_equal(x["done"], x["next_state"] == 3)
    assert (x["state"][:, 0] == 2).all()
    assert (x["state"][:, 1:][x["done"][:, :-1]] == 2).all()


def test_a_given_first_row_was_lived_through() -> None:
    task, rng = RandomMDP(), np.random.default_rng(1)
    world = task.begin(3000, 5, rng)
    task.follow(world, {"next_state": np.repeat([3, 9, -1], 1000)})  # -1: not known
    state = task.offer(world, 1, rng)["state"]
    assert (state[:1000] == 3).all()
    for k in range(10):
        assert_share(state[1000:2000] == k, 0.1)
        assert_share(state[2000:] == k, 0.1)


# ---------------------------------------------------------------- prediction


def test_numbers_jump_as_often_as_told() -> None:
    world, columns = live(Prediction(sd=10.0, hazard=0.1), 500, 60)
    jumps = np.diff(world.means, axis=1) != 0
    assert_share(jumps, 0.1)
    for fresh in (world.means[:, 0], world.means[:, 1:][jumps]):
        assert fresh.min() >= 0
        assert fresh.max() <= 300
        assert_near(fresh, 150.0, 300 / np.sqrt(12))
        assert_allclose(fresh.std(), 300 / np.sqrt(12), rtol=0.1)
    error = columns["outcome"] - world.means
    assert_near(error, 0.0, 10.0)
    assert abs(error.std() - 10) < 4 * 10 / np.sqrt(2 * error.size)


@pytest.mark.parametrize("hazard", [0.0, 1.0])
def test_numbers_may_stay_or_always_jump(hazard: float) -> None:
    means = Prediction(hazard=hazard, bounds=(-1.0, 1.0)).begin(3, 20, np.random.default_rng(1)).means
    assert ((np.diff(means, axis=1) != 0) == hazard).all()


# ---------------------------------------------------------------- sequences of responses


def test_choices_bring_nothing() -> None:
    task, rng = Choices(4), np.random.default_rng(1)
    world = task.begin(2, 3, rng)
    state = rng.bit_generator.state
    assert task.offer(world, 0, rng) == {}
    assert task.outcome(world, 0, "action", {"action": np.array([0, 3])}, rng) == {}
    assert rng.bit_generator.state == state
    assert (task.facts, task.columns) == ({"n_actions": 4}, {})


def test_a_chain_goes_on_from_where_it_went() -> None:
    _, x = live(Chain(5), 2000, 6)
    assert_array_equal(x["state"][:, 1:], x["next_state"][:, :-1])
    for state in range(5):
        assert_share(x["state"][:, 0] == state, 0.2)


def test_a_chain_may_have_one_start_and_stays_where_nobody_responds() -> None:
    to = [[1, 1], [-1, 2], [0, -1]]
    _, x = live(Chain(3, start=2, block_length=2), 2, 3, choose=lambda world, t, *_: np.array(to[t]))
    assert_array_equal(x["state"].T, [[2, 2], [1, 1], [1, 2]])


def test_a_chain_goes_on_from_a_given_first_row() -> None:
    task, rng = Chain(4, start=0), np.random.default_rng(1)
    world = task.begin(2, 5, rng)
    task.follow(world, {"next_state": np.array([3, -1])})  # -1: not known
    assert_array_equal(task.offer(world, 1, rng)["state"], [3, 0])


# ---------------------------------------------------------------- what does not fit


@every_task
def test_what_all_tasks_refuse(make: Callable[..., Task]) -> None:
    for name in ("forced", "missed", "no_feedback"):
        assert_says(refusal(make, **{name: 1.5}), f"{name}: found 1.5", "[0, 1]")
        assert_says(refusal(make, **{name: np.nan}), f"{name}: found nan", "[0, 1]")
        assert_says(refusal(make, **{name: [0, 1]}), name, "(2,) of int64", "booleans (n_trials,)")
        assert_says(refusal(make, **{name: np.ones((2, 2), dtype=bool)}), name, "(2, 2)")
    for value in (0, 2.5, np.inf, True, "3"):
        assert_says(refusal(make, n_trials=value) if make is not RLWM else "n_trials", "n_trials")
        assert_says(refusal(make, block_length=value), "block_length")


MDP = {"n_states": 2, "n_actions": 2}
REFUSED: list[tuple[Callable[..., Task], dict[str, Any], tuple[str, ...]]] = [
    (Bandit, {"probs": [0.5] * 3, "on_offer": 2.5}, ("on_offer: found 2.5", "at least 2")),
    (DriftingBandit, {"n_actions": 1}, ("n_actions: found 1", "at least 2")),
    (DriftingBandit, {"decay": 1.1}, ("decay: found 1.1", "[0, 1]")),
    (DriftingBandit, {"decay": 1.0}, ("decay=1", "start=50")),
    (DriftingBandit, {"center": np.inf}, ("center: found inf", "finite")),
    (DriftingBandit, {"sd_drift": -1.0}, ("sd_drift: found -1.0", "at least 0")),
    (DriftingBandit, {"sd": np.nan}, ("sd: found nan", "at least 0")),
    (DriftingBandit, {"limits": (100, 1)}, ("limits: found (100, 1)", "lower one first")),
    (DriftingBandit, {"limits": (1, 2, 3)}, ("limits: found (1, 2, 3)", "two numbers")),
    (DriftingBandit, {"round_to": 0.0}, ("round_to: found 0.0", "above 0", "None")),
    (DriftingBandit, {"start": [1.0, 2.0]}, ("start: found [1.0, 2.0]", "each of 4 actions")),
    (DriftingBandit, {"start": np.nan}, ("start: found nan", "finite")),
    (Reversal, {}, ("every or criterion",)),
    (Reversal, {"every": 3, "criterion": 3}, ("every or criterion", "one of them")),
    (Reversal, {"every": 0}, ("every: found 0", "at least 1")),
    (Reversal, {"criterion": 1.5}, ("criterion: found 1.5", "whole")),
    (Reversal, {"probs": (0.8, 1.2), "every": 3}, ("probs: found 0.8 to 1.2", "[0, 1]")),
    (Reversal, {"probs": (0.8,), "every": 3}, ("probs", "two or more")),
    (Reversal, {"probs": (0.8, 0.8, 0.1), "every": 3}, ("probs", "one of them the highest")),
    (Reversal, {"every": 3, "loss": 1.0}, ("loss: found 1.0", "less than a reward")),
    (Reversal, {"every": 3, "loss": -np.inf}, ("loss: found -inf", "finite")),
    (TwoStep, {"common": -0.1}, ("common: found -0.1", "[0, 1]")),
    (TwoStep, {"bounds": (0.5, 0.5)}, ("bounds: found (0.5, 0.5)", "lower one first")),
    (TwoStep, {"bounds": (0.5, 1.5)}, ("bounds: found 0.5 to 1.5", "[0, 1]")),
    (TwoStep, {"sd_drift": -0.1}, ("sd_drift: found -0.1",)),
    (RLWM, {"set_sizes": ()}, ("set_sizes: found none", "each block")),
    (RLWM, {"set_sizes": (2, 0)}, ("set_sizes: found 0", "at least 1")),
    (RLWM, {"presentations": 0}, ("presentations: found 0",)),
    (RLWM, {"n_actions": 1}, ("n_actions: found 1", "at least 2")),
    (RLWM, {"reliability": 2.0}, ("reliability: found 2", "[0, 1]")),
    (RLWM, {"block_length": 10}, ("block_length", "set_sizes")),
    (RandomMDP, {"n_states": 1}, ("n_states: found 1", "at least 2")),
    (RandomMDP, {"n_actions": 1}, ("n_actions: found 1", "at least 2")),
    (RandomMDP, {"terminal": (3, 10)}, ("terminal: found 3, 10", "states from 0 to 9")),
    (RandomMDP, {"terminal": (-1,)}, ("terminal: found -1", "states from 0 to 9")),
    (RandomMDP, {"terminal": (0.5,)}, ("terminal: found 0.5", "states from 0 to 9")),
    (RandomMDP, {"start": 10}, ("start: found 10", "states from 0 to 9")),
    (RandomMDP, {"reward_sd": -1.0}, ("reward_sd: found -1.0",)),
    (RandomMDP, {**MDP, "transitions": np.ones((2, 2))}, ("transitions: found (2, 2)", "(2, 2, 2)")),
    (
        RandomMDP,
        {**MDP, "transitions": np.ones((2, 2, 2))},
        ("state 0, action 0", "sum to 2", "probabilities"),
    ),
    (
        RandomMDP,
        {**MDP, "transitions": [[[-1.0, 2.0]] * 2] * 2},
        ("found -1", "state 0, action 0", "probability"),
    ),
    (RandomMDP, {**MDP, "rewards": np.ones((2, 3))}, ("rewards: found (2, 3)", "(2, 2)")),
    (RandomMDP, {**MDP, "rewards": np.full((2, 2), np.nan)}, ("rewards", "finite")),
    (Choices, {"n_actions": 1}, ("n_actions: found 1", "at least 2")),
    (Chain, {"n_states": 1}, ("n_states: found 1", "at least 2")),
    (Chain, {"start": 3}, ("start: found 3", "states from 0 to 2")),
    (Prediction, {"sd": -1.0}, ("sd: found -1.0",)),
    (Prediction, {"hazard": 1.1}, ("hazard: found 1.1", "[0, 1]")),
    (Prediction, {"bounds": (3.0, 1.0)}, ("bounds: found (3.0, 1.0)",)),
]


@pytest.mark.parametrize(("task", "options", "says"), REFUSED, ids=[f"{t.__name__} {o}" for t, o, _ in REFUSED])
def test_settings_that_make_no_sense_are_named(
    task: Callable[..., Task], options: dict[str, Any], says: tuple[str, ...]
) -> None:
    assert_says(refusal(task, **options), *says)
