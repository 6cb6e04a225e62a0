"""Many draws of the parameters at once: forward quantities for posteriors and predictions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rlpymc.likelihood.by_subject import SubjectLikelihoods
from rlpymc.likelihood.by_trial import evaluate
from rlpymc.likelihood.loop import responses_of
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

CHUNK_BYTES = 2**20  # of one array over actions: what a cache holds
CHUNK_TRIALS = 200_000  # laid out at once where only totals are wanted
FEW = 5_000_000  # draws x trials below which compiling a scan well takes longer than it saves


def log_prob_draws(data: ModelData, params: Mapping[str, np.ndarray], backend: str) -> np.ndarray:
    """Return log probabilities (draw, subject, trial[, response]) for parameters (draw, subject, *shape)."""
    return np.concatenate([found["terms"] for found in _in_chunks(data, params, "terms", backend)])


def log_prob_totals(data: ModelData, params: Mapping[str, np.ndarray], backend: str) -> np.ndarray:
    """Return log probabilities of subjects, (draw, subject), for parameters (draw, subject, *shape)."""
    n_draws = len(next(iter(params.values())))
    chunk = min(n_draws, max(1, CHUNK_TRIALS // data.masks["exists"].size))
    mode = "quick" if n_draws * data.masks["exists"].size < FEW else "NUMBA"
    totals, found = SubjectLikelihoods(repeat_subjects(data, chunk), (), backend, mode), []
    for first in range(0, n_draws, chunk):
        draws = np.minimum(np.arange(first, first + chunk), n_draws - 1)  # the last chunk repeats its last draw
        arrays = {k: np.ascontiguousarray(v[draws]).reshape((-1, *v.shape[2:])) for k, v in params.items()}
        found.append(totals(arrays)[0].reshape((chunk, -1)))
    return np.concatenate(found)[:n_draws]


def response_draws(data: ModelData, params: Mapping[str, np.ndarray], backend: str) -> dict[str, Response]:
    """Return each response's distribution, its arguments (draw, subject, trial, ...); padding holds a stand-in."""
    parts = list(_in_chunks(data, params, "arguments", backend))
    found = {}
    for name, response in responses_of(data, backend).items():
        arrays = {k: np.concatenate([part[f"y_{name}_{k}"] for part in parts]) for k in response.arguments}
        first = {k: v[:, :1, :1] for k, v in arrays.items()}  # a trial that exists
        inside = data.masks["exists"]
        kept = {k: np.where(inside.reshape(inside.shape + (1,) * (v.ndim - 3)), v, first[k]) for k, v in arrays.items()}
        found[name] = type(response)(**kept)
    return found


def latent_draws(data: ModelData, params: Mapping[str, np.ndarray], backend: str) -> dict[str, np.ndarray]:
    """Return what `evaluate` calls latents, (draw, subject, ...), for parameters (draw, subject, *shape)."""
    parts = list(_in_chunks(data, params, "latents", backend))
    return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}


def _in_chunks(
    data: ModelData, params: Mapping[str, np.ndarray], what: str, backend: str
) -> Iterator[dict[str, np.ndarray]]:
    """Treat draws as further subjects with the same data, some at a time."""
    n_draws = len(next(iter(params.values())))
    n_actions = int(getattr(data.facts, "n_actions", 1))
    chunk = min(n_draws, max(1, CHUNK_BYTES // (8 * data.shape[0] * data.shape[1] * n_actions)))
    tiled, mode = repeat_subjects(data, chunk), "quick" if n_draws * np.prod(data.shape) < FEW else "NUMBA"
    for first in range(0, n_draws, chunk):
        draws = np.minimum(np.arange(first, first + chunk), n_draws - 1)  # the last chunk repeats its last draw
        arrays = {k: np.ascontiguousarray(v[draws]).reshape((-1, *v.shape[2:])) for k, v in params.items()}
        found = evaluate(tiled, arrays, what, backend, mode)
        kept = min(chunk, n_draws - first)
        yield {k: v.reshape((chunk, -1, *v.shape[1:]))[:kept] for k, v in found.items()}


def repeat_subjects(data: ModelData, times: int) -> ModelData:
    """Return the data with all subjects there several times, one after the other."""

    def tile(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {k: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for k, v in values.items()}

    return ModelData(data.model, data.trials, data.facts, tile(data.inputs), tile(data.masks))
