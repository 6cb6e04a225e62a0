"""Values learned from steps: least squares and Q-learning come to the values of dynamic programming."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlpymc import mdp
from rlpymc.mdp import MDP, Transitions
from tests.helpers.processes import line, random_process

every_maximum = pytest.mark.parametrize("soft", [False, True, 0.3])


def exact(m: MDP, soft: float) -> mdp.Solution:
    return mdp.soft_value_iteration(m, soft) if soft else mdp.value_iteration(m)


def counted(m: MDP, steps: Transitions) -> MDP:
    """The process whose transitions are the frequencies of steps."""
    counts = np.zeros((m.n_states, m.n_actions, m.n_states))
    np.add.at(counts, (steps.state, steps.action, steps.next_state), 1)
    counts[m.ends] = 1
    return MDP(counts / counts.sum(axis=2, keepdims=True), m.reward, m.discount, terminal=m.terminal)


# ---------------------------------------------------------------- fitted Q-iteration


@every_maximum
@pytest.mark.parametrize("terminal", [(), (0, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_fitted_values_are_those_of_value_iteration(seed: int, terminal: tuple[int, ...], soft: float) -> None:
    _, _, _, m = random_process(seed, terminal=terminal)
    found, wanted = mdp.fitted_q(m, soft=soft), exact(m, soft)
    assert_allclose(found.q, wanted.q, atol=1e-12)
    assert_allclose(found.v, wanted.v, atol=1e-12)
    assert_allclose(found.policy, wanted.policy, atol=1e-12)
    table = np.eye(15).reshape(5, 3, 15)[..., np.flatnonzero(np.repeat(~m.ends, 3))]
    same = mdp.fitted_q(m, features=table, soft=soft)
    assert_allclose(same.q, wanted.q, atol=1e-12)
    assert same.weights is not None
    assert_allclose(same.weights, wanted.q[~m.ends].ravel(), atol=1e-12)


@every_maximum
@pytest.mark.parametrize("terminal", [(), (0, 3)])
def test_values_fitted_to_steps_are_those_of_their_frequencies(terminal: tuple[int, ...], soft: float) -> None:
    _, _, _, m = random_process(1, terminal=terminal)
    steps = mdp.sample_transitions(m, 2000, seed=1)
    found, wanted = mdp.fitted_q(m, steps, soft=soft), exact(counted(m, steps), soft)
    assert_allclose(found.q, wanted.q, atol=1e-12)
    assert_allclose(found.v, wanted.v, atol=1e-12)
    table = np.eye(15).reshape(5, 3, 15)[..., np.flatnonzero(np.repeat(~m.ends, 3))]
    assert_allclose(mdp.fitted_q(m, steps, table, soft=soft).q, wanted.q, atol=1e-12)


def test_steps_of_episodes_will_do() -> None:
    _, _, _, m = random_process(1, terminal=(2,))
    steps = mdp.sample_episodes(m, np.full((5, 3), 1 / 3), 20_000, 10, seed=1).transitions()
    assert_allclose(mdp.fitted_q(m, steps).q, exact(counted(m, steps), False).q, atol=1e-12)
    assert np.abs(mdp.fitted_q(m, steps).q - mdp.value_iteration(m).q).max() < 0.1


def test_features_are_fitted_by_least_squares() -> None:
    """At the end, residuals of the last targets are orthogonal to the features."""
    _, _, _, m = random_process(1, discount=0.5)
    features = np.random.default_rng(1).normal(size=(5, 3, 4))
    found = mdp.fitted_q(m, features=features, soft=0.5)
    assert_allclose(found.q, features @ found.weights, atol=1e-13)
    residual = m.reward + 0.5 * m.expected(mdp.soft_value(found.q, 0.5)) - found.q
    assert_allclose(np.einsum("sa,sak->k", residual, features), 0, atol=1e-12)
    steps = mdp.sample_transitions(m, 500, seed=1)
    found = mdp.fitted_q(m, steps, features)
    rows = features[steps.state, steps.action]
    targets = steps.reward + 0.5 * found.q.max(axis=1)[steps.next_state]
    assert_allclose(np.linalg.lstsq(rows, targets, rcond=None)[0], found.weights, atol=1e-12)


def test_values_that_features_can_tell_are_found() -> None:
    """On a line where each step costs 1 and is certain, distance to the end is all there is to know."""
    m = MDP(line(8, 1.0).transition.toarray().reshape(8, 2, 8)[:, 1:], np.full((8, 1), -1.0), terminal=7)
    distance = np.arange(7.0, -1, -1).reshape(8, 1, 1)
    found = mdp.fitted_q(m, features=distance)
    assert_allclose(found.weights, [-1], atol=1e-12)
    assert_allclose(found.v, -distance[:, 0, 0], atol=1e-12)


def test_least_squares_that_diverge_say_so() -> None:
    """Two states, of which the second has twice the feature of the first (Tsitsiklis & Van Roy 1996)."""
    m = MDP([[[0, 1]], [[0, 1]]], [[0.0], [1e-3]], 0.99)
    features = np.array([[[1.0]], [[2.0]]])
    with pytest.raises(RuntimeError, match=r"still change by .* regressions"):
        mdp.fitted_q(m, features=features)


def test_what_the_data_do_not_tell_is_not_guessed() -> None:
    _, _, _, m = random_process(1)
    steps = mdp.sample_transitions(m, 500, seed=1)
    kept = (steps.state != 3) | (steps.action != 1)
    some = Transitions(steps.state[kept], steps.action[kept], steps.reward[kept], steps.next_state[kept])
    with pytest.raises(ValueError, match=r"data: no step from state 3, action 1 \(1 such in all\)"):
        mdp.fitted_q(m, some)
    features = np.random.default_rng(1).normal(size=(5, 3, 3))
    doubled = np.concatenate([features, features.sum(axis=2, keepdims=True)], axis=2)
    with pytest.raises(ValueError, match="feature 3 is a sum of those before"):
        mdp.fitted_q(m, steps, doubled)
    few = Transitions(*(column[:2] for column in (steps.state, steps.action, steps.reward, steps.next_state)))
    with pytest.raises(ValueError, match="3 of them over 2 steps"):
        mdp.fitted_q(m, few, features)


def test_data_and_features_that_are_none() -> None:
    _, _, _, m = random_process(1, terminal=(4,))
    good = {"state": [0, 1], "action": [0, 2], "reward": [0.0, 1.0], "next_state": [1, 4]}
    for wrong, says in (
        ({"state": [0, 5]}, "state of the data: found 5 in step 1, expected 0 to 4"),
        ({"state": [0, 4]}, "step 1 starts in the terminal state 4"),
        ({"action": [3, 0]}, "action of the data: found 3 in step 0, expected 0 to 2"),
        ({"next_state": [1, -1]}, "next_state of the data: found -1"),
        ({"action": [0.0, 1.0]}, "action of the data: found float64"),
        ({"state": [0]}, r"state of the data: found int64 of shape \(1,\)"),
        ({"reward": [0.0, np.nan]}, "reward of the data: found nan for step 1"),
        ({"reward": ["a", "b"]}, "reward of the data: expected an array of numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            mdp.fitted_q(m, Transitions(**{k: np.array(v) for k, v in (good | wrong).items()}))
    for features, says in (
        (np.zeros((5, 3)), r"features: found shape \(5, 3\), expected \(5, 3, 1\)"),
        (np.zeros((5, 3, 0)), r"features: found shape \(5, 3, 0\)"),
        (np.full((5, 3, 1), np.nan), "features: found nan for state 0, action 0, feature 0"),
        (np.zeros((5, 3, 1)), "feature 0 is a sum of those before"),
    ):
        with pytest.raises(ValueError, match=says):
            mdp.fitted_q(m, features=features)
    with pytest.raises(ValueError, match="soft: found -1"):
        mdp.fitted_q(m, soft=-1.0)


# ---------------------------------------------------------------- Q-learning


def plain_q_learning(m: MDP, n: int, seed: int, soft: float, epsilon: float, alpha: float | None) -> np.ndarray:
    """The same as a plain loop, from the same random numbers."""
    probs = m.transition.toarray().reshape(m.n_states, m.n_actions, m.n_states)
    q, visits, s = np.zeros((m.n_states, m.n_actions)), np.zeros((m.n_states, m.n_actions)), None
    for luck in np.random.default_rng(seed).random((n, 4)):
        if s is None or s in m.terminal:
            s = int((luck[0] >= np.cumsum(m.initial * ~m.ends / m.initial[~m.ends].sum())[:-1]).sum())
        if soft:
            chances = np.exp(q[s] / soft) / np.exp(q[s] / soft).sum()
        else:
            chances = (q[s] == q[s].max()) / (q[s] == q[s].max()).sum()
        by_value = int((luck[2] >= np.cumsum(chances)[:-1]).sum())
        a = int(luck[2] * m.n_actions) if luck[1] < epsilon else by_value
        later = int((luck[3] >= np.cumsum(probs[s, a])[:-1]).sum())
        value = soft * np.log(np.exp(q[later] / soft).sum()) if soft else q[later].max()
        target = m.reward[s, a] + m.discount * (0 if later in m.terminal else value)
        visits[s, a] += 1
        q[s, a] += (visits[s, a] ** -0.7 if alpha is None else alpha) * (target - q[s, a])
        s = later
    return q


@every_maximum
@pytest.mark.parametrize("alpha", [0.1, None])
@pytest.mark.parametrize("terminal", [(), (0, 3)])
def test_q_learning_is_the_plain_loop(terminal: tuple[int, ...], alpha: float | None, soft: float) -> None:
    _, _, _, m = random_process(1, terminal=terminal)
    found = mdp.q_learning(m, 2000, seed=3, soft=soft, epsilon=0.2, alpha=alpha)
    assert_allclose(found.q, plain_q_learning(m, 2000, 3, float(soft), 0.2, alpha), atol=1e-10)
    assert found.visits.sum() == 2000
    assert_array_equal(found.q[m.ends], 0)
    assert_array_equal(found.v[m.ends], 0)


@every_maximum
def test_q_learning_comes_to_the_values(soft: float) -> None:
    """To a few hundredths of values about 5 in 60000 steps; after 600 the error is three times as large."""
    _, _, _, m = random_process(3, discount=0.8, density=1.0)
    found = mdp.q_learning(m, 60_000, seed=1, soft=soft, epsilon=0.3, every=600)
    wanted = exact(m, soft)
    off = np.abs(found.history - wanted.q).max(axis=(1, 2))
    assert off[-1] < 0.1
    assert off[0] > 3 * off[-1]
    assert np.abs(found.policy - wanted.policy).max() < 0.06
    assert_array_equal(found.history[-1], found.q)
    assert len(off) == 100


def test_features_that_are_a_table_are_a_table() -> None:
    _, _, _, m = random_process(1, terminal=(2,))
    table = np.eye(15).reshape(5, 3, 15)
    for soft in (False, 0.5):
        tabular = mdp.q_learning(m, 500, seed=1, soft=soft)
        with_features = mdp.q_learning(m, 500, seed=1, soft=soft, features=table)
        assert_allclose(with_features.q, tabular.q, atol=1e-13)
        assert_allclose(with_features.weights, tabular.q.ravel(), atol=1e-13)
        assert tabular.weights is None


def test_an_episode_that_is_broken_off_is_no_end() -> None:
    """Values go on behind it; from a corner that is left for good, only new episodes see the start again."""
    m = MDP([[[0, 1]], [[0, 1]]], [[0.0], [1.0]], 0.5, [1, 0])
    once, often = mdp.q_learning(m, 400, seed=1), mdp.q_learning(m, 400, seed=1, horizon=2)
    assert_array_equal(once.visits, [[1], [399]])
    assert_array_equal(often.visits, [[200], [200]])
    assert_allclose(often.q, [[1.0], [2.0]], atol=5e-3)


def test_what_is_never_tried_stays_at_the_start() -> None:
    m = MDP(np.eye(3)[[[0, 1], [1, 0], [2, 2]]], np.zeros((3, 2)) - 1, 0.5, [1, 0, 0])
    found = mdp.q_learning(m, 200, seed=1, start=7.0)
    assert_array_equal(m.unreachable, [2])
    assert_array_equal(found.visits[2], 0)
    assert_array_equal(found.q[2], 7)
    assert (found.visits[:2] > 0).all()


def test_high_first_values_are_tried_out() -> None:
    """Without random actions, a learner that expects nothing stays with its first reward; one that hopes finds more."""
    m = MDP([[[1], [1]]], [[0.5, 1.0]], 0.0)
    seeds = [seed for seed in range(20) if mdp.q_learning(m, 1, seed=seed, epsilon=0).visits[0, 0]]
    for seed in seeds:
        assert mdp.q_learning(m, 50, seed=seed, epsilon=0).visits[0, 1] == 0
        assert mdp.q_learning(m, 50, seed=seed, epsilon=0, start=5.0).visits[0, 1] > 40
    assert 2 < len(seeds) < 18


def test_the_same_seed_gives_the_same_values() -> None:
    _, _, _, m = random_process(1)
    first, again, other = (mdp.q_learning(m, 300, seed=seed) for seed in (1, np.random.default_rng(1), 2))
    assert_array_equal(first.q, again.q)
    assert (first.q != other.q).any()
    assert first.history.shape == (0, 5, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"alpha": 0.0}, "alpha: found 0.0, expected a learning rate above 0 and at most 1"),
        ({"alpha": np.nan}, "alpha: found nan"),
        ({"epsilon": 1.5}, r"epsilon: found 1.5, expected a number in \[0, 1\]"),
        ({"start": np.inf}, "start: found inf"),
        ({"n_steps": 0}, "n_steps: found 0"),
        ({"every": 0}, "every: found 0"),
        ({"horizon": 0.5}, "horizon: found 0.5"),
        ({"soft": -0.1}, "soft: found -0.1"),
        ({"features": np.zeros((2, 2))}, "features: found shape"),
        ({"features": np.ones((5, 3, 1)), "start": 1.0}, "start: found 1, expected 0 where there are features"),
    ],
)
def test_settings_of_q_learning(settings: dict[str, Any], says: str) -> None:
    _, _, _, m = random_process(1)
    with pytest.raises(ValueError, match=says):
        mdp.q_learning(m, **({"n_steps": 10, "seed": 1} | settings))


def test_nowhere_to_start_and_values_without_bounds() -> None:
    _, _, _, m = random_process(1, terminal=(0,))
    at_the_end = MDP(m.transition.toarray().reshape(5, 3, 5), m.reward, 0.9, [1, 0, 0, 0, 0], 0)
    with pytest.raises(ValueError, match="every first state is terminal"):
        mdp.q_learning(at_the_end, 10, seed=1)
    twice = MDP([[[0, 1]], [[0, 1]]], [[0.0], [1.0]], 0.99)
    with pytest.raises(RuntimeError, match="values grew to"):
        mdp.q_learning(twice, 5000, seed=1, alpha=1.0, features=np.array([[[1.0]], [[20.0]]]))
