"""Where values come from: a table with a row for each state, or a function of a batch of states."""

from typing import Any

import numpy as np

from rlpymc.checks import numbers, whole_numbers

__all__ = ["as_source", "evaluated", "is_array", "own_params"]


def is_array(found: Any) -> bool:
    """True for an array, and for numbers that are easily made one."""
    return hasattr(found, "__array__") or isinstance(found, list | tuple)


def as_source(name: str, found: Any, axes: tuple[str, ...]) -> Any:
    """Return a table as an array with these axes, or a function as it is; a TypeError for anything else."""
    if is_array(found):
        numbers(name, found)
        table = np.asarray(found)
        if table.ndim != len(axes):
            raise TypeError(f"{name}: found an array of shape {table.shape}, expected ({', '.join(axes)})")
        if table.size == 0:
            raise ValueError(f"{name}: found an empty array of shape {table.shape}, expected ({', '.join(axes)})")
        return table
    if callable(found) and not isinstance(found, type):
        return found
    raise TypeError(
        f"{name}: found {found!r} of type {type(found).__name__}, expected an array ({', '.join(axes)}), a function of "
        f"a batch of states that returns (batch, {', '.join(axes[1:])}), or a QFunction"
    )


def evaluated(name: str, source: Any, states: Any, axes: tuple[str, ...]) -> np.ndarray:
    """A source's values for states, with these last axes.

    Parameters
    ----------
    name : str
        What to call it in an error.
    source : (n_states, *axes) or callable
        A table, or a function of a batch of states that returns (batch, *axes).
    states : (...) int, or (batch, ...)
        For a table whole numbers, for a function a batch; a single number is a batch of one, returned without its axis.
    axes : tuple of str
        Names of the axes after those of the states.

    Raises
    ------
    TypeError
        If states are no array, or the function returns no numbers.
    ValueError
        If there is no such state, or the function returns another shape.
    """
    if isinstance(source, np.ndarray):
        return numbers(name, source[whole_numbers("state", states, len(source))])
    batch = np.asarray(states)
    if batch.dtype == object:
        raise TypeError(f"state: found {type(states).__name__} of {batch.dtype}, expected an array of states")
    single = batch.ndim == 0
    if single:
        batch = batch[None]
    returned = source(batch)
    if hasattr(returned, "mean") and not is_array(returned):
        raise TypeError(f"{name}: the function returned {type(returned).__name__}; for distributions take StochasticQ")
    found = numbers(f"{name}, as the function returned it", returned)
    if found.ndim != 1 + len(axes) or len(found) != len(batch):
        raise ValueError(
            f"{name}: the function returned shape {found.shape} for a batch of {len(batch)} states, expected "
            f"({len(batch)}, {', '.join(axes)}). States stand along the first axis: a single one goes in as state[None]"
        )
    return found[0] if single else found


def own_params(source: Any) -> Any:
    """Return the parameters of a source: a table itself, the `params` of a function, {} if it has none."""
    return source if isinstance(source, np.ndarray) else getattr(source, "params", {})
