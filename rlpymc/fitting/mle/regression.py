"""Parameters that follow from what is known of subjects, by coefficients that are the same for all."""

import numpy as np

from rlpymc.model.parameter_vector import entry_labels
from rlpymc.model.parameters import Parameter, real
from rlpymc.model.priors import Normal, Prior
from rlpymc.population.design import INTERCEPT
from rlpymc.population.formula_tables import on_trials
from rlpymc.population.model_matrix import Formula
from rlpymc.population.population import Population
from rlpymc.population.presets import middle_and_width
from rlpymc.trials.model_data import ModelData


class Regression:
    """A parameter that is the link of coefficients times the columns of a formula.

    Searches move the coefficients of columns that have a mean of 0, where there is an intercept, and a mean square of
    1, so that one is about as well known as another.  Reported are those of the columns as they are, with the intercept
    where all of them are 0.

    Parameters
    ----------
    data : ModelData
        The subjects.
    formula : Formula
        What the parameter depends on.
    parameter : Parameter
        The parameter.
    prior : Prior
        Of a subject's value: where searches start.

    Attributes
    ----------
    numbers : list of Parameter
        What searches move, on the unbounded scale: ``alpha_centre``, the intercept at the means of columns, and a slope
        for each column, such as ``alpha_age``.
    labels : list of str
        Of the coefficients that are reported, entry by entry: ``alpha_Intercept``, ``alpha_age``.
    reported : (coefficient, coefficient)
        What these are of those that searches move.
    """

    def __init__(self, data: ModelData, formula: Formula, parameter: Parameter, prior: Prior) -> None:
        if formula.slopes or formula.level:
            raise ValueError(
                f"formula of {parameter.name!r}, '~ {formula.text}': in `fit_mle` subjects do not deviate from what a "
                "formula says; leave out what has a bar, or sample rlpymc.build(..., formulas=...)"
            )
        self.parameter, self.formula, self.shape = parameter, formula, data.parameter_shape(parameter.name)
        columns, first = formula.rows(data) - formula.centre, int(formula.has_intercept)
        # levels in place of an intercept are values of the parameter, and stay as they are
        level = formula.of_means
        size = np.where(level, 1.0, np.sqrt((columns**2).mean(axis=0)))
        design = np.concatenate([np.ones((len(columns), first)), columns / size], axis=1)
        # (subject, trial, coefficient), with one trial for all where nothing varies within subjects
        self._design = on_trials(data, design) if formula.by_trial else design[:, None]
        reported = np.diag(np.concatenate([np.ones(first), 1 / size]))
        reported[:first, first:] = -formula.centre / size
        self.reported = np.kron(reported, np.eye(int(np.prod(self.shape))))
        names = [*["centre" if formula.columns else INTERCEPT] * first, *(c.name for c in formula.columns)]
        middle, width = middle_and_width(parameter, prior)
        middles = middle * np.concatenate([np.ones(first), level])
        self.numbers = [
            Parameter(f"{parameter.name}_{name}", real, self.shape, Normal(float(m), width))
            for name, m in zip(names, middles, strict=True)
        ]
        self.labels = [
            label for name in formula.names for label in entry_labels(f"{parameter.name}_{name}", self.shape)
        ]

    def value(self, vectors: np.ndarray) -> np.ndarray:
        """Return everybody's values, given what searches move, (subject, entry).

        They are (subject, *shape), or (subject, trial, *shape) where something varies within subjects.
        """
        support = self.parameter.support
        with np.errstate(over="ignore"):  # an infinite value is an impossible one, which a search hears of
            found = np.asarray(support.constrain(self._unbounded(vectors)))
        return self._shaped(np.clip(found, support.lower, support.upper))  # but for rounding, it is inside

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        """Return values, (subject, trial, value), as the model has them."""
        outer = self._design.shape[:2] if self.formula.by_trial else self._design.shape[:1]
        return values.reshape((*outer, *self.shape))

    def pulled_back(self, vectors: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Return derivatives by everybody's values, shaped as these, as ones by what searches move."""
        with np.errstate(invalid="ignore"):  # where a value is infinite
            by_unbounded = slopes.reshape((*self._design.shape[:2], -1)) * self._slope(vectors)
        return np.einsum("stj,stk->sjk", self._design, by_unbounded).reshape(vectors.shape)

    def variance(self, vectors: np.ndarray, cov: np.ndarray) -> np.ndarray:
        """Return variances of everybody's values, shaped as these, given covariances (subject, entry, entry)."""
        slopes, found = self._slope(vectors), np.empty(self._slope(vectors).shape)
        for i, (design, known) in enumerate(zip(self._design, cov, strict=True)):
            rows, inverse = np.unique(design, axis=0, return_inverse=True)  # trials that are alike
            of_rows = np.kron(rows, np.eye(slopes.shape[2]))
            found[i] = np.diag(combined(of_rows, known)).reshape((len(rows), -1))[inverse.ravel()]
        return self._shaped(slopes**2 * found)

    def _unbounded(self, vectors: np.ndarray) -> np.ndarray:
        """Return everybody's values on the unbounded scale, (subject, trial, value)."""
        n, _, k = self._design.shape
        return np.einsum("stj,sjk->stk", self._design, vectors.reshape((n, k, -1)))

    def _slope(self, vectors: np.ndarray) -> np.ndarray:
        """Return the derivatives of everybody's values by those on the unbounded scale, (subject, trial, value)."""
        with np.errstate(over="ignore"):
            return np.exp(self.parameter.support.log_slope(self._unbounded(vectors)))


def combined(rows: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return covariances of linear combinations, (row, row); NaN where a part of one has none."""
    unknown = np.isnan(np.diag(cov))
    found = rows @ np.where(np.isnan(cov), 0.0, cov) @ rows.T
    lost = ((rows != 0) & unknown).any(axis=1)
    found[lost] = found[:, lost] = np.nan
    return found


def regressions(data: ModelData, population: Population) -> dict[str, Regression]:
    """Return the parameters that have formulas, by name."""
    found = {}
    for name, formula in population.formulas.items():
        parameter = data.model.parameter(name)
        prior = population.prior(parameter)
        assert prior is not None
        found[name] = Regression(data, Formula.learn(name, formula, data), parameter, prior)
    return found
