"""Processes for tests: drawn at random, and two whose answers are known."""

import numpy as np
from scipy import sparse

from rlpymc.mdp import MDP


def random_process(
    seed: int,
    n_states: int = 5,
    n_actions: int = 3,
    discount: float = 0.9,
    terminal: tuple[int, ...] = (),
    density: float = 0.7,
    deterministic: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, MDP]:
    """Transitions with some zeros, rewards, first states, and the process."""
    rng = np.random.default_rng(seed)
    shape = (n_states, n_actions, n_states)
    if deterministic:
        transition = np.eye(n_states)[rng.integers(n_states, size=shape[:2])]
    else:
        weights = rng.exponential(size=shape) * (rng.random(shape) < density)
        weights[..., 0] += 1e-3  # so that no row is empty
        transition = weights / weights.sum(axis=2, keepdims=True)
    reward, initial = rng.normal(size=shape[:2]), rng.dirichlet(np.ones(n_states))
    return transition, reward, initial, MDP(transition, reward, discount, initial, terminal)


def random_policy(seed: int, m: MDP, horizon: int | None = None) -> np.ndarray:
    size = m.n_states if horizon is None else (horizon, m.n_states)
    return np.random.default_rng(seed).dirichlet(np.ones(m.n_actions), size)


def line(n: int, forward: float) -> MDP:
    """A line to its last state at a cost of 1 a step; action 1 goes on with a probability, or back; 0 tosses a coin."""
    at = np.arange(n)
    back, ahead = np.maximum(at - 1, 0), np.minimum(at + 1, n - 1)
    moves = [
        sparse.csr_array((np.r_[np.full(n, 1 - p), np.full(n, p)], (np.r_[at, at], np.r_[back, ahead])), shape=(n, n))
        for p in (0.5, forward)
    ]
    return MDP(moves, np.full((n, 2), -1.0), terminal=n - 1)


def grid(side: int, discount: float, slip: float = 0.0) -> MDP:
    """A square whose last corner is the end; actions step up, down, left, right, or slip to any side."""
    cell, n = np.arange(side**2).reshape(side, side), side**2
    steps = []
    for move, axis in ((-1, 0), (1, 0), (-1, 1), (1, 1)):
        to = np.take(cell, np.clip(np.arange(side) + move, 0, side - 1), axis=axis).ravel()
        steps.append(sparse.csr_array((np.ones(n), to, np.arange(n + 1)), shape=(n, n)))
    anywhere = (steps[0] + steps[1] + steps[2] + steps[3]) / 4
    return MDP([(1 - slip) * step + slip * anywhere for step in steps], np.full((n, 4), -1.0), discount, terminal=n - 1)
