"""Settings of experiments, checked in the same words by all of them."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from gymnasium import spaces

LARGEST = 1e300  # of numbers without limits: Gymnasium advises against infinite ones, and can draw between these


def real(low: float = -LARGEST, high: float = LARGEST) -> spaces.Box:
    """Return the space of one number in [low, high], or 0 for one that is not known yet."""
    return spaces.Box(min(low, 0.0), max(high, 0.0), shape=(), dtype=np.float64)


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least `least`, or say what was found."""
    if not isinstance(value, Real) or isinstance(value, bool) or not float(value).is_integer() or value < least:
        raise ValueError(f"{name}: found {value}, expected a whole number of at least {least}")
    return int(float(value))


def at_least(name: str, value: float, least: float = 0.0) -> float:
    """Return a finite number of at least `least`, or say what was found."""
    if not (np.isfinite(value) and value >= least):
        raise ValueError(f"{name}: found {value}, expected a number of at least {least:g}")
    return float(value)


def finite(name: str, value: float) -> float:
    """Return a finite number, or say what was found."""
    if not np.isfinite(value):
        raise ValueError(f"{name}: found {value}, expected a finite number")
    return float(value)


def within(name: str, value: Any, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Return numbers in [low, high], or say which were found."""
    numbers = np.asarray(value, dtype=float)
    if not ((numbers >= low) & (numbers <= high)).all():
        found = f"{numbers.min():g}" if numbers.size == 1 else f"{numbers.min():g} to {numbers.max():g}"
        raise ValueError(
            f"{name}: found {found}, expected {'a number' if numbers.ndim == 0 else 'numbers'} in [{low:g}, {high:g}]"
        )
    return numbers


def ordered(name: str, value: Sequence[float]) -> tuple[float, float]:
    """Return a lower and a higher number, or say what was found."""
    pair = np.asarray(value, dtype=float)
    if pair.shape != (2,) or not np.isfinite(pair).all() or pair[0] >= pair[1]:
        raise ValueError(f"{name}: found {value}, expected two numbers, the lower one first")
    return float(pair[0]), float(pair[1])


def states(name: str, found: int | Sequence[int], n_states: int) -> np.ndarray:
    """Return states from 0 on, or say what was found."""
    numbers = np.atleast_1d(found)
    if numbers.size and (numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= n_states)).any()):
        raise ValueError(f"{name}: found {', '.join(map(str, numbers))}, expected states from 0 to {n_states - 1}")
    return numbers


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
    """Return which trials (n_subjects, n_trials) a share or pattern stands for; a share of 0 draws nothing."""
    if value.ndim:
        long_enough(name, len(value), n_trials)
        return np.tile(value[:n_trials], (n_subjects, 1))
    if value == 0:
        return np.zeros((n_subjects, n_trials), dtype=bool)
    return rng.random((n_subjects, n_trials)) < value


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
