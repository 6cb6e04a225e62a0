"""The flat vector of what is estimated: what optimisers work on."""

from collections.abc import Iterable, Mapping

import numpy as np

from rlpymc.fitting.mle.regression import Regression
from rlpymc.fitting.penalty import Term
from rlpymc.fitting.starting_points import unit_cube
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.parameters import Parameter, resolve_shape
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

AT_EDGE = 0.115  # share of starting points that have a parameter at its lower bound, and at its upper one
FAR = 1e-3  # probability beyond the farthest starting point, where there is no bound
INSIDE = 1e-10  # distance kept from a bound at which a penalty is infinite, in units of the prior's width


class Coordinates:
    """The parameters of one subject that are estimated as numbers, as a flat vector.

    In the place of a parameter that has a formula stand its coefficients.

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
    regressions : mapping
        The parameters that have formulas.

    Attributes
    ----------
    parameters : list of Parameter
        The parameters, in this order.
    natural : ParameterVector
        Where each of them is in a vector of their values.
    numbers : list of Parameter
        What the flat vector holds: the parameters, or coefficients.
    entries : ParameterVector
        Where each of these is.
    places : dict of slice
        Where in the flat vector each parameter is, or its coefficients.
    bounds : (entry, 2)
        Between which values they are searched for.
    width : (entry,)
        Half the distance between the quantiles of the prior at 16 and 84 %.
    labels : list of str
        Of what is reported: the entries, and coefficients of columns as they are.
    reported : (entry, entry)
        What is reported of the entries.
    """

    def __init__(
        self,
        data: ModelData,
        population: Population,
        terms: Mapping[str, Term] | None = None,
        within: Mapping[str, tuple[float, float]] | None = None,
        regressions: Mapping[str, Regression] | None = None,
    ) -> None:
        def vector(numbers: Iterable[Parameter]) -> ParameterVector:
            return ParameterVector({p.name: resolve_shape(p.shape, vars(data.facts)) for p in numbers}, population.tied)

        self.parameters = [p for p in population.estimated(data.model) if not p.support.discrete]
        self.regressions = dict(regressions or {})
        own = {p.name: self.regressions[p.name].numbers if p.name in self.regressions else [p] for p in self.parameters}
        self.numbers = [number for numbers in own.values() for number in numbers]
        self.natural, self.entries = vector(self.parameters), vector(self.numbers)
        self.size, at = len(self.entries), self.entries.places
        self.places = {name: slice(at[of[0].name].start, at[of[-1].name].stop) for name, of in own.items()}
        self.labels, self.reported = list(self.entries.labels), np.eye(self.size)
        for name, regression in self.regressions.items():
            place = self.places[name]
            self.labels[place], self.reported[place, place] = regression.labels, regression.reported
        self._terms = {name: terms[name] for name in self.entries.shapes if name in terms} if terms else {}
        self._within = dict(within or {})
        self._by_entry = [p for p in self.numbers for _ in range(int(np.prod(self.entries.shapes[p.name])))]
        self._priors = {p.name: population.prior(p) for p in self.numbers}
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

    def params(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters, tied ones included, from everybody's vectors.

        They are (subject, *shape), or (subject, trial, *shape) where a formula varies within subjects.
        """
        found = self.entries.split(points)
        for name, regression in self.regressions.items():
            found[name] = regression.value(points[:, self.places[name]])
        return {name: found[self.natural.tied.get(name, name)] for name in self.natural.names}

    def join_slopes(self, points: np.ndarray, slopes: Iterable[np.ndarray]) -> np.ndarray:
        """Return derivatives by the parameters `natural.names`, shaped as these, as ones by everybody's vectors."""
        if not self.regressions:
            return self.natural.join_slopes(slopes, points.shape[:1])
        total: dict[str, np.ndarray] = {}
        for name, slope in zip(self.natural.names, slopes, strict=True):
            first = self.natural.tied.get(name, name)
            total[first] = total[first] + slope if first in total else slope
        parts = []
        for name, place in self.places.items():
            known, n = self.regressions.get(name), len(points)
            parts.append(
                total[name].reshape((n, -1)) if known is None else known.pulled_back(points[:, place], total[name])
            )
        return np.concatenate(parts, axis=1)

    @property
    def by_trial(self) -> list[str]:
        """The parameters that vary within subjects."""
        first = [name for name, regression in self.regressions.items() if regression.formula.by_trial]
        return [name for name in self.natural.names if self.natural.tied.get(name, name) in first]

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
