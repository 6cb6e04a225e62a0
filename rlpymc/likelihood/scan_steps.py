"""One trial of many subjects at once by PyTensor, for models that cannot be compiled into a loop."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph

from rlpymc.likelihood.modes import QUICK
from rlpymc.likelihood.scan import core, next_state
from rlpymc.model import Facts, Model
from rlpymc.model.responses import Response

type Arrays = Mapping[str, np.ndarray]


class ScanStepper:
    """The functions vectorised by PyTensor, compiled quickly rather than well."""

    def __init__(self, model: Model, facts: Facts, n: int) -> None:
        self._graph, self._n = core(model, facts), n
        graph = self._graph
        self._core = [*graph.p.items(), *graph.s.items(), *graph.x.items()]
        self._defaults = {i.name: i.default for i in model.inputs if i.default is not None}
        one = [pt.tensor(name, shape=(), dtype="bool") for name in ("learned", "responded")]
        self._batch = {v: pt.tensor(v.name, shape=(n, *v.type.shape), dtype=v.type.dtype) for _, v in self._core}
        self._flags = {v: pt.tensor(v.name, shape=(n,), dtype="bool") for v in one}
        arguments = {k: [pt.as_tensor(v) for v in r.arguments.values()] for k, r in graph.responses.items()}
        self._start = self._compile(list(graph.start.values()))
        self._respond = {k: self._compile(v) for k, v in arguments.items()}
        self._update = self._compile(list(next_state(graph, *one).values()))

    def _compile(self, outputs: list[Any]) -> Any:
        found = vectorize_graph(outputs, self._batch | self._flags) if outputs else []
        shaped = [
            pt.broadcast_to(v, (self._n, *pt.as_tensor(o).type.shape)) for v, o in zip(found, outputs, strict=True)
        ]
        inputs = [*self._batch.values(), *self._flags.values()]
        return pytensor.function(inputs, shaped, mode=QUICK, on_unused_input="ignore", trust_input=True)

    def _call(self, function: Any, p: Arrays, s: Arrays, x: Arrays, **flags: np.ndarray) -> list[np.ndarray]:
        """Call a compiled function; what a trial has not shown yet is zero, and no policy reads it."""

        def value(name: str, variable: Any) -> np.ndarray:
            batch = self._batch[variable].type
            given = next((v[name] for v in (p, s, x) if name in v), None)
            assumed = self._defaults.get(name, 0)
            return np.full(batch.shape, assumed, batch.dtype) if given is None else np.asarray(given, batch.dtype)

        off = np.zeros(self._n, dtype=bool)
        values = [value(name, variable) for name, variable in self._core]
        return function(*values, *(flags.get(v.name, off) for v in self._flags))

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """Return the state before the first trial."""
        return dict(zip(self._graph.start, self._call(self._start, p, {}, {}), strict=True))

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """Return the distribution of one response."""
        response = self._graph.responses[name]
        values = self._call(self._respond[name], p, s, x)
        return type(response)(**dict(zip(response.arguments, values, strict=True)))

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the state after a trial."""
        return dict(
            zip(self._graph.s, self._call(self._update, p, s, x, learned=learned, responded=responded), strict=True)
        )


@lru_cache(maxsize=16)
def scan_stepper(model: Model, facts: Facts, n: int) -> ScanStepper:
    """The functions of a model for n subjects, compiled once."""
    return ScanStepper(model, facts, n)
