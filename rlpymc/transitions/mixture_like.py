"""A family whose densities have several humps, as those of mixtures of normal distributions have."""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import ive

from rlpymc.transitions.cells import Cells, symmetric
from rlpymc.transitions.numeric import Numeric
from rlpymc.transitions.tables import RealLineTable

REACH = 9.5  # standard deviations
CELLS = 24  # on either side, which is a width of about pi / 8
TERMS = 5  # of the series of Z; the next one is below 1e-31


class MixtureLike(Numeric):
    r"""psi(x) = (x, 4 sin(x)^2) on the base exp(-x^2 / 2).

    The first natural parameter moves the density; the second, if positive, takes probability away from around multiples
    of pi.  With z = 2 v_2 and modified Bessel functions I,

        Z(v) = \sqrt{2 \pi} \exp(z + v_1^2 / 2) [I_0(z) + 2 \sum_k (-1)^k \exp(-2 k^2) I_k(z) \cos(2 k v_1)].
    """

    n_statistics = 2

    def __repr__(self) -> str:
        return "MixtureLike()"

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x) = -x^2 / 2."""
        return -(x**2) / 2

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return x and 4 sin(x)^2."""
        return x, 4 * xp.sin(x) ** 2

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return -x

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""
        return -np.ones_like(x)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.stack([np.ones_like(x), 4 * np.sin(2 * x)], axis=-1)

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi."""
        return np.stack([np.zeros_like(x), 8 * np.cos(2 * x)], axis=-1)

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        import pytensor.tensor as pt

        found, k = _table().graph(2 * v[1]), np.arange(1, TERMS + 1)
        k = k.reshape(-1, *[1] * v[0].ndim)
        waves = (2.0 * (-1) ** k * np.exp(-2.0 * k**2) * found[1:] * pt.cos(2 * k * v[0])).sum(axis=0)
        return 0.5 * np.log(2 * np.pi) + v[0] ** 2 / 2 + 2 * v[1] + found[0] + pt.log1p(waves)

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers as far from v_1 as the density reaches."""
        return v[0] + self._cells(int(self._level(v[None])[0])).edges

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        z = 2 * v[..., 1]
        return 0.5 * np.log(2 * np.pi) + v[..., 0] ** 2 / 2 + z + np.abs(z) + np.log(_series(v)[0, 0])

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        series = _series(v)
        return np.stack([v[..., 0] + series[1, 0] / series[0, 0], 2 + 2 * series[0, 1] / series[0, 0]], axis=-1)

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        series = _series(v)
        by_v1, by_z = series[1, 0] / series[0, 0], series[0, 1] / series[0, 0]
        both = 2 * (series[1, 1] / series[0, 0] - by_v1 * by_z)
        covariance = np.empty((*v.shape, 2))
        covariance[..., 0, 0] = 1 + series[2, 0] / series[0, 0] - by_v1**2
        covariance[..., 1, 1] = 4 * (series[0, 2] / series[0, 0] - by_z**2)
        covariance[..., 0, 1] = covariance[..., 1, 0] = both
        return covariance

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._mean_statistics(v)[..., 0], self._statistics_covariance(v)[..., 0, 0]

    def _level(self, v: np.ndarray) -> np.ndarray:
        return np.ceil(0.5 * np.log2(np.maximum(np.abs(v[:, 1]) / 3, 1))).astype(int)

    def _cells(self, level: int) -> Cells:
        return _cells(level)

    def _at_points(self, level: int, v: np.ndarray, cell: np.ndarray | None = None) -> np.ndarray:
        x = _cells(level).x
        z = x.ravel() if cell is None else x[cell]
        return np.asarray(-(z**2) / 2 + v[:, 1:] * 4 * np.sin(z + v[:, :1]) ** 2)

    def _averaged(self, function: Callable[[np.ndarray], np.ndarray], level: int, v: np.ndarray) -> np.ndarray:
        return function(_cells(level).x.ravel() + v[:, :1])

    def _placed(self, r: np.ndarray, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        return r + v[:, 0]


def _series(v: np.ndarray) -> np.ndarray:
    """Return the series in brackets times exp(-|z|), differentiated by v_1 and by z up to twice, (3, 3, ...)."""
    z = 2 * v[..., 1]
    bessel = [ive(k, z) for k in range(TERMS + 3)]
    found = np.zeros((3, 3, *z.shape))
    for k in range(TERMS + 1):
        factor = (1 if k == 0 else 2 * (-1) ** k) * np.exp(-2.0 * k**2)
        by_z = (
            bessel[k],
            (bessel[abs(k - 1)] + bessel[k + 1]) / 2,
            (bessel[abs(k - 2)] + 2 * bessel[k] + bessel[k + 2]) / 4,
        )
        phase = 2 * k * v[..., 0]
        by_v1 = np.cos(phase), -2 * k * np.sin(phase), -4 * k**2 * np.cos(phase)
        for i in range(3):
            for j in range(3):
                found[i, j] += factor * by_v1[i] * by_z[j]
    return found


@lru_cache(maxsize=64)
def _cells(level: int) -> Cells:
    return Cells.between(symmetric(REACH, CELLS * 2**level))


@lru_cache(maxsize=1)
def _table() -> RealLineTable:
    """Return the table of log I_0 and of I_k / I_0."""
    log_bessel = RealLineTable.of(lambda z: np.log(ive(0, z)) + np.abs(z), slopes=(-1.0, 1.0), log_factor=-0.5)
    return RealLineTable.joined([log_bessel, *(RealLineTable.of(_ratio(k)) for k in range(1, TERMS + 1))])


def _ratio(k: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda z: np.asarray(ive(k, z) / ive(0, z))
