"""The flat vector of what is estimated: what optimisers work on."""

from collections.abc import Mapping

import numpy as np

from rlpymc.fitting.penalty import Term
from rlpymc.fitting.starting_points import unit_cube
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.parameters import Parameter
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

AT_EDGE = 0.115  # share of starting points that have a parameter at its lower bound, and at its upper one
FAR = 1e-3  # probability beyond the farthest starting point, where there is no bound
INSIDE = 1e-10  # distance kept from a bound at which a penalty is infinite, in units of the prior's width


class Coordinates:
    """The parameters of one subject that are estimated as numbers, as a flat vector.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated; of parameters that are equal one stands for all.
    terms : mapping
        What is added to the log likelihood for each parameter, see `rlpymc.fitting.penalty`; none unless given.
    within : mapping
        Lower and upper bounds of parameters, within those of their supports.

    Attributes
    ----------
    parameters : list of Parameter
        What the vector holds, in this order.
    entries : ParameterVector
        Where each of them is.
    bounds : (entry, 2)
        Between which values they are searched for.
    width : (entry,)
        Half the distance between the quantiles of the prior at 16 and 84 %.
    """

    def __init__(
        self,
        data: ModelData,
        population: Population,
        terms: Mapping[str, Term] | None = None,
        within: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.parameters = [p for p in population.estimated(data.model) if not p.support.discrete]
        self.entries = ParameterVector({p.name: data.parameter_shape(p.name) for p in self.parameters}, population.tied)
        self.size = len(self.entries)
        self._terms = {name: terms[name] for name in self.entries.shapes if name in terms} if terms else {}
        self._within = dict(within or {})
        self._by_entry = [p for p in self.parameters for _ in range(int(np.prod(self.entries.shapes[p.name])))]
        self._priors = {p.name: population.prior(p) for p in self.parameters}
        quantiles = [self._priors[p.name].quantile([0.16, 0.84]) for p in self._by_entry]  # type: ignore[union-attr]
        self.width = np.array([(high - low) / 2 for low, high in quantiles])
        limits = [self._limits(p, width) for p, width in zip(self._by_entry, self.width, strict=True)]
        self.bounds = np.array(limits).reshape(-1, 2)

    def _limits(self, p: Parameter, width: float) -> tuple[float, float]:
        low, high = self._within.get(p.name, (p.support.lower, p.support.upper))
        if p.name not in self._terms:
            return low, high
        lower, upper, at_lower, at_upper = self._terms[p.name].bounds(p.support)
        return max(low, lower + (not at_lower) * INSIDE * width), min(high, upper - (not at_upper) * INSIDE * width)

    @property
    def penalised(self) -> bool:
        """Whether anything is added to the log likelihood."""
        return bool(self._terms)

    def added(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The added log density of each entry, and its first two derivatives, all (..., entry)."""
        value, slope, curvature = (np.zeros_like(points) for _ in range(3))
        for name, term in self._terms.items():
            place = self.entries.places[name]
            value[..., place], slope[..., place], curvature[..., place] = term(points[..., place])
        return value, slope, curvature

    def label(self, which: np.ndarray) -> str:
        """Return the names of some entries."""
        return ", ".join(self.entries.labels[k] for k in which)

    def spread_points(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities that fill the unit cube and its faces, (point, entry), and the priors' quantiles there.

        The first is the priors' median.
        """
        d = self.size
        cube = np.clip(0.5 + (unit_cube(n, d, rng) - 0.5) / (1 - 2 * AT_EDGE), 0, 1)
        cube[0] = 0.5
        columns = [self._quantile(k, cube[:, k]) for k in range(d)]
        return cube, np.stack(columns, axis=1) if columns else cube

    def moved(self, x: np.ndarray) -> np.ndarray:
        """Return points in each of which one entry of another is moved, to a bound or some quantile of its prior."""
        levels = np.linspace(0, 1, 5)
        points = np.repeat(x[None], levels.size * x.size, axis=0)
        for k in range(x.size):
            points[k * levels.size : (k + 1) * levels.size, k] = self._quantile(k, levels)
        return points

    def box(self) -> np.ndarray:
        """Return bounds that are finite, (entry, 2): where there is none, the farthest starting points."""
        return np.array([self._quantile(k, np.array([0.0, 1.0])) for k in range(self.size)])

    def _quantile(self, k: int, probability: np.ndarray) -> np.ndarray:
        """Quantiles of an entry's prior, within its bounds; where there is no bound, not all the way out.

        Between two bounds that a user set, points are spread evenly.
        """
        if self._by_entry[k].name in self._within and np.isfinite(self.bounds[k]).all():
            low, high = self.bounds[k]
            return np.clip(low + (high - low) * probability, low, high)
        lowest, highest = np.where(np.isfinite(self.bounds[k]), [0.0, 1.0], [FAR, 1 - FAR])
        prior = self._priors[self._by_entry[k].name]
        found = prior.quantile(np.clip(probability, lowest, highest))  # type: ignore[union-attr]
        return np.clip(found, *self.bounds[k])
