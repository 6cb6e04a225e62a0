"""What each subject's maximum log likelihood gains when a parameter that the model holds constant is freed, alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from rlpymc.fitting.budget import Budget, OutOfTime
from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.objective import Objective, Whole, combinations
from rlpymc.fitting.mle.search import PRECISE, Optimum, Search, Target, value_of
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData

PART = 20  # points at a time, between looks at the clock


@dataclass(frozen=True)
class Refit:
    """One subject's maxima.

    Parameters
    ----------
    subject : int
        Whose.
    log_lik : float
        With all constants held.
    gains : (constant,)
        What freeing each adds; infinite where only that makes the data possible.
    estimates : tuple of (*shape)
        The freed parameters there.
    """

    subject: int
    log_lik: float
    gains: np.ndarray
    estimates: tuple[np.ndarray, ...]


class _Variant:
    """A model with some of its constants freed, fitted to one subject at a time."""

    def __init__(
        self, data: ModelData, population: Population, starts: int, seed: int | None, backend: str, budget: Budget
    ) -> None:
        coordinates = Coordinates(data, population)
        self.entries, self._budget = coordinates.entries, budget
        self._objective = Objective(data, population, coordinates, backend, "NUMBA")
        smooth = all(rule.smooth for rule in data.model.rules)
        self._search = Search(coordinates, None, smooth, starts, seed)

    def best(self, i: int, whole: Sequence[tuple[Whole, float]], near: "_Best | None" = None) -> "_Best":
        """Return a subject's optimum; where another one is given, it is searched for from there, too."""
        targets = [self._in_time(self._objective.target(i, *chosen)) for chosen in whole]
        found = [self._search.best(targets)]
        if near is not None:
            x = self.entries.join(near.params(i))
            for target in targets:
                if target.whole is near.optimum.target.whole:  # nothing can be worse than what it is nested in
                    found.append(self._search.local(target, x, near.optimum.value, PRECISE))
        return _Best(min(found, key=value_of), self)

    def _in_time(self, target: Target) -> Target:
        some = self._budget.within(target.values)  # all at once may take longer than there is time
        return replace(
            target,
            function=self._budget.within(target.function),
            values=lambda points: np.concatenate(
                [some(part) for part in np.array_split(points, 1 + len(points) // PART)]
            ),
        )


@dataclass(frozen=True)
class _Best:
    """A subject's optimum under a variant."""

    optimum: Optimum
    variant: _Variant

    def params(self, i: int) -> dict[str, np.ndarray]:
        """Return every parameter, those included that are constants here or in another variant."""
        held = {name: np.array(values[i]) for name, values in self.variant._objective.constants.items()}
        return held | self.variant.entries.split(self.optimum.x)


def refits(
    data: ModelData,
    population: Population,
    freed: Mapping[str, Population],
    starts: int,
    seed: int | None,
    backend: str,
    budget: Budget,
) -> Iterator[Refit]:
    """Yield the refits of subjects, as many as there is time for, in an order that has nothing to do with theirs.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated; priors say where searches start.
    freed : mapping of Population
        By constant, what is estimated with it.
    starts, seed, backend
        As for `rlpymc.fit_mle`.
    budget : Budget
        The time.
    """
    whole = combinations(data, population, False)
    order = np.random.default_rng(seed).permutation(data.shape[0])
    with threadpool_limits(1):  # matrices are too small to be shared out
        base = _Variant(data, population, starts, seed, backend, budget)
        free = {name: _Variant(data, other, starts, seed, backend, budget) for name, other in freed.items()}
        for i in order.tolist():
            try:
                held = base.best(i, whole)
                best = {name: variant.best(i, whole, held).optimum for name, variant in free.items()}
            except OutOfTime:
                return
            least = _finite_or_inf(held.optimum)
            gains = np.array([least - v if (v := _finite_or_inf(b)) < least else 0.0 for b in best.values()])
            found = [free[name].entries.pick(optimum.x, name) for name, optimum in best.items()]
            yield Refit(i, -least, gains, tuple(found))


def _finite_or_inf(optimum: Optimum) -> float:
    return np.inf if optimum.impossible else optimum.value
