"""The log likelihood of all subjects as a function of rows of numbers on the unbounded scale."""

from collections.abc import Mapping, Sequence

import numpy as np

from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.parameters import Parameter, Support, real, resolve_shape
from rlpymc.model.priors import HalfNormal, Normal
from rlpymc.population.population import Population
from rlpymc.population.predicted_likelihood import PredictedLikelihood
from rlpymc.population.predictors import Predictor, parameters_of
from rlpymc.population.presets import middle_and_width
from rlpymc.population.regression import Base, Deviations
from rlpymc.trials.model_data import ModelData

DIFFERENCE = 1e-3  # step of numerical differences, in units of the prior's width


class Unbounded:
    """The log likelihood of each subject as a function of that subject's row of numbers.

    A row holds all parameters that are estimated, each entry of an array on its own, on the unbounded scale: first
    those that differ between subjects, then those that are shared.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated, and what is shared; of parameters that are equal one stands for all.
    backend, threads
        What computes the likelihood, see `rlpymc.log_prob`.

    Attributes
    ----------
    own, shared : list of Parameter
        What differs between subjects, and what does not.
    n_own, n_shared : int
        How many numbers these are.
    predictors : dict of Predictor
        What makes parameters that vary within subjects of numbers, which stand in their place.
    entries : ParameterVector
        Where in a row each parameter is.
    labels : list of str
        Names of the numbers in a row.
    middle, width : (entry,)
        Median of each prior on the unbounded scale, and half the distance between its quantiles at 16 and 84 %.
    """

    def __init__(self, data: ModelData, population: Population, backend: str, threads: int) -> None:
        self.data, self._backend, self._threads = data, backend, threads
        # here a base is where all columns are 0, as intercepts are
        self.predictors = {p.name: p.uncentred() for p in population.predictors(data)}
        self.own, self.shared = list[Parameter](), list[Parameter]()
        for parameter in population.estimated(data.model):
            if parameter.name in self.predictors:
                own, common = _numbers(self.predictors[parameter.name], parameter, population)
                self.own += own
                self.shared += common
            else:
                (self.shared if parameter.name in population.shared else self.own).append(parameter)
        self.parameters = [*self.own, *self.shared]
        made = parameters_of(self.predictors.values())
        shapes = {p.name: resolve_shape(p.shape, vars(data.facts)) for p in self.parameters}
        tied = {name: first for name, first in population.tied.items() if name not in made}
        self.entries = ParameterVector(shapes, tied)
        self.labels = self.entries.labels
        sizes = [int(np.prod(shape)) for shape in self.entries.shapes.values()]
        self.n_own = sum(sizes[: len(self.own)])
        self.n_shared = sum(sizes) - self.n_own
        places = []
        for p in self.parameters:
            prior = population.prior(p)
            assert prior is not None
            places.append(middle_and_width(p, prior))
        self.middle, self.width = np.repeat(np.array(places).reshape((-1, 2)), sizes, axis=0).T
        constant = [p for p in data.model.parameters if p.name not in {*self.entries.names, *made}]
        self._constants = {p.name: population.constant(p, data) for p in constant}
        self._likelihood = self.likelihood(data)

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log likelihood of each row's subject, (subject,), and its derivatives, (subject, entry)."""
        total, by_name = self._likelihood.gradient(self.natural(rows), self.entries.names)
        slopes = self.entries.join_slopes(by_name.values(), rows.shape[:1])
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite parameter gives no finite log likelihood
            for p in self.parameters:
                place = self.entries.places[p.name]
                slopes[:, place] *= np.exp(p.support.log_slope(rows[:, place]))
        return total, slopes

    def natural(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return every parameter of the model on its natural scale, (row, *shape), constants included.

        There may be several rows for each subject, as `repeat_subjects` puts them.  In the place of a parameter that
        varies within subjects are the numbers that it follows from.
        """
        times = len(rows) // self.data.shape[0]
        found = {name: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for name, v in self._constants.items()}
        with np.errstate(over="ignore"):
            for p in self.parameters:
                found[p.name] = p.support.constrain(self.entries.pick(rows, p.name))
        return found | {name: found[first] for name, first in self.entries.tied.items()}

    def support(self, parameter: Parameter) -> Support:
        """Return the support of the values that numbers stand for: of a base, those that follow from it alone."""
        predictor = self.predictors.get(parameter.name)
        return parameter.support if predictor is None else predictor.support

    def curvature(self, rows: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        """Return minus the second derivatives with respect to some entries, (subject, column, column).

        Differences of the exact gradient at four points around each entry: their error is of the fourth order.
        """
        found = np.empty((len(rows), len(columns), len(columns)))
        for k, column in enumerate(columns):
            step = np.zeros(rows.shape[1])
            step[column] = DIFFERENCE * self.width[column]
            near = self(rows + step)[1] - self(rows - step)[1]
            far = self(rows + 2 * step)[1] - self(rows - 2 * step)[1]
            found[:, k] = ((far - 8 * near) / (12 * step[column]))[:, columns]
        return (found + found.transpose(0, 2, 1)) / 2

    def likelihood(self, data: ModelData) -> Likelihood:
        """Return the likelihood of these data, or of the same with all subjects several times."""
        by_trial = parameters_of(self.predictors.values())
        found = likelihood_of(data, self._backend, by_trial, mode="NUMBA", threads=self._threads)
        times = data.shape[0] // self.data.shape[0]
        predictors = [p.repeated(times) for p in self.predictors.values()]
        return PredictedLikelihood(found, predictors) if predictors else found

    def parameters_at(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the model's parameters at subjects' rows, (subject, *shape), or (subject, trial) of some."""
        natural = self.natural(rows)
        return {p.name: self._made(p.name, natural) for p in self.data.model.parameters}

    def _made(self, name: str, natural: Mapping[str, np.ndarray]) -> np.ndarray:
        of = next((p for p in self.predictors.values() if name in p.parameters), None)
        return natural[name] if of is None else np.asarray(of.by_trial(natural))


def _numbers(
    predictor: Predictor, parameter: Parameter, population: Population
) -> tuple[list[Parameter], list[Parameter]]:
    """Return the numbers that a parameter which varies within subjects follows from: subjects' own, and common ones.

    Raises
    ------
    ValueError
        If subjects deviate by session.
    """
    prior = population.prior(parameter)
    assert prior is not None
    own, common = list[Parameter](), list[Parameter]()
    for effect in predictor.effects:
        if isinstance(effect, Deviations) and effect.level:
            raise ValueError(
                f"formula of {parameter.name!r}: fit_em knows no deviations by {effect.level}; leave (1 | subject:"
                f"{effect.level}) out, or sample rlpymc.build(..., formulas=...)"
            )
        if isinstance(effect, Base):
            own.append(Parameter(effect.name, real, (), prior=Normal(*middle_and_width(parameter, prior))))
        elif isinstance(effect, Deviations):
            spread = effect.named[f"{effect.name}_sigma"].prior
            assert isinstance(spread, HalfNormal)
            own.append(Parameter(effect.name, real, (), prior=Normal(0.0, spread.sigma)))
        else:
            common.append(Parameter(effect.name, real, (), prior=effect.variables[0].prior))
    return own, common
