"""Short fingerprints of data, to be kept with results."""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from rlpymc.trials.model_data import ModelData


def data_hash(data: ModelData) -> str:
    """The fingerprint of all that a model reads."""
    return _hash({**data.inputs, **data.masks}, data)


def response_hash(data: ModelData) -> str:
    """The fingerprint of the scored responses alone, the same for every model of the same rows."""
    scored = data.masks["scored"].reshape((*data.shape, -1))
    made = {r.name: np.where(scored[..., k], data.inputs[r.name], 0) for k, r in enumerate(data.model.responses)}
    return _hash(made | {"scored": data.masks["scored"]}, data)


def _hash(arrays: Mapping[str, np.ndarray], data: ModelData) -> str:
    digest = sha256(repr(data.subjects.tolist()).encode())
    for name, values in sorted(arrays.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
