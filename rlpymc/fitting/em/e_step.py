"""The E step: every subject's most probable parameters under the group, and how certain they are."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from rlpymc.fitting.em.group import Group
from rlpymc.fitting.em.quasi_newton import ROUNDED, Minima, minimise
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.fitting.starting_points import unit_cube

FLAT = 1e-6  # curvature, in nats over the squared width of the prior, below which a direction is flat
NEAR = 1e-7  # distance in standard deviations: of subjects' modes by their exact curvature, and of what is shared
POLISHED = 3  # times that it is taken up with the exact curvature until it is
TRIED = 32  # points of which the best is where the first search starts


@dataclass(frozen=True)
class Modes:
    """Subjects' most probable parameters, given the group.

    Parameters
    ----------
    rows : (subject, entry)
        Subjects' own numbers on the unbounded scale, and behind them those that are shared.
    log_lik, log_joint : (subject,)
        The log likelihood there, and the same with the log density of the group and the penalty of own numbers.
    curvature : (subject, entry, entry)
        Minus the second derivatives of the log likelihood with respect to subjects' own numbers.
    hessian : (subject, entry, entry)
        Second derivatives of the log joint density.
    cov : (subject, entry, entry)
        The inverse of minus the Hessian.  Where that is not positive definite, curvature below zero counts as none.
    log_det : (subject,)
        Log determinant of the same.
    maximum, converged : (subject,) bool
        Whether the density curves downwards in all directions; whether the search came to an end.
    shared_inverse : (entry, entry)
        What the search learned of the inverse Hessian with respect to shared numbers.
    shared_converged : bool
        Whether the sum over subjects is stationary in these, too.
    """

    rows: np.ndarray
    log_lik: np.ndarray
    log_joint: np.ndarray
    curvature: np.ndarray
    hessian: np.ndarray
    cov: np.ndarray
    log_det: np.ndarray
    maximum: np.ndarray
    converged: np.ndarray
    shared_inverse: np.ndarray
    shared_converged: bool


class EStep:
    """The search for the modes.

    Parameters
    ----------
    problem : Unbounded
        The likelihood.
    group : Group
        The distribution of subjects' numbers.
    l2 : float
        Penalty: half of it times the squares of all numbers, of the shared ones once.
    """

    def __init__(self, problem: Unbounded, group: Group, l2: float) -> None:
        self.problem, self.group, self.l2 = problem, group, l2
        self.own, self.shared = slice(0, problem.n_own), slice(problem.n_own, None)
        self.prior = group.precision + l2 * np.eye(problem.n_own)

    def log_joint(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log likelihood, log joint density, and derivatives of the latter, at everybody's numbers."""
        own = rows[:, self.own]
        log_lik, slopes = self.problem(rows)
        density, slope = self.group.log_density(own)
        slopes[:, self.own] += slope - self.l2 * own
        return log_lik, log_lik + density - 0.5 * self.l2 * (own**2).sum(axis=1), slopes

    def first_rows(self, shared: np.ndarray, seed: int | None) -> np.ndarray:
        """Return the best of some points for each subject, with the best of some values for what is shared.

        The points fill the group's distribution evenly; the first is its mean.
        """
        problem, n, d = self.problem, self.problem.data.shape[0], len(self.problem.labels)
        points = ndtri(np.clip(unit_cube(TRIED, d, np.random.default_rng(seed)), 0.001, 0.999))
        points[0] = 0.0
        own, own_scale = self.group.mean, self.group.sigma
        values_of_shared = shared + points[:, self.shared] * problem.width[self.shared]

        def at(k: int, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            rows = np.hstack([own + own_scale * points[k, self.own], np.tile(shared, (n, 1))])
            value = self.log_joint(rows)[1]
            return rows, np.where(np.isfinite(value), value, -np.inf)

        if problem.n_shared:
            totals = [at(k, shared)[1].sum() for k, shared in enumerate(values_of_shared)]
            shared = values_of_shared[int(np.argmax(totals))]
        best, highest = at(0, shared)
        for k in range(1, TRIED if problem.n_own else 1):
            rows, value = at(k, shared)
            better = value > highest
            best[better], highest[better] = rows[better], value[better]
        if (impossible := np.isneginf(highest)).any():
            names = ", ".join(map(repr, problem.data.subjects[impossible].tolist()))
            raise ValueError(
                f"subject {names}: the data are impossible at all {TRIED} points from which a search could start; look "
                "at the data, at what is fixed, and at `start`"
            )
        return best

    def search(self, rows: np.ndarray, curvature: np.ndarray | None, shared_inverse: np.ndarray | None) -> Modes:
        """Return the modes near some numbers.

        Parameters
        ----------
        rows : (subject, entry)
            Where to begin.
        curvature : (subject, entry, entry), optional
            Minus the second derivatives of the log likelihood somewhere near.
        shared_inverse : (entry, entry), optional
            A guess of the inverse Hessian with respect to shared numbers.
        """
        problem, width = self.problem, self.problem.width[self.own]
        columns = range(problem.n_own)
        if curvature is None:
            curvature = _known(problem.curvature(rows, columns))[0]
        inverse = _search_inverse(curvature + self.prior, width)
        if problem.n_shared:
            rows, inverse, shared_inverse, shared_converged = self._search_shared(rows, inverse, shared_inverse)
        else:
            shared_inverse, shared_converged = np.zeros((0, 0)), True
        for _ in range(POLISHED):
            found = self._search_own(rows, inverse)
            rows = np.hstack([found.x, rows[:, self.shared]])
            curvature, known = _known(problem.curvature(rows, columns))
            inverse = _search_inverse(curvature + self.prior, width)
            distance = np.sqrt(np.einsum("ij,ijk,ik->i", found.slope, inverse, found.slope))
            if (distance <= NEAR).all():
                break
        log_lik, log_joint, slopes = self.log_joint(rows)
        if problem.n_shared:
            slope = slopes[:, self.shared].sum(axis=0) - self.l2 * rows[0, self.shared]
            shared_converged &= bool(slope @ shared_inverse @ slope <= ROUNDED**2)
        cov, log_det, maximum = _covariance(curvature, self.prior, width)
        return Modes(
            rows=rows,
            log_lik=log_lik,
            log_joint=log_joint,
            curvature=curvature,
            hessian=-(curvature + self.prior),
            cov=cov,
            log_det=log_det,
            maximum=maximum,
            converged=found.converged & (distance <= ROUNDED) & known,
            shared_inverse=shared_inverse,
            shared_converged=shared_converged,
        )

    def _search_own(self, rows: np.ndarray, inverse: np.ndarray) -> Minima:
        """Return the minima of minus the log joint density over subjects' own numbers."""
        shared = rows[:, self.shared]

        def function(own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            _, value, slopes = self.log_joint(np.hstack([own, shared]))
            return -value, -slopes[:, self.own]

        return minimise(function, rows[:, self.own], inverse, self.problem.width[self.own])

    def _search_shared(
        self, rows: np.ndarray, inverse: np.ndarray, shared_inverse: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Return rows at the joint maximum: each value of what is shared is judged at the subjects' modes for it.

        There the derivatives of the modes do not matter, and the slope is the sum of the subjects' slopes.
        """
        width = self.problem.width[self.shared]
        near = rows[:, self.own], inverse  # where the next search over subjects' numbers begins

        def function(shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            nonlocal near
            everybody = np.tile(shared, (len(rows), 1))
            found = self._search_own(np.hstack([near[0], everybody]), near[1])
            _, value, slopes = self.log_joint(np.hstack([found.x, everybody]))
            if np.isfinite(value).all():
                near = found.x, found.inverse
            penalty = 0.5 * self.l2 * (shared**2).sum(axis=1)
            return penalty - value.sum(), self.l2 * shared - slopes[:, self.shared].sum(axis=0)

        if shared_inverse is None:
            columns = range(self.problem.n_own, len(self.problem.labels))
            total = self.problem.curvature(rows, columns).sum(axis=0) + self.l2 * np.eye(len(columns))
            shared_inverse = _search_inverse(total[None], width)[0]
        found = minimise(function, rows[:1, self.shared], shared_inverse[None], width, NEAR)
        rows = np.hstack([near[0], np.tile(found.x, (len(rows), 1))])
        return rows, near[1], found.inverse[0], bool(found.converged[0])


def _known(curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return curvatures with zeros where the data are impossible near by, and for which subjects they are known."""
    known = np.isfinite(curvature).all(axis=(1, 2))
    return np.where(known[:, None, None], curvature, 0.0), known


def _spectrum(matrix: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and eigenvectors of matrices of second derivatives, in units of the widths."""
    values, vectors = np.linalg.eigh(matrix * np.outer(width, width))
    return values, vectors


def _inverse(values: np.ndarray, vectors: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the inverse of matrices with such a spectrum."""
    scaled = vectors * width[:, None]
    return (scaled / values[:, None, :]) @ scaled.transpose(0, 2, 1)


def _search_inverse(matrix: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return positive definite matrices with which a search goes downhill, also where the function curves downwards."""
    values, vectors = _spectrum(matrix, width)
    return _inverse(np.maximum(np.abs(values), FLAT), vectors, width)


def _covariance(
    curvature: np.ndarray, prior: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the inverse of curvature and prior, the log determinant of their sum, and where it is a maximum's."""
    values, vectors = _spectrum(curvature + prior, width)
    maximum = values.min(axis=1, initial=np.inf) > FLAT
    if not maximum.all():
        known, directions = _spectrum(curvature[~maximum], width)
        scaled = directions / width[:, None]
        upwards = (scaled * np.maximum(known, 0.0)[:, None, :]) @ scaled.transpose(0, 2, 1)
        values[~maximum], vectors[~maximum] = _spectrum(upwards + prior, width)
        values = np.maximum(values, FLAT)
    log_det = np.log(values).sum(axis=1) - 2 * np.log(width).sum()
    return _inverse(values, vectors, width), log_det, maximum
