"""Draws of what is each subject's own: of those who were in a fit as it has them, of others from the population."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.model.record import Record
from rlpymc.population.effects import Effect
from rlpymc.population.people import beside_subjects, whole_numbers_of
from rlpymc.population.regression import Deviations
from rlpymc.population.whole_numbers import Marginal
from rlpymc.trials.model_data import ModelData


def group_values(effect: Effect, posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Return draws of an effect's variables of the group by key, (sample, *shape), from a posterior."""
    parts = {
        part: posterior[vector].sel({f"{vector}_dim": label})
        for vector, of in effect.vectors.items()
        for label, part in of.items()
    }
    found = {}
    for name, v in effect.named.items():
        if v.level == "group":
            draws = parts[name] if name in parts else posterior[name]
            found[v.key] = draws.transpose("sample", ...).values
    return found


class SubjectDraws:
    """Draws of effects for the subjects of some data.

    Parameters
    ----------
    effects : sequence of Effect
        As they are for these data.
    posterior : xr.Dataset
        With the dim ``sample``.
    data : ModelData
        The subjects.
    rng : numpy.random.Generator, optional
        For subjects and sessions that were not in the fit.

    Raises
    ------
    ValueError
        If somebody was not in the fit, and the population does not say what they would be like.
    """

    def __init__(
        self, effects: Sequence[Effect], posterior: xr.Dataset, data: ModelData, rng: np.random.Generator | None
    ) -> None:
        self.effects = {e.name: e for e in effects}
        self._posterior, self._data = posterior, data
        self._rng = rng if rng is not None else np.random.default_rng()
        self._own: dict[str, np.ndarray] = {}  # drawn once: effects may read each other's

    def __getitem__(self, name: str) -> np.ndarray:
        """Return draws of an effect, (sample, subject, *shape), or (sample, 1, *shape) if it is one for all."""
        effect = self.effects[name]
        drawn = beside_subjects(effect, group_values(effect, self._posterior))
        drawn |= {v.key: self._variable(name, own) for own, v in effect.named.items() if v.level == "subject"}
        drawn |= {key: self._variable(own.removesuffix("_z"), own) for key, own in effect.foreign.items()}
        value = effect.value(Record(**drawn))
        if isinstance(value, Marginal):
            if not effect.pooled:
                raise self._unknown(next(k for k in self._data.subjects.tolist() if k not in self._known(name)))
            return whole_numbers_of(value, (self._posterior.sizes["sample"], len(self._data.subjects)), self._rng)
        return np.asarray(value)

    def _known(self, name: str) -> list[Any]:
        """Return the labels of the subjects that a variable of the fit has."""
        return self._posterior[name]["subject"].values.tolist() if name in self._posterior else []

    @staticmethod
    def _unknown(label: Any) -> ValueError:
        return ValueError(f"subject {label!r} was not in the fit, and without partial pooling nothing is known of them")

    def _variable(self, effect: str, name: str) -> np.ndarray:
        """Return draws of a variable that each subject has, (sample, subject, *shape)."""
        if name not in self._own:
            self._own[name] = self._drawn(self.effects[effect], name)
        return self._own[name]

    def _drawn(self, effect: Effect, name: str) -> np.ndarray:
        known, n, labels = self._known(name), self._posterior.sizes["sample"], self._data.subjects.tolist()
        found = np.empty((n, len(labels), *effect.shape))
        for i, label in enumerate(labels):
            if label in known:
                kept = self._posterior[name].transpose("sample", "subject", ...)
                found[:, i] = self._of_known(effect, kept[:, known.index(label)])
            elif effect.pooled:
                found[:, i] = effect.named[name].prior.sample(self._rng, (n, *effect.shape))
            else:
                raise self._unknown(label)
        return found

    def _of_known(self, effect: Effect, kept: xr.DataArray) -> np.ndarray:
        """Return a known subject's draws, (sample, *shape); sessions that were not in the fit are drawn."""
        if not (isinstance(effect, Deviations) and effect.level):
            return kept.values
        known = kept[effect.level].values.tolist()
        of_session = [
            kept.values[:, known.index(label)] if label in known else self._rng.standard_normal(len(kept))
            for label in effect.labels
        ]
        return np.stack(of_session, axis=1)
