"""The likelihood of subjects' numbers on the unbounded scale, and its slopes, at many points."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from rlpymc import math
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.record import Record
from rlpymc.population.estimates import Estimate
from rlpymc.population.moments import IMPOSSIBLE
from rlpymc.population.points import Points
from rlpymc.population.sites import common_effects, own_effects
from rlpymc.population.whole_numbers import WholeNumber, combinations

type Arrays = dict[str, np.ndarray]


class SubjectsLikelihood:
    """The likelihood, summed over whole numbers, as a function of subjects' numbers and of those in common.

    Parameters
    ----------
    likelihood : Likelihood
        Of the data.
    points : Points
        With the parameters that are estimated.
    constants : dict of (subject, *shape)
        All other parameters.

    Attributes
    ----------
    own : tuple of Effect
        Those of which each subject has numbers.
    alone, besides : dict of Estimate
        Of these, the ones whose numbers have a prior of their own; and what all subjects have in common: where they are
        is found out by others.
    places : dict of slice
        Of each parameter, first those of subjects, among the entries of all.
    k : int
        Numbers of a subject.
    """

    def __init__(self, likelihood: Likelihood, points: Points, constants: Mapping[str, np.ndarray]) -> None:
        self.likelihood, self.n, self.constants = likelihood, points.n_subjects, dict(constants)
        self.effects, self.equal = {}, {}
        for effect in points.effects:
            self.effects[effect.name], self.equal[effect.name] = effect, (effect.name, *effect.copies)
        self.own, common = own_effects(points.effects), common_effects(points.effects)
        self.alone = {e.name: Estimate(e.variables[0], ()) for e in self.own if not e.pooled}
        self.besides = {e.name: Estimate(e.variables[0], e.shape) for e in common}
        self.whole = [e for e in points.effects if isinstance(e, WholeNumber)]
        self.weights, self.chosen = {e.name: np.array(e.weights) for e in self.whole}, combinations(points.effects)
        self.choices = [{k: np.full(self.n, float(v)) for k, v in chosen.items()} for chosen in self.chosen]
        for effect in points.effects:
            if effect not in (*self.own, *common, *self.whole):  # of a kind that is not known here: stays in the middle
                middles = {v.key: v.prior.unbounded(np.array(v.prior.middle()))[0] for v in effect.variables}
                value = np.asarray(effect.value(Record(**middles)), dtype=float)
                value = np.broadcast_to(value, (self.n, *effect.shape))
                self.constants |= dict.fromkeys(self.equal[effect.name], value)
        names = [*(e.name for e in self.own), *self.besides]
        ends = np.cumsum([0, *(prod(self.effects[name].shape) for name in names)]).tolist()
        self.places = {name: slice(a, b) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)}
        self.k = ends[len(self.own)]

    def entry(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return what belongs to a parameter, (..., *shape), of what belongs to all entries, (..., entry)."""
        return array[..., self.places[name]].reshape((*array.shape[:-1], *self.effects[name].shape))

    def _natural(self, theta: np.ndarray, away: Arrays) -> tuple[Arrays, Arrays]:
        """Return what is estimated on the natural scale, (point, subject, *shape), and its derivatives.

        Parameters
        ----------
        theta : (point, subject, entry)
            Subjects' numbers, on the unbounded scale.
        away : dict of (point or 1, *shape)
            How far the numbers in common are from where they are estimated to be.
        """
        params, chain = {}, {}
        for effect in self.own:
            own = self.entry(effect.name, theta)
            if effect.name in self.alone:
                params[effect.name], chain[effect.name] = self.alone[effect.name].natural(own)
            else:
                params[effect.name] = effect.support.constrain(own)
                chain[effect.name] = np.exp(effect.support.log_slope(own))
        for name, estimate in self.besides.items():
            value, slope = estimate.natural(estimate.place + away.get(name, np.zeros((1, *estimate.place.shape))))
            shape = (len(theta), self.n, *self.effects[name].shape)
            params[name], chain[name] = np.broadcast_to(value[:, None], shape), slope[:, None]
        return params, chain

    def _given(self, params: Arrays) -> Iterator[tuple[tuple[int, int], Arrays]]:
        """Yield all parameters of the likelihood, (subject, *shape), by point and combination of whole numbers."""
        n_points = len(next(iter(params.values())))
        for p in range(n_points):
            given = self.constants | {name: value[p] for first, value in params.items() for name in self.equal[first]}
            for c, whole in enumerate(self.choices):
                yield (p, c), given | whole

    def _log_probs(self) -> np.ndarray:
        """Return the log probabilities of the combinations of whole numbers, as they are estimated."""
        probs = [[self.weights[e.name][e.values.index(chosen[e.name])] for e in self.whole] for chosen in self.chosen]
        return np.log(np.prod(np.array(probs).reshape((len(self.chosen), -1)), axis=1))

    def total(self, theta: np.ndarray, away: Arrays) -> np.ndarray:
        """Return the log likelihood, (point, subject), summed over whole numbers; arguments are those of `_natural`.

        Where a number has a prior of its own, what this has besides the normal distribution like it counts as well.
        """
        params, _ = self._natural(theta, away)
        totals = np.empty((len(theta), self.n, len(self.choices)))
        for (p, c), given in self._given(params):
            totals[p, :, c] = self.likelihood.total(given)
        found = math.logsumexp(_possible(totals) + self._log_probs())
        for name, estimate in self.alone.items():
            own, (mean, sd) = self.entry(name, theta), estimate.normal
            besides = estimate.prior.unbounded(own)[1] + 0.5 * ((own - mean) / sd) ** 2
            found = found + besides.reshape((*found.shape, -1)).sum(axis=-1)
        return _possible(np.asarray(found))

    def slopes(self, theta: np.ndarray, away: Arrays) -> tuple[np.ndarray, Arrays, np.ndarray]:
        """Return slopes of the log likelihood on the unbounded scale, 0 where there are none.

        Arguments are those of `_natural`.

        Returns
        -------
        tuple
            By subjects' numbers, (point, subject, entry); by those in common, (point, subject, *shape) by name; the
            probabilities of the combinations of whole numbers, (point, subject, combination).
        """
        params, chain = self._natural(theta, away)
        active = [name for first in self.places for name in self.equal[first]]
        totals = np.empty((len(theta), self.n, len(self.choices)))
        of_each = {k: np.empty((len(theta), len(self.choices), *params[k].shape[1:])) for k in self.places}
        for (p, c), given in self._given(params):
            totals[p, :, c], slopes = self.likelihood.gradient(given, active)
            for name, found in of_each.items():
                found[p, c] = sum(slopes[k] for k in self.equal[name])
        shares = math.softmax(_possible(totals) + self._log_probs())
        by_name = {
            name: _finite(np.einsum("pic,pci...->pi...", shares, _finite(found)) * chain[name])
            for name, found in of_each.items()
        }
        for name, estimate in self.alone.items():  # what the prior has besides the normal distribution like it
            own, (mean, sd) = self.entry(name, theta), estimate.normal
            by_name[name] = by_name[name] + _finite(estimate.prior_slopes(own)[0] + (own - mean) / sd**2)
        entries = [by_name[e.name].reshape((*theta.shape[:2], -1)) for e in self.own]
        return np.concatenate(entries, axis=-1), by_name, shares

    def learn_whole_numbers(self, shares: np.ndarray) -> None:
        """Take the probabilities of whole numbers half of the way to those that subjects have on average."""
        seen = shares.mean(axis=(0, 1))
        for effect in self.whole:
            if effect.variables:
                is_it = [[chosen[effect.name] == value for chosen in self.chosen] for value in effect.values]
                self.weights[effect.name] = (self.weights[effect.name] + np.array(is_it) @ seen) / 2


def _possible(log_likelihood: np.ndarray) -> np.ndarray:
    """Return log likelihoods, with a number for what cannot be."""
    return np.nan_to_num(log_likelihood, nan=IMPOSSIBLE, posinf=IMPOSSIBLE, neginf=IMPOSSIBLE)


def _finite(slope: np.ndarray) -> np.ndarray:
    """Return slopes, with 0 where there are none."""
    return np.nan_to_num(slope, posinf=0.0, neginf=0.0)
