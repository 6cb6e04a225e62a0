"""Plain reading of the PyMC example "Fitting a Reinforcement Learning Model to Behavioral Data with PyMC" (R. Vieira):
a two-armed bandit, values that start at .5, softmax choice. Its seed is sum(map(ord, "RL_PyMC")) = 598.
"""

from collections.abc import Sequence

import numpy as np


def generate(
    seed: int,
    alpha: float = 0.5,
    beta: float = 5.0,
    n: int = 150,
    p: Sequence[float] = (0.4, 0.6),
    q0: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Actions, rewards, and the two values after each trial."""
    rng = np.random.default_rng(seed)
    actions, rewards, q_after = np.zeros(n, dtype=int), np.zeros(n, dtype=int), np.zeros((n, 2))
    q = np.array([q0, q0])
    for t in range(n):
        weights = np.exp(beta * q)
        a = int(rng.choice([0, 1], p=weights / weights.sum()))
        r = int(rng.random() < p[a])
        q[a] += alpha * (r - q[a])
        actions[t], rewards[t], q_after[t] = a, r, q
    return actions, rewards, q_after


def negative_log_likelihood(
    alpha: float, beta: float, actions: np.ndarray, rewards: np.ndarray, drop_first: bool = True
) -> float:
    """One trial after the other; the notebook leaves the first action out."""
    q, total = np.array([0.5, 0.5]), 0.0
    for t in range(len(actions)):
        a, r = actions[t], rewards[t]
        if t > 0 or not drop_first:
            total -= beta * q[a] - np.log(np.exp(beta * q[0]) + np.exp(beta * q[1]))
        q[a] += alpha * (r - q[a])
    return float(total)


def negative_log_likelihood_vectorised(
    alpha: float, beta: float, actions: np.ndarray, rewards: np.ndarray, drop_first: bool = True
) -> float:
    """The values one after the other, then the choices of all trials at once: with two arms -log p(a) is
    log(1 + exp(beta * (value of the other arm - value of the chosen arm))).
    """
    n = len(actions)
    q = np.full((n, 2), 0.5)
    for t in range(n - 1):
        q[t + 1] = q[t]
        q[t + 1, actions[t]] += alpha * (rewards[t] - q[t, actions[t]])
    difference = q[np.arange(n), 1 - actions] - q[np.arange(n), actions]
    return float(np.logaddexp(0, beta * difference)[int(drop_first) :].sum())
