"""Many small minimisations at once: BFGS, each row of an array a problem of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLOSE = 1e-10  # where a search ends unless told
ROUNDED = 1e-5  # the same, where values no longer tell a better point from a worse one
DECREASE = 1e-4  # share of what the slope promises that a step has to bring (Armijo)
ROUNDING = 1e-13  # relative error of values
LONGEST = 4.0  # step in one entry, in its widths
IDLE = 15  # evaluations without a gain after which what was learned is given up, and then the search
BOLDER = 4.0  # how much longer steps get where the function curves downwards
MOST = 500  # evaluations

type Function = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Minima:
    """Where the searches ended.

    Parameters
    ----------
    x, value, slope : (row, entry), (row,), (row, entry)
        The points, the function there, and its derivatives.
    inverse : (row, entry, entry)
        What the searches learned of the inverse Hessian.
    converged : (row,) bool
        Which of them are at a point where the gradient vanishes.
    """

    x: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    inverse: np.ndarray
    converged: np.ndarray


def minimise(function: Function, x: np.ndarray, inverse: np.ndarray, width: np.ndarray, close: float = CLOSE) -> Minima:
    """Return the minimum of each row's function.

    All rows take a step with each evaluation, each its own: a new one where the last was good, a shorter one where it
    was not, none where the search is over.

    Parameters
    ----------
    function : callable
        ``function(x) -> (values (row,), slopes (row, entry))``.
    x : (row, entry)
        Where the searches start.
    inverse : (row, entry, entry)
        Positive definite guesses of the inverse Hessians.
    width : (entry,)
        The scale of each entry.
    close : float
        Distance from the minimum, in standard deviations of exp(-value), at which a search ends.
    """
    x, inverse = x.copy(), inverse.copy()
    value, slope = function(x)
    step, distance = _step(inverse, slope, width)
    share, idle = np.ones(len(x)), np.zeros(len(x), dtype=int)
    fresh = np.zeros(len(x), dtype=bool)  # whether what was learned was given up since the last gain
    going = ~(distance <= close)
    for _ in range(MOST):
        if not going.any():
            break
        tried = np.where(going[:, None], x + share[:, None] * step, x)
        new_value, new_slope = function(tried)
        promised = share * (slope * step).sum(axis=1)
        known = np.isfinite(new_value) & np.isfinite(new_slope).all(axis=1)
        change = np.where(known, new_value - value, np.inf)
        noise = ROUNDING * (1 + np.abs(value))
        good = going & (change <= DECREASE * promised + noise)
        inverse[good] = _learn(inverse[good], (tried - x)[good], (new_slope - slope)[good])
        x[good], value[good], slope[good] = tried[good], new_value[good], new_slope[good]
        parabola = -promised / np.maximum(2 * (change - promised), 1e-300)
        share = np.where(going & ~good, share * np.clip(parabola, 0.1, 0.5), 1.0)
        gained = change < -noise
        idle, fresh = np.where(gained, 0, idle + 1), fresh & ~gained
        lost = going & (idle >= IDLE)
        going &= ~(lost & (fresh | (distance <= ROUNDED)))
        again = lost & going
        inverse[again], fresh[again], share[again], idle[again] = np.diag(width**2), True, 1.0, 0
        renewed = good | again
        step[renewed], distance[renewed] = _step(inverse[renewed], slope[renewed], width)
        going &= ~(distance <= close)
    return Minima(x, value, slope, inverse, distance <= ROUNDED)


def _step(inverse: np.ndarray, slope: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the step to where a parabola has its minimum, and how far that is in standard deviations."""
    step = -np.einsum("ijk,ik->ij", inverse, slope)
    distance = np.sqrt(np.maximum(-(slope * step).sum(axis=1), 0.0))
    longest = np.abs(step / width).max(axis=1, initial=0.0)
    return step / np.maximum(longest / LONGEST, 1.0)[:, None], distance


def _learn(inverse: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return inverse Hessians that explain how much the slopes changed over a step."""
    seen = np.einsum("ijk,ik->ij", inverse, change)
    curvature, expected = (step * change).sum(axis=1), (seen * change).sum(axis=1)
    upwards = curvature > 1e-10 * np.sqrt((step**2).sum(axis=1) * (change**2).sum(axis=1))
    rho = 1 / np.where(upwards, curvature, 1.0)
    cross = step[:, :, None] * seen[:, None, :]
    outer = step[:, :, None] * step[:, None, :]
    better = (
        inverse
        + ((1 + rho * expected) * rho)[:, None, None] * outer
        - rho[:, None, None] * (cross + cross.transpose(0, 2, 1))
    )
    return np.where(upwards[:, None, None], better, BOLDER * inverse)
