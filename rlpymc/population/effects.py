"""How the values of a parameter hang together over subjects: an effect declares the variables that they are made of.

PyMC's model, the density in machine code, starting points and results are loops over it.  A further kind is a class
with `value`, and what makes it joins `POOLINGS` under a word of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Self

import numpy as np

from rlpymc import math
from rlpymc.model.parameter_vector import own_dims
from rlpymc.model.parameters import Parameter, Support
from rlpymc.model.priors import Normal, Prior
from rlpymc.model.record import Record
from rlpymc.population.presets import GroupPriors

type Level = Literal["group", "subject"]


@dataclass(frozen=True)
class Variable:
    """A variable that a parameter's values are made of.

    Parameters
    ----------
    suffix : str
        What its name has after the parameter's: "_mu" of ``alpha_mu``; "" if it is the parameter itself.
    level : {"group", "subject"}
        Whether there is one for all subjects, or one for each.
    prior : Prior
        Of each entry.
    part_of : tuple of str, optional
        If it is shown as a part of a vector: the suffix of the vector's name, and the label of this part.
    """

    suffix: str
    level: Level
    prior: Prior
    part_of: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        """The attribute by which `Effect.value` reads it: ``mu`` of "_mu", ``own`` of the parameter itself."""
        return self.suffix.removeprefix("_") or "own"


@dataclass(frozen=True)
class Covariate:
    """A number known of each subject, that the values of a parameter depend on.

    Parameters
    ----------
    key : str
        The attribute by which `Effect.value` reads it.
    values : tuple of float
        One for each subject.
    """

    key: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Effect:
    """A parameter that is estimated; its kinds are subclasses, frozen as this is, with `value`.

    Parameters
    ----------
    name : str
        The parameter.
    support : Support
        Its support.
    shape : tuple of int
        Its shape for one subject, and so that of its variables on the unbounded scale.
    variables : tuple of Variable
        What its values are made of, in the order of PyMC's model and of points.
    copies : tuple of str
        Parameters that are equal to it, and have no variables of their own.
    covariates : tuple of Covariate
        What is known of each subject besides.
    """

    name: str
    support: Support
    shape: tuple[int, ...]
    variables: tuple[Variable, ...]
    copies: tuple[str, ...] = field(default=(), kw_only=True)
    covariates: tuple[Covariate, ...] = field(default=(), kw_only=True)

    def value(self, v: Record) -> Any:
        """Return the parameter's value.

        Parameters
        ----------
        v : Record
            The variables on their natural scales, and covariates, read by attribute (their keys).  They are arrays,
            PyTensor's variables, or the compiler's symbols of one entry of one subject; operators, `rlpymc.math` and
            `Support.constrain` mean the same on all of these.
        """
        raise NotImplementedError

    def shown(self, v: Record) -> dict[str, Any]:
        """Return what a fit reports besides, by the suffixes of its names."""
        return {}

    def computed(self, v: Record) -> dict[str, Any]:
        """Return what a fit reports beside the variables, by name: the parameter and its copies, unless it is one."""
        found = {self.name + suffix: value for suffix, value in self.shown(v).items()}
        equal = [name for name in (self.name, *self.copies) if name not in self.named]
        return {**found, **dict.fromkeys(equal, self.value(v))} if equal else found

    @property
    def named(self) -> dict[str, Variable]:
        """The variables by name."""
        return {self.name + v.suffix: v for v in self.variables}

    @property
    def foreign(self) -> dict[str, str]:
        """By key, the names of other effects' variables that `value` reads: of subjects, and of as many entries."""
        return {}

    @property
    def vectors(self) -> dict[str, dict[str, str]]:
        """By name, the vectors as which variables are shown: the names of their parts by label."""
        found: dict[str, dict[str, str]] = {}
        for name, v in self.named.items():
            if v.part_of is not None:
                suffix, label = v.part_of
                found.setdefault(self.name + suffix, {})[label] = name
        return found

    @property
    def group_shape(self) -> tuple[int, ...]:
        """The shape of the group's variables: last axes of the effect's shape, over whose first ones they are one."""
        return self.shape

    def known(self, ndim: int) -> dict[str, np.ndarray]:
        """The covariates by key, as arrays (subject, ...) of so many axes."""
        return {c.key: np.reshape(c.values, (-1, *[1] * (ndim - 1))) for c in self.covariates}

    def of_subject(self, i: int) -> Self:
        """Return the same for one of the subjects alone."""
        return replace(self, covariates=tuple(replace(c, values=c.values[i : i + 1]) for c in self.covariates))

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """The variables' own axes, with their labels."""
        dims = own_dims(self.name, len(self.shape))
        return {dim: np.arange(length) for dim, length in zip(dims, self.shape, strict=True)}

    @property
    def by_subject(self) -> bool:
        """Whether subjects differ."""
        return self.support.discrete or any(v.level == "subject" for v in self.variables)

    @property
    def pooled(self) -> bool:
        """Whether subjects differ around a group that is estimated, and that says what others would be like."""
        return self.by_subject and any(v.level == "group" for v in self.variables)

    def asked(self, name: str) -> str:
        """Return the name by which a variable is given a prior."""
        part_of = self.named[name].part_of
        return name if part_of is None else self.name + part_of[0]

    def with_priors(self, priors: Mapping[str, Prior]) -> Self:
        """Return the same with the priors that are given for the group's variables, by name."""
        variables = []
        for name, v in self.named.items():
            prior = priors.get(self.asked(name), v.prior) if v.level == "group" else v.prior
            if prior is not v.prior and prior.quantile(0.0) < (lowest := v.prior.quantile(0.0)):
                raise ValueError(f"prior {prior} of {name}, which is not below {lowest:g}; use one like {v.prior}")
            variables.append(replace(v, prior=prior))
        return replace(self, variables=tuple(variables))


@dataclass(frozen=True)
class Pooled(Effect):
    """A parameter that varies between subjects around the group: value = link(mean + sigma z), the mean mu.

    Parameters
    ----------
    earlier : tuple of str
        Effects with which its deviations are correlated: z is the sum then of theirs and its own, each times an entry
        of its row of the Cholesky factor of the correlation matrix.
    """

    earlier: tuple[str, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, parameter: Parameter, shape: tuple[int, ...], prior: Prior, group: GroupPriors) -> Self:
        """Return the effect of a parameter, normal on the unbounded scale, given the prior of a subject's value."""
        mu, sigma = group(parameter, prior)
        variables = (
            Variable("_mu", "group", mu),
            Variable("_sigma", "group", sigma),
            Variable("_z", "subject", Normal()),
        )
        return cls(parameter.name, parameter.support, shape, variables)

    def value(self, v: Record) -> Any:
        """Return the value of a subject who is z standard deviations from the mean."""
        return self.support.constrain(self.mean(v) + self.deviation(v))

    def deviation(self, v: Record) -> Any:
        """Return how far a subject is from the mean, on the unbounded scale."""
        z = v.z
        if self.earlier:
            *others, own = self.row(v)
            z = own * z
            for factor, key in zip(others, self.foreign, strict=True):
                z = z + factor * getattr(v, key)
        return v.sigma * z

    @property
    def foreign(self) -> dict[str, str]:
        """The deviations of the effects before it."""
        return {f"z of {name}": f"{name}_z" for name in self.earlier}

    @property
    def shares(self) -> list[str]:
        """The keys of the variables (1 + partial correlation) / 2, one with each of the effects before it."""
        return [f"u[{name}]" for name in self.earlier]

    def row(self, v: Record) -> list[Any]:
        """Return its row of the Cholesky factor of the correlation matrix, as far as its own entry."""
        return cholesky_row([getattr(v, key) for key in self.shares])

    @property
    def of_mean(self) -> list[str]:
        """The keys of the variables that the mean is made of."""
        return [v.key for v in self.variables if v.level == "group" and v.key not in ("sigma", *self.shares)]

    def mean(self, v: Record) -> Any:
        """Return the mean of subjects like this one on the unbounded scale, linear in the group's variables."""
        return v.mu

    def shown(self, v: Record) -> dict[str, Any]:
        """Return the value of a subject at the mean."""
        return {"_group": self.support.constrain(v.mu)}


def cholesky_row(shares: Sequence[Any]) -> list[Any]:
    """Return a row of the Cholesky factor of a correlation matrix, given (1 + partial correlation) / 2 of each."""
    row, left = list[Any](), 1.0
    for share in shares:
        row.append((2.0 * share - 1.0) * left)
        left = left * (2.0 * math.sqrt(share * (1.0 - share)))
    return [*row, left]


class Single(Effect):
    """A parameter with a prior of its own: one value for each subject, or one for all."""

    @classmethod
    def of(cls, level: Level, parameter: Parameter, shape: tuple[int, ...], prior: Prior, group: GroupPriors) -> Self:
        """Return the effect of a parameter, given its prior."""
        del group
        return cls(parameter.name, parameter.support, shape, (Variable("", level, prior),))

    def value(self, v: Record) -> Any:
        """Return the variable, which is the parameter itself."""
        return v.own


# What makes the effect of a parameter, its shape, the prior of a subject's value, and the rule by which the group's
# priors follow from it (see `rlpymc.population.presets`), by the word that `build` takes.
POOLINGS: dict[str, Callable[[Parameter, tuple[int, ...], Prior, GroupPriors], Effect]] = {
    "partial": Pooled.of,
    "none": partial(Single.of, "subject"),
    "complete": partial(Single.of, "group"),
}
