"""Episodes: what happens when a policy is followed, and single steps from anywhere, as data to learn from."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import whole
from rlpymc.mdp.policy import policy_by_step
from rlpymc.mdp.process import MDP

type Seed = int | np.random.Generator


@dataclass(frozen=True, eq=False)
class Transitions:
    """Single steps.

    Attributes
    ----------
    state, action, next_state : (n,) of int
        From where, how, to where.
    reward : (n,)
        What it brought.
    """

    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_state: np.ndarray


@dataclass(frozen=True, eq=False)
class Episodes:
    """Episodes of a policy, the shorter ones filled up to the horizon.

    Attributes
    ----------
    state : (n_episodes, horizon + 1) of int
        States, the one after the last action included; -1 after a terminal state.
    action : (n_episodes, horizon) of int
        Actions; -1 once the episode is over.
    reward : (n_episodes, horizon)
        Rewards; 0 once the episode is over.
    """

    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """Number of actions in each episode: (n_episodes,) of int."""
        return np.asarray((self.action >= 0).sum(axis=1))

    def transitions(self) -> Transitions:
        """Return the steps of all episodes, one after the other."""
        made = self.action >= 0
        return Transitions(self.state[:, :-1][made], self.action[made], self.reward[made], self.state[:, 1:][made])


def sample_episodes(m: MDP, policy: Any, n_episodes: int, horizon: int, seed: Seed) -> Episodes:
    """Follow a policy from the first states on.

    Parameters
    ----------
    m : MDP
        The process; its discount plays no part.
    policy : (n_states, n_actions), (horizon, n_states, n_actions), or (n_states,) of int
        Probabilities, or actions.
    n_episodes, horizon : int
        How many episodes, and how many actions at most in each.
    seed : int or numpy.random.Generator
        The same seed gives the same episodes.

    Returns
    -------
    Episodes
        States, actions and rewards.

    Raises
    ------
    ValueError
        If the policy is none.
    """
    n, rng = whole("n_episodes", n_episodes), np.random.default_rng(seed)
    by_step = policy_by_step(m, policy, horizon)
    state = np.full((n, len(by_step) + 1), -1)
    action, reward = np.full((n, len(by_step)), -1), np.zeros((n, len(by_step)))
    state[:, 0] = first_states(m, n, rng)
    for t, probs in enumerate(by_step):
        alive = np.flatnonzero((state[:, t] >= 0) & ~m.ends[state[:, t]])
        if not len(alive):
            break
        now = state[alive, t]
        cumulative = probs[now].cumsum(axis=1)
        drawn = rng.random((len(alive), 1)) * cumulative[:, -1:]
        action[alive, t] = made = (drawn >= cumulative[:, :-1]).sum(axis=1)
        reward[alive, t] = m.reward[now, made]
        state[alive, t + 1] = next_states(m, now, made, rng)
    return Episodes(state, action, reward)


def sample_transitions(m: MDP, n: int, seed: Seed) -> Transitions:
    """Draw single steps from states that are not terminal and actions, all alike.

    Parameters
    ----------
    m : MDP
        The process.
    n : int
        How many.
    seed : int or numpy.random.Generator
        The same seed gives the same steps.

    Returns
    -------
    Transitions
        States, actions, rewards and next states.
    """
    rng = np.random.default_rng(seed)
    state = rng.choice(np.flatnonzero(~m.ends), size=whole("n", n))
    action = rng.integers(m.n_actions, size=len(state))
    return Transitions(state, action, m.reward[state, action], next_states(m, state, action, rng))


def first_states(m: MDP, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw first states (n,)."""
    return rng.choice(m.n_states, size=n, p=m.initial / m.initial.sum())


def next_states(m: MDP, state: np.ndarray, action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the state (n,) that follows each state and action (n,)."""
    row = state * m.n_actions + action
    first, last = m.transition.indptr[row], m.transition.indptr[row + 1] - 1
    before = np.where(first > 0, m.cumulative[first - 1], 0.0)
    drawn = before + rng.random(len(row)) * (m.cumulative[last] - before)
    entry = np.searchsorted(m.cumulative, drawn, side="right")
    return np.asarray(m.transition.indices[np.clip(entry, first, last)], dtype=int)
