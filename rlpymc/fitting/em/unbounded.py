"""The log likelihood of all subjects as a function of rows of numbers on the unbounded scale."""

from collections.abc import Sequence

import numpy as np

from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.population.population import Population
from rlpymc.population.presets import middle_and_width
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
    entries : ParameterVector
        Where in a row each parameter is.
    labels : list of str
        Names of the numbers in a row.
    middle, width : (entry,)
        Median of each prior on the unbounded scale, and half the distance between its quantiles at 16 and 84 %.
    """

    def __init__(self, data: ModelData, population: Population, backend: str, threads: int) -> None:
        self.data, self._backend, self._threads = data, backend, threads
        free = population.estimated(data.model)
        self.own = [p for p in free if p.name not in population.shared]
        self.shared = [p for p in free if p.name in population.shared]
        self.parameters = [*self.own, *self.shared]
        self.entries = ParameterVector({p.name: data.parameter_shape(p.name) for p in self.parameters}, population.tied)
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
        constant = [p for p in data.model.parameters if p.name not in self.entries.names]
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

        There may be several rows for each subject, as `repeat_subjects` puts them.
        """
        times = len(rows) // self.data.shape[0]
        found = {name: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for name, v in self._constants.items()}
        with np.errstate(over="ignore"):
            for p in self.parameters:
                found[p.name] = p.support.constrain(self.entries.pick(rows, p.name))
        return found | {name: found[first] for name, first in self.entries.tied.items()}

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
        """Return the likelihood of these or other data of the same model."""
        return likelihood_of(data, self._backend, mode="NUMBA", threads=self._threads)
