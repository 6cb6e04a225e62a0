"""What can be said of an optimum: covariances, a status, and which parameters that is about."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.search import Optimum, Search
from rlpymc.likelihood.curvature import second_derivatives

AT_BOUND = 1e-6  # distance from a bound, in units of the prior's width, that counts as on it
STEP = 1e-4  # of differences, in the same units
FLAT = 1e-3  # curvature, in nats over the squared width of the prior, below which a direction is flat
STEEP = 1e-3  # gradient, in units of the value over the prior's width, that is left by a search that has failed


@dataclass(frozen=True)
class Uncertainty:
    """What can be said of one subject's estimates.

    Parameters
    ----------
    cov : (entry, entry)
        Covariances; NaN where there are none.
    status, note : str
        See `MLE`.
    """

    cov: np.ndarray
    status: str
    note: str


def unknown_covariances(coordinates: Coordinates) -> np.ndarray:
    """Return covariances of which none is known."""
    return np.full((coordinates.size,) * 2, np.nan)


def inside_bounds(coordinates: Coordinates, x: np.ndarray) -> np.ndarray:
    """Mask of the entries that are not at a bound."""
    lower, upper, margin = *coordinates.bounds.T, AT_BOUND * coordinates.width
    return (x - lower > margin) & (upper - x > margin)


def curvature(coordinates: Coordinates, gradient: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Return derivatives of a gradient (..., entry) by differences within bounds, (..., entry, entry)."""
    return second_derivatives(gradient, points, STEP * coordinates.width, *coordinates.bounds.T)


def describe(search: Search, best: Optimum) -> Uncertainty:
    """Standard errors and status of one subject's optimum."""
    coordinates, unknown = search.coordinates, unknown_covariances(search.coordinates)
    if best.impossible:
        return Uncertainty(unknown, "failed", "the data are impossible")
    if best.stopped:
        return Uncertainty(unknown, "stopped", "by the callback")
    if not coordinates.size:
        return Uncertainty(unknown, "converged", best.note)
    inside, width = inside_bounds(coordinates, best.x), coordinates.width
    hessian = curvature(coordinates, lambda x: best.target.function(x)[1], best.x)
    cov, open_ = invert(hessian, inside, width)
    cov[~np.outer(inside, inside) | open_.any()] = np.nan
    status, note = in_words(coordinates, inside, open_)
    slope = np.abs(best.target.function(best.x)[1] * width).max()
    if status == "converged" and search.with_gradient and slope > STEEP * max(1.0, abs(best.value)):
        status, note = "failed", f"gradient {slope:.2g} at the end: {best.message}"
    return Uncertainty(cov, status, "; ".join(filter(None, (note, best.note))))


def invert(hessian: np.ndarray, chosen: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of a Hessian's chosen entries, and which of them flat directions leave open.

    The inverse is 0 elsewhere, and leaves flat directions out.
    """
    inverse, open_ = np.zeros(hessian.shape), np.zeros(len(hessian), dtype=bool)
    within, scale = np.ix_(chosen, chosen), width[chosen]
    size, directions = np.linalg.eigh(hessian[within] * np.outer(scale, scale))
    flat, directions = size < FLAT, directions * scale[:, None]
    inverse[within] = directions[:, ~flat] / size[~flat] @ directions[:, ~flat].T
    open_[chosen] = (np.abs(directions[:, flat] / scale[:, None]) > 0.1).any(axis=1)
    return inverse, open_


def in_words(coordinates: Coordinates, inside: np.ndarray, open_: np.ndarray) -> tuple[str, str]:
    """Return a status and a note, given which entries are not at a bound and which a flat direction leaves open."""
    at_bound = coordinates.label(np.flatnonzero(~inside))
    if open_.any():
        return "flat direction", coordinates.label(np.flatnonzero(open_)) + (at_bound and f"; at a bound: {at_bound}")
    return ("at a bound", at_bound) if at_bound else ("converged", "")
