"""The entries of parameters, side by side in one vector or, by their labels, in one table."""

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr


def entry_labels(name: str, shape: tuple[int, ...]) -> list[str]:
    """Return the name of each entry of a parameter: its own, with an index where it is an array."""
    return [f"{name}[{','.join(map(str, k))}]" if shape else name for k in np.ndindex(*shape)]


def own_dims(name: str, n: int) -> tuple[str, ...]:
    """Return the names of a parameter's n own axes."""
    return tuple(f"{name}_dim_{k}" for k in range(n))


class ParameterVector:
    """Where parameters stand in a vector, each entry of an array on its own.

    Parameters
    ----------
    shapes : mapping
        The shape of each parameter for one subject, in their order in the vector.
    tied : mapping, optional
        Further parameters, by name the one in the vector whose value they have.

    Attributes
    ----------
    names : tuple of str
        The parameters in the vector, and the ones tied to them.
    places : dict of slice
        Where each of those in the vector is.
    labels : list of str
        Of the entries.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], tied: Mapping[str, str] | None = None) -> None:
        self.shapes = dict(shapes)
        self.tied = {name: first for name, first in (tied or {}).items() if first in shapes}
        self.names = (*self.shapes, *self.tied)
        self.labels = [label for name, shape in self.shapes.items() for label in entry_labels(name, shape)]
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes.values())]).tolist()
        self.places = {name: slice(a, b) for name, a, b in zip(self.shapes, ends[:-1], ends[1:], strict=True)}
        self._targets = [self.places[self.tied.get(name, name)] for name in self.names]

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, vectors: np.ndarray, name: str) -> np.ndarray:
        """Return one parameter, (..., *shape), from vectors (..., entry)."""
        return vectors[..., self.places[name]].reshape((*vectors.shape[:-1], *self.shapes[name]))

    def split(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Return all parameters, tied ones included, (..., *shape), from vectors (..., entry)."""
        found = {name: self.pick(vectors, name) for name in self.places}
        for name, first in self.tied.items():
            found[name] = found[first]
        return found

    def join(self, values: Mapping[str, np.ndarray], outer: tuple[int, ...] = ()) -> np.ndarray:
        """Return vectors (*outer, entry) of parameters (*outer, *shape)."""
        return np.concatenate([np.empty((*outer, 0)), *(values[k].reshape((*outer, -1)) for k in self.places)], axis=-1)

    def join_slopes(self, slopes: Iterable[np.ndarray], outer: tuple[int, ...] = ()) -> np.ndarray:
        """Return derivatives with respect to all `names`, (*outer, *shape), as ones with respect to the entries."""
        flat = np.zeros((*outer, len(self)))
        for place, slope in zip(self._targets, slopes, strict=True):
            flat[..., place] += slope.reshape((*outer, -1))
        return flat


def dataset(values: Mapping[str, np.ndarray], subjects: np.ndarray | None = None) -> xr.Dataset:
    """Return parameters (*shape), or (subject, *shape) where subjects are given, by name and with labels."""
    outer: dict[str, np.ndarray] = {} if subjects is None else {"subject": subjects}
    coords, found = dict(outer), {}
    for name, value in values.items():
        shape = value.shape[len(outer) :]
        own = own_dims(name, len(shape))
        coords |= {dim: np.arange(n) for dim, n in zip(own, shape, strict=True)}
        found[name] = (*outer, *own), value
    return xr.Dataset(found, coords=coords)


def columns(values: xr.Dataset, after: str = "") -> dict[str, np.ndarray]:
    """Return a column by subject for each entry of each parameter, by its label and what stands after it."""
    return {
        f"{label}{after}": column
        for name, value in values.items()
        for label, column in zip(
            entry_labels(str(name), value.shape[1:]), value.values.reshape((len(value), -1)).T, strict=True
        )
    }
