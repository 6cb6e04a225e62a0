"""What is asked of arguments, in the same words everywhere: checks, tolerances, and the form of messages.

A message names the argument (column, subject and trial where there are such), what was found, what was expected, and
how to mend it.  Functions named after what they return (`whole`, `share`, `probabilities`) return it in our type;
functions named ``check_...`` return nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np

LARGEST = np.finfo(np.float64).max
SMALLEST = np.nextafter(0.0, 1.0)  # above 0
# By how much probabilities may miss a sum of one: more than single precision loses, less than anyone's typing error.
SUM = 5e-7
# By how much a value may fall short of the highest and still tie with it, in units of the largest absolute value: more
# than rounding, less than anything meant.
TIE = 1e-10

# ------------------------------------------------------------------------------------------- names, kinds, options


def unknown(what: str, name: object, known: Iterable[object]) -> ValueError:
    """Return an error that names what is not known, the nearest name that is, and all of them."""
    names = [str(k) for k in known]
    nearest = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"unknown {what} {name!r}.{hint} There is: {', '.join(names) or 'none'}.")


def check_type(value: object, kind: type, what: str) -> None:
    """Raise a TypeError that says what was expected unless a value is of a kind."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {what}, found {type(value).__name__}")


def check_whole(least: int, **options: Any) -> None:
    """Raise a ValueError that names the first option that is not of a whole number's type, or below the least."""
    for name, value in options.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(_not_whole(name, value, least))


def _not_whole(name: str, value: Any, least: int) -> str:
    return f"{name}: found {value!r}, expected a whole number of at least {least}"


def check_seed(seed: Any) -> None:
    """Raise a ValueError unless a seed is a whole number that is not negative, or None."""
    if seed is not None:
        check_whole(0, seed=seed)


def is_number(value: Any) -> bool:
    """Whether a value is a real number, NaN left out."""
    return isinstance(value, Real) and value == value


def as_names(option: str, given: Any) -> tuple[str, ...]:
    """The names that an option holds, one or several."""
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{option}: found {given!r}, expected names of parameters, such as {option}=['q0']")
    return names


# -------------------------------------------------------------------------------------------------- single numbers


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a number without a fraction, of at least `least`, as an int, or say what was found."""
    number = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    is_count = isinstance(number, Real) and not isinstance(number, bool | np.bool)
    if not is_count or not float(number) >= least or not float(number).is_integer():
        raise ValueError(_not_whole(name, value, least))
    return int(float(number))


def number(name: str, found: Any, low: float, high: float, expected: str) -> float:
    """Return a number in [low, high], or say what was found and what was expected."""
    one = np.asarray(found)
    if one.ndim or one.dtype.kind not in "biuf" or not low <= one <= high:
        raise ValueError(f"{name}: found {found!r}, expected {expected}")
    return float(one)


def weight(name: str, found: Any) -> float:
    """Return the weight of an entropy: a finite number of at least 0, True for 1, False for 0."""
    return number(name, found, 0.0, LARGEST, "a number of at least 0, in units of reward, or True for 1")


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


def positive(name: str, value: Any, most: float = np.inf) -> float:
    """Return a finite number above 0, or say what was found."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not 0 < number <= most or not np.isfinite(number):
        limit = f" and at most {most:g}" if np.isfinite(most) else ""
        raise ValueError(f"{name}: found {value}, expected a number above 0{limit}")
    return float(number)


def at_least(name: str, value: float, least: float = 0.0) -> float:
    """Return a finite number of at least `least`, or say what was found."""
    if not (np.isfinite(value) and value >= least):
        raise ValueError(f"{name}: found {value}, expected a number of at least {least:g}")
    return float(value)


def finite_number(name: str, value: float) -> float:
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


# ---------------------------------------------------------------------------------------------------------- arrays


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


def array_of_numbers(name: str, found: Any, shape: tuple[int, ...] | None = None, hint: str = "") -> np.ndarray:
    """Return a copy as float64; a ValueError for another shape, or for what are no numbers."""
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
    """Number of an array's axes, or a refusal if it is no array."""
    try:
        return np.ndim(found)
    except ValueError as error:
        raise ValueError(f"{name}: expected an array of numbers; {error}") from None


def place(labels: tuple[str, ...], entry: Any) -> str:
    """Return words such as "state 0, action 1" for an entry of an array."""
    return ", ".join(f"{label} {int(k)}" for label, k in zip(labels, entry, strict=True))


def check_finite(name: str, array: np.ndarray, labels: tuple[str, ...] | None = None) -> None:
    """Raise a ValueError that names the first entry that is NaN or infinite.

    Parameters
    ----------
    name : str
        What the array is.
    array : ndarray
        The array.
    labels : tuple of str, optional
        What the entries of each axis are called, in the singular; row and column unless told.
    """
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        entry = tuple(wrong[0])
        labels = labels or (("row", "column")[: array.ndim] if array.ndim < 3 else _axes_of(array.ndim))
        at = f" for {place(labels, entry)} ({len(wrong)} such in all)" if entry else ""
        raise ValueError(f"{name}: found {array[entry]}{at}, expected a finite number")


def _axes_of(n: int) -> tuple[str, ...]:
    return tuple(f"axis {k}, entry" for k in range(n))


def finite_array(name: str, found: Any, axes: tuple[str, ...]) -> np.ndarray:
    """Return a finite array with these axes; a TypeError for another kind or number of axes, else a ValueError."""
    array = numbers(name, found)
    if array.ndim != len(axes):
        raise TypeError(f"{name}: found shape {array.shape}, expected ({', '.join(axes)}{',' * (len(axes) == 1)})")
    if not np.isfinite(array).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}: found {array[where]} at index {where}, expected finite numbers")
    return array


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


def whole_numbers(name: str, found: Any, n: int) -> np.ndarray:
    """Whole numbers from 0 to n - 1 as an array, or a ValueError that names the first wrong one.

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


def states(name: str, found: int | Sequence[int], n_states: int) -> np.ndarray:
    """Return states from 0 on, or say what was found."""
    numbers = np.atleast_1d(found)
    if numbers.size and (numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= n_states)).any()):
        raise ValueError(f"{name}: found {', '.join(map(str, numbers))}, expected states from 0 to {n_states - 1}")
    return numbers


def few(found: np.ndarray, most: int = 8) -> str:
    """Return the first few of some states, in words."""
    listed = ", ".join(str(int(k)) for k in found[:most])
    return f"{'states' if len(found) != 1 else 'state'} {listed}" + (
        f", ... ({len(found)} in all)" if len(found) > most else ""
    )


# ----------------------------------------------------------------------------- values and probabilities of actions


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
            f"{name}: found {value} for action {action}{_row(where, states)}, expected a finite value, or -inf for "
            "an action that is not on offer"
        )
    none = (values == -np.inf).all(axis=-1)
    if none.any():
        where = [int(k) for k in np.argwhere(none)[0]]
        raise ValueError(f"{name}: found -inf for all actions{_row(where, states)}, expected at least one on offer")
    return values


def _row(where: list[int], states: np.ndarray | None) -> str:
    """Return in words which row of values is meant, " in state 3" or " at index (0, 2)"."""
    if states is not None and states.ndim == len(where):
        return f" in state {states[tuple(where)]}"
    return f" at index {tuple(where)}" if where else ""


def probabilities(
    name: str, found: Any, shape: tuple[int, ...] | None = None, labels: tuple[str, ...] | None = None
) -> np.ndarray:
    """Return probabilities that sum to one over the last axis, within `SUM`, or say which entry or sum is wrong.

    Parameters
    ----------
    name : str
        What they are.
    found : array-like
        The probabilities.
    shape : tuple of int, optional
        The shape they must have; unless given, any with an entry in its last axis.
    labels : tuple of str, optional
        What the entries of each axis are called, in the singular.

    Returns
    -------
    (*shape) ndarray
        In float64.

    Raises
    ------
    TypeError
        If no shape is given and they are no numbers.
    ValueError
        If the shape differs, an entry is no probability, or a row does not sum to one.
    """
    array = numbers(name, found) if shape is None else array_of_numbers(name, found, shape)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name}: found shape {array.shape}, expected probabilities (..., n_actions)")
    labels = labels or (*_axes_of(array.ndim - 1), "entry")
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
