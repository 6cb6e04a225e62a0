"""Numbers that describe processes and policies, checked in the same words everywhere."""

from numbers import Real
from typing import Any

import numpy as np

SUM = 1e-8  # by how much probabilities may miss a sum of one: more than rounding, less than anyone's typing error


def numbers(name: str, found: Any, shape: tuple[int, ...] | None = None, hint: str = "") -> np.ndarray:
    """Return a copy as float64, or say which shape or entry was found."""
    try:
        array = np.array(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array of numbers; {error}") from None
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: found shape {array.shape}, expected {shape}.{hint and ' ' + hint}")
    return array


def place(labels: tuple[str, ...], entry: Any) -> str:
    """Return words such as "state 0, action 1" for an entry of an array."""
    return ", ".join(f"{label} {int(k)}" for label, k in zip(labels, entry, strict=True))


def all_finite(name: str, array: np.ndarray, labels: tuple[str, ...]) -> None:
    """Raise an error that names the first entry that is NaN or infinite."""
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        entry = tuple(wrong[0])
        raise ValueError(
            f"{name}: found {array[entry]} for {place(labels, entry)} ({len(wrong)} such in all), "
            "expected a finite number"
        )


def probabilities(name: str, found: Any, shape: tuple[int, ...], labels: tuple[str, ...]) -> np.ndarray:
    """Return probabilities that sum to one over the last axis, or say which entry or sum is wrong.

    Parameters
    ----------
    name : str
        What they are.
    found : array-like
        The probabilities.
    shape : tuple of int
        The shape they must have.
    labels : tuple of str
        What the entries of each axis are called, in the singular.

    Returns
    -------
    (*shape) ndarray
        A copy in float64.

    Raises
    ------
    ValueError
        If the shape differs, an entry is no probability, or a row does not sum to one.
    """
    array = numbers(name, found, shape)
    wrong = np.argwhere(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        entry = tuple(wrong[0])
        raise ValueError(
            f"{name}: found {array[entry]} for {place(labels, entry)} ({len(wrong)} such in all), "
            "expected a probability"
        )
    sums = array.sum(axis=-1)
    wrong = np.argwhere(np.abs(sums - 1) > SUM)
    if len(wrong):
        entry = tuple(wrong[0])
        where = f" of {place(labels[:-1], entry)}" if entry else ""
        count = f" ({len(wrong)} such rows in all)" if entry else ""
        raise ValueError(f"{name}: the probabilities{where} sum to {sums[entry]:.10g}{count}, expected 1")
    return array


def weight(name: str, found: Any) -> float:
    """Return the weight of an entropy: a finite number of at least 0, True for 1, False for 0."""
    if not isinstance(found, Real | np.bool) or not 0 <= float(found) < np.inf:
        raise ValueError(f"{name}: found {found!r}, expected a number of at least 0, in units of reward, or True for 1")
    return float(found)


def few(found: np.ndarray, most: int = 8) -> str:
    """Return the first few of some states, in words."""
    listed = ", ".join(str(int(k)) for k in found[:most])
    return f"{'states' if len(found) != 1 else 'state'} {listed}" + (
        f", ... ({len(found)} in all)" if len(found) > most else ""
    )
