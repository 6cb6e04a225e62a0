"""The likelihood of one subject as a function of a flat vector: what is minimised where nothing is shared."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.search import IMPOSSIBLE, Target
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import OfSubject
from rlpymc.likelihood.parameter_arrays import varying
from rlpymc.population.population import Population
from rlpymc.population.whole_numbers import whole_numbers
from rlpymc.trials.model_data import ModelData

type Whole = Mapping[str, np.ndarray]


class Objective:
    """The negative log likelihood of each subject, less what is added to it, as a function of a flat vector.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated.
    coordinates : Coordinates
        The flat vector.
    backend, mode : str
        What computes the likelihood, see `rlpymc.log_prob`.

    Attributes
    ----------
    constants : dict of (subject, *shape) or (subject, trial, *shape)
        What is not estimated.
    """

    def __init__(
        self, data: ModelData, population: Population, coordinates: Coordinates, backend: str, mode: str
    ) -> None:
        self.coordinates = coordinates
        self.constants = constants(data, population, coordinates)
        self._by_trial = varying(data, self.constants)
        self._likelihood = likelihood_of(data, backend, self._by_trial, mode=mode)
        self._n_trials = data.masks["exists"].sum(axis=1)

    def target(self, i: int, whole: Whole, weight: float) -> Target:
        """The function to be minimised for subject i, given the whole numbers and their log probability."""
        coordinates, likelihood = self.coordinates, self._of_subject(i)
        fixed = self._fixed(i, whole)

        def plain(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slopes = likelihood({**fixed, **coordinates.entries.split(x)})
            return (-value if np.isfinite(value) else IMPOSSIBLE), -coordinates.entries.join_slopes(slopes)

        def penalised(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = plain(x)
            added, tilt, _ = coordinates.added(x)
            return value - float(added.sum()) - weight, slope - tilt

        def values(points: np.ndarray) -> np.ndarray:
            found = self._at_many(i, fixed, points)
            return found - coordinates.added(points)[0].sum(axis=1) - weight if coordinates.penalised else found

        return Target(penalised if coordinates.penalised else plain, values, coordinates.bounds, whole, weight)

    def log_lik(self, i: int, whole: Whole, x: np.ndarray) -> float:
        """Return subject i's log likelihood, to which nothing is added."""
        return self._of_subject(i)({**self._fixed(i, whole), **self.coordinates.entries.split(x)})[0]

    def _of_subject(self, i: int) -> OfSubject:
        return self._likelihood.of_subject(i, self.coordinates.entries.names)

    def _fixed(self, i: int, whole: Whole) -> dict[str, np.ndarray]:
        own = {name: np.array(values[i]) for name, values in self.constants.items()}
        return own | {name: own[name][: self._n_trials[i]] for name in self._by_trial} | dict(whole)

    def _at_many(self, i: int, fixed: Whole, points: np.ndarray) -> np.ndarray:
        """Return subject i's negative log likelihood at many points."""
        likelihood, split = self._of_subject(i), self.coordinates.entries.split
        found = np.array([likelihood({**fixed, **split(x)})[0] for x in points])
        return np.where(np.isfinite(found), -found, IMPOSSIBLE)


def constants(data: ModelData, population: Population, coordinates: Coordinates) -> dict[str, np.ndarray]:
    """Return the parameters that are not estimated, (subject, *shape)."""
    given = [p for p in data.model.parameters if not population.is_free(p) and p.name not in coordinates.natural.tied]
    return {p.name: population.constant(p, data) for p in given}


def combinations(data: ModelData, population: Population, weighted: bool) -> list[tuple[dict[str, np.ndarray], float]]:
    """Return every combination of the parameters that are whole numbers, with its log probability.

    Where a posterior is wanted (`weighted`), those that their priors exclude are left out; otherwise all count alike.
    """
    profiled = [p for p in data.model.parameters if p.support.discrete and population.is_free(p)]
    shapes = [data.parameter_shape(p.name) for p in profiled]
    priors = [population.prior(p) for p in profiled]
    found = []
    for chosen in product(*(whole_numbers(p) for p in profiled)):
        weight = sum(float(prior.log_prob(v)) for prior, v in zip(priors, chosen, strict=True) if prior and weighted)
        if weight > -np.inf:
            whole = {p.name: np.full(shape, v) for p, shape, v in zip(profiled, shapes, chosen, strict=True)}
            found.append((whole, weight))
    return found
