"""Many draws of the parameters at once: forward quantities for posteriors and predictions."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rlpymc.likelihood import evaluate
from rlpymc.sequences import Sequences

CHUNK_BYTES = 2**20  # of one array over actions: what a cache holds
FEW = 5_000_000  # draws x trials below which compiling a scan well takes longer than it saves


def log_prob_draws(data: Sequences, params: Mapping[str, np.ndarray], backend: str) -> np.ndarray:
    """Return log probabilities (draw, subject, trial[, response]) for parameters (draw, subject, *shape)."""
    return np.concatenate([found["terms"] for found in _in_chunks(data, params, "terms", backend)])


def probs_draws(data: Sequences, params: Mapping[str, np.ndarray], backend: str) -> dict[str, np.ndarray]:
    """Return each response's probabilities (draw, subject, trial, action) for parameters (draw, subject, *shape)."""
    parts = list(_in_chunks(data, params, "latents", backend))
    names = {r.name: f"probs_{r.name}" for r in data.model.responses}
    return {name: np.concatenate([found[key] for found in parts]) for name, key in names.items()}


def _in_chunks(
    data: Sequences, params: Mapping[str, np.ndarray], what: str, backend: str
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


def repeat_subjects(data: Sequences, times: int) -> Sequences:
    """Return the data with all subjects there several times, one after the other."""

    def tile(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {k: np.tile(v, (times,) + (1,) * (v.ndim - 1)) for k, v in values.items()}

    return Sequences(data.model, data.trials, data.facts, tile(data.inputs), tile(data.masks))
