"""Parameters that vary within subjects: a link of weights, which are known of each trial, times numbers of subjects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rlpymc.model.parameters import Parameter, Support, real
from rlpymc.model.priors import Prior
from rlpymc.population.design import INTERCEPT
from rlpymc.population.effects import Effect
from rlpymc.population.formula_tables import SUBJECT, TRIAL, sessions_of
from rlpymc.population.model_matrix import Formula
from rlpymc.population.presets import GroupPriors
from rlpymc.population.regression import Base, Coefficient, Deviations
from rlpymc.trials.model_data import ModelData

SESSION = "session"


@dataclass(frozen=True, eq=False)
class Predictor:
    """How the values of a parameter follow from numbers, each of one for all subjects, one of each, or several of each.

    Trials of a subject at which it has the same value are a cell.

    Parameters
    ----------
    name : str
        The parameter.
    support : Support
        Its support, whose link is used.
    copies : tuple of str
        Parameters that are equal to it.
    effects : tuple of Effect
        What the numbers are of: the subject's own first, then coefficients, then slopes and deviations by session.
    weights : (subject, number, cell)
        What they are multiplied by.
    cell : (subject, trial)
        The cell of each trial, by its place.
    at : tuple of float
        What the columns of each coefficient are centred at.
    level : str
        The column whose values, in their order, are the cells of everybody; "" where cells are others.
    labels : tuple
        These values.
    """

    name: str
    support: Support
    copies: tuple[str, ...]
    effects: tuple[Effect, ...]
    weights: np.ndarray
    cell: np.ndarray
    at: tuple[float, ...]
    level: str = ""
    labels: tuple[Any, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that it makes."""
        return (self.name, *self.copies)

    @property
    def base(self) -> Base:
        """The subject's own number."""
        (found,) = (e for e in self.effects if isinstance(e, Base))
        return found

    @property
    def sessions(self) -> Deviations | None:
        """The deviations by session."""
        return next((e for e in self.effects if isinstance(e, Deviations) and e.level), None)

    def unbounded(self, numbers: Mapping[str, Any]) -> Any:
        """Return values on the unbounded scale, (..., subject, cell).

        Parameters
        ----------
        numbers : mapping
            By effect, (..., subject) or (..., subject, session): arrays, or PyTensor's variables.
        """
        found, place = 0.0, 0
        for effect in self.effects:
            value = numbers[effect.name]
            for k in range(effect.shape[0] if effect.shape else 1):
                own = value[..., k] if effect.shape else value
                found, place = found + own[..., None] * self.weights[:, place], place + 1
        return found

    def by_cell(self, numbers: Mapping[str, Any]) -> Any:
        """Return values, (..., subject, cell), given numbers as `unbounded` takes them."""
        return self.support.constrain(self.unbounded(numbers))

    def by_trial(self, numbers: Mapping[str, Any]) -> Any:
        """Return values, (..., subject, trial), given numbers as `unbounded` takes them."""
        return self.by_cell(numbers)[..., np.arange(len(self.cell))[:, None], self.cell]

    def pulled_back(self, numbers: Mapping[str, np.ndarray], slopes: np.ndarray) -> dict[str, np.ndarray]:
        """Return derivatives by numbers, given numbers and derivatives by the values of trials, (subject, trial)."""
        subject = np.arange(len(self.cell))[:, None]
        of_cells = np.zeros((len(self.cell), self.weights.shape[2]))
        np.add.at(of_cells, (subject, self.cell), slopes)
        of_cells = of_cells * np.exp(self.support.log_slope(self.unbounded(numbers)))
        of_numbers, found, place = np.einsum("imc,ic->im", self.weights, of_cells), {}, 0
        for effect in self.effects:
            size = effect.shape[0] if effect.shape else 1
            found[effect.name] = of_numbers[:, place : place + size].reshape((-1, *effect.shape))
            place += size
        return found

    def uncentred(self) -> "Predictor":
        """Return the same with the base at the place where all columns are 0, and not at their means."""
        weights, first = self.weights.copy(), 1
        for k, place in enumerate(self.at):
            weights[:, first + k] += place
        return replace(self, weights=weights, at=(0.0,) * len(self.at))

    def repeated(self, times: int) -> "Predictor":
        """Return the same for all subjects several times, one after the other, as `repeat_subjects` has them."""
        return replace(self, weights=np.tile(self.weights, (times, 1, 1)), cell=np.tile(self.cell, (times, 1)))

    def of_subject(self, i: int, length: int) -> "Predictor":
        """Return the same for one of the subjects alone, who has so many trials."""
        effects = tuple(e.of_subject(i) for e in self.effects)
        return replace(self, effects=effects, weights=self.weights[i : i + 1], cell=self.cell[i : i + 1, :length])

    def shown(self, named: Mapping[str, Any], numbers: Mapping[str, Any]) -> dict[str, tuple[Any, tuple[str, ...]]]:
        """Return what a fit reports besides, by name, with dims.

        Parameters
        ----------
        named : mapping
            The variables by name: arrays (draw,), or PyTensor's.
        numbers : mapping
            As `unbounded` takes them.
        """
        found: dict[str, tuple[Any, tuple[str, ...]]] = {}
        if self.base.has_centre:
            at_zero = named[f"{self.name}_centre"]
            coefficients = [f"{self.name}_{key}" for key in self.base.coefficients]
            coefficients += [e.name for e in self.effects if isinstance(e, Coefficient)]
            for name, place in zip(coefficients, (*self.base.at, *self.at), strict=True):
                at_zero = at_zero - place * named[name]
            found[f"{self.name}_{INTERCEPT}"] = at_zero, ()
        if (sessions := self.sessions) is not None:
            own, between = named[f"{self.name}_sigma"] ** 2, named[f"{sessions.name}_sigma"] ** 2
            found[f"{self.name}_reliability"] = own / (own + between), ()
        if self.level:
            dims = ("subject", self.level)
            found |= dict.fromkeys(self.parameters, (self.by_cell(numbers), dims))
        return found


def parameters_of(predictors: Iterable[Predictor]) -> list[str]:
    """Return the names of the parameters that predictors make."""
    return [name for predictor in predictors for name in predictor.parameters]


def numbers_of(predictors: Iterable[Predictor]) -> set[str]:
    """Return the names of the numbers that they make them of."""
    return {effect.name for predictor in predictors for effect in predictor.effects}


def predicted(
    formula: Formula,
    data: ModelData,
    parameter: Parameter,
    prior: Prior,
    group: GroupPriors,
    priors: Mapping[str, Prior],
    copies: tuple[str, ...],
) -> Predictor:
    """Return how a parameter whose formula varies within subjects follows from numbers.

    Parameters
    ----------
    formula : Formula
        What it depends on.
    data : ModelData
        The subjects.
    parameter, prior, group
        As for effects.
    priors : mapping
        Priors that are given, by name.
    copies : tuple of str
        Parameters that are equal to it.
    """
    # the link comes last, when all is added up
    base = replace(Base.on(formula, data, parameter, (), prior, group), support=real)
    effects: tuple[Effect, ...] = (
        base,
        *Coefficient.within(formula, parameter, prior, group),
        *Deviations.within(formula, data, parameter, prior, group),
    )
    at = formula.centre[formula.within].tolist() if formula.has_intercept else [0.0] * int(formula.within.sum())
    columns = [np.ones((*data.shape, 1)), formula.weights(data), formula.slope_weights(data)]
    if formula.level:
        labels, place = sessions_of(data, parameter.name, formula.level)
        columns.append(place[..., None] == np.arange(len(labels)))
    weights, exists = np.concatenate(columns, axis=2).astype(float), data.masks["exists"]
    level, labels, cell = _sessions(data, parameter.name, formula.level, weights)
    if not level:
        cell = cells_of(weights, exists)
    of_cells = np.zeros((len(weights), weights.shape[2], int(cell.max()) + 1))
    if level and formula.level:  # a session that somebody lacks: where columns are at their means
        of_cells[:, 0] = 1.0
        of_cells[:, -len(labels) :] = np.eye(len(labels))
    subject, trial = np.nonzero(exists)
    of_cells[subject, :, cell[subject, trial]] = weights[subject, trial]
    effects = tuple(e.with_priors(priors) for e in effects)
    return Predictor(
        parameter.name, parameter.support, copies, effects, of_cells, cell, tuple(at), level, tuple(labels)
    )


def _sessions(data: ModelData, parameter: str, level: str, weights: np.ndarray) -> tuple[str, list[Any], np.ndarray]:
    """Return the column whose values are cells, its labels, and the place of each trial's; "" where there is none.

    It is the one between whose values people deviate, or else ``session``, if everybody has all sessions.
    """
    nothing: tuple[str, list[Any], np.ndarray] = "", [], np.zeros(data.shape, dtype=np.int64)
    exists, name = data.masks["exists"], level or SESSION
    if not level and (name not in data.trials or data.trials[name].dims != (SUBJECT, TRIAL)):
        return nothing
    try:
        labels, place = sessions_of(data, parameter, name)
    except (ValueError, TypeError):  # a label is missing, or they have no order, which matters where it is asked for
        if level:
            raise
        return nothing
    whole = all(len(np.unique(own[there])) == len(labels) for own, there in zip(place, exists, strict=True))
    return (name, labels, place) if (level or whole) and _is_enough(weights, place, exists) else nothing


def cells_of(values: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """Return which of a subject's cells each trial is in, (subject, trial): one for each row of values."""
    found = np.zeros(exists.shape, dtype=np.int64)
    for own, rows, there in zip(found, values, exists, strict=True):
        own[there] = np.unique(rows[there], axis=0, return_inverse=True)[1].ravel()
    return found


def _is_enough(weights: np.ndarray, level: np.ndarray, exists: np.ndarray) -> bool:
    """Whether weights are the same on all trials of a session of a subject."""
    for rows, own, there in zip(weights, level, exists, strict=True):
        for label in np.unique(own[there]):
            same = rows[there & (own == label)]
            if (same != same[0]).any():
                return False
    return True
