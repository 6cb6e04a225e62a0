"""The normal distribution from which subjects' numbers come, and how it is estimated: the M step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.population.design import INTERCEPT
from rlpymc.population.formula_text import SUBJECT
from rlpymc.population.model_matrix import Formula
from rlpymc.population.population import OF_ONE_SUBJECT


@dataclass(frozen=True)
class Group:
    """A normal distribution over subjects' numbers on the unbounded scale.

    Parameters
    ----------
    n_subjects : int
        How many subjects there are.
    designs : tuple of (subject, coefficient)
        For each number, what its mean depends on: ones, and covariates.
    coefficients : tuple of (coefficient,)
        For each number, what its mean is made of.
    cov : (entry, entry)
        Covariances.
    flat : bool
        Whether the distribution only describes what was found and is no prior.
    diagonal : bool
        Whether numbers vary independently of each other.
    """

    n_subjects: int
    designs: tuple[np.ndarray, ...]
    coefficients: tuple[np.ndarray, ...]
    cov: np.ndarray
    flat: bool
    diagonal: bool

    @property
    def mean(self) -> np.ndarray:
        """The mean for each subject, (subject, entry)."""
        columns = [design @ b for design, b in zip(self.designs, self.coefficients, strict=True)]
        return np.stack(columns, axis=1) if columns else np.empty((self.n_subjects, 0))

    @property
    def mu(self) -> np.ndarray:
        """The mean over subjects, (entry,)."""
        averages = [design.mean(axis=0) @ b for design, b in zip(self.designs, self.coefficients, strict=True)]
        return np.array(averages, dtype=float)

    @property
    def sigma(self) -> np.ndarray:
        """The standard deviations, (entry,)."""
        return np.sqrt(np.diag(self.cov))

    @property
    def precision(self) -> np.ndarray:
        """The inverse covariances that count as a prior: zeros if flat."""
        return np.zeros_like(self.cov) if self.flat else np.linalg.inv(self.cov)

    def log_density(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log density of each subject's numbers, (subject,), and its derivatives; zeros if flat."""
        if self.flat or not own.shape[1]:
            return np.zeros(len(own)), np.zeros_like(own)
        away = own - self.mean
        slope = -away @ self.precision
        constant = -0.5 * np.linalg.slogdet(2 * np.pi * self.cov)[1]
        return constant + 0.5 * (away * slope).sum(axis=1), slope

    def estimated(self, own: np.ndarray, uncertainty: np.ndarray) -> "Group":
        """Return the group that fits subjects' modes and their uncertainty best: the M step.

        Parameters
        ----------
        own : (subject, entry)
            The modes.
        uncertainty : (subject, entry, entry)
            Covariances around them.

        Notes
        -----
        The expected log density is highest at the coefficients of a regression of the modes on the designs, weighted
        by the inverse covariances where numbers are correlated and their designs differ, and at the covariances of
        its residuals plus the mean uncertainty.  All subjects count the same.
        """
        if not own.shape[1]:
            return self
        group = self.with_values(self._regression(own), self.cov)
        away = own - group.mean
        cov = (away.T @ away + uncertainty.sum(axis=0)) / len(own)
        return replace(group, cov=np.diag(np.diag(cov)) if self.diagonal else (cov + cov.T) / 2)

    def with_values(self, coefficients: np.ndarray, cov: np.ndarray) -> "Group":
        """Return the same with other coefficients, one number's after the other's, and covariances."""
        ends = np.cumsum([design.shape[1] for design in self.designs])[:-1]
        parts = np.split(coefficients, ends) if self.designs else []
        return replace(self, coefficients=tuple(parts), cov=cov)

    def _regression(self, own: np.ndarray) -> np.ndarray:
        n = len(self.designs)
        weight = np.eye(n) if self.diagonal or self.flat else self.precision
        cross = [[self.designs[j].T @ self.designs[k] * weight[j, k] for k in range(n)] for j in range(n)]
        with_modes = [sum(weight[j, k] * self.designs[j].T @ own[:, k] for k in range(n)) for j in range(n)]
        return np.linalg.solve(np.block(cross), np.concatenate(with_modes))


class Designs:
    """What means depend on: a model matrix for each parameter, lined up with the subjects.

    Parameters
    ----------
    problem : Unbounded
        What is estimated.
    formulas : mapping of Formula
        By parameter; the means of others are single numbers.

    Attributes
    ----------
    names : dict of list of str
        By parameter, the names of its coefficients.
    matrices : tuple of (subject, coefficient)
        For each number of a row that differs between subjects.
    """

    def __init__(self, problem: Unbounded, formulas: Mapping[str, Formula]) -> None:
        alone, n = np.ones((problem.data.shape[0], 1)), problem.entries.shapes
        self.names = {p.name: [INTERCEPT] for p in problem.own}
        by_name = dict.fromkeys(self.names, alone)
        for name, formula in formulas.items():
            self.names[name], by_name[name] = formula.between(problem.data)
            for column in formula.slopes:  # around 0
                slope = f"{name}_{column.name}|{SUBJECT}"
                self.names[slope], by_name[slope] = [], alone[:, :0]
        self.matrices = tuple(by_name[p.name] for p in problem.own for _ in range(prod(n[p.name])))

    def check(self, problem: Unbounded) -> None:
        """Raise a ValueError if there are too few subjects for the group."""
        n = problem.data.shape[0]
        alone = f". {OF_ONE_SUBJECT}" if n == 1 else ""
        for name, names in self.names.items():
            if n < len(names) + 1:
                what = " and ".join(["mean", "standard deviation"] if len(names) == 1 else [*names, "sigma"])
                raise ValueError(
                    f"parameter {name!r}: {n} subject{'s' if n > 1 else ''} for {len(names) + 1} parameters of the "
                    f"group ({what}); share it (shared=['{name}']), fix it, or use fit_mle{alone}"
                )

    def starts(self, mu: Sequence[float]) -> tuple[np.ndarray, ...]:
        """Return coefficients at which all subjects have these means, or as nearly so as the matrices allow."""
        n = len(self.matrices[0]) if self.matrices else 0
        return tuple(
            np.linalg.lstsq(x, np.full(n, m), rcond=None)[0] if x.shape[1] else np.zeros(0)
            for x, m in zip(self.matrices, mu, strict=False)
        )
