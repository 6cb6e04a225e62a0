"""Chains that move, and disagree, as is wanted."""

import numpy as np

APART = 8.0  # standard deviations between two places


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 42])


def moving(memory: float, seed: int, draws: int = 1000, chains: int = 4) -> np.ndarray:
    """Chains of a standard normal distribution that forget a share of where they were at each step."""
    noise, found = rng(seed).normal(size=(chains, draws)), np.empty((chains, draws))
    found[:, 0] = noise[:, 0]
    for t in range(1, draws):
        found[:, t] = memory * found[:, t - 1] + np.sqrt(1 - memory**2) * noise[:, t]
    return found


def switching(rate: float, seed: int, **options: int) -> np.ndarray:
    """Chains that go between two places, half of them from each."""
    draws = moving(0.3, seed, **options)
    side = np.cumsum(rng(seed + 100).random(draws.shape) < rate, axis=1) + np.arange(len(draws))[:, None]
    return draws + APART * (side % 2)
