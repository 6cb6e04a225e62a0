"""Families whose log partition function is known in closed form."""

from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import betainc, betaincinv, betaln, digamma, ndtr, ndtri, polygamma

from rlpymc.checks import positive
from rlpymc.transitions.family import Family
from rlpymc.transitions.maximum_likelihood import maximise

LEAST = 2.0**-54  # below every positive uniform number; in the place of 0, whose quantile is not in the support


class Gaussian(Family):
    """Normal distribution around v, of known variance: psi(x) = x / variance.

    With v = W phi(state, action) it is a linear system with noise, for which score matching is ridge regression.

    Parameters
    ----------
    variance : float
        The variance, not the standard deviation, above 0.
    """

    def __init__(self, variance: float) -> None:
        self.variance_of_noise = positive("variance", variance)

    def __repr__(self) -> str:
        return f"Gaussian({self.variance_of_noise:g})"

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x), the density around 0."""
        return -(x**2) / (2 * self.variance_of_noise) - 0.5 * np.log(2 * np.pi * self.variance_of_noise)

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return x / variance."""
        return (x / self.variance_of_noise,)

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return -x / self.variance_of_noise

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""
        return np.full_like(x, -1 / self.variance_of_noise)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.full((*x.shape, 1), 1 / self.variance_of_noise)

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi."""
        return np.zeros((*x.shape, 1))

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        return v[0] ** 2 / (2 * self.variance_of_noise)

    def closed_form(self, phi: np.ndarray, x: np.ndarray) -> np.ndarray | None:
        """The entries of W of maximum likelihood: least squares."""
        return np.asarray(np.linalg.lstsq(phi, x, rcond=None)[0])

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers within 10 standard deviations."""
        return np.asarray(v[0] + np.sqrt(self.variance_of_noise) * np.linspace(-10, 10, 41))

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        return v[..., 0] ** 2 / (2 * self.variance_of_noise)

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        return v / self.variance_of_noise

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        return np.full((*v.shape, 1), 1 / self.variance_of_noise)

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return v[..., 0].copy(), np.full(v.shape[:-1], self.variance_of_noise)

    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray(ndtr((x - v[..., 0]) / np.sqrt(self.variance_of_noise)))

    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.asarray(v[..., 0] + np.sqrt(self.variance_of_noise) * ndtri(np.maximum(u[..., 0], LEAST)))


class Exponential(Family):
    """Exponential distribution with rate -v: psi(x) = x for x > 0, and v < 0.

    Score matching does not work here: the density does not vanish at 0, and the estimate is always 0.
    """

    support = (0.0, np.inf)
    domain = "a number below 0"

    def __repr__(self) -> str:
        return "Exponential()"

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x), which is 0."""
        return 0.0 * x

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return x."""
        return (x,)

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return np.zeros_like(x)

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""
        return np.zeros_like(x)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.ones((*x.shape, 1))

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi."""
        return np.zeros((*x.shape, 1))

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        import pytensor.tensor as pt

        return pt.switch(v[0] < 0, -pt.log(pt.switch(v[0] < 0, -v[0], 1.0)), np.inf)

    def admissible(self, v: np.ndarray) -> np.ndarray:
        """Mask of the v with finite Z(v)."""
        return np.asarray(v[..., 0] < 0)

    def score_matching_problem(self, features: np.ndarray, x: np.ndarray) -> str | None:
        """Return why score matching is not valid."""
        return "the exponential density does not vanish at 0, and the estimate is 0 whatever the data: use fit_mle"

    def closed_form(self, phi: np.ndarray, x: np.ndarray) -> np.ndarray | None:
        """The entry of W of maximum likelihood where all rows of features are one number: the mean's inverse."""
        if phi.shape[1] == 1 and np.ptp(phi) == 0:
            return np.array([-1 / (x.mean() * phi[0, 0])])
        return None

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers beyond which there is less than 1e-17 of the probability."""
        return np.linspace(0, -40 / v[0], 41)

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        return -np.log(-v[..., 0])

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        return -1 / v

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        return v[..., None] ** -2

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -1 / v[..., 0], v[..., 0] ** -2

    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return -np.expm1(v[..., 0] * x)

    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.asarray(np.log1p(-np.maximum(u[..., 0], LEAST)) / v[..., 0])


class Beta(Family):
    """Beta distribution with shapes v + 1: psi(x) = (log x, log(1 - x)) for 0 < x < 1, and both v > -1.

    Score matching needs both shapes above 2; it is biased else, and noisy while one is not above 4.
    """

    n_statistics = 2
    support = (0.0, 1.0)
    domain = "numbers above -1"

    def __repr__(self) -> str:
        return "Beta()"

    def log_base(self, x: Any, xp: ModuleType = np) -> Any:
        """Return log q(x), which is 0."""
        return 0.0 * x

    def statistics(self, x: Any, xp: ModuleType = np) -> tuple[Any, ...]:
        """Return log x and log(1 - x)."""
        return xp.log(x), xp.log1p(-x)

    def base_slope(self, x: np.ndarray) -> np.ndarray:
        """Return d log q / dx."""
        return np.zeros_like(x)

    def base_curvature(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivative of log q."""
        return np.zeros_like(x)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Return d psi / dx."""
        return np.stack([1 / x, -1 / (1 - x)], axis=-1)

    def curvatures(self, x: np.ndarray) -> np.ndarray:
        """Return the second derivatives of psi."""
        return np.stack([-(x**-2), -((1 - x) ** -2)], axis=-1)

    def log_partition_graph(self, *v: Any) -> Any:
        """Return log Z as an expression of PyTensor."""
        import pytensor.tensor as pt

        a, b = (pt.switch(k > -1, k + 1, 1.0) for k in v)
        inside = pt.and_(v[0] > -1, v[1] > -1)
        return pt.switch(inside, pt.gammaln(a) + pt.gammaln(b) - pt.gammaln(a + b), np.inf)

    def admissible(self, v: np.ndarray) -> np.ndarray:
        """Mask of the v with finite Z(v)."""
        return np.asarray((v > -1).all(axis=-1))

    def score_matching_problem(self, features: np.ndarray, x: np.ndarray) -> str | None:
        """Return why score matching is not valid: a shape that the data do not tell from 2, or from less."""
        W, cov = maximise(self, features, x)
        shape = features @ W.T + 1
        n = features.shape[1]
        own = [cov[k * n : (k + 1) * n, k * n : (k + 1) * n] for k in range(2)]
        sd = np.stack([np.sqrt(np.einsum("np,pq,nq->n", features, c, features)) for c in own], axis=1)
        if (least := (shape - 2 * sd).min()) > 2:
            return None
        return (
            "the beta density times the slope of psi vanishes at 0 and 1 only if both shapes are above 2, and here "
            f"they may be as low as {max(least, 0.0):.3g} (the likelihood's estimate less two standard errors): use "
            "fit_mle"
        )

    def breakpoints(self, v: np.ndarray) -> np.ndarray:
        """Return numbers in [0, 1], closer to each other near both ends."""
        half = np.concatenate([[0.0], np.geomspace(1e-12, 0.5, 41)])
        return np.concatenate([half, 1 - half[-2::-1]])

    def _log_partition(self, v: np.ndarray) -> np.ndarray:
        return np.asarray(betaln(v[..., 0] + 1, v[..., 1] + 1))

    def _mean_statistics(self, v: np.ndarray) -> np.ndarray:
        return np.asarray(digamma(v + 1) - digamma(v.sum(axis=-1, keepdims=True) + 2))

    def _statistics_covariance(self, v: np.ndarray) -> np.ndarray:
        return np.asarray(
            polygamma(1, v + 1)[..., None] * np.eye(2) - polygamma(1, v.sum(axis=-1) + 2)[..., None, None]
        )

    def _moments(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, b = v[..., 0] + 1, v[..., 1] + 1
        return a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))

    def _cdf(self, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray(betainc(v[..., 0] + 1, v[..., 1] + 1, x))

    def _draw(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        found = betaincinv(v[..., 0] + 1, v[..., 1] + 1, np.maximum(u[..., 0], LEAST))
        return np.clip(found, np.nextafter(0, 1), np.nextafter(1, 0))
