"""The parameters that differ between people, as vectors: where they lie, and what the population and the data say."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.posterior import log_weight, parameter_draws
from rlpymc.fitting.subject_draws import group_values
from rlpymc.likelihood.draws import log_prob_totals
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.priors import Prior
from rlpymc.model.record import Record
from rlpymc.population.effects import Effect, Pooled, Single
from rlpymc.population.predictors import numbers_of, parameters_of
from rlpymc.population.regression import Coefficient
from rlpymc.population.whole_numbers import WholeNumber, whole_numbers
from rlpymc.trials.model_data import ModelData

FREEDOM = 5  # degrees of freedom of points around a posterior: tails that reach beyond it


class OwnParameters:
    """The parameters that differ between the subjects of some data, as vectors on the unbounded scale.

    Parameters
    ----------
    rl_model : RLModel
        Says which they are.
    data : ModelData
        The subjects.

    Attributes
    ----------
    numbers : list of Effect
        Those that vectors are made of, entry after entry.
    whole : list of Parameter
        Those that are whole numbers.
    common : list of str
        Parameters that are estimated, one for all.
    """

    def __init__(self, rl_model: RLModel, data: ModelData) -> None:
        self._rl_model, self._data, self._population = rl_model, data, rl_model.spec.population
        effects, predictors, _ = self._population.parts(data)
        self.common = [e.name for e in effects if not e.by_subject]
        own = [e for e in effects if e.by_subject]
        self.numbers = [e for e in own if not isinstance(e, WholeNumber)]
        self.whole = [data.model.parameter(e.name) for e in own if isinstance(e, WholeNumber)]
        for e in self.numbers:
            if not isinstance(e, Pooled | Single):
                word = self._population.pooling_of(e.name)
                raise ValueError(
                    f"parameter {e.name!r}: the density of subjects' values is not known under pooling="
                    f"{word!r}, so there is nothing to integrate over; take form='conditional'"
                )
        if not own:
            raise ValueError(
                f"{data.model.name}: no parameter is estimated by subject, so there is nothing to integrate over; loo "
                "and compare take the fit's log likelihood as it is"
            )
        self._predictors, self._made = predictors, numbers_of(predictors)
        self._entries = ParameterVector({e.name: e.shape for e in self.numbers})
        self.values = list(product(*(whole_numbers(p).tolist() for p in self.whole)))

    def draws(self, posterior: xr.Dataset) -> np.ndarray:
        """Return the vectors of a posterior in which the subjects are, (sample, subject, entry)."""
        found, deviations = {}, dict[str, np.ndarray]()
        for p in self.numbers:
            if isinstance(p, Pooled) and f"{p.name}_z" in posterior:
                z = posterior[f"{p.name}_z"].sel(subject=self._data.subjects).transpose("sample", "subject", ...)
                deviations[p.name] = z.values.reshape((*z.shape[:2], -1))[:, None]
                mean, away = self._moments(p, posterior, deviations)
                own = (mean + away)[:, 0].reshape(z.shape)
                if p.name not in self._made and not np.allclose(
                    p.support.constrain(own), self._values(p, posterior), rtol=1e-6
                ):
                    raise ValueError(
                        f"parameter {p.name!r}: the subjects' values are not mean + {p.name}_sigma x {p.name}_z, so "
                        "their population is not the one that is integrated over"
                    )
            else:
                own = p.support.unconstrain(self._values(p, posterior))
            found[p.name] = own
        return self._entries.join(found, (posterior.sizes["sample"], len(self)))

    def _values(self, p: Effect, posterior: xr.Dataset) -> np.ndarray:
        """Return the values of a posterior, (sample, subject, *shape)."""
        return posterior[p.name].sel(subject=self._data.subjects).transpose("sample", "subject", ...).values

    def __len__(self) -> int:
        return self._data.shape[0]

    def _record(self, p: Pooled, group: xr.Dataset, **own: np.ndarray) -> Record:
        """Return the group's variables, (sample, 1, 1, entry or 1), covariates, (1, 1, subject, 1), and others."""
        shape = (group.sizes["sample"], 1, 1, -1)
        drawn = {key: values.reshape(shape) for key, values in group_values(p, group).items()}
        return Record(**drawn, **{key: value[None, None] for key, value in p.known(2).items()}, **own)

    def _moments(
        self, p: Pooled, group: xr.Dataset, deviations: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of the population, (sample, 1, subject or 1, entry), and how far subjects are from it.

        Deviations are standard normal, (sample, point, subject, entry), by effect: its own and those that it is
        correlated with.
        """
        others = {key: deviations[name] for key, name in zip(p.foreign, p.earlier, strict=True)}
        v = self._record(p, group, z=deviations[p.name], **others)
        return p.mean(v), p.deviation(v)

    def from_population(self, group: xr.Dataset, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return vectors drawn from the population of each draw, (sample, point, subject, entry)."""
        outer, found, deviations = (group.sizes["sample"], n, len(self)), {}, dict[str, np.ndarray]()
        for p in self.numbers:
            drawn = _prior_of_subject(p).sample(rng, (*outer, int(np.prod(p.shape))))
            if isinstance(p, Pooled):
                deviations[p.name] = drawn
                mean, away = self._moments(p, group, deviations)
                found[p.name] = mean + away
            else:
                found[p.name] = p.support.unconstrain(drawn)
        return self._entries.join(found, outer)

    def log_prior(self, vectors: np.ndarray, group: xr.Dataset) -> np.ndarray:
        """Return the log density in the population of vectors (sample, point, subject, entry), without that axis."""
        total: Any = 0.0
        deviations = dict[str, np.ndarray]()
        for p in self.numbers:
            u, prior = vectors[..., self._entries.places[p.name]], _prior_of_subject(p)
            if isinstance(p, Pooled):
                v = self._record(p, group)
                *others, own = p.row(v)
                away = (u - p.mean(v)) / v.sigma
                for name, factor in zip(p.earlier, others, strict=True):
                    away = away - factor * deviations[name]
                deviations[p.name] = z = away / own
                total = total + (prior.log_prob(z) - np.log(v.sigma * own)).sum(axis=-1)
            else:
                total = total + (prior.log_prob(p.support.constrain(u)) + p.support.log_slope(u)).sum(axis=-1)
        return np.broadcast_to(total, (group.sizes["sample"], *vectors.shape[1:3]))

    def log_lik(self, vectors: np.ndarray, group: xr.Dataset) -> np.ndarray:
        """Return the log likelihood at vectors (sample, point, subject, entry) for each of the whole numbers.

        The result is (whole number, sample, point, subject).
        """
        outer = (group.sizes["sample"] if self.common else len(vectors), *vectors.shape[1:3])
        names = [*(name for p in self.numbers for name in (p.name, *p.copies)), *(p.name for p in self.whole)]
        some, names = group.isel(sample=slice(outer[0])), names + parameters_of(self._predictors)
        rest = parameter_draws(self._rl_model, some, self._data, leave_out=names)
        params = {k: np.broadcast_to(v[:, None], (*outer, *v.shape[2:])) for k, v in rest.items()}
        numbers = dict[str, np.ndarray]()
        for p in self.numbers:
            value = p.support.constrain(self._entries.pick(vectors, p.name))
            value = np.broadcast_to(value, (*outer, *self._entries.shapes[p.name]))
            if p.name in self._made:
                numbers[p.name] = value
            else:
                params |= dict.fromkeys((p.name, *p.copies), value)
        for predictor in self._predictors:
            common = {e.name: group_values(e, some)["own"] for e in predictor.effects if isinstance(e, Coefficient)}
            numbers |= {name: np.broadcast_to(value[:, None, None], outer) for name, value in common.items()}
            params |= dict.fromkeys(predictor.parameters, predictor.by_trial(numbers))
        found = []
        for chosen in self.values:
            params |= {p.name: np.full(outer, float(v)) for p, v in zip(self.whole, chosen, strict=True)}
            flattened = {k: v.reshape((-1, *v.shape[2:])) for k, v in params.items()}
            found.append(log_prob_totals(self._data, flattened, self._rl_model.spec.backend).reshape(outer))
        return np.stack(found)

    def log_shares(self, group: xr.Dataset) -> np.ndarray:
        """Return the log probabilities of the whole numbers in the population, (whole number, sample, 1, 1)."""
        found = np.zeros((len(self.values), group.sizes["sample"]))
        for k, chosen in enumerate(self.values):
            for p, value in zip(self.whole, chosen, strict=True):
                found[k] += log_weight(self._population.prior(p), p.name, value, group)
        return found[..., None, None]


def _prior_of_subject(effect: Effect) -> Prior:
    """Return the prior of the one variable that each subject has."""
    (prior,) = (v.prior for v in effect.variables if v.level == "subject")
    return prior


@dataclass(frozen=True)
class NearPoints:
    """Points near where the posterior has the subjects' parameters: a multivariate t for each.

    Parameters
    ----------
    points : (point, subject, entry)
        Vectors on the unbounded scale.
    log_density : (point, subject)
        Their log densities.
    laws : list
        What they were drawn from, by subject.
    """

    points: np.ndarray
    log_density: np.ndarray
    laws: list[Any]

    def log_prob(self, vectors: np.ndarray) -> np.ndarray:
        """Return the log density of vectors (sample, point, subject, entry), (sample, point, subject)."""
        if not vectors.shape[-1]:
            return np.zeros(vectors.shape[:3])
        by_subject = [law.logpdf(vectors[:, :, i]).reshape(vectors.shape[:2]) for i, law in enumerate(self.laws)]
        return np.stack(by_subject, axis=2)


def near_points(own: OwnParameters, near: xr.Dataset, n: int, rng: np.random.Generator) -> NearPoints:
    """Return points around the posterior of each subject's parameters."""
    draws = own.draws(near)
    if not draws.shape[2]:  # whole numbers alone, which are summed over
        return NearPoints(np.zeros((n, len(own), 0)), np.zeros((n, len(own))), [])
    laws, points, densities = [], [], []
    for i in range(len(own)):
        inside = draws[:, i][np.isfinite(draws[:, i]).all(axis=1)]  # a value may have been rounded to a bound
        spread = np.atleast_2d(np.cov(inside, rowvar=False))
        spread = spread + 1e-6 * np.eye(len(spread))
        laws.append(stats.multivariate_t(inside.mean(axis=0), spread, df=FREEDOM))
        points.append(laws[-1].rvs(size=n, random_state=rng).reshape((n, -1)))
        densities.append(laws[-1].logpdf(points[-1]).reshape(n))
    return NearPoints(np.stack(points, axis=1), np.stack(densities, axis=1), laws)
