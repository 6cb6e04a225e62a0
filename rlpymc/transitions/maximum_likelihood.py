"""Maximum likelihood, with the exact log partition function."""

from typing import Any

import numpy as np
from scipy.optimize import linprog, minimize

from rlpymc.checks import as_data
from rlpymc.transitions.estimate import Estimate
from rlpymc.transitions.family import Family
from rlpymc.transitions.product import by_coordinate
from rlpymc.transitions.scores import check_regular, check_support

MOST_STEPS = 50
TOLERANCE = 1e-9  # of the gradient, in standard errors of its entries


def fit_mle(family: Any, features: Any, next_states: Any) -> Estimate:
    """Estimate W by maximum likelihood.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    features : (n, n_features) or (n,)
        phi(state, action) of each transition.
    next_states : (n, n_coordinates) or (n,)
        Where it led.

    Returns
    -------
    Estimate
        W, and the inverse of the observed information.

    Raises
    ------
    ValueError
        If rows do not fit, an entry is not finite or outside the support, features or statistics are linearly
        dependent, or there is no W at which all densities can be normalised.
    RuntimeError
        If there is no maximum: the likelihood grows without bound as W does.
    """
    phi, x = as_data(features, next_states)
    families = by_coordinate(family, x.shape[1])
    check_support(families, x)
    found = [maximise(own, phi, x[:, k]) for k, (own, _) in enumerate(families)]
    size = sum(len(cov) for _, cov in found)
    cov, at = np.zeros((size, size)), 0
    for _, own_cov in found:
        cov[at : at + len(own_cov), at : at + len(own_cov)] = own_cov
        at += len(own_cov)
    return Estimate(np.concatenate([W for W, _ in found]), cov, "maximum likelihood", len(x))


def gaussian_variance(features: Any, next_states: Any) -> np.ndarray:
    """Return the maximum-likelihood estimate of the variance of each coordinate around W phi, (n_coordinates,).

    Parameters
    ----------
    features : (n, n_features) or (n,)
        phi(state, action) of each transition.
    next_states : (n, n_coordinates) or (n,)
        Where it led.
    """
    phi, x = as_data(features, next_states)
    solution = np.linalg.lstsq(phi, x, rcond=None)[0]
    return np.asarray(((x - phi @ solution) ** 2).mean(axis=0))


def maximise(
    family: Family, phi: np.ndarray, x: np.ndarray, start: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return W (n_statistics, n_features) of one coordinate, and the covariance of its entries.

    The search begins at `start`, such as an estimate from part of the data, where all densities can be normalised.
    """
    n_features = phi.shape[1]
    check_regular(family, phi.T @ phi, "other features")
    unit = np.sqrt((phi**2).mean(axis=0))
    phi = phi / unit
    total = (np.stack(family.statistics(x)) @ phi).ravel()
    different, count = np.unique(phi, axis=0, return_counts=True)

    def natural(w: np.ndarray) -> np.ndarray:
        return different @ w.reshape(-1, n_features).T

    def information(w: np.ndarray) -> np.ndarray:
        covariance = family.statistics_covariance(natural(w))
        weighted = count[:, None, None] * covariance
        return np.einsum("np,nkl,nq->kplq", different, weighted, different, optimize=True).reshape(len(w), len(w))

    def loss(w: np.ndarray) -> float:
        v = natural(w)
        return float(count @ family.log_partition(v) - total @ w) if family.admissible(v).all() else np.inf

    def gradient(w: np.ndarray) -> np.ndarray:
        return ((count[:, None] * family.mean_statistics(natural(w))).T @ different).ravel() - total

    w = family.closed_form(phi, x)
    if w is None:
        begin = None if start is None else (start * unit).ravel()
        if begin is None or not family.admissible(natural(begin)).all():
            begin = _start(family, different)
        found = minimize(
            loss,
            begin,
            jac=gradient,
            hess=information,
            method="trust-exact",
            options={"gtol": 1e-10 * len(x), "maxiter": MOST_STEPS},
        )
        w = found.x
    matrix = information(w)
    check_regular(family, matrix, "other statistics")
    for _ in range(2):  # to the last digits
        step = np.linalg.solve(matrix, gradient(w))
        if family.admissible(natural(w - step)).all():
            w = w - step
            matrix = information(w)
    left = gradient(w)
    if not left @ np.linalg.solve(matrix, left) < TOLERANCE:
        raise RuntimeError(
            f"{family!r}: no maximum of the likelihood was found in {len(x)} transitions; it may grow without bound, "
            "which more data or a prior (transitions.build) mends"
        )
    units = np.tile(unit, family.n_statistics)
    return w.reshape(-1, n_features) / unit, np.linalg.inv(matrix) / np.outer(units, units)


def _start(family: Family, phi: np.ndarray) -> np.ndarray:
    """Return entries of W at which all densities can be normalised."""
    start = np.zeros(family.n_statistics * phi.shape[1])
    if family.admissible(phi @ start.reshape(-1, phi.shape[1]).T).all():
        return start
    found = linprog(np.zeros(len(start)), A_ub=phi, b_ub=-np.ones(len(phi)), bounds=(None, None))
    if not found.success:
        raise ValueError(
            f"{family!r}: there is no W at which v = W phi is {family.domain} in all rows of features; add a constant "
            "feature"
        )
    return np.asarray(found.x)
