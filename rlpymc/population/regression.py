"""Parameters that vary between subjects around a mean which depends on what is known of these."""

from dataclasses import dataclass, field
from typing import Any, Self

from rlpymc.model.parameters import Parameter
from rlpymc.model.priors import Normal, Prior
from rlpymc.model.record import Record
from rlpymc.population.effects import Covariate, Pooled, Variable
from rlpymc.population.model_matrix import INTERCEPT, Formula
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
        coefficients = tuple(
            Variable(
                f"_{column.name}",
                "group",
                mu if column.indicator and not formula.has_intercept else Normal(0.0, mu.sigma / float(sd)),
                part_of=(f"_{column.term}", column.label) if column.label else None,
            )
            for column, sd in zip(formula.columns, formula.spread, strict=True)
        )
        own = (Variable("_sigma", "group", sigma), Variable("_z", "subject", Normal()))
        covariates = tuple(
            Covariate(f"x {column.name}", tuple(values.tolist()))
            for column, values in zip(formula.columns, formula.covariates(data).T, strict=True)
        )
        at = tuple(formula.centre.tolist()) if formula.has_intercept else ()
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
        return sum(parts[1:], start=parts[0])

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
