"""Means and covariances of subjects' posteriors, by importance sampling in several rounds.

Points are drawn around a Gaussian, from a distribution with longer tails.  Where too few of them count, because the
posterior lies elsewhere or is narrow, their weights are flattened until enough do, and the next are drawn around what
these say.  Of several solutions, the better one has more of the weight the less flat the weights are: so this comes to
the best of those that the first points have seen, unless it is far narrower than another.

References
----------
Cappe, Guillin, Marin & Robert (2004). Population Monte Carlo. Journal of Computational and Graphical Statistics 13,
907-929.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import gammaincinv, ndtri

from rlpymc import math

IMPOSSIBLE = -1e300  # stands for the log density of what cannot be
POINTS, FREEDOM, WIDER = 512, 5, 1.2  # how many points, and how long their tails are
ENOUGH = 100  # so many of them must count
ROUNDS = 12
HALVINGS = 20  # of the interval in which it lies how flat weights have to be
THINNEST = 1e-6  # of a Gaussian that points are drawn around: its smallest variance, as a share of the largest


def moments(
    log_density: Callable[[np.ndarray], np.ndarray], mean: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means and covariances of posteriors.

    Parameters
    ----------
    log_density : callable
        Log densities, (point, subject), but for a constant, at points (point, subject, k) in units that are alike.
    mean : (subject, k)
        Means of Gaussians to begin with.
    factor : (subject, k, k)
        Factors F of their covariances F F'.

    Returns
    -------
    tuple
        Means, (subject, k), covariances, (subject, k, k), and whether enough points tell these, (subject,).  Where they
        do not, it is those of the last flattened weights; of what is impossible everywhere, those to begin with.
    """
    points, log_points = with_long_tails(mean.shape[1])
    normal_mean, normal_cov = _weighted(points[:, None], (-0.5 * (points**2).sum(axis=1) - log_points)[:, None])
    cov, told = factor @ factor.transpose(0, 2, 1), np.zeros(len(mean), dtype=bool)
    for _ in range(ROUNDS):
        away = np.einsum("iab,pb->pia", factor, points)
        log_weights = log_density(mean + away) - log_points[:, None]
        share = _flattened(log_weights)
        centre, around = _weighted(away, share * log_weights)
        enough = share == 1
        # what these points say of the Gaussian itself is known otherwise: where it is the posterior, nothing changes
        centre[enough] -= factor[enough] @ normal_mean[0]
        around[enough] += factor[enough] @ (np.eye(len(points[0])) - normal_cov[0]) @ factor[enough].transpose(0, 2, 1)
        new = ~told & (log_weights.max(axis=0) > IMPOSSIBLE)
        mean, cov = np.where(new[:, None], mean + centre, mean), np.where(new[:, None, None], around, cov)
        told = told | (new & enough)
        if told.all():
            break
        values, vectors = np.linalg.eigh(cov)
        factor = vectors * np.sqrt(np.maximum(values, THINNEST * values[:, [-1]]))[:, None, :]
    return mean, cov, told


def with_long_tails(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points, (point, d), that have a multivariate t distribution, and their log densities but for a constant.

    They are a scrambled Sobol sequence, always the same.
    """
    from scipy.stats import qmc  # slow to import

    uniform = qmc.Sobol(d + 1, seed=0).random(POINTS)
    points = ndtri(uniform[:, :d]) * np.sqrt(FREEDOM / 2 / gammaincinv(FREEDOM / 2, uniform[:, [d]]))
    return WIDER * points, -(FREEDOM + d) / 2 * np.log1p((points**2).sum(axis=1) / FREEDOM)


def _weighted(theta: np.ndarray, log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and covariances of points (point, subject, entry)."""
    weights = math.softmax(log_weights.T).T
    centre = np.einsum("pi,pia->ia", weights, theta)
    away = theta - centre
    return centre, np.einsum("pia,pib->iab", weights[:, :, None] * away, away)


def _count(log_weights: np.ndarray) -> np.ndarray:
    """Return how many points count, of each subject."""
    return np.asarray(1 / (math.softmax(log_weights.T) ** 2).sum(axis=1))


def _flattened(log_weights: np.ndarray) -> np.ndarray:
    """Return the largest share, (subject,), such that points enough count if log weights are multiplied by it."""
    share = np.ones(log_weights.shape[1])
    poor = _count(log_weights) < ENOUGH
    if poor.any():
        low, high = np.zeros(poor.sum()), np.ones(poor.sum())
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            enough = _count(middle * log_weights[:, poor]) >= ENOUGH
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        share[poor] = low
    return share
