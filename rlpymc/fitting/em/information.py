"""The curvature of a population's log evidence: the information that data hold about the group.

Laplace's log evidence of a subject is a function of the group, with the subject's own numbers m at their mode:

    E = J - 1/2 log det A,    J = log likelihood + log N(m; mean, cov),    A = -d2J/dm2,    dJ/dm = 0

When the group changes, so does the mode, by dm = A^-1 d(dJ/dm), and A with it.  Differentiating E twice along this way
takes derivatives of the log likelihood up to the fourth: differences of its curvature around the modes.  Finding all
modes anew for each of many groups near by gives the same numbers, and takes ten times as long.
"""

from dataclasses import dataclass

import numpy as np

from rlpymc.fitting.em.e_step import Modes
from rlpymc.fitting.em.group import Group
from rlpymc.fitting.em.unbounded import Unbounded

STEPS = (0.01, 0.02)  # between points where curvature is compared, in units of the prior's width
SMOOTH = 0.02  # share of the information about a number by which what a subject adds may differ between the steps
CORRECTION = 1.0  # the same, by which third and fourth derivatives of one subject may change it


@dataclass(frozen=True)
class Information:
    """What the data tell of the group.

    Parameters
    ----------
    matrix : (number, number)
        Minus the second derivatives of the log evidence of all subjects with respect to what describes the group: the
        coefficients, the scales (see `scales`) and what is shared.
    by_subject : (subject, number, number)
        What each subject adds to it.
    taken_as_normal : (subject,) bool
        Who is taken to be normal around the mode, without third and fourth derivatives: they do not exist, because the
        log likelihood has a kink near by, or are no small correction, because it is far from a parabola.
    """

    matrix: np.ndarray
    by_subject: np.ndarray
    taken_as_normal: np.ndarray


def information(problem: Unbounded, group: Group, modes: Modes, l2: float) -> Information:
    """Return the information about a group, where the group is.

    Parameters
    ----------
    problem : Unbounded
        The likelihood.
    group : Group
        The group.
    modes : Modes
        Subjects' modes under it.
    l2 : float
        The penalty, which counts as a part of the prior.
    """
    d, rows, designs = problem.n_own, modes.rows, _designs(group, problem.n_shared)
    added = []
    with np.errstate(invalid="ignore"):  # where the data are impossible near by
        second = problem.curvature(rows, range(len(problem.labels)))
        cov = np.linalg.inv(second[:, :d, :d] + group.precision + l2 * np.eye(d))
        for step in (0.0, *STEPS):
            third, fourth = _higher(problem, rows, cov, step)
            local = _local(group, rows[:, :d], second, third, fourth, cov)
            added.append(designs.transpose(0, 2, 1) @ local @ designs)
        normal, fine, coarse = added
        better = fine + (fine - coarse) / 3  # without errors of the second order in the step
        size = np.sqrt(np.abs(np.diag(normal.sum(axis=0))))
        unit = np.outer(size, size)
        usable = (np.abs(fine - coarse) <= SMOOTH * unit) & (np.abs(better - normal) <= CORRECTION * unit)
    taken_as_normal = ~usable.all(axis=(1, 2))
    by_subject = np.where(taken_as_normal[:, None, None], normal, better)
    matrix = by_subject.sum(axis=0)
    shared = np.arange(len(matrix) - problem.n_shared, len(matrix))
    matrix[shared, shared] += l2
    return Information(matrix, by_subject, taken_as_normal)


def scales(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second derivatives of a group's covariances with respect to its scales.

    These are the logarithms of the standard deviations and, where numbers vary with each other, the correlations of
    each number with those before it.

    Returns
    -------
    (scale, entry, entry), (scale, scale, entry, entry)
    """
    d, units = len(group.cov), np.eye(len(group.cov))
    logarithms = [np.diag(unit) for unit in units]
    first = [e @ group.cov + group.cov @ e for e in logarithms]
    if not group.diagonal:
        for j, k in _pairs(d):
            both = np.outer(units[j], units[k])
            first.append((both + both.T) * group.sigma[j] * group.sigma[k])
    second = np.zeros((len(first), len(first), d, d))  # of two correlations 0
    for a, of_a in enumerate(first):
        for b, e in enumerate(logarithms):
            second[a, b] = second[b, a] = e @ of_a + of_a @ e
    return np.reshape(first, (len(first), d, d)), second


def _pairs(n: int) -> list[tuple[int, int]]:
    return [(j, k) for j in range(n) for k in range(j)]


def _designs(group: Group, n_shared: int) -> np.ndarray:
    """Return how a subject's means, the scales and what is shared depend on what describes the group.

    The result is (subject, number of the subject, number of the group).
    """
    d, n_coefficients = len(group.cov), sum(b.size for b in group.coefficients)
    n_rest = (d if group.diagonal else d * (d + 1) // 2) + n_shared
    found = np.zeros((group.n_subjects, d + n_rest, n_coefficients + n_rest))
    found[:, d:, n_coefficients:] = np.eye(n_rest)
    first = 0
    for k, design in enumerate(group.designs):
        found[:, k, first : first + design.shape[1]] = design
        first += design.shape[1]
    return found


def _higher(problem: Unbounded, rows: np.ndarray, cov: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return higher derivatives of minus the log likelihood: third ones, and fourth ones weighted by covariances.

    With a step of 0 they are 0, as those of a normal distribution.

    Returns
    -------
    (subject, own entry, entry, entry), (subject, entry, entry)
        Of the second, the sum over own entries i and j is taken, each by cov[i, j].
    """
    n, d, size = len(rows), problem.n_own, len(problem.labels)
    third, fourth = np.zeros((n, d, size, size)), np.zeros((n, size, size))
    if not (d and step):
        return third, fourth
    h = step * problem.width
    moves = np.diag(h)

    def weighted(move: np.ndarray) -> np.ndarray:
        return np.einsum("nij,nij->n", cov, problem.curvature(rows + move, range(d)))

    here, around = weighted(np.zeros(size)), np.zeros((size, n))
    for k, move in enumerate(moves):
        ahead, behind = (problem.curvature(rows + side * move, range(size))[:, :d] for side in (1, -1))
        third[..., k] = (ahead - behind) / (2 * h[k])
        around[k] = np.einsum("nij,nij->n", cov, (ahead + behind)[:, :, :d]) - 2 * here
        fourth[:, k, k] = around[k] / h[k] ** 2
    for j, k in _pairs(size):
        both = weighted(moves[j] + moves[k]) + weighted(-moves[j] - moves[k]) - 2 * here
        fourth[:, j, k] = fourth[:, k, j] = (both - around[j] - around[k]) / (2 * h[j] * h[k])
    return third, fourth


@dataclass(frozen=True)
class _Prior:
    """Derivatives of the group's log density of subjects' own numbers, and of its precision.

    A number of a subject is one of its means, a scale, or what is shared, on which the density does not depend.

    Parameters
    ----------
    slope : (subject, entry, number)
        Derivatives of the density with respect to an own number and one of these.
    held : (subject, number, number)
        With respect to two of these.
    once, twice : (number, entry, entry), (number, number, entry, entry)
        Of the precision.
    away : (subject, entry)
        How far own numbers are from the mean.
    """

    slope: np.ndarray
    held: np.ndarray
    once: np.ndarray
    twice: np.ndarray
    away: np.ndarray


def _prior(group: Group, own: np.ndarray, n_shared: int) -> _Prior:
    """Return the derivatives at subjects' own numbers, (subject, entry)."""
    (n, d), precision, (first, second) = own.shape, group.precision, scales(group)
    size = d + len(first) + n_shared
    means, spread = slice(0, d), slice(d, d + len(first))
    away = own - group.mean
    once, twice = np.zeros((size, d, d)), np.zeros((size, size, d, d))
    once[spread] = -precision @ first @ precision
    both = np.einsum("aij,jk,bkl->abil", once[spread], group.cov, once[spread])
    twice[spread, spread] = both + both.swapaxes(0, 1) - precision @ second @ precision
    slope = -np.einsum("aij,nj->nia", once, away)
    slope[:, :, means] = precision
    held = np.zeros((n, size, size))
    held[:, means, means] = -precision
    held[:, means, spread] = -slope[:, :, spread]
    held[:, spread, means] = held[:, means, spread].transpose(0, 2, 1)
    log_det = np.einsum("aij,bij->ab", once[spread], first) + np.einsum("ij,abij->ab", precision, second)
    squares = np.einsum("ni,abij,nj->nab", away, twice[spread, spread], away)
    held[:, spread, spread] = -0.5 * (log_det + squares)
    return _Prior(slope, held, once, twice, away)


def _local(
    group: Group, own: np.ndarray, second: np.ndarray, third: np.ndarray, fourth: np.ndarray, cov: np.ndarray
) -> np.ndarray:
    """Return minus the second derivatives of each subject's log evidence, (subject, number, number).

    Numbers are those of `_Prior`.  In the comments a and b stand for two of them, m for the mode, and x for m together
    with what is shared.
    """
    (n, d), n_shared = own.shape, second.shape[1] - own.shape[1]
    prior = _prior(group, own, n_shared)
    size = len(prior.once)
    shared = slice(size - n_shared, size)
    slope, held = prior.slope, prior.held
    slope[:, :, shared], held[:, shared, shared] = -second[:, :d, d:], -second[:, d:, d:]
    # dm/da, dx/da, and the same of the distance between mode and mean
    mode = cov @ slope
    moved = np.concatenate([mode, np.zeros((n, n_shared, size))], axis=1)
    moved[:, d:, shared] = np.eye(n_shared)
    distance = mode.copy()
    distance[:, :, :d] -= np.eye(d)
    joint = held + slope.transpose(0, 2, 1) @ mode  # d2J/dadb
    # dA/da, divided by A
    change = cov[:, None] @ (np.einsum("nijk,nka->naij", third[:, :, :d], moved) + prior.once)
    # d2 log det A/dadb: x moves twice, m along its own second derivative, and a and b act by themselves
    along = np.einsum("nij,nijk,nkl->nl", cov, third[:, :, :d, :d], cov)  # d log det A/dm, divided by A
    turned = np.einsum("ni,aij,njb->nab", along, prior.once, distance)
    log_det = moved.transpose(0, 2, 1) @ (fourth - np.einsum("ni,nijk->njk", along, third)) @ moved
    log_det += np.einsum("nij,abij->nab", cov, prior.twice)
    log_det -= np.einsum("ni,abij,nj->nab", along, prior.twice, prior.away)
    log_det -= turned + turned.transpose(0, 2, 1) + np.einsum("naij,nbji->nab", change, change)
    return 0.5 * log_det - joint
