"""What the last E step can say of each subject, in a word."""

import numpy as np

from rlpymc.fitting.em.e_step import Modes
from rlpymc.fitting.em.unbounded import DIFFERENCE, Unbounded
from rlpymc.fitting.mle.profile import OPEN, REACH
from rlpymc.likelihood.curvature import kinks

FAR = np.linspace(0.0, REACH, 41)[1:]  # how far a flat direction is followed, in units of the prior's width


def statuses(problem: Unbounded, modes: Modes, flat: bool) -> np.ndarray:
    """Return a status for each subject, (subject,), see `EM`.

    Parameters
    ----------
    problem : Unbounded
        The likelihood.
    modes : Modes
        What the E step found.
    flat : bool
        Whether there is no group that would hold what the data do not tell.
    """
    status = np.where(modes.converged & modes.maximum, "converged", "failed").astype("U14")
    if flat and not modes.maximum.all():
        status[modes.converged & ~modes.maximum & _flat(problem, modes)] = "flat direction"
    status[_at_kinks(problem, modes)] = "at a kink"
    return status


def _at_kinks(problem: Unbounded, modes: Modes) -> np.ndarray:
    """Return whose gradient jumps where the curvature was taken, (subject,)."""
    n, d = len(modes.rows), problem.n_own
    shared, free = modes.rows[:, d:], np.full(d, np.inf)

    def gradient(own: np.ndarray) -> np.ndarray:
        return problem(np.hstack([own, shared]))[1][:, :d]

    if not d:
        return np.zeros(n, dtype=bool)
    with np.errstate(invalid="ignore"):  # where the data are impossible near by
        # the steps of the differences that curvature is made of
        steps = [times * DIFFERENCE * problem.width[:d] for times in (1, 2)]
        found = [kinks(gradient, modes.rows[:, :d], step, -free, free) for step in steps]
    return np.any(found, axis=(0, 2))


def _flat(problem: Unbounded, modes: Modes) -> np.ndarray:
    """Return for whom the log likelihood is as good as flat along its flattest direction, on one side at least."""
    d, width = problem.n_own, problem.width[: problem.n_own]
    direction = np.linalg.eigh(modes.curvature * np.outer(width, width))[1][:, :, 0] * width
    open_ = np.zeros(len(modes.rows), dtype=bool)
    for side in (-1, 1):
        lowest = modes.log_lik
        for far in side * FAR:
            moved = modes.rows.copy()
            moved[:, :d] += far * direction
            lowest = np.fmin(lowest, np.nan_to_num(problem(moved)[0], nan=-np.inf))
        open_ |= modes.log_lik - lowest < OPEN
    return open_
