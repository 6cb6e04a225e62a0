r"""Score matching: parameters of a density without its normalisation, by one linear solve.

Hyvarinen's objective, summed over transitions and coordinates,

    J(W) = 1/2 (d log p / dx)^2 + d^2 log p / dx^2,

does not contain Z and is quadratic in W.  Let s = d psi / dx and xi = (d log q / dx) s + d^2 psi / dx^2;
then

    vec(W) = -(\sum (s \otimes phi)(s \otimes phi)' + ridge I)^{-1} \sum xi \otimes phi

for each coordinate.  It needs densities that vanish where they end, and statistics without kinks.

References
----------
Hyvarinen (2005). Estimation of non-normalized statistical models by score matching.
Li, Li, Kabra, Srebro, Wang & Yang (2022). Exponential family model-based reinforcement learning via score matching.
"""

import warnings
from typing import Any

import numpy as np

from rlpymc.checks import as_data
from rlpymc.transitions.estimate import Estimate, check_weights
from rlpymc.transitions.family import Family
from rlpymc.transitions.product import by_coordinate


class ScoreMatchingWarning(UserWarning):
    """Score matching is not valid for a family, or for these data, and what it returns is biased."""


def score_matching(family: Any, features: Any, next_states: Any, ridge: Any = 0.0) -> Estimate:
    """Estimate W by score matching.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    features : (n, n_features) or (n,)
        phi(state, action) of each transition.
    next_states : (n, n_coordinates) or (n,)
        Where it led.
    ridge : float or (n_coordinates,)
        Penalty on half the squared entries of W, of at least 0: of all coordinates, or of each.  J is a sum over
        transitions, not a mean.

    Returns
    -------
    Estimate
        W, and the sandwich estimate of its covariance.

    Warns
    -----
    ScoreMatchingWarning
        If score matching is not valid for the family, or for these data.

    Raises
    ------
    ValueError
        If rows do not fit, an entry is not finite or outside the support, the ridge is negative, or features or
        statistics are linearly dependent and there is no ridge.
    """
    phi, x = as_data(features, next_states)
    families = by_coordinate(family, x.shape[1])
    penalties = as_ridge(ridge, x.shape[1])
    check_support(families, x)
    rows = []
    contributions = []  # of each transition to the estimating equations, through the inverse of their derivative
    for k, (own, _) in enumerate(families):
        if problem := own.score_matching_problem(phi, x[:, k]):
            where = f"coordinate {k}, " if len(families) > 1 else ""
            warnings.warn(f"{where}{own!r}: {problem}", ScoreMatchingWarning, stacklevel=2)
        design, right = terms(own, phi, x[:, k])
        matrix = design.T @ design + penalties[k] * np.eye(design.shape[1])
        check_regular(own, matrix, "a ridge above 0")
        solution = np.linalg.solve(matrix, -right.sum(axis=0)) + 0.0  # without a negative zero
        rows.append(solution.reshape(own.n_statistics, -1))
        equations = design * (design @ solution)[:, None] + right
        known = len(x) > design.shape[1]
        contributions.append(
            np.linalg.solve(matrix, equations.T) if known else np.full((design.shape[1], len(x)), np.nan)
        )
    spread = np.concatenate(contributions)
    return Estimate(np.concatenate(rows), spread @ spread.T, "score matching", len(x))


def score_matching_objective(family: Any, W: Any, features: Any, next_states: Any, ridge: Any = 0.0) -> float:
    """Return Hyvarinen's objective J(W) plus the penalty, which `score_matching` minimises.

    Parameters
    ----------
    family, features, next_states, ridge
        As for `score_matching`.
    W : (n_statistics, n_features)
        Parameters.
    """
    phi, x = as_data(features, next_states)
    weights, total = np.asarray(W, dtype=float), 0.0
    families = by_coordinate(family, x.shape[1])
    check_weights(weights, families[-1][1].stop, phi)
    for k, (own, part) in enumerate(families):
        v = phi @ weights[part].T
        slope = own.base_slope(x[:, k]) + (v * own.slopes(x[:, k])).sum(axis=1)
        curvature = own.base_curvature(x[:, k]) + (v * own.curvatures(x[:, k])).sum(axis=1)
        penalty = as_ridge(ridge, x.shape[1])[k] * (weights[part] ** 2).sum()
        total += float((slope**2 / 2 + curvature).sum() + penalty / 2)
    return total


def terms(family: Family, phi: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the products of s and of xi with phi (..., n_features), (..., n_statistics n_features), for x (...)."""
    slopes = family.slopes(x)
    right = family.base_slope(x)[..., None] * slopes + family.curvatures(x)
    shape = (*x.shape, family.n_statistics * phi.shape[-1])
    design, right = ((part[..., :, None] * phi[..., None, :]).reshape(shape) for part in (slopes, right))
    return design, right


def as_ridge(ridge: Any, n_coordinates: int) -> np.ndarray:
    """Return the penalty of each coordinate, checked."""
    penalties = np.asarray(ridge, dtype=float)
    if penalties.shape not in ((), (n_coordinates,)) or not ((penalties >= 0) & np.isfinite(penalties)).all():
        raise ValueError(
            f"ridge: found {ridge}, expected a number of at least 0, or one for each coordinate ({n_coordinates})"
        )
    return np.broadcast_to(penalties, (n_coordinates,))


def check_support(families: list[tuple[Family, slice]], x: np.ndarray) -> None:
    """Raise an error that names the first next state outside of a family's support."""
    for k, (own, _) in enumerate(families):
        outside = np.flatnonzero(~own.in_support(x[:, k]))
        if outside.size:
            row, (low, high) = int(outside[0]), own.support
            raise ValueError(
                f"next_states, row {row}{f', coordinate {k}' if len(families) > 1 else ''}: found {x[row, k]:g}, "
                f"expected numbers between {low:g} and {high:g}, where {own!r} has a density ({outside.size} rows are "
                "outside)"
            )


def check_regular(family: Family, matrix: np.ndarray, mend: str) -> None:
    """Raise an error if a matrix of equations for W has no single solution."""
    size = np.sqrt(np.diag(matrix))
    if not (size > 0).all() or np.linalg.cond(matrix / np.outer(size, size)) > 1e13:
        raise ValueError(
            f"{family!r}: features (or statistics) are linearly dependent in these data, and W is not determined; "
            f"leave one out, or give {mend}"
        )
