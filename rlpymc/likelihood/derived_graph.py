"""The PyTensor graph of what a model computes once for each subject, with its derivatives."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors

from rlpymc.likelihood.modes import QUICK
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import Parameter, real, resolve_shape
from rlpymc.model.record import Record
from rlpymc.trials.model_data import ModelData

type Arrays = Mapping[str, np.ndarray]


class Derived:
    """The derived values of a model.

    Parameters
    ----------
    model, facts
        A model with `derive`, and what is known before the data.

    Attributes
    ----------
    model : Model
        The same model, for which they are parameters, and which derives nothing.
    names, reads : tuple of str
        What they are called, and the parameters that they are made from.
    """

    def __init__(self, model: Model, facts: Facts) -> None:
        assert model.derive is not None
        known = vars(facts)
        self._p = {q.name: pt.tensor(q.name, shape=resolve_shape(q.shape, known)) for q in model.parameters}
        found = model.derive(Record(**self._p), facts)
        self._values = {k: pt.as_tensor(v).astype("float64") for k, v in found.items()}
        for name, value in self._values.items():
            if name in self._p:
                raise ValueError(f"model {model.name!r}: derive returns {name!r}, which is a parameter; rename one")
            if None in value.type.shape:
                raise ValueError(
                    f"model {model.name!r}: derive returns {name!r} of shape {value.type.shape}, which must be known"
                )
        used = set(ancestors(self._values.values()))
        self.names, self.reads = tuple(self._values), tuple(k for k, v in self._p.items() if v in used)
        further = (Parameter(k, real, shape=v.type.shape, value=0.0) for k, v in self._values.items())
        learner = model.declared["parameters"]
        self.model = model.changed(parameters=(*learner, *further), derive=None)

    def data(self, data: ModelData) -> ModelData:
        """Return data of the model as data of the one for which they are parameters."""
        return replace(data, model=self.model)

    def tensors(self, params: Mapping[str, Any], n_subjects: int) -> dict[str, Any]:
        """Return them as tensors (subject, *shape), for parameters by subject or ones for all, (*shape)."""
        return {
            name: pt.broadcast_to(value, (n_subjects, *value.type.shape[value.ndim - self._values[name].ndim :]))
            for name, value in self._made(params).items()
        }

    def values(self, params: Arrays, n_subjects: int) -> dict[str, np.ndarray]:
        """Return them for parameters by subject, (subject, *shape)."""
        found = self._functions[0](*self._given(params))
        shapes = ((n_subjects, *value.type.shape) for value in self._values.values())
        return {k: np.broadcast_to(v, shape) for k, v, shape in zip(self._values, found, shapes, strict=True)}

    def joined(self, params: Arrays, n_subjects: int) -> dict[str, np.ndarray]:
        """Return the parameters of the model that derives nothing: the model's own, and these."""
        return {**params, **self.values(params, n_subjects)}

    def slopes(self, params: Arrays, weights: Arrays) -> dict[str, np.ndarray]:
        """Return the derivatives of their weighted sum with respect to the parameters that they are made from."""
        found = self._functions[1](*self._given(params), *(weights[k] for k in self._values))
        return dict(zip(self.reads, found, strict=True))

    def _made(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return them as tensors, without the axis of subjects where they are the same for all."""
        self._check(params)
        given = {self._p[name]: pt.as_tensor(params[name]) for name in self.reads}
        return dict(zip(self._values, vectorize_graph(list(self._values.values()), given), strict=True))

    def _given(self, params: Arrays) -> list[np.ndarray]:
        """Return the parameters that the compiled functions take."""
        self._check(params)
        return [np.ascontiguousarray(params[name], dtype=float) for name in self.reads]

    def _check(self, params: Mapping[str, Any]) -> None:
        for name in self.reads:
            if params[name].ndim > 1 + self._p[name].ndim:
                raise ValueError(
                    f"parameter {name!r} varies by trial, and {self.model.name} derives {', '.join(self.names)} from "
                    "it once for each subject; give it by subject"
                )

    @cached_property
    def _functions(self) -> tuple[Callable[..., list[np.ndarray]], Callable[..., list[np.ndarray]]]:
        """The compiled values and slopes."""
        given = {k: pt.tensor(k, shape=(None, *self._p[k].type.shape)) for k in self.reads}
        values = self._made(given)
        weights = {k: pt.tensor(f"{k}_weight", shape=(None, *v.type.shape)) for k, v in self._values.items()}
        cost = sum((values[k] * weights[k]).sum() for k in values)
        slopes = pt.grad(cost, list(given.values()), disconnected_inputs="ignore") if given else []
        options: dict[str, Any] = {"mode": QUICK, "on_unused_input": "ignore"}
        return (
            pytensor.function(list(given.values()), list(values.values()), **options),
            pytensor.function([*given.values(), *weights.values()], slopes, **options),
        )
