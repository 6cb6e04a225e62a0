"""Policy gradients: exact, from all trajectories, by differences, and sampled, are one."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from rlpymc import mdp
from rlpymc.mdp import MDP
from tests.helpers.processes import random_process
from tests.reference import trajectories

T = 3
SHAPES = {"goes on": {}, "ends": {"terminal": (1,)}, "discounted": {"discount": 0.7}}
every_shape = pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES.keys())
every_entropy = pytest.mark.parametrize("entropy", [0.0, 0.8])


def small(seed: int, options: dict[str, Any]) -> tuple[MDP, list[Any], np.ndarray]:
    """A process of three states and two actions, all that can happen in it, and logits."""
    options = {"discount": 1.0} | options
    transition, reward, initial, m = random_process(seed, 3, 2, **options)
    listed = trajectories.trajectories(transition, reward, initial, T, options.get("terminal", ()))
    return m, listed, np.random.default_rng(seed).normal(size=(3, 2))


def by_differences(m: MDP, logits: np.ndarray, entropy: float) -> np.ndarray:
    slope, h = np.zeros(logits.shape), 1e-3
    for at in np.ndindex(logits.shape):
        one = np.zeros(logits.shape)
        one[at] = h
        moved = [mdp.policy_gradient(m, logits + k * one, T, entropy)[0] for k in (-2, -1, 1, 2)]
        slope[at] = np.dot([1, -8, 8, -1], moved) / (12 * h)
    return slope


@every_shape
@every_entropy
@pytest.mark.parametrize("seed", range(3))
def test_the_exact_gradient_is_that_of_all_trajectories(seed: int, options: dict[str, Any], entropy: float) -> None:
    m, listed, logits = small(seed, options)
    objective, gradient = mdp.policy_gradient(m, logits, T, entropy)
    for to_go in (False, True):
        value, wanted, _ = trajectories.policy_gradient(listed, logits, m.discount, entropy, to_go)
        assert_allclose(objective, value, atol=1e-13)
        assert_allclose(gradient, wanted, atol=1e-13)
    assert_allclose(gradient, by_differences(m, logits, entropy), atol=1e-10)
    assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)
    assert_array_equal(gradient[m.ends], 0)


@every_shape
@pytest.mark.parametrize("to_go", [False, True])
def test_the_entropys_own_slope_adds_nothing(options: dict[str, Any], to_go: bool) -> None:
    """The -1 in -log pi - 1 changes the estimates, and not their mean."""
    m, listed, logits = small(1, options)
    _, without, least = trajectories.policy_gradient(listed, logits, m.discount, 0.8, to_go)
    _, wanted, other = trajectories.policy_gradient(listed, logits, m.discount, 0.8, to_go, minus_one=True)
    assert_allclose(without, wanted, atol=1e-14)
    assert np.abs(other - least).max() > 0.01
    assert_allclose(mdp.policy_gradient(m, logits, T, 0.8)[1], wanted, atol=1e-13)


@every_shape
@every_entropy
def test_logits_by_step_have_a_gradient_by_step(options: dict[str, Any], entropy: float) -> None:
    m, _, logits = small(2, options)
    same = np.broadcast_to(logits, (T, 3, 2))
    objective, gradient = mdp.policy_gradient(m, same, T, entropy)
    assert_allclose(objective, mdp.policy_gradient(m, logits, T, entropy)[0], atol=1e-14)
    assert_allclose(gradient.sum(axis=0), mdp.policy_gradient(m, logits, T, entropy)[1], atol=1e-14)
    changing = np.random.default_rng(1).normal(size=(T, 3, 2))
    assert_allclose(mdp.policy_gradient(m, changing, T, entropy)[1], by_differences(m, changing, entropy), atol=1e-10)


@every_shape
@every_entropy
def test_the_objective_is_the_value_of_the_policy(options: dict[str, Any], entropy: float) -> None:
    m, _, logits = small(3, options)
    objective, _ = mdp.policy_gradient(m, logits, T, entropy)
    value = mdp.policy_evaluation(m, softmax(logits, axis=1), entropy=entropy, horizon=T).v[0]
    assert_allclose(objective, m.initial @ value, atol=1e-14)
    if m.discount == 1 and not len(m.terminal):
        bound = mdp.elbo(m, softmax(logits, axis=1), T)
        assert_allclose(mdp.policy_gradient(m, logits, T, entropy=True)[0], bound + T * np.log(2), atol=1e-13)


@pytest.mark.parametrize("terminal", [(), (1,)])
def test_logits_that_are_soft_values_gain_nothing_more(terminal: tuple[int, ...]) -> None:
    """Policy gradient and soft Q-learning have the same end: the gradient is 0 at the variational values."""
    _, _, _, m = random_process(4, discount=1.0, terminal=terminal)
    best = mdp.structured_variational(m, T, np.ones((5, 3)))
    objective, gradient = mdp.policy_gradient(m, best.q, T, entropy=True)
    assert_allclose(gradient, 0, atol=1e-14)
    assert_allclose(objective, best.elbo, atol=1e-13)
    away = best.q + np.random.default_rng(1).normal(0, 0.3, best.q.shape)
    assert np.abs(mdp.policy_gradient(m, away, T, entropy=True)[1]).max() > 0.01


@every_shape
@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_the_soft_policy_gradient_is_an_update_of_soft_values(options: dict[str, Any], temperature: float) -> None:
    """With temperature log pi = Q - V it is the mean of (grad Q - grad V) (r + discount V'(s') - Q) over steps.

    V' is the value of the policy with its entropy, grad Q is 1 at the action, and grad V the policy. Soft Q-learning
    leaves grad V out and takes V for V'.
    """
    m, _, q = small(5, options)
    policy = softmax(q / temperature, axis=1)
    later = np.vstack([mdp.policy_evaluation(m, policy, entropy=temperature, horizon=T).v[1:], np.zeros(3)])
    occupancy, wanted = m.initial, np.zeros((3, 2))
    for t in range(T):
        for s in np.flatnonzero(~m.ends):
            for a in range(2):
                error = m.reward[s, a] + m.discount * m.expected(later[t])[s, a] - q[s, a]
                slope = (np.arange(2) == a) - policy[s]
                wanted[s] += m.discount**t * occupancy[s] * policy[s, a] * slope * error
        taken = np.where(m.ends[:, None], 0, occupancy[:, None] * policy)
        occupancy = taken.ravel() @ m.transition
    _, gradient = mdp.policy_gradient(m, q / temperature, T, entropy=temperature)
    assert_allclose(gradient, wanted, atol=1e-14)


def test_climbing_the_gradient_finds_the_best_policy() -> None:
    """The entropy keeps it on the way; what is found is the soft policy of the horizon."""
    _, _, _, m = random_process(6, 3, 2, 1.0)
    logits = np.zeros((T, 3, 2))
    for _ in range(3000):
        logits += 2.0 * mdp.policy_gradient(m, logits, T, entropy=True)[1]
    best = mdp.structured_variational(m, T)
    assert_allclose(softmax(logits, axis=2), best.policy, atol=1e-6)


# ---------------------------------------------------------------- sampled


@every_shape
@every_entropy
@pytest.mark.parametrize("to_go", [False, True])
def test_reinforce_is_the_mean_over_its_episodes(options: dict[str, Any], entropy: float, to_go: bool) -> None:
    """Against a plain loop over the same episodes."""
    m, _, logits = small(1, options)
    found = mdp.reinforce(m, logits, T, 300, seed=5, reward_to_go=to_go, entropy=entropy)
    log_policy = log_softmax(logits, axis=1)
    lived = mdp.sample_episodes(m, np.exp(log_policy), 300, T, seed=5)
    estimates, totals = np.zeros((300, 3, 2)), np.zeros(300)
    for k in range(300):
        n = lived.length[k]
        s, a = lived.state[k, :n], lived.action[k, :n]
        earned = m.discount ** np.arange(n) * (lived.reward[k, :n] - entropy * log_policy[s, a])
        totals[k] = earned.sum()
        for t in range(n):
            score = np.zeros((3, 2))
            score[s[t]] = (np.arange(2) == a[t]) - np.exp(log_policy[s[t]])
            estimates[k] += score * (earned[t:] if to_go else earned).sum()
    assert_allclose(found.gradient, estimates.mean(axis=0), atol=1e-13)
    assert_allclose(found.variance, estimates.var(axis=0, ddof=1), atol=1e-12)
    assert_allclose(found.standard_error, estimates.std(axis=0, ddof=1) / np.sqrt(300), atol=1e-12)
    assert_allclose([found.objective, found.objective_error], [totals.mean(), totals.std(ddof=1) / np.sqrt(300)])


@every_shape
@every_entropy
def test_reinforce_is_right_on_average_and_less_noisy_with_reward_to_go(
    options: dict[str, Any], entropy: float
) -> None:
    m, listed, logits = small(2, options)
    objective, gradient = mdp.policy_gradient(m, logits, T, entropy)
    noise = []
    for to_go in (False, True):
        found = mdp.reinforce(m, logits, T, 20_000, seed=1, reward_to_go=to_go, entropy=entropy)
        assert abs(found.objective - objective) < 4 * found.objective_error
        off = np.abs(found.gradient - gradient)
        assert (off <= 4 * found.standard_error).all()
        _, _, variance = trajectories.policy_gradient(listed, logits, m.discount, entropy, to_go)
        assert_allclose(found.variance, variance, rtol=0.1, atol=1e-12)
        noise.append(found.variance.sum())
    assert noise[1] < noise[0]


def test_reinforce_by_step_and_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    m, _, _ = small(2, {})
    changing = np.random.default_rng(1).normal(size=(T, 3, 2))
    found = mdp.reinforce(m, changing, T, 500, seed=1)
    assert found.gradient.shape == (T, 3, 2)
    exact = mdp.policy_gradient(m, changing, T)[1]
    assert (np.abs(found.gradient - exact) <= 4.5 * found.standard_error + 1e-12).all()
    monkeypatch.setattr("rlpymc.mdp.gradients.BATCH", 7 * 18)
    pieces = mdp.reinforce(m, changing, T, 500, seed=1)
    assert_allclose(pieces.gradient, found.gradient, atol=1e-14)
    assert_allclose(pieces.variance, found.variance, atol=1e-12)


def test_the_same_seed_gives_the_same_estimate() -> None:
    m, _, logits = small(2, {})
    first, again, other = (mdp.reinforce(m, logits, T, 50, seed=seed).gradient for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).any()


# ---------------------------------------------------------------- what is refused


def test_extreme_logits_have_no_nan() -> None:
    m, _, _ = small(2, {})
    logits = np.array([[1e4, -1e4], [-1e300, 1e300], [0.0, 800.0]])
    for entropy in (0.0, 1.0):
        objective, gradient = mdp.policy_gradient(m, logits, T, entropy)
        assert np.isfinite(objective)
        assert_allclose(gradient, 0, atol=1e-100)


def test_logits_that_are_none() -> None:
    m, _, logits = small(2, {})
    for wrong, says in (
        (np.where(np.eye(3, 2) == 1, np.nan, 0), "logits: found nan for state 0, action 0"),
        (np.full((T, 3, 2), -np.inf), "logits: found -inf for step 0, state 0, action 0"),
        (logits.T, r"logits: found shape \(2, 3\), expected \(3, 2\)"),
        (np.zeros((T + 1, 3, 2)), r"logits: found shape \(4, 3, 2\), expected \(3, 3, 2\)"),
    ):
        for call in (mdp.policy_gradient, lambda *a: mdp.reinforce(*a, 10, seed=1)):
            with pytest.raises(ValueError, match=says):
                call(m, wrong, T)
    with pytest.raises(ValueError, match="n_episodes: found 1, expected a whole number of at least 2"):
        mdp.reinforce(m, logits, T, 1, seed=1)
    with pytest.raises(ValueError, match="entropy: found -1"):
        mdp.policy_gradient(m, logits, T, -1)
