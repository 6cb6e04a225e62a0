"""Parameters that vary between subjects around a mean which depends on what is known of these."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from rlpymc.model.parameters import Parameter, real
from rlpymc.model.priors import HalfNormal, Normal, Prior
from rlpymc.model.record import Record
from rlpymc.population.design import INTERCEPT, Column
from rlpymc.population.effects import Covariate, Pooled, Single, Variable
from rlpymc.population.model_matrix import Formula
from rlpymc.population.presets import GroupPriors
from rlpymc.trials.model_data import ModelData


@dataclass(frozen=True)
class Regressed(Pooled):
    """A parameter that varies between subjects around a mean which depends on covariates.

    The mean is the centre + the sum of coefficients times covariates.

    Parameters
    ----------
    at : tuple of float
        What covariates are centred at: there the mean is `centre`, and the intercept is where all of them are 0.  Empty
        without an intercept.
    """

    at: tuple[float, ...] = field(default=(), kw_only=True)

    @classmethod
    def on(
        cls,
        formula: Formula,
        data: ModelData,
        parameter: Parameter,
        shape: tuple[int, ...],
        prior: Prior,
        group: GroupPriors,
    ) -> Self:
        """Return the effect of a parameter.

        Parameters
        ----------
        formula : Formula
            What the mean depends on.
        data : ModelData
            The subjects.
        parameter, shape, prior, group
            As for other effects.

        Notes
        -----
        The centre has the prior of a group's mean.  So have the coefficients of the levels of a factor where there is
        no intercept; those of other columns are Normal(0, s / sd), s the width of that prior, sd that of the column.
        """
        mu, sigma = group(parameter, prior)
        centre = (Variable("_centre", "group", mu),) if formula.has_intercept else ()
        columns = [c for c, within in zip(formula.columns, formula.within, strict=True) if not within]
        coefficients = tuple(
            Variable(
                f"_{column.name}",
                "group",
                _prior_of_coefficient(formula, column, mu),
                part_of=(f"_{column.term}", column.label) if column.label else None,
            )
            for column in columns
        )
        own = (Variable("_sigma", "group", sigma), Variable("_z", "subject", Normal()))
        covariates = tuple(
            Covariate(f"x {column.name}", tuple(values.tolist()))
            for column, values in zip(columns, formula.covariates(data).T, strict=True)
        )
        at = tuple(formula.centre[~formula.within].tolist()) if formula.has_intercept else ()
        variables = (*centre, *coefficients, *own)
        return cls(parameter.name, parameter.support, shape, variables, covariates=covariates, at=at)

    def asked(self, name: str) -> str:
        """Return the name by which a variable is given a prior: the centre's is said of the intercept."""
        return f"{self.name}_{INTERCEPT}" if self.named[name].key == "centre" else super().asked(name)

    @property
    def coefficients(self) -> list[str]:
        """The keys of the coefficients, in the order of the covariates."""
        return [c.key.removeprefix("x ") for c in self.covariates]

    def mean(self, v: Record) -> Any:
        """Return the mean of subjects like this one on the unbounded scale."""
        parts = [getattr(v, key) * getattr(v, f"x {key}") for key in self.coefficients]
        parts += [v.centre] if self.has_centre else []
        return sum(parts[1:], start=parts[0]) if parts else 0.0

    @property
    def has_centre(self) -> bool:
        """Whether there is an intercept."""
        return any(v.key == "centre" for v in self.variables)

    def shown(self, v: Record) -> dict[str, Any]:
        """Return the intercept."""
        if not self.has_centre:
            return {}
        at_zero = v.centre
        for key, place in zip(self.coefficients, self.at, strict=True):
            at_zero = at_zero - place * getattr(v, key)
        return {f"_{INTERCEPT}": at_zero}


def _prior_of_coefficient(formula: Formula, column: Column, mu: Normal) -> Normal:
    """Return the prior of a coefficient, given that of the group's mean."""
    k = formula.columns.index(column)
    return mu if formula.of_means[k] else Normal(0.0, mu.sigma / float(formula.spread[k]))


@dataclass(frozen=True)
class Base(Regressed):
    """What a subject has of a parameter before anything within subjects is added, on the unbounded scale."""

    def computed(self, v: Record) -> dict[str, Any]:
        """Return nothing: what a fit reports takes what is added as well."""
        return {}


@dataclass(frozen=True)
class Coefficient(Single):
    """What a number that varies within subjects is multiplied by, the same for all, on the unbounded scale.

    Parameters
    ----------
    vector : tuple of str
        If it is shown as a part of a vector: the name of this, and the label of the part.
    """

    vector: tuple[str, str] | None = field(default=None, kw_only=True)

    @classmethod
    def within(cls, formula: Formula, parameter: Parameter, prior: Prior, group: GroupPriors) -> list[Self]:
        """Return those of a parameter's formula."""
        mu, found = group(parameter, prior)[0], []
        for column, within in zip(formula.columns, formula.within, strict=True):
            if within:
                own = Variable("", "group", _prior_of_coefficient(formula, column, mu))
                vector = (f"{parameter.name}_{column.term}", column.label) if column.label else None
                found.append(cls(f"{parameter.name}_{column.name}", real, (), (own,), vector=vector))
        return found

    @property
    def vectors(self) -> dict[str, dict[str, str]]:
        """The vector that it is a part of."""
        return {self.vector[0]: {self.vector[1]: self.name}} if self.vector else {}

    def asked(self, name: str) -> str:
        """Return the name by which it is given a prior."""
        return self.vector[0] if self.vector else name


@dataclass(frozen=True)
class Deviations(Pooled):
    """What subjects have of their own around 0, on the unbounded scale: a slope, or a deviation for each session.

    Parameters
    ----------
    level : str
        What deviations are by, "session"; "" if a subject has one number.
    labels : tuple
        Of the sessions.
    """

    level: str = field(default="", kw_only=True)
    labels: tuple[Any, ...] = field(default=(), kw_only=True)

    @classmethod
    def within(
        cls, formula: Formula, data: ModelData, parameter: Parameter, prior: Prior, group: GroupPriors
    ) -> list[Self]:
        """Return those of a parameter's formula.

        Notes
        -----
        The standard deviation of sessions has the prior of that of subjects, HalfNormal(s); that of slopes HalfNormal(s
        / sd), sd the standard deviation over trials of what they are multiplied by.
        """
        sigma, found = group(parameter, prior)[1], []
        for column, sd in zip(formula.slopes, formula.slope_spread.tolist(), strict=True):
            variables = (Variable("_sigma", "group", HalfNormal(sigma.sigma / sd)), Variable("_z", "subject", Normal()))
            found.append(cls(f"{parameter.name}_{column.name}|subject", real, (), variables))
        if formula.level:
            labels = tuple(formula.labels(data))
            variables = (Variable("_sigma", "group", sigma), Variable("_z", "subject", Normal()))
            name = f"{parameter.name}_1|subject:{formula.level}"
            found.append(cls(name, real, (len(labels),), variables, level=formula.level, labels=labels))
        return found

    @property
    def group_shape(self) -> tuple[int, ...]:
        """One number for all sessions."""
        return ()

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """The sessions."""
        return {self.level: np.array(self.labels)} if self.level else {}

    def mean(self, v: Record) -> Any:
        """Return 0."""
        return 0.0

    def shown(self, v: Record) -> dict[str, Any]:
        """Return nothing besides the deviations themselves."""
        return {}
