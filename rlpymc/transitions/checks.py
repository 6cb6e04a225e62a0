"""What is asked of numbers and arrays, in the same words everywhere."""

from typing import Any

import numpy as np


class ScoreMatchingWarning(UserWarning):
    """Score matching is not valid for a family, or for these data, and what it returns is biased."""


def positive(name: str, value: Any, most: float = np.inf) -> float:
    """Return a finite number above 0, or say what was found."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not 0 < number <= most or not np.isfinite(number):
        limit = f" and at most {most:g}" if np.isfinite(most) else ""
        raise ValueError(f"{name}: found {value}, expected a number above 0{limit}")
    return float(number)


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number of at least `least`, or say what was found."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not number >= least or number % 1 != 0:
        raise ValueError(f"{name}: found {value!r}, expected a whole number of at least {least}")
    return int(number)


def check_finite(name: str, values: np.ndarray) -> None:
    """Raise an error that names the first entry that is not a finite number."""
    finite = np.isfinite(values)
    if not finite.all():
        place = [int(k) for k in np.argwhere(~finite)[0]]
        labels = ("row", "column") if values.ndim == 2 else tuple(f"axis {k}, entry" for k in range(values.ndim))
        where = ", ".join(
            f"{label} {k}" for label, k in zip(("row",) if values.ndim == 1 else labels, place, strict=True)
        )
        raise ValueError(
            f"{name}{f', {where}' if where else ''}: found {values[tuple(place)]}, expected a finite number"
        )


def as_columns(name: str, values: Any) -> np.ndarray:
    """Return data (n, columns), of which (n,) is one column, checked."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{name}: expected numbers, (n, columns) or (n,), but {problem}") from None
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: found shape {np.shape(values)}, expected (n, columns) or (n,) with n > 0")
    check_finite(name, array)
    return array


def as_data(features: Any, next_states: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return features (n, n_features) and next states (n, n_coordinates), checked against each other."""
    phi, x = as_columns("features", features), as_columns("next_states", next_states)
    if len(phi) != len(x):
        raise ValueError(f"found {len(phi)} rows of features and {len(x)} of next_states, expected as many")
    return phi, x
