"""Standard errors of what describes a population, or why there are none."""

from dataclasses import dataclass

import numpy as np

from rlpymc.fitting.em.e_step import Modes
from rlpymc.fitting.em.group import Group
from rlpymc.fitting.em.information import Information, information, scales
from rlpymc.fitting.em.unbounded import Unbounded

SINGULAR = 1e-6  # information, in units of that about each number alone, below which there is none
NAMED = 5  # subjects that a note names


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors, NaN where there are none.

    Parameters
    ----------
    coefficients : tuple of (coefficient,)
        Of what the mean of each number is made of.
    mu, sigma : (entry,)
        Of means over subjects and of standard deviations.
    cov : (entry, entry)
        Of covariances.
    shared : (entry,)
        Of what is shared, on the natural scale.
    note : str
        Why there are none, and who counts otherwise than others.
    """

    coefficients: tuple[np.ndarray, ...]
    mu: np.ndarray
    sigma: np.ndarray
    cov: np.ndarray
    shared: np.ndarray
    note: str


@dataclass(frozen=True)
class _Covariances:
    """The inverse of information.

    Parameters
    ----------
    matrix : (number, number)
        Of what describes the group; 0 where a number is held, NaN where there is none at all.
    at_bound : (entry,) bool
        Whose standard deviation is held, because the data do not tell it from 0.
    note : str
        See `StandardErrors`.
    """

    matrix: np.ndarray
    at_bound: np.ndarray
    note: str


def standard_errors(problem: Unbounded, group: Group, modes: Modes, l2: float, failed: np.ndarray) -> StandardErrors:
    """Return the standard errors of a group, from the information about it where it is.

    Parameters
    ----------
    problem, group, modes, l2
        As for `information`.
    failed : (subject,) bool
        Whose E step did not converge.

    Notes
    -----
    Scales are the logarithms of standard deviations, along which the evidence is closer to a parabola, and
    correlations.  A standard deviation that is no larger than its standard error is at its bound.
    """
    d, n_coefficients = problem.n_own, sum(b.size for b in group.coefficients)
    found = _covariances(problem, group, modes, l2, failed)
    first = scales(group)[0]
    of_coefficients = slice(0, n_coefficients)
    of_scales = slice(n_coefficients, n_coefficients + len(first))
    error = np.sqrt(np.diag(found.matrix))
    parts = group.with_values(error[of_coefficients], group.cov).coefficients
    averages, end = np.zeros((d, n_coefficients)), 0
    for k, design in enumerate(group.designs):
        averages[k, end : end + design.shape[1]] = design.mean(axis=0)
        end += design.shape[1]
    sigma = group.sigma * error[of_scales][:d]
    cov = np.sqrt(np.einsum("aij,ab,bij->ij", first, found.matrix[of_scales, of_scales], first))
    sigma[found.at_bound], cov[found.at_bound], cov[:, found.at_bound] = np.nan, np.nan, np.nan
    row = modes.rows[0]
    slopes = [p.support.log_slope(row[problem.entries.places[p.name]]) for p in problem.shared]
    return StandardErrors(
        coefficients=parts,
        mu=np.sqrt(np.einsum("ka,ab,kb->k", averages, found.matrix[of_coefficients, of_coefficients], averages)),
        sigma=sigma,
        cov=cov,
        shared=error[of_scales.stop :] * np.exp(np.concatenate([*slopes, []])),
        note=found.note,
    )


def _covariances(problem: Unbounded, group: Group, modes: Modes, l2: float, failed: np.ndarray) -> _Covariances:
    """Return the inverse of the information about a group, as far as there is one."""
    d, first = problem.n_own, sum(b.size for b in group.coefficients)
    n_scales = d if group.diagonal else d * (d + 1) // 2
    size = first + n_scales + problem.n_shared
    none, nowhere = np.full((size, size), np.nan), np.zeros(d, dtype=bool)
    if group.flat and d:
        return _Covariances(none, nowhere, "no standard errors: prior='flat' has no log evidence to curve")
    if failed.any():
        return _Covariances(
            none, nowhere, f"no standard errors: the last E step did not converge for {_named(problem, failed)}"
        )
    found = information(problem, group, modes, l2)
    if (impossible := ~np.isfinite(found.by_subject).all(axis=(1, 2))).any():
        text = f"no standard errors: the data are impossible next to the mode of {_named(problem, impossible)}"
        return _Covariances(none, nowhere, text)
    notes = []
    if found.taken_as_normal.any():
        names = _named(problem, found.taken_as_normal)
        notes.append(f"{names}: taken to be normal around the mode, where the log likelihood is far from a parabola")
    scale = np.sqrt(np.abs(np.diag(found.matrix)))
    at_bound = scale[first : first + d] <= 1
    kept = np.flatnonzero(~_held(at_bound, first, size, group.diagonal))
    within = np.ix_(kept, kept)
    values, vectors = np.linalg.eigh(found.matrix[within] / np.outer(scale, scale)[within])
    vectors = vectors / scale[kept, None]
    if (values <= SINGULAR).any():
        notes.append(_saddle(problem, found, kept, vectors[:, 0]))
        return _Covariances(none, at_bound, "; ".join(notes))
    matrix = np.zeros((size, size))
    matrix[within] = vectors / values @ vectors.T
    at_bound |= np.diag(matrix)[first : first + d] >= 1
    if at_bound.any():
        labels = [f"{label}_sigma" for label, one in zip(problem.labels, at_bound, strict=False) if one]
        notes.append(f"the data do not tell {', '.join(labels)} from 0")
    return _Covariances(matrix, at_bound, "; ".join(notes))


def _held(at_bound: np.ndarray, first: int, size: int, diagonal: bool) -> np.ndarray:
    """Return which numbers are held, (number,): standard deviations at their bound, with their correlations."""
    d, held = len(at_bound), np.zeros(size, dtype=bool)
    held[first : first + d] = at_bound
    if not diagonal:
        correlations = [at_bound[j] | at_bound[k] for j in range(d) for k in range(j)]
        held[first + d : first + d + len(correlations)] = correlations
    return held


def _saddle(problem: Unbounded, found: Information, kept: np.ndarray, direction: np.ndarray) -> str:
    """Return a note that the evidence rises along a direction, and for whom most."""
    added = np.einsum("a,nab,b->n", direction, found.by_subject[:, kept][:, :, kept], direction)
    worst = problem.data.subjects[int(added.argmin())].item()
    return (
        "no standard errors: the log evidence does not fall off in all directions from the group that was found, least "
        f"of all for subject {worst!r}; rlpymc.sample gives the group's uncertainty without Laplace's approximation"
    )


def _named(problem: Unbounded, chosen: np.ndarray) -> str:
    names = [repr(name) for name in problem.data.subjects[chosen].tolist()]
    return f"subject {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}"
