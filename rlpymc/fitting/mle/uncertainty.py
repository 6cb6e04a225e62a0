"""What can be said of an optimum: covariances, a status, and which parameters that is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.profile import SPREAD, Profile, Reach
from rlpymc.fitting.mle.search import POLISH, PRECISE, Optimum, Search, value_of
from rlpymc.likelihood.curvature import kinks, second_derivatives

AT_BOUND = 1e-6  # distance from a bound, in units of the prior's width, that counts as on it
STEP = 1e-4  # of differences, in the same units
FLAT = 1e-3  # curvature, in nats over the squared width of the prior, below which a direction may be flat
STEEP = 1e-3  # gradient, in units of the value over the prior's width, that is left by a search that has failed


@dataclass(frozen=True)
class Uncertainty:
    """What can be said of one subject's estimates.

    Parameters
    ----------
    cov : (entry, entry)
        Covariances; NaN where there are none.
    interval : (entry, 2)
        Ends of the profile likelihood's intervals; NaN where covariances are enough.
    status, note : str
        See `MLE`.
    """

    cov: np.ndarray
    interval: np.ndarray
    status: str
    note: str


def nothing_known(coordinates: Coordinates, status: str, note: str) -> Uncertainty:
    """Return a status without covariances and intervals."""
    unknown = np.full((coordinates.size, coordinates.size + 2), np.nan)
    return Uncertainty(unknown[:, 2:], unknown[:, :2], status, note)


def inside_bounds(coordinates: Coordinates, x: np.ndarray) -> np.ndarray:
    """Mask of the entries that are not at a bound."""
    lower, upper, margin = *coordinates.bounds.T, AT_BOUND * coordinates.width
    return (x - lower > margin) & (upper - x > margin)


def curvature(coordinates: Coordinates, gradient: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Return derivatives of a gradient (..., entry) by differences within bounds, (..., entry, entry)."""
    return second_derivatives(gradient, points, STEP * coordinates.width, *coordinates.bounds.T)


def kinked(coordinates: Coordinates, gradient: Callable[[np.ndarray], np.ndarray], points: np.ndarray) -> np.ndarray:
    """Return which entries are where the gradient jumps, (..., entry)."""
    return kinks(gradient, points, STEP * coordinates.width, *coordinates.bounds.T)


def describe(search: Search, best: Optimum) -> tuple[Optimum, Uncertainty]:
    """Return what can be said of one subject's optimum, and the optimum: a better one if the profile leads to it."""
    coordinates = search.coordinates
    if best.impossible:
        return best, nothing_known(coordinates, "failed", "the data are impossible")
    if best.stopped:
        return best, nothing_known(coordinates, "stopped", "by the callback")
    if not coordinates.size:
        return best, nothing_known(coordinates, "converged", best.note)
    inside, width = inside_bounds(coordinates, best.x), coordinates.width

    def gradient(x: np.ndarray) -> np.ndarray:
        return best.target.function(x)[1]

    cov, open_ = invert(curvature(coordinates, gradient, best.x), inside, width)
    kink = inside & kinked(coordinates, gradient, best.x)
    cov[~np.outer(inside, inside) | open_.any() | kink.any()] = np.nan
    reaches: dict[int, Reach] = {}
    if open_.any() or kink.any():
        spread = search.points[:SPREAD]
        profile = Profile(search, best, width, coordinates.box(), lambda *_: spread.copy(), np.ones_like(width))
        reaches = {k: profile.reach(k) for k in range(coordinates.size)}
        if profile.best.value < best.value - POLISH:
            better = search.local(best.target, profile.best.x, profile.best.value, PRECISE)
            return describe(search, search.polished(min(better, profile.best, key=value_of)))
    status, note = in_words(coordinates, inside, open_, kink, reaches)
    slope = np.abs(best.target.function(best.x)[1] * width).max()
    if status == "converged" and search.with_gradient and slope > STEEP * max(1.0, abs(best.value)):
        status, note = "failed", f"gradient {slope:.2g} at the end: {best.message}"
    return best, Uncertainty(cov, intervals(coordinates, reaches), status, "; ".join(filter(None, (note, best.note))))


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


def intervals(coordinates: Coordinates, reaches: Mapping[int, Reach]) -> np.ndarray:
    """Return the intervals of entries, (entry, 2), NaN where it is not known how far they can move."""
    found = np.full((coordinates.size, 2), np.nan)
    for k, reach in reaches.items():
        found[k] = reach.interval
    return found


def in_words(
    coordinates: Coordinates, inside: np.ndarray, open_: np.ndarray, kink: np.ndarray, reaches: Mapping[int, Reach]
) -> tuple[str, str]:
    """Return a status and a note.

    Parameters
    ----------
    coordinates : Coordinates
        What is estimated.
    inside, open_, kink : (entry,) bool
        Which entries are not at a bound, which may be left open by the curvature, and which are at a kink.
    reaches : mapping of Reach
        How far entries can move; those of which covariances say nothing.
    """
    at_bound = coordinates.label(np.flatnonzero(~inside))
    bound = at_bound and f"; at a bound: {at_bound}"
    flat = []
    for k, reach in reaches.items():
        # the curvature says nothing at a kink; without one it has to agree
        if inside[k] and (reach.open.all() or (reach.open.any() and open_[k] and not kink.any())):
            flat.append("{} from {:.3g} to {:.3g}".format(coordinates.entries.labels[k], *reach.level))
    if flat:
        return "flat direction", ", ".join(flat) + bound
    if kink.any():
        return "at a kink", coordinates.label(np.flatnonzero(kink)) + bound
    plateau = f"on a plateau: {coordinates.label(np.flatnonzero(open_))}" if open_.any() else ""
    if at_bound:
        return "at a bound", "; ".join(filter(None, (at_bound, plateau)))
    return "converged", plateau
