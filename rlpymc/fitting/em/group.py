"""The normal distribution from which subjects' numbers come, and how it is estimated: the M step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.population.population import OF_ONE_SUBJECT
from rlpymc.trials.model_data import ModelData


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


class Covariates:
    """What means depend on: numbers by subject for some parameters, checked and lined up with the subjects.

    Parameters
    ----------
    problem : Unbounded
        What is estimated.
    given : mapping
        By parameter: a DataFrame or Dataset by subject, a Series or DataArray, or an array (subject,) or
        (subject, covariate) in the order of the subjects.

    Attributes
    ----------
    names : dict of list of str
        By parameter, the names of its coefficients.
    designs : tuple of (subject, coefficient)
        For each number of a row that differs between subjects.
    """

    def __init__(self, problem: Unbounded, given: Mapping[str, Any]) -> None:
        own = [p.name for p in problem.own]
        for name in given:
            if name not in own:
                raise unknown("parameter that differs between subjects in covariates", name, own)
        n = problem.data.shape[0]
        self.names: dict[str, list[str]] = {}
        designs = []
        for p in problem.own:
            self.names[p.name], design = ["Intercept"], np.ones((n, 1))
            if p.name in given:
                names, columns = _columns(problem.data, p.name, given[p.name])
                self.names[p.name], design = ["Intercept", *names], np.hstack([design, columns])
            designs += [design] * int(np.prod(problem.entries.shapes[p.name]))
        self.designs = tuple(designs)

    def check(self, problem: Unbounded) -> None:
        """Raise a ValueError if there are too few subjects for the group, or covariates say the same."""
        n = problem.data.shape[0]
        alone = f". {OF_ONE_SUBJECT}" if n == 1 else ""
        for p in problem.own:
            design, names = self.designs[problem.entries.places[p.name].start], self.names[p.name]
            if n < len(names) + 1:
                what = " and ".join(["mean", "standard deviation"] if len(names) == 1 else [*names, "sigma"])
                raise ValueError(
                    f"parameter {p.name!r}: {n} subject{'s' if n > 1 else ''} for {len(names) + 1} parameters of the "
                    f"group ({what}); share it (shared=['{p.name}']), fix it, or use fit_mle{alone}"
                )
            if np.linalg.matrix_rank(design) < design.shape[1]:
                raise ValueError(
                    f"covariates of {p.name!r}: {', '.join(names)} do not vary independently over subjects; leave one "
                    "out (an intercept is added)"
                )


def _columns(data: ModelData, parameter: str, given: Any) -> tuple[list[str], np.ndarray]:
    """Return covariates by name, and their values for each subject."""
    what, subjects = f"covariates of {parameter!r}", data.subjects
    if isinstance(given, xr.DataArray):
        given = given.to_dataset(name=given.name or "covariate")
    if isinstance(given, xr.Dataset):
        if any(v.dims != ("subject",) for v in given.data_vars.values()) or "subject" not in given.coords:
            raise ValueError(f"{what}: expected variables with dims ('subject',) and labels, found {dict(given.sizes)}")
        given = pd.DataFrame({k: v.values for k, v in given.data_vars.items()}, index=given["subject"].values)
    if isinstance(given, pd.Series):
        given = given.to_frame(given.name or "covariate")
    if isinstance(given, pd.DataFrame):
        if not given.index.is_unique:
            raise ValueError(f"{what}: subject {given.index[given.index.duplicated()][0]!r} is there twice")
        if absent := [s for s in subjects.tolist() if s not in given.index]:
            raise ValueError(f"{what}: no row for subject {absent[0]!r}; the index holds the subjects' labels")
        given = given.loc[subjects.tolist()]
        names = [str(c) for c in given.columns]
    else:
        given = np.asarray(given)
        given = given[:, None] if given.ndim == 1 else given
        if given.ndim != 2 or len(given) != len(subjects):
            raise ValueError(f"{what}: found shape {given.shape}, expected ({len(subjects)}, number of covariates)")
        names = [f"covariate_{k}" for k in range(given.shape[1])]
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{what}: found values that are no numbers; code them as numbers, such as 0 and 1") from None
    if (wrong := ~np.isfinite(values)).any():
        i, k = np.argwhere(wrong)[0]
        raise ValueError(
            f"{what}: {names[k]!r} is {values[i, k]} for subject {subjects[i].item()!r}, expected a number; give it, "
            "or leave the subject out"
        )
    return names, values
