"""Exponential families of one number, whose log density is linear in what a learner has to find.

    log p(x | v) = log q(x) + <psi(x), v> - log Z(v),    Z(v) = integral of q(x) exp(<psi(x), v>) dx

In a transition model x is a coordinate of the next state, and v = W phi(state, action).  Families differ in the base q,
in the statistics psi, and in where x lives; all else follows.
"""

from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from rlpymc.checks import check_finite


class Uniforms(Protocol):
    """What draws uniform numbers: a `numpy.random.Generator`, or several side by side."""

    def random(self, size: Any) -> np.ndarray:
        """Return numbers in [0, 1)."""
        ...


class Density(ABC):
    """What can be asked of a family of densities of next states, given natural parameters v.

    Arrays: v ends with an axis over the statistics, (..., n_statistics).
    """

    n_statistics: int
    n_uniforms: int  # how many uniform numbers a draw takes

    @abstractmethod
    def log_partition(self, v: Any) -> np.ndarray:
        """Return log Z(v), (...), in float64 and to about 1e-10."""

    @abstractmethod
    def mean_statistics(self, v: Any) -> np.ndarray:
        """Return the gradient of log Z, which is the mean of psi, (..., n_statistics)."""

    @abstractmethod
    def statistics_covariance(self, v: Any) -> np.ndarray:
        """Return the Hessian of log Z, the covariance of psi, (..., n_statistics, n_statistics)."""

    @abstractmethod
    def unnormalised_log_prob(self, next_state: Any, v: Any) -> np.ndarray:
        """Return log q(x) + <psi(x), v>, and -inf outside the support."""

    @abstractmethod
    def mean(self, v: Any) -> np.ndarray:
        """Return the mean of the next state."""

    @abstractmethod
    def variance(self, v: Any) -> np.ndarray:
        """Return the variance of the next state."""

    @abstractmethod
    def sample(self, v: Any, rng: Uniforms, size: int | tuple[int, ...] | None = None) -> np.ndarray:
        """Draw next states."""

    def log_prob(self, next_state: Any, v: Any) -> np.ndarray:
        """Return the log density of next states, -inf outside the support.

        Parameters
        ----------
        next_state : (..., n_coordinates), or (n,) for one coordinate
            Next states.
        v : (..., n_statistics), or (n,) for one statistic
            Natural parameters.

        Returns
        -------
        (...)

        Raises
        ------
        ValueError
            If an array has another last axis or is not finite, or Z(v) is infinite.
        """
        return self.unnormalised_log_prob(next_state, v) - self.log_partition(v)

    def prob(self, next_state: Any, v: Any) -> np.ndarray:
        """Return the density of next states, see `log_prob`."""
        return np.exp(self.log_prob(next_state, v))


class Family(Density):
    """An exponential family of one number.

    Arrays: v is (..., n_statistics) and a next state (..., 1).  Of arrays with at most one axis, an axis of length 1 is
    left out, so that v (n,) and next_state (n,) are n values.  What comes before these axes is broadcast, and results
    have no axis of length 1 at their end.
    """

    n_statistics = 1
    n_uniforms = 1
    support: tuple[float, float] = (-np.inf, np.inf)  # x lies strictly between
    domain = "finite numbers"  # of v, in words

    # ---------------------------------------------------------------- what a family is; x (...), v (..., n_statistics)
    @abstractmethod
    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x), by the functions of NumPy or of `pytensor.tensor`."""

    @abstractmethod
    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return psi(x), an array for each statistic, by the functions of NumPy or of `pytensor.tensor`."""

    @abstractmethod
    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""

    @abstractmethod
    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""

    @abstractmethod
    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx, (..., n_statistics)."""

    @abstractmethod
    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi, (..., n_statistics)."""

    @abstractmethod
    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor, from one for each statistic; inf where it is infinite."""

    @abstractmethod
    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return ordered numbers between which the density at one v is smooth, and outside of which it is nothing."""

    def closed_form(self, phi: np.ndarray, x: np.ndarray) -> np.ndarray | None:
        """The entries of W of maximum likelihood for features and next states, where there is a formula for them."""
        return None

    def admissible(self, v: np.ndarray) -> np.ndarray:
        """Mask (...) of the v with finite Z(v)."""
        return np.ones(v.shape[:-1], dtype=bool)

    def score_matching_problem(self, features: np.ndarray, x: np.ndarray) -> str | None:
        """Return why score matching is not valid for data (n, n_features) and (n,), if it is not."""
        return None

    @abstractmethod
    def _log_partition(self, v: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _mean_statistics(self, v: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...

    @abstractmethod
    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return draws (...) from uniform numbers (..., n_uniforms); v is broadcast against these."""

    # ---------------------------------------------------------------- what follows from it
    def log_partition(self, v: Any) -> np.ndarray:
        """Return log Z(v), (...), in float64 and to about 1e-10."""
        return self._log_partition(self._natural(v))

    def mean_statistics(self, v: Any) -> np.ndarray:
        """Return the gradient of log Z, which is the mean of psi, (..., n_statistics)."""
        return self._mean_statistics(self._natural(v))

    def statistics_covariance(self, v: Any) -> np.ndarray:
        """Return the Hessian of log Z, the covariance of psi, (..., n_statistics, n_statistics)."""
        return self._statistics_covariance(self._natural(v))

    def mean(self, v: Any) -> np.ndarray:
        """Return the mean of the next state, (...)."""
        return self._moments(self._natural(v))[0]

    def variance(self, v: Any) -> np.ndarray:
        """Return the variance of the next state, (...)."""
        return self._moments(self._natural(v))[1]

    def unnormalised_log_prob(self, next_state: Any, v: Any) -> np.ndarray:
        """Return log q(x) + <psi(x), v>, and -inf outside the support; shapes as in `log_prob`."""
        x, natural = self._state(next_state), self._natural(v)
        inside = self.in_support(x)
        safe = np.where(inside, x, self.middle)
        weighted = [natural[..., k] * psi for k, psi in enumerate(self.statistics(safe))]
        return np.where(inside, sum(weighted, self.log_base(safe)), -np.inf)

    def cdf(self, next_state: Any, v: Any) -> np.ndarray:
        """Return the probability of a next state of at most this one; shapes as in `log_prob`."""
        x, natural = self._state(next_state), self._natural(v)
        shape = np.broadcast_shapes(x.shape, natural.shape[:-1])
        x, natural = np.broadcast_to(x, shape), np.broadcast_to(natural, (*shape, self.n_statistics))
        low, high = self.support
        safe = np.where(self.in_support(x), x, self.middle)
        return np.where(x >= high, 1.0, np.where(x <= low, 0.0, self._cdf(safe, natural)))

    def sample(self, v: Any, rng: Uniforms, size: int | tuple[int, ...] | None = None) -> np.ndarray:
        """Draw next states by inverting distribution functions.

        Parameters
        ----------
        v : (..., n_statistics), or (n,) for one statistic
            Natural parameters.
        rng : numpy.random.Generator
            Source of uniform numbers.  Each draw takes `n_uniforms` of them, whatever v is.
        size : int or tuple of int, optional
            Shape of the draws, to which v is broadcast; that of v without its last axis unless given.

        Returns
        -------
        (...)

        Raises
        ------
        ValueError
            If v has another last axis or is not finite, Z(v) is infinite, or v does not broadcast to `size`.
        """
        natural = self._natural(v)
        shape = shape_of_draws(natural, size)
        return self._draw(natural, rng.random((*shape, self.n_uniforms)))

    def in_support(self, x: np.ndarray) -> np.ndarray:
        """Mask of the x whose density is above 0."""
        low, high = self.support
        return np.asarray((x > low) & (x < high))

    @property
    def middle(self) -> float:
        """Return a number inside the support."""
        return self.support[0] + 0.5 if np.isfinite(self.support[0]) else 0.5

    def _natural(self, v: Any) -> np.ndarray:
        """Return v as (..., n_statistics), checked."""
        natural = as_natural(self, v)
        allowed = self.admissible(natural)
        if not allowed.all():
            row = tuple(int(k) for k in np.argwhere(~allowed)[0])
            place = f", row {', '.join(map(str, row))}" if row else ""
            raise ValueError(
                f"v{place}: found {', '.join(f'{k:g}' for k in natural[row])}, expected {self.domain}: the density of "
                f"{self!r} cannot be normalised there"
            )
        return natural

    def _state(self, next_state: Any) -> np.ndarray:
        """Return next states as (...), checked."""
        x = np.asarray(next_state, dtype=float)
        check_finite("next_state", x)
        if x.ndim <= 1:
            return x
        if x.shape[-1] != 1:
            raise ValueError(
                f"next_state: found shape {x.shape}, expected (..., 1) or (n,): {self!r} is of one number, and several "
                "coordinates are a Product of families"
            )
        return x[..., 0]


def as_natural(density: Density, v: Any) -> np.ndarray:
    """Return v as (..., n_statistics), checked."""
    natural = np.asarray(v, dtype=float)
    if natural.ndim <= 1 and density.n_statistics == 1:
        natural = natural[..., None]
    if natural.ndim == 0 or natural.shape[-1] != density.n_statistics:
        raise ValueError(
            f"v: found shape {np.shape(v)}, expected (..., {density.n_statistics}), the last axis over the statistics "
            f"of {density!r}"
        )
    check_finite("v", natural)
    return natural


def shape_of_draws(natural: np.ndarray, size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of draws given v (..., n_statistics) and what was asked for."""
    own = natural.shape[:-1]
    if size is None:
        return own
    shape = (int(size),) if isinstance(size, int | np.integer) else tuple(size)
    try:
        fits = np.broadcast_shapes(shape, own) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"size: found {size}, expected a shape to which that of v without its last axis, {own}, broadcasts"
        )
    return shape
