"""Families whose statistic is periodic, on a base that falls off on both sides: log q(x) = -|x|^alpha / alpha.

Z(v) is the integral over one period of exp(v psi(x)) times the base wrapped around that period, which does not depend
on v.  A draw is a point in the period, and then which period it lies in, given the point, which does not either.
"""

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import gamma

from rlpymc.checks import positive
from rlpymc.transitions.cells import POINTS, Cells, symmetric
from rlpymc.transitions.numeric import MOST, Numeric
from rlpymc.transitions.tables import RealLineTable

NEGLIGIBLE = 45.0  # how far log q falls before the base is taken to be 0
WIDEST = 0.8  # cell
GENTLE = 6.0  # v times peakedness, up to which cells need not be split
NEAREST = 5  # periods that are looked at first
MASS_DEGREE = 32  # of polynomials by v, with terms that fall below 1e-17
MOST_WAVES = 1000  # on either side of 0
LEAST_ALPHA, MOST_ALPHA = 0.5, 10.0  # between which integrals are right to 1e-10


class Periodic(Numeric):
    """A periodic statistic on the base exp(-|x|^alpha / alpha).

    Parameters
    ----------
    alpha : float
        Exponent of the base, from 0.5 to 10; 2 is a normal distribution, 1 a Laplace distribution.
    """

    n_uniforms = 2
    cycle: float  # the period
    lowest: float  # of psi
    highest: float
    turning: float  # how far from 0 both of these are reached at most
    peakedness: float  # about the largest second derivative of psi, in units of its phase

    def __init__(self, alpha: float) -> None:
        self.alpha = positive("alpha", alpha)
        if not LEAST_ALPHA <= self.alpha <= MOST_ALPHA:
            raise ValueError(f"alpha: found {alpha}, expected a number from {LEAST_ALPHA} to {MOST_ALPHA:g}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    @abstractmethod
    def psi(self, x: Any, xp: ModuleType = np) -> Any:
        """Return the statistic."""

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return psi(x)."""
        return (self.psi(x, xp),)

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x) = -|x|^alpha / alpha."""
        return -(x**2) / 2 if self.alpha == 2 else -(xp.abs(x) ** self.alpha) / self.alpha

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return -np.sign(x) * np.abs(x) ** (self.alpha - 1)

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q, away from 0."""
        return -(self.alpha - 1) * np.abs(x) ** (self.alpha - 2)

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        return _table(self).graph(v[0])[0]

    @property
    def log_partition_at_zero(self) -> float:
        """Return log Z(0) in closed form."""
        return float(np.log(2 * self.alpha ** (1 / self.alpha) * gamma(1 + 1 / self.alpha)))

    @property
    def reach(self) -> float:
        """Distance from 0 within which a density can lie, however large v is."""
        return float((NEGLIGIBLE * self.alpha + self.turning**self.alpha) ** (1 / self.alpha))

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers as far as the base reaches, 0 among them."""
        edges = self._cells(int(self._level(v[None])[0])).edges
        return symmetric(self.reach, int(np.ceil(self.reach / (edges[1] - edges[0]))))

    def _level(self, v: np.ndarray) -> np.ndarray:
        size = np.abs(v[:, 0]) * self.peakedness
        return np.ceil(0.5 * np.log2(np.maximum(size / GENTLE, 1))).astype(int)

    def _cells(self, level: int) -> Cells:
        return _wrapped(self, level)[0]

    def _at_points(self, level: int, v: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray:
        _, log_base, psi = _wrapped(self, level)
        if cell is not None:
            log_base, psi = (of_points.reshape(-1, POINTS)[cell] for of_points in (log_base, psi))
        log_density = v * psi
        log_density += log_base
        return log_density

    def _masses(self, level: int, v: np.ndarray) -> np.ndarray:
        if level > 0:
            return super()._masses(level, v)
        terms = chebyshev.chebvander(v[:, 0] * self.peakedness / GENTLE, MASS_DEGREE)
        return np.maximum(terms @ _mass_series(self), 0.0)

    def _averaged(self, function: Callable[[np.ndarray], np.ndarray], level: int, v: np.ndarray) -> np.ndarray:
        cells, log_base, _ = _wrapped(self, level)
        return np.asarray(_over_images(self, cells, function) / np.exp(log_base))[None]

    def _placed(self, r: np.ndarray, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return draws; most are decided by the nearest periods, whatever lies in those beyond."""
        near, rest = _shifts(self)[:NEAREST], _rest(self)
        until = np.exp(self.log_base(r[:, None] + near)).cumsum(axis=1)
        least, most = (until < u * until[:, -1:]).sum(axis=1), (until < u * (until[:, -1:] + rest)).sum(axis=1)
        which = np.minimum(least, len(near) - 1)
        undecided = np.flatnonzero(least != most)
        x = r + near[which]
        if undecided.size:
            every = r[undecided, None] + _shifts(self)
            until = np.exp(self.log_base(every)).cumsum(axis=1)
            which = (until < u[undecided] * until[:, -1:]).sum(axis=1)
            x[undecided] = every[np.arange(len(every)), np.minimum(which, every.shape[1] - 1)]
        return x


class CustomSin(Periodic):
    """The family of the source's example: log q(x) = -|x|^alpha / alpha and psi(x) = sin(period x).

    Parameters
    ----------
    alpha : float
        Exponent of the base, from 0.5 to 10.
    period : float
        What x is multiplied by in the sine.  The base must reach one to 1000 of its peaks on either side, so that with
        an alpha of 1.7 it is from 0.122 to 490.  The name is the source's; psi repeats itself after 2 pi / period.

    Raises
    ------
    ValueError
        If alpha or period is out of range.

    References
    ----------
    Li, Li, Kabra, Srebro, Wang & Yang (2022). Exponential family model-based reinforcement learning via score matching.
    """

    lowest, highest, peakedness = -1.0, 1.0, 1.0

    def __init__(self, alpha: float, period: float) -> None:
        super().__init__(alpha)
        self.period = positive("period", period)
        self.cycle, self.turning = 2 * np.pi / self.period, np.pi / (2 * self.period)
        spread = (NEGLIGIBLE * self.alpha) ** (1 / self.alpha)
        least, most = np.pi / 2 / spread, 2 * np.pi * MOST_WAVES / spread
        if not least <= self.period <= most:
            raise ValueError(
                f"period: found {period}, expected a number from {least:.3g} to {most:.3g} for alpha = {alpha:g}, so "
                f"that the base reaches a peak of the sine, and not more than {MOST_WAVES} of them on either side"
            )

    def __repr__(self) -> str:
        return f"CustomSin(alpha={self.alpha:g}, period={self.period:g})"

    def psi(self, x: Any, xp: ModuleType = np) -> Any:
        """Return sin(period x)."""
        return xp.sin(self.period * x)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return (self.period * np.cos(self.period * x))[..., None]

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of psi."""
        return -(self.period**2) * np.sin(self.period * x)[..., None]


class SinSquared(Periodic):
    """psi(x) = sin(x)^2 on the base exp(-|x|^alpha / alpha).

    Parameters
    ----------
    alpha : float
        Exponent of the base, from 0.5 to 10.
    """

    cycle, lowest, highest, turning, peakedness = np.pi, 0.0, 1.0, np.pi / 2, 0.5

    def __init__(self, alpha: float = 2.0) -> None:
        super().__init__(alpha)

    def __repr__(self) -> str:
        return f"SinSquared(alpha={self.alpha:g})"

    def psi(self, x: Any, xp: ModuleType = np) -> Any:
        """Return sin(x)^2."""
        return xp.sin(x) ** 2

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.sin(2 * x)[..., None]

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of psi."""
        return 2 * np.cos(2 * x)[..., None]


class ExpSin(Periodic):
    """psi(x) = exp(sin x) on the base exp(-|x|^alpha / alpha).

    Parameters
    ----------
    alpha : float
        Exponent of the base, from 0.5 to 10.
    """

    cycle, lowest, highest, turning, peakedness = 2 * np.pi, float(np.exp(-1)), float(np.e), np.pi / 2, float(np.e)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def __repr__(self) -> str:
        return f"ExpSin(alpha={self.alpha:g})"

    def psi(self, x: Any, xp: ModuleType = np) -> Any:
        """Return exp(sin x)."""
        return xp.exp(xp.sin(x))

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return (np.cos(x) * np.exp(np.sin(x)))[..., None]

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of psi."""
        return ((np.cos(x) ** 2 - np.sin(x)) * np.exp(np.sin(x)))[..., None]


@lru_cache(maxsize=256)
def _shifts(family: Periodic) -> np.ndarray:
    """Return by how much a point near 0 is shifted to each period that the base reaches, the nearest first."""
    n = int(np.ceil(family.reach / family.cycle + 0.5))
    return family.cycle * np.array(sorted(range(-n, n + 1), key=abs))


@lru_cache(maxsize=256)
def _rest(family: Periodic) -> float:
    """Return the most that the base can add up to in all but the nearest periods."""
    beyond = np.abs(_shifts(family)[NEAREST:]) - family.cycle / 2
    return float(np.exp(family.log_base(beyond)).sum())


@lru_cache(maxsize=64)
def _wrapped(family: Periodic, level: int) -> tuple[Cells, np.ndarray, np.ndarray]:
    """Return cells over one period around 0, the log of the wrapped base at their points, and psi there."""
    end = min(family.cycle / 2, family.reach)
    n = max(int(np.ceil(end / min(WIDEST, family.reach / 8))), 4) * 2**level
    edges = symmetric(end, n)
    cells = Cells.between(np.insert(edges, [n, n + 1], edges[[n - 1, n + 1]] / 2), kink=0.0)
    return cells, np.log(_over_images(family, cells, np.ones_like)), family.psi(cells.x.ravel())


@lru_cache(maxsize=64)
def _mass_series(family: Periodic) -> np.ndarray:
    """Return the integral over each cell as Chebyshev series by v, (MASS_DEGREE + 1, n_cells), where v is small.

    The middle of psi is taken as 0, so that densities of v and -v are of one size.
    """
    at = chebyshev.chebpts1(MASS_DEGREE + 1)
    cells, log_base, psi = _wrapped(family, 0)
    middle = (family.lowest + family.highest) / 2
    density = np.exp(at[:, None] * (GENTLE / family.peakedness) * (psi - middle) + log_base)
    masses = (density * cells.weight.ravel()).reshape(len(at), *cells.x.shape).sum(axis=2)
    return np.asarray(chebyshev.chebfit(at, masses, MASS_DEGREE))


def _over_images(family: Periodic, cells: Cells, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return sums of the base times a function over the images of points in all periods, (n_points,)."""
    shifts, x = _shifts(family), cells.x.ravel()
    sums = []
    for some in np.array_split(x, max(1, len(x) * len(shifts) // MOST)):
        images = some + shifts[:, None]
        sums.append((function(images) * np.exp(family.log_base(images))).sum(axis=0))
    return np.concatenate(sums)


@lru_cache(maxsize=64)
def _table(family: Periodic) -> RealLineTable:
    """Return log Z on the whole line."""
    return RealLineTable.of(
        lambda v: family._log_partition(v[:, None]), slopes=(family.lowest, family.highest), log_factor=-0.5
    )
