"""Many draws of the parameters at once: forward quantities for posteriors and predictions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rlpymc.compiler.signature import Name
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.likelihood import Arrays, Likelihood
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
        by_trial = [k for k, v in params.items() if v.ndim == 3 + len(data.parameter_shape(k))]
        laid_out = repeat_subjects(data, self._at_once)
        self.likelihood: Likelihood = likelihood_of(laid_out, backend, by_trial, mode=mode)

    def __iter__(self) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Go through the draws: which they are, and parameters of all subjects laid out, (subject, *shape)."""
        for first in range(0, self.n, self._at_once):
            # the last part repeats its last draw
            draws = np.minimum(np.arange(first, first + self._at_once), self.n - 1)
            arrays = {k: np.ascontiguousarray(v[draws]).reshape((-1, *v.shape[2:])) for k, v in self._params.items()}
            yield slice(first, min(first + self._at_once, self.n)), arrays

    def put(self, whole: np.ndarray | None, part: np.ndarray, place: slice) -> np.ndarray:
        """Put results of some draws, (subject, ...), where they belong among those of all, (draw, subject, ...)."""
        part = part.reshape((self._at_once, -1, *part.shape[1:]))
        whole = np.empty((self.n, *part.shape[1:])) if whole is None else whole
        whole[place] = part[: place.stop - place.start]
        return whole


def _trial_by_trial(data: ModelData, params: Arrays, backend: str) -> Draws:
    """Return draws, few enough at once for what is wanted of each trial."""
    n_actions = int(getattr(data.facts, "n_actions", 1))
    return Draws(data, params, backend, CHUNK_BYTES // (8 * data.shape[0] * data.shape[1] * n_actions))


def log_prob_draws(data: ModelData, params: Arrays, backend: str) -> np.ndarray:
    """Return log probabilities (draw, subject, trial[, response]) for parameters (draw, subject, *shape)."""
    found, draws = None, _trial_by_trial(data, params, backend)
    for place, arrays in draws:
        found = draws.put(found, draws.likelihood.terms(arrays), place)
    assert found is not None
    return found


def log_prob_totals(data: ModelData, params: Arrays, backend: str) -> np.ndarray:
    """Return log probabilities of subjects, (draw, subject), for parameters (draw, subject, *shape)."""
    found, draws = None, Draws(data, params, backend, CHUNK_TRIALS // data.masks["exists"].size)
    for place, arrays in draws:
        found = draws.put(found, draws.likelihood.total(arrays), place)
    assert found is not None
    return found


def response_draws(data: ModelData, params: Arrays, backend: str) -> dict[str, Response]:
    """Return each response's distribution, its arguments (draw, subject, trial, ...); padding holds a stand-in."""
    draws = _trial_by_trial(data, params, backend)
    kinds, found = draws.likelihood.responses, {}
    arguments: dict[tuple[str, str], np.ndarray] = {}
    for place, arrays in draws:
        for name, parts in draws.likelihood.arguments(arrays).items():
            for k, part in parts.items():
                arguments[name, k] = draws.put(arguments.get((name, k)), part, place)
    for name, response in kinds.items():
        kept = {}
        for k in response.arguments:
            values, inside = arguments[name, k], data.masks["exists"]
            inside = inside.reshape(inside.shape + (1,) * (values.ndim - 3))
            kept[k] = np.where(inside, values, values[:, :1, :1])  # a trial that exists
        found[name] = type(response)(**kept)
    return found


def latent_draws(data: ModelData, params: Arrays, backend: str) -> dict[Name, np.ndarray]:
    """Return what a `Likelihood` calls latents, (draw, subject, ...), for parameters (draw, subject, *shape)."""
    found: dict[Name, np.ndarray] = {}
    draws = _trial_by_trial(data, params, backend)
    for place, arrays in draws:
        for name, part in draws.likelihood.latents(arrays).items():
            found[name] = draws.put(found.get(name), part, place)
    return found


def repeat_subjects(data: ModelData, times: int) -> ModelData:
    """Return the data with all subjects there several times, one after the other."""

    def tile(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {k: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for k, v in values.items()}

    return ModelData(data.model, data.trials, data.facts, tile(data.inputs), tile(data.masks))
