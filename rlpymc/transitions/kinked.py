"""Families whose statistics have a kink at 0: two halves of normal distributions that meet there."""

from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from rlpymc.checks import positive
from rlpymc.transitions.closed import LEAST
from rlpymc.transitions.family import Family

FAR = 30.0  # standard deviations


class _Kinked(Family):
    """Two halves of normal distributions that meet at 0: on either side psi is x times a vector of that side."""

    left: tuple[float, ...]
    right: tuple[float, ...]

    def __init__(self, variance: float = 1.0) -> None:
        self.base_variance = positive("variance", variance)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_variance:g})"

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x) = -x^2 / (2 variance)."""
        return -(x**2) / (2 * self.base_variance)

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return psi(x)."""
        below, above = xp.minimum(x, 0.0), xp.maximum(x, 0.0)
        return tuple(a * below + b * above for a, b in zip(self.left, self.right, strict=True))

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return -x / self.base_variance

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""
        return np.full_like(x, -1 / self.base_variance)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.where(x[..., None] < 0, self.left, self.right)

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi where there is one, which leaves out the kink at 0."""
        return np.zeros((*x.shape, self.n_statistics))

    def score_matching_problem(self, features: np.ndarray, x: np.ndarray) -> str | None:
        """Return why score matching is not valid."""
        return "psi has a kink at 0, which its second derivative does not see: use fit_mle"

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        import pytensor.tensor as pt

        left, right = (sum(w * k for w, k in zip(side, v, strict=True) if w) for side in (self.left, self.right))
        s = np.sqrt(self.base_variance)
        halves = [b**2 / 2 + _log_ndtr_graph(c) for b, c in ((s * left, -s * left), (s * right, s * right))]
        return 0.5 * np.log(2 * np.pi * self.base_variance) + pt.logaddexp(*halves)

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers within 10 standard deviations of either half, 0 among them."""
        s = np.sqrt(self.base_variance)
        left, right = self.base_variance * v @ self.left, self.base_variance * v @ self.right
        low, high = min(left, 0.0) - 10 * s, max(right, 0.0) + 10 * s
        cells = [max(40, int(np.ceil(2 * abs(end) / s))) for end in (low, high)]
        return np.concatenate([np.linspace(low, 0, cells[0] + 1), np.linspace(0, high, cells[1] + 1)[1:]])

    def _halves(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return b, the means of the two normal distributions in their standard deviation, and log halves of Z."""
        s = np.sqrt(self.base_variance)
        left, right = s * (v @ np.array(self.left)), s * (v @ np.array(self.right))
        return left, right, np.stack([left**2 / 2 + log_ndtr(-left), right**2 / 2 + log_ndtr(right)])

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        return 0.5 * np.log(2 * np.pi * self.base_variance) + np.logaddexp(*self._halves(v)[2])

    def _sides(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the probability, mean and mean square of either side, each (2, ...)."""
        left, right, log_z = self._halves(v)
        probability = np.exp(log_z - np.logaddexp(*log_z))
        distance, square = _of_half(np.stack([-left, right]))
        sign = np.array([-1.0, 1.0]).reshape(2, *[1] * left.ndim)
        return probability, np.sqrt(self.base_variance) * sign * distance, self.base_variance * square

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        probability, mean, _ = self._sides(v)
        return np.einsum("s...,sk->...k", probability * mean, np.array([self.left, self.right]))

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        probability, _, square = self._sides(v)
        sides, mean = np.array([self.left, self.right]), self._mean_statistics(v)
        return np.einsum("s...,sk,sl->...kl", probability * square, sides, sides) - mean[..., None] * mean[..., None, :]

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probability, mean, square = self._sides(v)
        total = (probability * mean).sum(axis=0)
        return total, (probability * square).sum(axis=0) - total**2

    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        left, right, log_z = self._halves(v)
        log_p, z = log_z - np.logaddexp(*log_z), x / np.sqrt(self.base_variance)
        below = np.exp(log_p[0] + log_ndtr(np.minimum(z, 0) - left) - log_ndtr(-left))
        above = np.exp(log_p[1] + log_ndtr(right - np.maximum(z, 0)) - log_ndtr(right))
        return np.where(x < 0, below, 1 - above)

    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        left, right, log_z = self._halves(v)
        log_p, log_u = log_z - np.logaddexp(*log_z), np.log(np.maximum(u[..., 0], LEAST))
        is_left = log_u < log_p[0]
        log_rest = np.log(np.maximum(1 - u[..., 0], LEAST))
        below = left + ndtri_exp(np.minimum(log_u - log_p[0], 0) + log_ndtr(-left))
        above = right - ndtri_exp(np.minimum(log_rest - log_p[1], 0) + log_ndtr(right))
        return np.asarray(np.sqrt(self.base_variance) * np.where(is_left, np.minimum(below, 0), np.maximum(above, 0)))


class ReLU(_Kinked):
    """A normal distribution with another mean above 0 than below: psi(x) = (x, max(x, 0)), q(x) = exp(-x^2/2 variance).

    Score matching is not valid here, since psi has a kink.

    Parameters
    ----------
    variance : float
        Variance of the base, above 0.
    """

    n_statistics = 2
    left, right = (1.0, 0.0), (1.0, 1.0)


class DoubleReLU(_Kinked):
    """As `ReLU`, with psi(x) = (x, max(x, 0), max(-x, 0)).

    Since x is the second less the third, data determine only two combinations of the three natural parameters; a prior
    or a penalty decides the rest.

    Parameters
    ----------
    variance : float
        Variance of the base, above 0.
    """

    n_statistics = 3
    left, right = (1.0, 0.0, -1.0), (1.0, 1.0, 0.0)


def _of_half(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and mean square of a standard normal number around b, given that it is above 0."""
    mills = np.exp(-(b**2) / 2 - log_ndtr(b)) / np.sqrt(2 * np.pi)
    mean = b + mills
    square = 1 + b * mean
    z = np.minimum(b, -FAR) ** -2.0  # far out, these are small differences of large numbers
    series = z * (2 - z * (10 - z * (74 - z * (706 - z * 8162))))
    return np.where(b < -FAR, (1 - series) / np.abs(np.minimum(b, -FAR)), mean), np.where(b < -FAR, series, square)


def _log_ndtr_graph(z: Any) -> Any:
    """Return the log of the standard normal distribution function, with finite gradients everywhere."""
    import pytensor.tensor as pt

    low, high = pt.minimum(z, -1.0), pt.maximum(z, -1.0)
    tail = pt.log(pt.erfcx(-low / np.sqrt(2)) / 2) - low**2 / 2
    return pt.switch(z < -1, tail, pt.log1p(-pt.erfc(high / np.sqrt(2)) / 2))
