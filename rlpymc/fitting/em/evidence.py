"""Marginal likelihoods: the probability of data with subjects' parameters integrated out."""

import numpy as np
import xarray as xr

from rlpymc.fitting.em.e_step import Modes
from rlpymc.fitting.em.group import Group
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.likelihood.draws import repeat_subjects

CHUNK_TRIALS = 2**21  # trials at a time in Monte Carlo: some hundred megabytes


def laplace(modes: Modes, group: Group) -> np.ndarray:
    """Return Laplace's approximation of each subject's log marginal likelihood; NaN under a flat prior.

    A normal distribution around the mode with the Hessian there takes the place of the joint density: Bishop (2006),
    eq. 4.137.
    """
    n_own = modes.hessian.shape[1]
    if group.flat and n_own:
        return np.full(len(modes.log_joint), np.nan)
    return modes.log_joint + 0.5 * (n_own * np.log(2 * np.pi) - modes.log_det)


def bic_int(log_evidence: np.ndarray, n_numbers: int, n_scored: int) -> np.ndarray:
    """Return the integrated Bayesian information criterion, Huys et al. (2012)."""
    return -2 * log_evidence + n_numbers * np.log(n_scored)


def monte_carlo(
    problem: Unbounded, group: Group, rows: np.ndarray, l2: float, repetitions: int, n_samples: int, seed: int | None
) -> np.ndarray:
    """Return estimates of each subject's log marginal likelihood, (repetition, subject).

    Each is the log of the mean likelihood over `n_samples` draws of that subject's parameters from the group, taken
    some at a time; the random numbers do not depend on how many.

    Parameters
    ----------
    rows : (subject, entry)
        Where the numbers that are shared are.
    """
    n, d = problem.data.shape[0], problem.n_own
    copies = int(np.clip(CHUNK_TRIALS // problem.data.masks["exists"].size, 1, n_samples))
    likelihood = problem.likelihood(repeat_subjects(problem.data, copies))
    root = np.linalg.cholesky(group.cov) if d else np.zeros((0, 0))
    shared = np.broadcast_to(rows[:, d:], (copies, n, problem.n_shared))
    found = np.empty((repetitions, n))
    for k, rng in enumerate(np.random.default_rng(seed).spawn(repetitions)):
        highest, total = np.full(n, -np.inf), np.zeros(n)
        for first in range(0, n_samples, copies):
            drawn = np.zeros((copies, n, d))  # the last copies may be too many
            used = min(copies, n_samples - first)
            drawn[:used] = rng.standard_normal((used, n, d))
            own = group.mean + drawn @ root.T if d else drawn
            everybody = np.concatenate([own, shared], axis=2).reshape(copies * n, -1)
            terms = likelihood.total(problem.natural(everybody)).reshape(copies, n)
            terms = (terms - 0.5 * l2 * (own**2).sum(axis=2))[:used]
            before, highest = highest, np.maximum(highest, terms.max(axis=0))
            reference = np.where(np.isfinite(highest), highest, 0.0)
            total = total * np.exp(before - reference) + np.exp(terms - reference).sum(axis=0)
        with np.errstate(divide="ignore"):  # no draw under which the data are possible
            found[k] = reference + np.log(total / n_samples)
    return found


def sorted_estimates(found: np.ndarray, subjects: np.ndarray, n_numbers: int, n_scored: int) -> xr.Dataset:
    """Return estimates as a Dataset, their totals in ascending order."""
    order = np.argsort(found.sum(axis=1), kind="stable")
    total = found.sum(axis=1)[order]
    return xr.Dataset(
        {
            "total": ("repetition", total),
            "by_subject": (("repetition", "subject"), found[order]),
            "bic_int": ("repetition", bic_int(total, n_numbers, n_scored)),
        },
        coords={"subject": subjects, "repetition": np.arange(len(found))},
    )
