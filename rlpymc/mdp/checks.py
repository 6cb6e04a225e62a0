"""Numbers that describe processes and policies, checked in the same words everywhere."""

from typing import Any

import numpy as np

LARGEST = np.finfo(np.float64).max
SMALLEST = np.nextafter(0.0, 1.0)  # above 0
SUM = 1e-8  # by how much probabilities may miss a sum of one: more than rounding, less than anyone's typing error


def number(name: str, found: Any, low: float, high: float, expected: str) -> float:
    """Return a number in [low, high], or say what was found and what was expected."""
    one = np.asarray(found)
    if one.ndim or one.dtype.kind not in "biuf" or not low <= one <= high:
        raise ValueError(f"{name}: found {found!r}, expected {expected}")
    return float(one)


def weight(name: str, found: Any) -> float:
    """Return the weight of an entropy: a finite number of at least 0, True for 1, False for 0."""
    return number(name, found, 0.0, LARGEST, "a number of at least 0, in units of reward, or True for 1")


def numbers(name: str, found: Any, shape: tuple[int, ...] | None = None, hint: str = "") -> np.ndarray:
    """Return a copy as float64, or say which shape or entry was found."""
    try:
        if np.iscomplexobj(found):
            raise ValueError("found complex ones")
        array = np.array(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array of numbers; {error}") from None
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name}: found shape {array.shape}, expected {shape}.{hint and ' ' + hint}")
    return array


def axes(name: str, found: Any) -> int:
    """Return how many axes an array has, or say that it is none."""
    try:
        return np.ndim(found)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of numbers; {error}") from None


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


def few(found: np.ndarray, most: int = 8) -> str:
    """Return the first few of some states, in words."""
    listed = ", ".join(str(int(k)) for k in found[:most])
    return f"{'states' if len(found) != 1 else 'state'} {listed}" + (
        f", ... ({len(found)} in all)" if len(found) > most else ""
    )
