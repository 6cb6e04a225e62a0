"""Single numbers of a posterior: how they rank, and what they are called."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

SAMPLES = ("chain", "draw")
NAMED = 5  # of many subjects
PARTS = ("mu", "sigma", "z", "group")  # of a parameter under partial pooling


@dataclass(frozen=True)
class Entry:
    """One number of a posterior, and what was computed of it.

    Parameters
    ----------
    value : float
        What was computed: r_hat, an effective sample size.
    variable : str
        Its variable.
    at : mapping of int
        Where it stands along each of the variable's dims.
    coords : mapping
        The labels there.
    """

    value: float
    variable: str
    at: Mapping[str, int]
    coords: Mapping[str, Any]

    def __str__(self) -> str:
        unnamed = [dim for dim in self.coords if dim.startswith(f"{self.variable}_dim_")]  # as PyMC calls them
        name = f"{self.variable}[{', '.join(str(self.coords[dim]) for dim in unnamed)}]" if unnamed else self.variable
        named = [f"{dim} {label!r}" for dim, label in self.coords.items() if dim not in unnamed]
        return f"{name} of {', '.join(named)}" if named else name

    def draws(self, posterior: xr.Dataset, variable: str | None = None) -> np.ndarray:
        """Return its draws, (chain, draw), or those of another variable at the same place."""
        return np.asarray(posterior[variable or self.variable].isel(self.at).transpose(*SAMPLES).values)


def ranked(values: xr.Dataset) -> list[Entry]:
    """Return all numbers of a posterior by what was computed of each, the smallest first; NaN has no rank."""
    return sorted((e for of in values.data_vars.values() for e in _entries(of)), key=lambda e: e.value)


def _entries(of: xr.DataArray) -> Iterator[Entry]:
    values, dims = of.values, [str(dim) for dim in of.dims]
    labels = [of[dim].values.tolist() for dim in dims]
    for at in np.argwhere(~np.isnan(values)).tolist():
        coords = {dim: own[k] for dim, own, k in zip(dims, labels, at, strict=True)}
        yield Entry(float(values[tuple(at)]), str(of.name), dict(zip(dims, at, strict=True)), coords)


def is_part(name: str, posterior: xr.Dataset) -> bool:
    """Whether a variable is what a parameter is made of: the group's, or subjects' deviations."""
    of, _, part = name.rpartition("_")
    return part in PARTS and of in posterior


def without_doubles(entries: Sequence[Entry], posterior: xr.Dataset) -> list[Entry]:
    """Return entries without those that say the same as others: subjects' deviations, and the group on another scale.

    Where there are only such, all are returned.
    """
    names = {e.variable for e in entries}
    doubles = {name for name in names if name.endswith(("_z", "_group")) and is_part(name, posterior)}
    return [e for e in entries if e.variable not in doubles] or list(entries)


def subjects(entries: Sequence[Entry]) -> list[Any]:
    """Return the labels of the subjects that entries are of, in their order."""
    return list(dict.fromkeys(e.coords["subject"] for e in entries if "subject" in e.coords))


def listed(labels: Sequence[Any]) -> str:
    """Return the first few labels in words."""
    shown = ", ".join(map(repr, labels[:NAMED]))
    return f"{shown}, ..." if len(labels) > NAMED else shown
