"""Families whose log partition function is an integral that is computed."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from rlpymc.transitions.cells import POINTS, Cells, gauss, quantiles
from rlpymc.transitions.family import Family

MOST = 2**21  # numbers in memory
AT_A_TIME = 2**17  # points of densities that are drawn from, which stay in the processor's cache


class Numeric(Family):
    """A family that gives its density at points, from which all else is computed.

    Densities with larger v are more peaked, and take finer cells: those of level k are split in 2^k.
    """

    @abstractmethod
    def _level(self, v: np.ndarray) -> np.ndarray:
        """Level of fineness that cells need, (n,)."""

    @abstractmethod
    def _cells(self, level: int) -> Cells:
        """Return the cells over which to integrate."""

    @abstractmethod
    def _at_points(self, level: int, v: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray:
        """Return the log density at all points (n, n_points), or at those of one cell for each v (n, POINTS).

        It is up to a constant that does not depend on v.
        """

    @abstractmethod
    def _averaged(self, function: Callable[[np.ndarray], np.ndarray], level: int, v: np.ndarray) -> np.ndarray:
        """Return a function of x at all points, (n or 1, n_points)."""

    @abstractmethod
    def _placed(self, r: np.ndarray, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return draws of x from points drawn from the cells, and further uniform numbers (n, n_uniforms - 1)."""

    def _masses(self, level: int, v: np.ndarray) -> np.ndarray:
        """Return the integral over each cell, (n, n_cells), up to a factor for each v."""
        cells = self._cells(level)
        found = np.empty((len(v), len(cells.bend)))
        for some in np.array_split(np.arange(len(v)), max(1, len(v) * cells.x.size // AT_A_TIME)):
            density = self._at_points(level, v[some])
            density = np.exp(density - density.max(axis=1, keepdims=True)).reshape(len(some), *cells.x.shape)
            found[some] = np.einsum("ncp,cp->nc", density, cells.weight)
        return found

    def expectation(self, function: Callable[[np.ndarray], np.ndarray], v: np.ndarray) -> np.ndarray:
        """Return the mean of a smooth function of the next state, (...).

        Parameters
        ----------
        function : callable
            Takes an array of next states and returns one of the same shape.
        v : (..., n_statistics), or (n,) for one statistic
            Natural parameters.
        """
        return self._means([function], self._natural(v))[..., 0]

    def _by_level(self, v: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Yield rows of v (n, n_statistics) that are computed at a time, with their level."""
        levels = self._level(v)
        for level in np.unique(levels):
            rows = np.flatnonzero(levels == level)
            pieces = max(1, len(rows) * self._cells(int(level)).x.size // MOST)
            for some in np.array_split(rows, pieces):
                yield some, int(level)

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        flat = v.reshape(-1, self.n_statistics)
        found = np.empty(len(flat))
        for rows, level in self._by_level(flat):
            log_density = self._at_points(level, flat[rows])
            highest = log_density.max(axis=1)
            found[rows] = highest + np.log(np.exp(log_density - highest[:, None]) @ self._cells(level).weight.ravel())
        return found.reshape(v.shape[:-1])

    def _means(self, functions: list[Callable[[np.ndarray], np.ndarray]], v: np.ndarray) -> np.ndarray:
        """Return means of functions of x, (..., n_functions)."""
        flat = v.reshape(-1, self.n_statistics)
        found = np.empty((len(flat), len(functions)))
        for rows, level in self._by_level(flat):
            log_density = self._at_points(level, flat[rows])
            weight = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * self._cells(level).weight.ravel()
            weight /= weight.sum(axis=1, keepdims=True)
            for k, function in enumerate(functions):
                found[rows, k] = np.vecdot(weight, self._averaged(function, level, flat[rows]))
        return found.reshape(*v.shape[:-1], len(functions))

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        return self._means([_statistic(self, k) for k in range(self.n_statistics)], v)

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        k = self.n_statistics
        statistics = [_statistic(self, i) for i in range(k)]
        products = [_product(self, i, j) for i in range(k) for j in range(k)]
        found = self._means(statistics + products, v)
        mean, square = found[..., :k], found[..., k:].reshape(*v.shape[:-1], k, k)
        return square - mean[..., None] * mean[..., None, :]

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._means([lambda x: x, np.square], v)
        return found[..., 0], found[..., 1] - found[..., 0] ** 2

    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        flat, at = v.reshape(-1, self.n_statistics), x.ravel()
        different, row = np.unique(flat, axis=0, return_inverse=True)
        found = np.empty(len(at))
        for k, own in enumerate(different):
            found[row == k] = self._cdf_at(at[row == k], own)
        return found.reshape(x.shape)

    def _cdf_at(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the distribution function at one v."""
        edges, log_z = self.breakpoints(v), self._log_partition(v)

        def density(x: np.ndarray) -> np.ndarray:
            return np.exp(self.log_base(x) + sum(k * psi for k, psi in zip(v, self.statistics(x), strict=True)) - log_z)

        whole = Cells.between(edges, kink=0.0)
        until = np.concatenate([[0.0], (density(whole.x) * whole.weight).sum(axis=1).cumsum()])
        cell = np.clip(np.searchsorted(edges, x) - 1, 0, len(edges) - 2)
        begin, end = edges[cell], np.clip(x, edges[0], edges[-1])
        # up to 0 from x, or up to x from the cell's beginning, so that a kink stays at the end where points gather
        turned = edges[cell + 1] == 0
        low, high = np.where(turned, end, begin), np.where(turned, 0.0, end)
        t, w = gauss()
        u = (1 + t) / 2
        bend = np.where(turned, -1, np.where(begin == 0, 1, 0))[:, None]
        width = (high - low)[:, None]
        at = np.where(bend == 0, low[:, None] + width * u, np.where(bend > 0, width * u**3, -width * (1 - u) ** 3))
        rate = np.where(bend == 0, 0.5, 1.5 * np.where(bend > 0, u, 1 - u) ** 2) * width
        part = (density(at) * rate) @ w
        return np.clip(np.where(turned, until[cell + 1] - part, until[cell] + part), 0.0, 1.0)

    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        shape = u.shape[:-1]
        flat, numbers = v.reshape(-1, self.n_statistics), u.reshape(-1, self.n_uniforms)
        row = np.broadcast_to(np.arange(len(flat)).reshape(v.shape[:-1]), shape).ravel()
        row_level, found = self._level(flat), np.empty(len(numbers))
        draw_level = row_level[row]
        for level in np.unique(row_level):
            rows, draws = np.flatnonzero(row_level == level), np.flatnonzero(draw_level == level)
            cells, masses = self._cells(int(level)), self._masses(int(level), flat[rows])
            place = np.searchsorted(rows, row)
            for some in np.array_split(draws, max(1, len(draws) * POINTS // AT_A_TIME)):
                own = flat[row[some]]
                at_points = partial(self._at_points, int(level), own)
                r = quantiles(cells, masses, place[some], numbers[some, 0], at_points)
                found[some] = self._placed(r, own, numbers[some, 1:])
        return found.reshape(shape)


def _statistic(family: Family, k: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.asarray(family.statistics(x)[k])


def _product(family: Family, i: int, j: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.asarray(family.statistics(x)[i] * family.statistics(x)[j])
