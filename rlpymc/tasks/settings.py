"""Spaces of Gymnasium, patterns of trials, and walks between walls, for all tasks."""

from typing import Any

import numpy as np
from gymnasium import spaces

from rlpymc.checks import within

LARGEST = 1e300  # of numbers without limits: Gymnasium advises against infinite ones, and can draw between these


def real(low: float = -LARGEST, high: float = LARGEST) -> spaces.Box:
    """Return the space of one number in [low, high], or 0 for one that is not known yet."""
    return spaces.Box(min(low, 0.0), max(high, 0.0), shape=(), dtype=np.float64)


def share(name: str, value: Any) -> np.ndarray:
    """Return a share of trials () or the trials themselves, boolean (n_trials,), or say what was found."""
    found = np.asarray(value)
    if found.ndim == 1 and found.dtype == bool and found.size:
        return found
    if found.ndim:
        raise ValueError(
            f"{name}: found an array {found.shape} of {found.dtype}, expected a share of trials in [0, 1] or booleans "
            "(n_trials,)"
        )
    return within(name, found)


def spread(name: str, value: np.ndarray, n_subjects: int, n_trials: int, rng: np.random.Generator) -> np.ndarray:
    """Mask (n_subjects, n_trials) of the trials that a share or pattern stands for; a share of 0 draws nothing.

    Subjects stand side by side in memory, as a simulation takes all of them trial by trial.
    """
    if value.ndim:
        long_enough(name, len(value), n_trials)
        return np.repeat(value[:n_trials, None], n_subjects, axis=1).T
    if value == 0:
        return np.zeros((n_trials, n_subjects), dtype=bool).T
    return np.asfortranarray(rng.random((n_subjects, n_trials)) < value)


def long_enough(name: str, described: int, n_trials: int) -> None:
    """Raise an error if more trials are asked for than are described."""
    if n_trials > described:
        raise ValueError(f"{name} is described for {described} trials, and trial {described} was asked for")


def reflect(walk: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a walk as it runs between two walls that reflect it, from the walk without walls.

    With symmetric steps, folding the walk is the same in distribution as reflecting each of its steps.
    """
    width = high - low
    return high - np.abs(np.mod(walk - low, 2 * width) - width)
