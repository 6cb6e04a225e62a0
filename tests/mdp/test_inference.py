"""Control as inference: messages, bounds and posteriors against all trajectories, listed."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rlpymc import mdp
from rlpymc.mdp import MDP
from tests.golden.mdp import FINITE, P0, R, gamble
from tests.helpers.processes import random_policy, random_process
from tests.reference import trajectories

T = 4
SHAPES = {
    "goes on": {},
    "ends": {"terminal": (1,)},
    "certain": {"deterministic": True},
    "certain, and ends": {"deterministic": True, "terminal": (2,)},
}
every_shape = pytest.mark.parametrize("options", SHAPES.values(), ids=SHAPES.keys())
every_seed = pytest.mark.parametrize("seed", range(3))


def small(seed: int, options: dict[str, Any]) -> tuple[MDP, list[Any]]:
    """A process of three states and two actions, and all that can happen in it."""
    transition, reward, initial, m = random_process(seed, 3, 2, 1.0, **options)
    return m, trajectories.trajectories(transition, reward, initial, T, options.get("terminal", ()))


def as_arrays(listed: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """States and actions (n, T), -1 after the end."""
    state, action = np.full((len(listed), T), -1), np.full((len(listed), T), -1)
    for k, (states, actions, _, _) in enumerate(listed):
        state[k, : len(states)], action[k, : len(actions)] = states, actions
    return state, action


def kl(p: np.ndarray, q: np.ndarray) -> float:
    held = p > 0
    return float(p[held] @ np.log(p[held] / q[held]))


# ---------------------------------------------------------------- exact messages


@every_shape
@every_seed
@pytest.mark.parametrize("prior", ["uniform", "skewed", "none"])
def test_messages_are_the_posterior_of_all_trajectories(seed: int, options: dict[str, Any], prior: str) -> None:
    m, listed = small(seed, options)
    given = {"uniform": None, "skewed": np.array([[0.8, 0.2], [0.3, 0.7], [1.0, 0.0]]), "none": np.ones((3, 2))}[prior]
    found = mdp.messages(m, T, given)
    evidence, posterior = trajectories.posterior(listed, np.full((3, 2), 0.5) if given is None else given)
    assert_allclose(found.log_evidence, np.log(evidence), atol=1e-13)
    policy = trajectories.posterior_policy(listed, posterior, T, 3, 2)
    visited = np.isfinite(policy)
    assert visited[0, ~m.ends].all()
    assert_allclose(found.policy[visited], policy[visited], atol=1e-13)
    first = np.array([posterior[[states[0] == s for states, *_ in listed]].sum() for s in range(3)])
    assert_allclose(found.initial, first, atol=1e-14)


@every_shape
@every_seed
def test_the_posterior_of_a_trajectory(seed: int, options: dict[str, Any]) -> None:
    m, listed = small(seed, options)
    prior = random_policy(seed, m)
    for given, plain in ((None, np.full((3, 2), 0.5)), (prior, prior), (np.ones((3, 2)), np.ones((3, 2)))):
        evidence, posterior = trajectories.posterior(listed, plain)
        found = mdp.log_joint(m, *as_arrays(listed), given)
        assert_allclose(found - mdp.messages(m, T, given).log_evidence, np.log(posterior), atol=1e-12)
        assert_allclose(np.exp(found).sum(), evidence, rtol=1e-12)


@every_shape
def test_posterior_policy_and_dynamics_make_the_posterior(options: dict[str, Any]) -> None:
    m, listed = small(1, options)
    found = mdp.messages(m, T)
    believed = [mdp.posterior_dynamics(m, found, t).toarray().reshape(3, 2, 3) for t in range(T)]
    _, posterior = trajectories.posterior(listed, np.full((3, 2), 0.5))
    made = []
    for states, actions, *_ in listed:
        p = found.initial[states[0]]
        for t, a in enumerate(actions):
            p *= found.policy[t, states[t], a]
            if t + 1 < len(states):
                p *= believed[t][states[t], a, states[t + 1]]
        made.append(p)
    assert_allclose(made, posterior, atol=1e-13)
    for one in believed:
        assert_allclose(one.sum(axis=2), 1, atol=1e-14)
    assert_array_equal(believed[-1], m.transition.toarray().reshape(3, 2, 3))


@every_seed
def test_a_constant_less_changes_no_policy_and_takes_its_sum_from_the_evidence(seed: int) -> None:
    transition, reward, initial, m = random_process(seed, discount=1.0)
    less = MDP(transition, reward - reward.max(), 1.0, initial)  # rewards that make exp r a probability
    found, other = mdp.messages(m, 6), mdp.messages(less, 6)
    assert_allclose(other.policy, found.policy, atol=1e-13)
    assert_allclose(other.log_evidence, found.log_evidence - 6 * reward.max(), atol=1e-12)
    assert other.log_evidence < 0
    found, other = mdp.structured_variational(m, 6), mdp.structured_variational(less, 6)
    assert_allclose(other.policy, found.policy, atol=1e-13)
    assert_allclose(other.elbo, found.elbo - 6 * reward.max(), atol=1e-12)


@every_seed
@pytest.mark.parametrize("solve", [mdp.messages, mdp.structured_variational])
def test_without_a_prior_each_step_adds_the_log_of_the_number_of_actions(solve: Any, seed: int) -> None:
    _, _, _, m = random_process(seed, discount=1.0)
    given, left_out = solve(m, 5), solve(m, 5, np.ones((5, 3)))
    steps_left = np.arange(5, 0, -1)[:, None]
    assert_allclose(left_out.v, given.v + steps_left * np.log(3), atol=1e-13)
    assert_allclose(left_out.q, given.q + (steps_left[..., None] - 1) * np.log(3), atol=1e-13)
    assert_allclose(left_out.policy, given.policy, atol=1e-14)
    assert_allclose(solve(m, 5, np.full((5, 3), 1 / 3)).v, given.v, atol=1e-13)


# ---------------------------------------------------------------- bounds


@every_shape
@every_seed
def test_evidence_is_bound_and_divergence(seed: int, options: dict[str, Any]) -> None:
    m, listed = small(seed, options)
    evidence, posterior = trajectories.posterior(listed, np.full((3, 2), 0.5))
    for policy in (random_policy(seed, m), random_policy(seed, m, T), mdp.messages(m, T).policy):
        own = trajectories.under(listed, policy)
        bound = mdp.elbo(m, policy, T)
        assert_allclose(bound + kl(own, posterior), np.log(evidence), atol=1e-12)
        surprise = -sum(
            p * np.log(np.prod([policy[t, s, a] if policy.ndim == 3 else policy[s, a] for t, (s, a) in path]))
            for p, path in zip(own, [list(enumerate(zip(s, a, strict=False))) for s, a, *_ in listed], strict=True)
            if p > 0
        )
        earned = sum(p * sum(rewards) for p, (*_, rewards) in zip(own, listed, strict=True))
        steps = sum(p * len(actions) for p, (_, actions, *_) in zip(own, listed, strict=True))
        assert_allclose(bound, earned + surprise - steps * np.log(2), atol=1e-12)


@every_shape
@every_seed
def test_the_variational_policy_has_the_highest_bound(seed: int, options: dict[str, Any]) -> None:
    _, _, _, m = random_process(seed, discount=1.0, **options)
    found = mdp.structured_variational(m, T)
    assert_allclose(mdp.elbo(m, found.policy, T), found.elbo, atol=1e-13)
    assert_allclose(found.elbo, m.initial @ found.v[0], atol=1e-14)
    assert found.elbo <= mdp.messages(m, T).log_evidence + 1e-12
    for k in range(50):
        assert mdp.elbo(m, random_policy(k, m, T), T) < found.elbo
    nearby = found.policy * np.exp(1e-3 * np.random.default_rng(seed).normal(size=found.policy.shape))
    assert mdp.elbo(m, nearby / nearby.sum(axis=2, keepdims=True), T) < found.elbo


@every_seed
@pytest.mark.parametrize("terminal", [(), (1, 2)])
def test_without_chance_the_bound_is_tight(seed: int, terminal: tuple[int, ...]) -> None:
    """Given the first state: what is left is only that the evidence tells about it."""
    transition, reward, initial, m = random_process(seed, discount=1.0, deterministic=True, terminal=terminal)
    exact, bound = mdp.messages(m, T), mdp.structured_variational(m, T)
    assert_allclose(bound.v, exact.v, atol=1e-13)
    assert_allclose(bound.q, exact.q, atol=1e-13)
    assert_allclose(bound.policy, exact.policy, atol=1e-13)
    assert_allclose(exact.log_evidence - bound.elbo, kl(initial, exact.initial), atol=1e-13)
    known = MDP(transition, reward, 1.0, np.eye(5)[0], terminal)
    assert_allclose(mdp.structured_variational(known, T).elbo, mdp.messages(known, T).log_evidence, atol=1e-13)


@every_seed
def test_with_chance_exact_messages_are_optimistic(seed: int) -> None:
    _, _, _, m = random_process(seed, discount=1.0, density=1.0)
    exact, bound = mdp.messages(m, T), mdp.structured_variational(m, T)
    assert_allclose(exact.q[-1], bound.q[-1])
    assert (exact.v[:-1] > bound.v[:-1] + 1e-3).all()
    lucky = mdp.posterior_dynamics(m, exact, 0)
    assert ((lucky @ exact.v[1]) > (m.transition @ exact.v[1])).all()
    assert exact.log_evidence > bound.elbo + 1e-3


def test_half_a_nat_lies_between_the_two_on_the_lecture_process() -> None:
    """And none on its twin without chance."""
    gap = mdp.messages(FINITE, T).log_evidence - mdp.structured_variational(FINITE, T).elbo
    assert 0.5 < gap < 0.6
    assert np.abs(mdp.messages(FINITE, T).policy - mdp.structured_variational(FINITE, T).policy).max() > 0.05
    twin = MDP(np.eye(3)[[[0, 1], [1, 2], [0, 2]]], R, 1.0, P0)
    assert_allclose(mdp.messages(twin, T).v, mdp.structured_variational(twin, T).v, atol=1e-14)


def test_an_optimist_takes_the_gamble() -> None:
    exact, bound = mdp.messages(gamble(), 2), mdp.structured_variational(gamble(), 2)
    assert_allclose(exact.policy[0, 0, 1], np.cosh(2) / (1 + np.cosh(2)), atol=1e-15)
    assert_allclose(bound.policy[0, 0], [0.5, 0.5], atol=1e-15)
    believed = mdp.posterior_dynamics(gamble(), exact, 0).toarray()[1]
    assert_allclose(believed, [0, 0, 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))], atol=1e-15)


@every_seed
def test_the_bound_is_a_soft_value_without_discount(seed: int) -> None:
    """After many steps to an end, and less the uniform prior's share, it is the soft value of no horizon."""
    transition, reward, initial, _ = random_process(seed, density=1.0)
    ending = 0.6 * transition
    ending[:, :, 4] += 0.4
    m = MDP(ending, reward - np.log(3), 1.0, initial, terminal=4)
    plain = MDP(ending, reward, 1.0, initial, terminal=4)
    assert_allclose(mdp.structured_variational(plain, 100).v[0], mdp.soft_value_iteration(m, 1.0).v, atol=1e-12)


def test_values_far_from_zero_do_not_overflow() -> None:
    transition, reward, initial, _ = random_process(1, discount=1.0)
    for size in (1e4, -1e4):
        m = MDP(transition, size * reward, 1.0, initial)
        found = mdp.messages(m, 30)
        assert np.isfinite(found.v).all()
        assert np.isfinite(found.log_evidence)
        assert_allclose(found.policy.sum(axis=2), 1)
        assert_allclose(np.asarray(mdp.posterior_dynamics(m, found, 0).sum(axis=1)), 1, atol=1e-9)
        assert mdp.structured_variational(m, 30).elbo <= found.log_evidence


def test_a_policy_against_the_prior_has_no_bound() -> None:
    _, _, _, m = random_process(1, 3, 2, 1.0)
    prior = np.array([[1.0, 0], [0.5, 0.5], [0.5, 0.5]])
    assert mdp.elbo(m, np.full((3, 2), 0.5), T, prior) == -np.inf
    assert np.isfinite(mdp.elbo(m, prior, T, prior))
    assert_array_equal(mdp.structured_variational(m, T, prior).policy[:, 0], [[1, 0]] * T)
    assert_array_equal(mdp.messages(m, T, prior).policy[:, 0], [[1, 0]] * T)


# ---------------------------------------------------------------- what is refused


def test_evidence_has_no_discount() -> None:
    _, _, _, m = random_process(1, discount=0.9)
    for call in (
        lambda: mdp.messages(m, T),
        lambda: mdp.structured_variational(m, T),
        lambda: mdp.elbo(m, random_policy(1, m), T),
        lambda: mdp.log_joint(m, [0], [0]),
    ):
        with pytest.raises(ValueError, match=r"discount: found 0\.9, expected 1.*terminal state"):
            call()


@pytest.mark.parametrize("horizon", [0, -3, 2.5, "4", True])
def test_horizons(horizon: Any) -> None:
    _, _, _, m = random_process(1, discount=1.0)
    with pytest.raises(ValueError, match=r"horizon: found .*whole number of at least 1"):
        mdp.messages(m, horizon)


def test_priors_that_are_none() -> None:
    _, _, _, m = random_process(1, discount=1.0)
    for wrong, says in (
        (np.full((5, 3), 0.5), r"action_prior: the probabilities of state 0 sum to 1\.5"),
        (np.ones((3, 5)), r"action_prior: found shape \(3, 5\), expected \(5, 3\)"),
        (np.where(np.eye(5, 3) == 1, -1, 1), "action_prior: found -1.0 for state 0, action 0"),
    ):
        for solve in (mdp.messages, mdp.structured_variational, lambda *a: mdp.elbo(m, random_policy(1, m), T, a[2])):
            with pytest.raises(ValueError, match=says):
                solve(m, T, wrong)


def test_trajectories_that_are_none() -> None:
    transition, reward, _, _ = random_process(1, 3, 2, 1.0)
    m = MDP(transition, reward, 1.0, [1, 0, 0], terminal=2)
    for state, action, says in (
        ([0, 1], [0], "shapes"),
        ([], [], "shapes"),
        ([0, 3], [0, 0], "state: found 0 to 3, expected whole numbers from 0 to 2"),
        ([0, 1], [0, 2], "action: found 0 to 2, expected whole numbers from 0 to 1"),
        ([0, 0.5], [0, 0], "state: found"),
        ([0, 2], [0, 1], "none in one that is"),
        ([0, -1], [0, -1], "a state after each action"),
        ([-1, 0], [-1, 0], "state and action"),
        ([0, 2, 1], [0, -1, 0], "state and action"),
    ):
        with pytest.raises(ValueError, match=says):
            mdp.log_joint(m, state, action)
    assert mdp.log_joint(m, [1], [0]) == -np.inf
    assert np.isfinite(mdp.log_joint(m, [0, 2, -1], [0, -1, -1])) == (transition[0, 0, 2] > 0)


def test_steps_of_the_posterior_dynamics() -> None:
    _, _, _, m = random_process(1, discount=1.0)
    other = random_process(1, 4, discount=1.0)[3]
    with pytest.raises(ValueError, match=r"messages of shape \(4, 3\), expected those of this process, \(5, 3\)"):
        mdp.posterior_dynamics(m, mdp.messages(other, T), 0)
    for step in (-1, T, 0.5):
        with pytest.raises(ValueError, match=f"step: found {step}, expected 0 to {T - 1}"):
            mdp.posterior_dynamics(m, mdp.messages(m, T), step)
