"""Parameters that subjects share: one function of what is common and of what is everybody's own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.monitoring import Follower
from rlpymc.fitting.mle.profile import SPREAD, Profile
from rlpymc.fitting.mle.search import (
    FEW,
    GAIN,
    IMPOSSIBLE,
    POLISH,
    PRECISE,
    ROUGH,
    Interrupted,
    Optimum,
    Options,
    Search,
    Target,
    different,
    value_of,
)
from rlpymc.fitting.mle.uncertainty import (
    STEEP,
    Uncertainty,
    curvature,
    in_words,
    inside_bounds,
    intervals,
    invert,
    kinked,
    nothing_known,
)
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.trials.model_data import ModelData

type Combinations = list[tuple[dict[str, np.ndarray], float]]
type Alone = Callable[[np.ndarray], tuple[np.ndarray, Combinations]]

TRIED_TOGETHER = 2  # points from which the profile over all subjects is searched for anew
MOST_FOLLOWED = 30  # estimates whose intervals are searched for: each takes searches over all subjects


class Joint:
    """The negative log likelihood of all subjects, less what is added to it.

    A point is the shared entries followed by each subject's own, all in units of `scale`.  What is added for a shared
    entry is added once.

    Parameters
    ----------
    data : ModelData
        The data.
    coordinates : Coordinates
        The flat vector of one subject, shared entries included.
    constants : dict of (subject, *shape)
        What is not estimated.
    shared : sequence of str
        Parameters with one value for all subjects.
    combinations : list
        The whole numbers that a subject may have, with their log probabilities.
    backend, mode : str
        What computes the likelihood, see `rlpymc.log_prob`.

    Attributes
    ----------
    shared : (entry,) bool
        Which entries of a subject's vector are shared: those of such parameters, and coefficients.
    """

    def __init__(
        self,
        data: ModelData,
        coordinates: Coordinates,
        constants: Mapping[str, np.ndarray],
        shared: Sequence[str],
        combinations: Combinations,
        backend: str,
        mode: str,
    ) -> None:
        self.coordinates, self._constants, self._combinations = coordinates, constants, combinations
        self.n_subjects = data.shape[0]
        self.shared = np.zeros(coordinates.size, dtype=bool)
        for name, place in coordinates.entries.places.items():
            self.shared[place] = name in shared or name not in coordinates.natural.places
        # what is shared counts with the first subject
        self._counted = ~self.shared | (np.arange(self.n_subjects)[:, None] == 0)
        self._likelihood = likelihood_of(data, backend, coordinates.by_trial, mode=mode)
        self.all_shared = bool(self.shared.all()) and len(combinations) == 1
        own = np.tile(coordinates.width[~self.shared], self.n_subjects)
        # the likelihood is more curved in what all subjects share; where there is nothing else, a point is plain
        common = coordinates.width[self.shared] / np.sqrt(self.n_subjects)
        self.scale = np.concatenate([np.ones_like(common) if self.all_shared else common, own])
        # where each entry of everybody's vectors is in a point, (subject, entry)
        self._places = np.rint(self.spread(np.arange(self.scale.size) / self.scale)).astype(int)

    # ------------------------------------------------------------------------------------------------ points
    def gather(self, points: np.ndarray) -> np.ndarray:
        """Return the point that belongs to everybody's vectors, (subject, entry)."""
        return np.concatenate([points[0, self.shared], points[:, ~self.shared].ravel()]) / self.scale

    def spread(self, x: np.ndarray) -> np.ndarray:
        """Return everybody's vectors, (subject, entry), at a point."""
        x, n_shared = x * self.scale, int(self.shared.sum())
        points = np.empty((self.n_subjects, self.coordinates.size))
        points[:, self.shared] = x[:n_shared]
        points[:, ~self.shared] = x[n_shared:].reshape(self.n_subjects, -1)
        return points

    def _alike_for_all(self, entries: np.ndarray) -> np.ndarray:
        """Return the point at which everybody has the same vector, and the same of columns of vectors."""
        columns = [self.gather(np.tile(column, (self.n_subjects, 1))) for column in entries.reshape(len(entries), -1).T]
        return np.stack(columns, axis=1).reshape(-1, *entries.shape[1:])

    # ------------------------------------------------------------------------------------------------ likelihoods
    def params(self, points: np.ndarray, whole: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every parameter of the model, (subject, *shape)."""
        return {**self._constants, **self.coordinates.params(points), **whole}

    def log_liks(self, points: np.ndarray, whole: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return everybody's log likelihood, (subject,)."""
        return self._likelihood.total(self.params(points, whole))

    def _gradients(self, points: np.ndarray, whole: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return everybody's negative log likelihood, and its derivatives (subject, entry)."""
        coordinates = self.coordinates
        values, slopes = self._likelihood.gradient(self.params(points, whole), coordinates.natural.names)
        return -values, -coordinates.join_slopes(points, slopes.values())

    def target(self, whose: Combinations) -> Target:
        """The function to be minimised, given everybody's whole numbers and their log probabilities."""
        whole = {name: np.stack([one[name] for one, _ in whose]) for name in whose[0][0]}
        weights = np.array([weight for _, weight in whose])
        weight = float(weights.sum())
        counted = self._counted

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            points = self.spread(x)
            values, slopes = self._gradients(points, whole)
            value = float(values.sum()) - weight if np.isfinite(values).all() else IMPOSSIBLE
            if self.coordinates.penalised:
                added, tilt, _ = self.coordinates.added(points)
                value, slopes = value - float(added[counted].sum()), slopes - tilt * counted
            gradient = np.concatenate([slopes[:, self.shared].sum(axis=0), slopes[:, ~self.shared].ravel()])
            return value, gradient * self.scale

        def value(x: np.ndarray) -> float:
            points = self.spread(x)
            found = -float(self.log_liks(points, whole).sum()) - weight
            if self.coordinates.penalised:
                found -= float(self.coordinates.added(points)[0][counted].sum())
            return found if np.isfinite(found) else IMPOSSIBLE

        return Target(
            function,
            lambda points: np.array([value(x) for x in points]),
            self._alike_for_all(self.coordinates.bounds),
            whole,
            weights,
        )

    # ------------------------------------------------------------------------------------------------ the optimum
    def best(self, search: Search, alone: Alone, follower: Follower | None = None) -> Optimum:
        """Return the best optimum.

        Where all is shared, it is searched for like that of a single subject.  Otherwise searches start from vectors
        that are the same for everybody.  Then everybody's own part of the best is searched for anew, given what is
        shared, and all are optimised together from there, as long as that leads further.

        Parameters
        ----------
        search : Search
            How optima are searched for.
        alone : callable
            Takes everybody's vectors; returns those in which all that is not shared is the best given what is shared,
            and everybody's whole numbers, with their log probabilities.
        follower : Follower, optional
            Follows the searches over all subjects.
        """
        if self.all_shared:
            return search.best([self.target(self._combinations * self.n_subjects)], follower)
        found: list[Optimum] = []
        try:
            return self._in_turn(search, alone, found, follower)
        except Interrupted as stop:
            return replace(min([*found, stop.optimum], key=value_of), stopped=True)

    def _in_turn(self, search: Search, alone: Alone, found: list[Optimum], follower: Follower | None) -> Optimum:
        """Return the best optimum, and add all on the way to it to those found."""

        def optimise(target: Target, points: np.ndarray, options: Options) -> Optimum:
            x = self.gather(points)
            found.append(search.local(target, x, target.values(x[None])[0], options, follower))
            return found[-1]

        alike = [self._alike(x) for x in search.points]
        targets = [self.target(whose) for _, whose in alike]
        values = np.array([value for value, _ in alike])
        for j in search.apart(values):
            optimise(targets[j], np.tile(search.points[j], (self.n_subjects, 1)), ROUGH)
        best = min((optimise(r.target, self.spread(r.x), PRECISE) for r in different(found)), key=value_of)
        while True:
            points, whose = alone(self.spread(best.x))
            other = optimise(self.target(whose), points, PRECISE)
            if not other.value < best.value - GAIN:
                return min(best, other, key=value_of)
            best = other

    def _alike(self, x: np.ndarray) -> tuple[float, Combinations]:
        """Return the value where all subjects have the same vector, and the whole numbers that suit each best there."""
        points, found = np.tile(x, (self.n_subjects, 1)), []
        for combination in self._combinations:
            target = self.target([combination] * self.n_subjects)
            found.append(self.log_liks(points, target.whole) + target.weight)
        whose = [self._combinations[k] for k in np.argmax(found, axis=0)]
        added = self.coordinates.added(points)[0][self._counted].sum()
        value = -float(np.max(found, axis=0).sum() + added)
        return (value if np.isfinite(value) else IMPOSSIBLE), whose

    # ------------------------------------------------------------------------------------------------ what is known
    def describe(self, search: Search, best: Optimum, alone: Alone) -> tuple[Optimum, list[Uncertainty]]:
        """What can be said of everybody's estimates, and the optimum: a better one if a profile leads to it.

        The Hessian is bordered: subjects' own entries are tied to each other through the shared ones alone.
        """
        coordinates, shared, whole = self.coordinates, self.shared, best.target.whole
        points = self.spread(best.x)
        if best.impossible:
            wrong = ~np.isfinite(self.log_liks(points, whole))
            notes = ["the data are impossible" if w else "those of another subject are impossible" for w in wrong]
            return best, [nothing_known(coordinates, "failed", note) for note in notes]
        if best.stopped:
            return best, [nothing_known(coordinates, "stopped", "by the callback")] * self.n_subjects

        def gradient(points: np.ndarray) -> np.ndarray:
            return self._gradients(points, whole)[1]

        inside, width = inside_bounds(coordinates, points), coordinates.width
        hessians, kink = curvature(coordinates, gradient, points), inside & kinked(coordinates, gradient, points)
        bend = coordinates.added(points)[2]
        bend[1:, shared] = 0.0
        hessians -= bend[:, :, None] * np.eye(coordinates.size)
        own = [invert(h, within & ~shared, width) for h, within in zip(hessians, inside, strict=True)]
        # what the subjects' own entries explain of the shared ones is taken off; at a kink there is no curvature
        total = np.zeros((coordinates.size,) * 2)
        for h, (inverse, _), jumps in zip(hessians, own, kink, strict=True):
            total += 0.0 if jumps.any() else h - h @ inverse @ h
        common, common_open = invert(total, inside[0] & shared, width)
        own_open = np.array([flat for _, flat in own])
        open_, own_kink = own_open | common_open, kink.any(axis=1, keepdims=True)
        kink |= shared & kink.any(axis=0)
        lost = np.where(shared, kink[0, shared].any(), own_open.any(axis=1, keepdims=True) | own_kink)
        lost |= common_open.any()
        profile, asked = self._profile(search, best, alone), {int(k) for k in self._places[lost]}
        few = len(asked) <= MOST_FOLLOWED and not (self.all_shared and best.x.size > FEW)
        reaches = [
            {k: profile.reach(place) for k, place in enumerate(places) if row[k] and few}
            for places, row in zip(self._places.tolist(), lost, strict=True)
        ]
        if profile.best.value < best.value - POLISH:
            better = search.local(best.target, profile.best.x, profile.best.value, PRECISE)
            return self.describe(search, min(better, profile.best, key=value_of), alone)
        slopes, found = self._slopes_left(best), []
        for i, (hessian, (inverse, _)) in enumerate(zip(hessians, own, strict=True)):
            answer = np.diag(shared) - inverse @ hessian * shared  # of everything to a change of what is shared
            cov = inverse + answer @ common @ answer.T
            known = inside[i] & ~lost[i]
            cov[~np.outer(known, known)] = np.nan
            status, note = in_words(coordinates, inside[i], open_[i], kink[i], reaches[i])
            if status == "converged" and search.with_gradient and slopes[i] > STEEP:
                status, note = "failed", f"gradient {slopes[i]:.2g} of the value at the end: {best.message}"
            unknown = "" if few or not lost[i].any() else "so many estimates are not followed to the ends of intervals"
            note = "; ".join(filter(None, (note, unknown, best.note)))
            found.append(Uncertainty(cov, intervals(coordinates, reaches[i]), status, note))
        return best, found

    def _profile(self, search: Search, best: Optimum, alone: Alone) -> Profile:
        """Return the profile of everybody's log likelihood, along entries of a point."""
        width, box = (self._alike_for_all(entries) for entries in (self.coordinates.width, self.coordinates.box()))

        def elsewhere(k: int, x: np.ndarray) -> np.ndarray:
            if not self.all_shared and k < self.shared.sum():
                return self.gather(alone(self.spread(x))[0])[None]
            # of the subject whose entry this is, all else being as it was
            i = int(np.argmax((self._places == k).any(axis=1)))
            entries = self.shared if self.all_shared else ~self.shared
            places, spread = self._places[i, entries], search.points[:SPREAD, entries]
            points = np.tile(x, (len(spread), 1))
            points[:, places] = spread / self.scale[places]
            if self.all_shared:
                return points
            points[:, k] = x[k]  # searches over all subjects take long: few of them
            return points[np.argsort(best.target.values(points), kind="stable")[:TRIED_TOGETHER]]

        scale = self.scale.copy()
        scale[: self.shared.sum()] *= np.diag(self.coordinates.reported)[self.shared]  # as columns are
        return Profile(search, best, width, box, elsewhere, scale)

    def _slopes_left(self, best: Optimum) -> np.ndarray:
        """Return the largest gradient over the prior's width left at the end, as a share of the value, (subject,)."""
        gradient = np.abs(self.spread(best.target.function(best.x)[1] / self.scale**2)) * self.coordinates.width
        values = np.abs(self.log_liks(self.spread(best.x), best.target.whole))
        of_all = gradient[0, self.shared].max(initial=0.0) / max(1.0, values.sum())
        return np.maximum(gradient[:, ~self.shared].max(axis=1, initial=0.0) / np.maximum(1.0, values), of_all)
