"""Integrals of densities cell by cell, and the points below which a given share of them lies.

A cell is an interval on which a density is smooth: Gauss's rule integrates it there, and the polynomial through the
same points gives the distribution function in between.  Next to a kink the points follow a cubic, which is smooth where
a power of the distance from the kink is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev, legendre

POINTS = 16  # in a cell
FINE = 32  # parts of a cell in which a root is looked for
STEPS = 2  # of Newton's method from there
TABLED = 1e5  # size of v up to which log partitions are tabled


@dataclass(frozen=True)
class Cells:
    """Points in cells.

    Parameters
    ----------
    edges : (n_cells + 1,)
        Where cells begin and end, in order.
    bend : (n_cells,)
        1 and -1 for cells whose points gather at their beginning or end by a cubic, 0 for the others.
    x : (n_cells, POINTS)
        The points.
    stretch : (n_cells, POINTS)
        dx / dt at the points, where t runs from -1 to 1 through the cell.
    weight : (n_cells, POINTS)
        What a sum over all points takes the density times, to be its integral.
    """

    edges: np.ndarray
    bend: np.ndarray
    x: np.ndarray
    stretch: np.ndarray
    weight: np.ndarray

    @classmethod
    def between(cls, edges: np.ndarray, kink: float | None = None) -> "Cells":
        """Return cells between edges, one of which may be a kink."""
        low, high = edges[:-1], edges[1:]
        bend = np.zeros(len(low), dtype=int)
        if kink is not None:
            bend += (low == kink).astype(int) - (high == kink).astype(int)
        t, w = gauss()
        here = np.arange(len(low))[:, None]
        x, stretch = _place(low[here], high[here], bend[here], t)
        return cls(edges, bend, x, stretch, stretch * w)

    def position(self, cell: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Return x at t in cells."""
        return _place(self.edges[cell], self.edges[cell + 1], self.bend[cell], t)[0]


def symmetric(end: float, n: int) -> np.ndarray:
    """Return numbers from -end to end in 2 n steps, of which the middle one is 0."""
    half = np.linspace(0.0, end, n + 1)
    return np.concatenate([-half[:0:-1], half])


def _place(low: np.ndarray, high: np.ndarray, bend: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and dx/dt."""
    width, u = high - low, (1 + t) / 2
    x = np.where(bend == 0, low + width * u, np.where(bend > 0, low + width * u**3, high - width * (1 - u) ** 3))
    stretch = np.where(bend == 0, width / 2, 1.5 * width * np.where(bend > 0, u, 1 - u) ** 2)
    return x, stretch


@lru_cache(maxsize=1)
def gauss() -> tuple[np.ndarray, np.ndarray]:
    """Return points and weights of Gauss's rule on [-1, 1]."""
    t, w = legendre.leggauss(POINTS)
    return t, w


@lru_cache(maxsize=1)
def _running() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return matrices by which values at the points become polynomials.

    They give the Chebyshev coefficients of the polynomial, those of its integral from -1, and that at equal steps.
    """
    t, w = gauss()
    orders = np.arange(POINTS)
    to_legendre = (orders[:, None] + 0.5) * legendre.legvander(t, POINTS - 1).T * w
    slope, total = np.zeros((POINTS, POINTS)), np.zeros((POINTS, POINTS + 1))
    for k in range(POINTS):
        series = legendre.Legendre(to_legendre[:, k]).convert(kind=chebyshev.Chebyshev)
        slope[k, : len(series.coef)] = series.coef
        integral = series.integ(lbnd=-1).coef
        total[k, : len(integral)] = integral
    return slope, total, total @ chebyshev.chebvander(np.linspace(-1, 1, FINE + 1), POINTS).T


def _between(begin: np.ndarray, share: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return t where a share of a fine part is reached, if the density does not change within it."""
    end = begin + 2 / FINE
    t = begin + share * (2 / FINE)
    bent = np.flatnonzero(bend)
    turn = bend[bent]
    low, high = (1 + turn * begin[bent]) ** 3, (1 + turn * end[bent]) ** 3
    t[bent] = turn * (np.cbrt(low + share[bent] * (high - low)) - 1)
    return t


def quantiles(
    cells: Cells,
    masses: np.ndarray,
    row: np.ndarray,
    u: np.ndarray,
    log_density: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Quantiles: the x at which the distribution functions of densities reach u.

    Parameters
    ----------
    cells : Cells
        The points.
    masses : (n_rows, n_cells)
        Integrals of densities over the cells, up to a factor for each density.
    row : (n,)
        Which density.
    u : (n,)
        Shares, in (0, 1).
    log_density : callable
        Takes a cell for each of these, (n,), and returns the logs of the densities at its points, (n, POINTS), up to a
        constant for each.

    Returns
    -------
    (n,)
    """
    slope, total, fine = _running()
    until = masses.cumsum(axis=1)[row]
    wanted = u * until[:, -1]
    cell = np.minimum((until < wanted[:, None]).sum(axis=1), len(cells.bend) - 1)
    n = np.arange(len(u))
    inside = wanted - np.where(cell > 0, until[n, cell - 1], 0.0)
    mass = masses[row, cell]
    here = log_density(cell)
    here = np.exp(here - here.max(axis=1, keepdims=True)) * cells.stretch[cell]
    reached = here @ fine  # (n, FINE + 1)
    wanted = np.clip(inside / np.where(mass > 0, mass, 1.0), 0.0, 1.0) * reached[:, -1]
    part = (reached[:, 1:-1] < wanted[:, None]).sum(axis=1)
    low, high = reached[n, part], reached[n, part + 1]
    share = np.clip((wanted - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    begin = -1 + part * (2 / FINE)
    t, c, d = _between(begin, share, cells.bend[cell]), (here @ total).T, (here @ slope).T
    for _ in range(STEPS):
        rate = chebyshev.chebval(t, d, tensor=False)
        step = np.where(rate > 0, (chebyshev.chebval(t, c, tensor=False) - wanted) / np.where(rate > 0, rate, 1.0), 0.0)
        t = np.clip(t - step, begin, begin + 2 / FINE)
    return cells.position(cell, t)
