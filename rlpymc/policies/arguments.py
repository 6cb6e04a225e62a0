"""What policies are given, checked in the same words by all of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = [
    "above_zero",
    "action_values",
    "check_structure",
    "finite",
    "numbers",
    "one_number",
    "probabilities",
    "share",
    "whole_numbers",
]


def numbers(name: str, found: Any) -> np.ndarray:
    """Return an array of float64; a TypeError for what are no numbers, a ValueError for rows of different lengths."""
    if isinstance(found, np.ma.MaskedArray):
        raise TypeError(f"{name}: found a masked array, whose mask would be lost; give -inf to what is not on offer")
    try:
        array = np.asarray(found)
    except ValueError as error:
        raise ValueError(f"{name}: found rows of different lengths, expected an array of numbers") from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}: found {type(found).__name__} of {array.dtype}, expected numbers")
    return array.astype(float, copy=False)


def action_values(found: Any, name: str = "q", states: np.ndarray | None = None) -> np.ndarray:
    """Return values of actions as an array of float64.

    Parameters
    ----------
    found : (..., n_actions)
        Values in any unit; -inf for an action that is not on offer.
    name : str
        What to call them in an error.
    states : (...), optional
        Whose values these are, to be named in an error.

    Raises
    ------
    TypeError
        If they are not numbers.
    ValueError
        If there are no actions, a value is NaN or +inf, or no action is on offer; names the place.
    """
    values = numbers(name, found)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"{name}: found shape {values.shape}, expected (..., n_actions) with at least one action")
    wrong = np.isnan(values) | (values == np.inf)
    if wrong.any():
        *where, action = (int(k) for k in np.argwhere(wrong)[0])
        value = values[(*where, action)]
        raise ValueError(
            f"{name}: found {value} for action {action}{_place(where, states)}, expected a finite value, or -inf for "
            "an action that is not on offer"
        )
    none = (values == -np.inf).all(axis=-1)
    if none.any():
        where = [int(k) for k in np.argwhere(none)[0]]
        raise ValueError(f"{name}: found -inf for all actions{_place(where, states)}, expected at least one on offer")
    return values


def _place(where: list[int], states: np.ndarray | None) -> str:
    """Return in words which row of values is meant, " in state 3" or " at index (0, 2)"."""
    if states is not None and states.ndim == len(where):
        return f" in state {states[tuple(where)]}"
    return f" at index {tuple(where)}" if where else ""


def whole_numbers(name: str, found: Any, n: int) -> np.ndarray:
    """Return whole numbers from 0 to n - 1 as an array, or raise a ValueError that names the first wrong one.

    Numbers below 0 are refused, too: NumPy would count them from the end.
    """
    array = np.asarray(found)
    if array.size and array.dtype.kind not in "iu":  # an empty list counts as whole numbers
        raise ValueError(f"{name}: found {found!r} of {array.dtype}, expected whole numbers from 0 to {n - 1}")
    wrong = (array < 0) | (array >= n)
    if wrong.any():
        where = tuple(int(k) for k in np.argwhere(wrong)[0])
        at = f" at index {where}" if where else ""
        raise ValueError(f"{name}: found {array[where]}{at}, expected whole numbers from 0 to {n - 1}")
    return array.astype(int, copy=False)


def one_number(name: str, found: Any) -> float:
    """Return one number, which may be NaN, or raise a TypeError that says what was found instead."""
    array = numbers(name, found)
    if array.ndim:
        raise TypeError(f"{name}: found an array of shape {array.shape}, expected one number")
    return float(array)


def share(name: str, found: Any) -> float:
    """Return a number in [0, 1]; a ValueError if it lies outside."""
    number = one_number(name, found)
    if not 0 <= number <= 1:  # NaN does not
        raise ValueError(f"{name}: found {number:g}, expected a number in [0, 1]")
    return number


def above_zero(name: str, found: Any) -> float:
    """Return a finite number above 0 whose inverse is finite, too; a ValueError otherwise."""
    number = one_number(name, found)
    if not np.finfo(float).tiny <= number < np.inf:
        raise ValueError(f"{name}: found {number:g}, expected a finite number above 0 (of at least 2.3e-308)")
    return number


def finite(name: str, found: Any, axes: tuple[str, ...]) -> np.ndarray:
    """Return a finite array with these axes; a TypeError for another kind or number of axes, else a ValueError."""
    array = numbers(name, found)
    if array.ndim != len(axes):
        raise TypeError(f"{name}: found shape {array.shape}, expected ({', '.join(axes)}{',' * (len(axes) == 1)})")
    if not np.isfinite(array).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: found {array[where]} at index {where}, expected finite numbers")
    return array


def probabilities(name: str, found: Any) -> np.ndarray:
    """Return probabilities (..., n) that sum to 1 over the last axis, within 1e-6, or raise a ValueError."""
    p = numbers(name, found)
    if p.ndim == 0 or p.shape[-1] == 0:
        raise ValueError(f"{name}: found shape {p.shape}, expected probabilities (..., n_actions)")
    wrong = ~((p >= 0).all(axis=-1) & (np.abs(p.sum(axis=-1) - 1) <= 1e-6))
    if wrong.any():
        row = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name}: found {p[row]}{f' at index {row}' if row else ''} with sum {p[row].sum():g}, expected "
            "probabilities of at least 0 with sum 1"
        )
    return p


def check_structure(new: Any, old: Any, name: str = "params") -> None:
    """Raise a TypeError unless new parameters are built like the old ones: same names, same lengths, same shapes."""
    if isinstance(old, Mapping):
        if not isinstance(new, Mapping) or new.keys() != old.keys():
            keys = list(new) if isinstance(new, Mapping) else type(new).__name__
            raise TypeError(f"{name}: found {keys}, expected {list(old)}: new parameters are built like the old ones")
        for key in old:
            check_structure(new[key], old[key], f"{name}[{key!r}]")
    elif isinstance(old, list | tuple):
        if type(new) is not type(old) or len(new) != len(old):
            kind = f"{type(new).__name__}{f' of {len(new)}' if isinstance(new, list | tuple) else ''}"
            raise TypeError(
                f"{name}: found {kind}, expected {type(old).__name__} of {len(old)}: new parameters are built like the "
                "old ones"
            )
        for k, (one, other) in enumerate(zip(new, old, strict=True)):
            check_structure(one, other, f"{name}[{k}]")
    elif np.shape(new) != np.shape(old) or isinstance(new, Mapping | str):
        kind = f"shape {np.shape(new)}" if np.shape(new) != np.shape(old) else type(new).__name__
        raise TypeError(
            f"{name}: found {kind}, expected numbers of shape {np.shape(old)}: new parameters are built like the old "
            "ones"
        )
