"""Distances between densities."""

from typing import Any

import numpy as np

from rlpymc.transitions.cells import Cells
from rlpymc.transitions.family import Family

BISECTIONS = 60


def total_variation(family: Family, v: Any, other_v: Any, other: Family | None = None) -> float:
    """Return the total variation distance between two densities, half the integral of their absolute difference.

    Parameters
    ----------
    family : Family
        Of the first density.
    v, other_v : (n_statistics,), or a number
        Natural parameters of the first and of the second.
    other : Family, optional
        Of the second; the same unless given.

    Returns
    -------
    float
        From 0 to 1; the integral is exact up to about 1e-10, since it is split where the densities cross.

    Raises
    ------
    ValueError
        If a natural parameter is of the wrong shape or not finite, or a density cannot be normalised.
    """
    return integrated_distance(family, v, other_v, other) / 2


def integrated_distance(family: Family, v: Any, other_v: Any, other: Family | None = None) -> float:
    """Return the integral of the absolute difference of two densities, twice their total variation distance.

    Parameters
    ----------
    family, v, other_v, other
        As for `total_variation`.
    """
    other = family if other is None else other
    own, others = (np.reshape(k, (1, -1)).astype(float) for k in (v, other_v))
    family.log_partition(own)  # complain of v before anything else
    other.log_partition(others)

    def difference(x: np.ndarray) -> np.ndarray:
        flat = x.ravel()
        return (family.prob(flat, own) - other.prob(flat, others)).reshape(x.shape)

    edges = np.unique(np.concatenate([family.breakpoints(own[0]), other.breakpoints(others[0])]))
    points = np.unique(np.concatenate([edges, Cells.between(edges).x.ravel()]))
    sign = np.sign(difference(points[1:-1]))
    crossing = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    low, high = points[1:-1][crossing], points[1:-1][crossing + 1]
    for _ in range(BISECTIONS if crossing.size else 0):
        middle = (low + high) / 2
        is_low = np.sign(difference(middle)) == sign[crossing]
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    cells = Cells.between(np.unique(np.concatenate([edges, low])), kink=0.0)
    return float(np.abs((difference(cells.x) * cells.weight).sum(axis=1)).sum())
