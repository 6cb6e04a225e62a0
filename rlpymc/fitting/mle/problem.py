"""What is fitted to which data: subjects one by one, or all at once where they share parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from rich.progress import track

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.estimates import Fit
from rlpymc.fitting.mle.monitoring import Follower, Watch
from rlpymc.fitting.mle.objective import Objective, combinations, constants
from rlpymc.fitting.mle.regression import regressions
from rlpymc.fitting.mle.search import Optimum, Search
from rlpymc.fitting.mle.shared import Alone, Combinations, Joint
from rlpymc.fitting.mle.uncertainty import describe
from rlpymc.fitting.penalty import log_priors, shrinkages
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData, data_for, require_scored


class Problem:
    """What is fitted to which data.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What is estimated, what is shared or has a formula, and what is equal.
    l2 : float
        Weight of the penalty.
    with_priors : bool
        Whether the mode of the posterior is wanted.
    backend, mode : str
        What computes the likelihood, see `rlpymc.log_prob`.
    test : xr.Dataset, optional
        Further trials of the same subjects.
    bounds : mapping
        Lower and upper bounds of estimates.
    """

    def __init__(
        self,
        data: ModelData,
        population: Population,
        l2: float,
        with_priors: bool,
        backend: str,
        mode: str,
        test: xr.Dataset | None,
        bounds: Mapping[str, tuple[float, float]],
    ) -> None:
        self._bounds = bounds
        self.data, self.population = data, population
        self._how = backend, mode
        self._test = None if test is None else _same_subjects(data, test)
        estimated = [p for p in data.model.parameters if population.is_free(p) and not p.support.discrete]
        known = regressions(data, population)
        if self._test is not None and (name := next((k for k, r in known.items() if r.formula.by_trial), "")):
            raise ValueError(
                f"test: the formula of {name!r} varies within subjects, so that estimates say nothing of other trials; "
                "leave test out"
            )
        estimated += [number for regression in known.values() for number in regression.numbers]
        self._terms = log_priors(population, estimated) if with_priors else shrinkages(estimated, l2)
        self.coordinates = Coordinates(data, population, self._terms, bounds, known)
        self._combinations = combinations(data, population, with_priors)

    def search(self, coordinates: Coordinates, method: str | None, starts: int, seed: int | None) -> Search:
        """The search for optima."""
        return Search(coordinates, method, all(rule.smooth for rule in self.data.model.rules), starts, seed)

    def singly(self, search: Search, watch: Watch | None, progress: bool) -> Fit:
        """Return the optimum of each subject."""
        coordinates = self.coordinates
        objective = Objective(self.data, self.population, coordinates, *self._how)
        tested = None
        if self._test is not None:
            tested = Objective(self._test, self.population, coordinates, *self._how)

        def follow(i: int) -> Follower | None:
            if watch is None:
                return None
            return watch.follow(
                self.data.subjects[i].item(),
                lambda x, whole: objective.log_lik(i, whole, x),
                None if tested is None else lambda x, whole: tested.log_lik(i, whole, x),
                coordinates.entries.split,
                lambda x: x,
            )

        optima, log_liks, found = [], [], []
        for i in self._track(progress):
            best, known = describe(search, self._best(objective, i, search, follow(i)))
            optima.append(best)
            log_liks.append(-np.inf if best.impossible else objective.log_lik(i, best.target.whole, best.x))
            found.append(known)
        points = np.stack([best.x for best in optima])
        whole = {name: np.stack([best.target.whole[name] for best in optima]) for name in optima[0].target.whole}
        params = {**objective.constants, **coordinates.entries.split(points), **whole}
        weights, shared = np.array([best.target.weight for best in optima]), np.zeros(coordinates.size, dtype=bool)
        return Fit(points, params, np.array(log_liks), weights, found, shared, self._n_whole)

    def joint(self) -> Joint:
        """Return the likelihood of all subjects, who share parameters or coefficients."""
        given = constants(self.data, self.population, self.coordinates)
        return Joint(self.data, self.coordinates, given, self.population.shared, self._combinations, *self._how)

    def jointly(self, search: Search, watch: Watch | None, progress: bool) -> Fit:
        """Return the optimum of all subjects, who share parameters or coefficients."""
        joint = self.joint()
        if search.whole_space and not joint.all_shared:
            raise ValueError(
                f"method {search.whole_space!r} searches for few numbers at once, and subjects have parameters of "
                "their own beside the common ones; choose a local method, or share all"
            )
        follower = None if watch is None else self._follow_all(joint, watch)
        alone = self._alone(joint, search, progress)
        best, found = joint.describe(search, joint.best(search, alone, follower), alone)
        points, whole = joint.spread(best.x), best.target.whole
        log_liks = joint.log_liks(points, whole)
        log_liks = np.where(np.isfinite(log_liks), log_liks, -np.inf)
        return Fit(
            points, joint.params(points, whole), log_liks, best.target.weight, found, joint.shared, self._n_whole
        )

    def _follow_all(self, joint: Joint, watch: Watch) -> Follower:
        """Follower of the searches over all subjects."""
        tested = self._test_likelihood()
        return watch.follow(
            None,
            lambda x, whole: float(joint.log_liks(joint.spread(x), whole).sum()),
            None
            if tested is None
            else lambda x, whole: float(tested.total(joint.params(joint.spread(x), whole)).sum()),
            lambda x: self.coordinates.params(joint.spread(x)),
            lambda x: self.coordinates.reported @ joint.spread(x).mean(axis=0),
        )

    def _alone(self, joint: Joint, search: Search, progress: bool) -> Alone:
        """The problem of each subject's own parameters, given those that are shared."""

        def alone(points: np.ndarray) -> tuple[np.ndarray, Combinations]:
            names = {*self.population.shared, *self.population.formulas}
            names |= {name for name, first in self.coordinates.natural.tied.items() if first in names}
            values = self.coordinates.params(points)
            dims = ("subject", "trial")
            held = {**self.population.fixed, **{name: values[name] for name in names}}
            held |= {name: xr.DataArray(values[name], dims=dims) for name in self.coordinates.by_trial}
            coupled = tuple(group for group in self.population.coupled if group[0] not in names)
            population = replace(self.population, fixed=held, shared=(), coupled=coupled, formulas={})
            coordinates = Coordinates(self.data, population, self._terms, self._bounds)
            objective = Objective(self.data, population, coordinates, *self._how)
            own, moved, whose = search.over(coordinates), points.copy(), []
            for i in self._track(progress):
                best = self._best(objective, i, own, None)
                moved[i, ~joint.shared] = best.x
                whose.append((dict(best.target.whole), best.target.weight))
            return moved, whose

        return alone

    def _best(self, objective: Objective, i: int, search: Search, follower: Follower | None) -> Optimum:
        """Return the best optimum of a subject."""
        return search.best([objective.target(i, whole, weight) for whole, weight in self._combinations], follower)

    def test_log_lik(self, fit: Fit) -> np.ndarray | None:
        """Return the log likelihood of the test trials, (subject,)."""
        tested = self._test_likelihood()
        return None if tested is None else tested.total(fit.params)

    def _test_likelihood(self) -> Likelihood | None:
        backend, mode = self._how
        return None if self._test is None else likelihood_of(self._test, backend, mode=mode)

    @property
    def _n_whole(self) -> int:
        return sum(v.size for v in self._combinations[0][0].values())

    def _track(self, progress: bool) -> "Sequence[int]":
        label = f"{self.data.model.name}: maximum likelihood"
        return track(range(self.data.shape[0]), label, disable=not progress, transient=True)  # type: ignore[return-value]


def _same_subjects(data: ModelData, test: xr.Dataset) -> ModelData:
    """Return test trials as the model reads them, with the subjects in the order of the data.

    Raises
    ------
    ValueError
        If they are of other subjects, or differ in facts or columns.
    """
    found = data_for(data.model, test)
    wanted, there = data.subjects.tolist(), found.subjects.tolist()
    for one, other, where in ((wanted, there, "trials"), (there, wanted, "test")):
        if only := [repr(subject) for subject in one if subject not in other]:
            raise ValueError(
                f"test: subject {', '.join(only)} is in {where} only; test takes further trials of the same subjects"
            )
    found = data_for(data.model, test.sel(subject=data.subjects))
    if data.facts != found.facts:
        known, new = vars(data.facts), vars(found.facts)
        name = next(k for k in {**known, **new} if not np.array_equal(known.get(k, ()), new.get(k, ())))
        raise ValueError(
            f"test: fact {name!r} is {new.get(name)} there, and {known.get(name)} in trials; pass "
            f"read_trials(..., facts={{{name!r}: ...}})"
        )
    if different := sorted(set(data.columns) ^ set(found.columns)):
        where = "trials" if different[0] in data.columns else "test"
        raise ValueError(f"test: column {different[0]!r} is in {where} only; give it to both, or to none")
    try:
        require_scored(found)
    except ValueError as problem:
        raise ValueError(f"test: {problem}") from None
    return found
