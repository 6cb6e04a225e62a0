"""Many draws of the parameters at once: forward quantities for posteriors and predictions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlpymc.compiler.signature import TERMS, TOTAL, Name
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import Arrays, Likelihood
from rlpymc.likelihood.parameter_arrays import varying
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

CHUNK_BYTES = 2**20  # of one array over actions: what a cache holds
CHUNK_TRIALS = 200_000  # laid out at once where only totals are wanted
FEW = 5_000_000  # draws x trials below which compiling a scan well takes longer than it saves


class Draws:
    """The likelihood of some data at many draws of the parameters: draws are further subjects with the same data.

    Parameters
    ----------
    data : ModelData
        The data.
    params : dict of (draw, subject, *shape) or (draw, subject, trial, *shape)
        Every parameter.
    backend : {"fused", "scan"}
        What computes it.
    at_once : int
        How many draws are laid out side by side.
    """

    def __init__(self, data: ModelData, params: Arrays, backend: str, at_once: int) -> None:
        self.n = len(next(iter(params.values())))
        self._params, self._at_once = params, min(self.n, max(1, at_once))
        mode = "quick" if self.n * np.prod(data.shape) < FEW else "NUMBA"
        laid_out, by_trial = repeat_subjects(data, self._at_once), varying(data, params, outer=3)
        self.likelihood: Likelihood = likelihood_of(laid_out, backend, by_trial, mode=mode)

    def compute(self, what: str) -> dict[Name, np.ndarray]:
        """Return what `Likelihood.compute` does, (draw, subject, ...)."""
        found: dict[Name, np.ndarray] = {}
        for first in range(0, self.n, self._at_once):
            # the last part repeats its last draw
            draws = np.minimum(np.arange(first, first + self._at_once), self.n - 1)
            arrays = {k: np.ascontiguousarray(v[draws]).reshape((-1, *v.shape[2:])) for k, v in self._params.items()}
            for name, part in self.likelihood.compute(what, arrays).items():
                part = part.reshape((self._at_once, -1, *part.shape[1:]))
                if name not in found:
                    found[name] = np.empty((self.n, *part.shape[1:]))
                found[name][first : first + self._at_once] = part[: self.n - first]
        return found


def _trial_by_trial(data: ModelData, params: Arrays, backend: str) -> Draws:
    """Return draws, few enough at once for what is wanted of each trial."""
    n_actions = int(getattr(data.facts, "n_actions", 1))
    return Draws(data, params, backend, CHUNK_BYTES // (8 * data.shape[0] * data.shape[1] * n_actions))


def log_prob_draws(data: ModelData, params: Arrays, backend: str) -> np.ndarray:
    """Return log probabilities (draw, subject, trial[, response]) for parameters (draw, subject, *shape)."""
    return _trial_by_trial(data, params, backend).compute("terms")[TERMS]


def log_prob_totals(data: ModelData, params: Arrays, backend: str) -> np.ndarray:
    """Return log probabilities of subjects, (draw, subject), for parameters (draw, subject, *shape)."""
    return Draws(data, params, backend, CHUNK_TRIALS // data.masks["exists"].size).compute("value")[TOTAL]


def response_draws(data: ModelData, params: Arrays, backend: str) -> dict[str, Response]:
    """Return each response's distribution, its arguments (draw, subject, trial, ...); padding holds a stand-in."""
    draws = _trial_by_trial(data, params, backend)
    arguments, found = draws.compute("arguments"), {}
    for name, response in draws.likelihood.responses.items():
        kept = {}
        for k in response.arguments:
            values, inside = arguments[Name("argument", name, k)], data.masks["exists"]
            inside = inside.reshape(inside.shape + (1,) * (values.ndim - 3))
            kept[k] = np.where(inside, values, values[:, :1, :1])  # a trial that exists
        found[name] = type(response)(**kept)
    return found


def latent_draws(data: ModelData, params: Arrays, backend: str) -> dict[Name, np.ndarray]:
    """Return what a `Likelihood` calls latents, (draw, subject, ...), for parameters (draw, subject, *shape)."""
    return _trial_by_trial(data, params, backend).compute("latents")


def repeat_subjects(data: ModelData, times: int) -> ModelData:
    """Return the data with all subjects there several times, one after the other."""

    def tile(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {k: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for k, v in values.items()}

    return ModelData(data.model, data.trials, data.facts, tile(data.inputs), tile(data.masks))
