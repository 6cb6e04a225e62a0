"""Bounds that a user sets to estimates, within those of the parameters' supports."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from rlpymc.checks import unknown
from rlpymc.model import Parameter

type Bounds = dict[str, tuple[float, float]]


def check_bounds(
    estimated: Iterable[Parameter], bounds: Mapping[str, Any] | None, formulas: Collection[str] = ()
) -> Bounds:
    """Bounds by parameter as pairs of numbers, or an error that says which is none.

    Parameters
    ----------
    estimated : iterable of Parameter
        What is estimated, see `Population.estimated`: of parameters that are equal the first stands for all.
    bounds : mapping, optional
        By parameter a lower and an upper bound, on the natural scale.
    formulas : collection of str
        The parameters that have formulas.

    Raises
    ------
    TypeError
        If this is no mapping.
    ValueError
        If a parameter is not estimated as a number, or has a formula, or its bounds are no interval within its support.
    """
    if not (bounds is None or isinstance(bounds, Mapping)):
        raise TypeError(f"bounds: found {bounds!r}, expected pairs of numbers by parameter: {{'beta': (0, 30)}}")
    parameters = {p.name: p for p in estimated if not p.support.discrete}
    found: Bounds = {}
    for name, pair in (bounds or {}).items():
        if name not in parameters:
            raise unknown("estimated number in bounds", name, parameters)
        if name in formulas:
            raise ValueError(
                f"bounds[{name!r}]: {name!r} has a formula, and coefficients are estimated in its place, which have no "
                f"bounds; its link keeps it within its support, {parameters[name].support}: leave out bounds or formula"
            )
        support, numbers = parameters[name].support, np.ravel(np.asarray(pair, dtype=object))
        if not (len(numbers) == 2 and all(isinstance(v, int | float | np.number) for v in numbers)):
            raise ValueError(f"bounds[{name!r}]: found {pair!r}, expected a lower and an upper bound, such as (0, 30)")
        low, high = map(float, numbers)
        if not (support.lower <= low < high <= support.upper):
            raise ValueError(
                f"bounds[{name!r}]: found {pair!r}, expected a lower bound below the upper one, both from "
                f"{support.lower:g} to {support.upper:g}; to hold a parameter at a value, use fixed={{{name!r}: ...}}"
            )
        found[name] = low, high
    return found
