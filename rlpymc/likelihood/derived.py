"""What a model computes once for each subject, before the first trial: a planner's values, for example.

For kernels and scans these are parameters like the others.  Around them stands a small PyTensor graph
(`derived_graph`) that makes them from the model's own parameters, and takes their derivatives back to those.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from rlpymc.model import Facts, Model
from rlpymc.trials.model_data import ModelData

if TYPE_CHECKING:
    from rlpymc.likelihood.derived_graph import Derived

type Arrays = Mapping[str, np.ndarray]


@lru_cache(maxsize=64)
def derived(model: Model, facts: Facts) -> "Derived | None":
    """The derived values of a model, if it has such."""
    if model.derive is None:
        return None
    from rlpymc.likelihood.derived_graph import Derived  # PyTensor, which other models do without

    return Derived(model, facts)


def without_derive(model: Model, facts: Facts) -> Model:
    """The model for which derived values are parameters: the one that kernels and scans are made of."""
    found = derived(model, facts)
    return model if found is None else found.model


def derive(model: Model, facts: Facts, params: Arrays, n_subjects: int) -> tuple[Model, dict[str, np.ndarray]]:
    """The model from `without_derive`, and its parameters: the model's own, and what is derived from them."""
    found = derived(model, facts)
    return (model, dict(params)) if found is None else (found.model, {**params, **found.values(params, n_subjects)})


def data_without_derive(data: ModelData) -> ModelData:
    """The same data for the model from `without_derive`; themselves, with their layout, if that is theirs."""
    model = without_derive(data.model, data.facts)
    return data if model is data.model else replace(data, model=model)


def with_derived(data: ModelData, params: Arrays) -> tuple[ModelData, dict[str, np.ndarray]]:
    """Data of the model from `without_derive`, and its parameters, see `derive`."""
    _, params = derive(data.model, data.facts, params, data.shape[0])
    return data_without_derive(data), params


def pull_back(data: ModelData, params: Arrays, slopes: Arrays) -> dict[str, np.ndarray]:
    """Return derivatives with respect to a model's own parameters, given those for the model without `derive`.

    Parameters
    ----------
    data : ModelData
        The data of the model.
    params : dict of (subject, *shape)
        Its parameters.
    slopes : dict of (subject, *shape)
        By parameter and derived value.
    """
    found = derived(data.model, data.facts)
    if found is None:
        return dict(slopes)
    further = found.slopes(params, slopes)
    return {k: slopes[k] + further.get(k, 0.0) for k in slopes if k in params}
