"""The likelihood by PyTensor's scan: the reference, and for models that cannot be compiled into a loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph

from rlpymc.compiler.signature import MASKS, TERMS, TOTAL, Name
from rlpymc.likelihood import compiled_scans
from rlpymc.likelihood.likelihood import Arrays, DirectLikelihood, OfSubject
from rlpymc.likelihood.modes import QUICK
from rlpymc.likelihood.scan import Forward, core, next_state
from rlpymc.likelihood.steps import Stepper
from rlpymc.model import Facts, Model
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData
from rlpymc.trials.segments import Segments


class ScanLikelihood(DirectLikelihood):
    """The likelihood of some data by scans, each compiled when it is first asked for.

    Parameters
    ----------
    data : ModelData
        The data.
    mode : str
        How to compile, see `rlpymc.log_prob`.
    """

    backend = "scan"

    def __init__(self, data: ModelData, mode: str) -> None:
        self.data, self._mode = data, mode

    @property
    def responses(self) -> Mapping[str, Response]:
        """The distribution of each response, its arguments graphs."""
        return core(self.data.model, self.data.facts).responses

    def compute(self, what: str, params: Arrays, active: Sequence[str] = ()) -> dict[Name, np.ndarray]:
        """Return what a kernel would; all derivatives, whichever are asked for."""
        found = compiled_scans.by_trial(self.data, params, "terms" if what == "value" else what, self._mode)
        if what in ("value", "gradient"):
            found[TOTAL] = found.pop(TERMS).reshape(self.data.shape[0], -1).sum(axis=1)
        return found

    def stepper(self, params: Arrays) -> "ScanStepper":
        """Return the subjects as learners in mid-course."""
        return ScanStepper(self.data, params)

    @cached_property
    def _rows(self) -> tuple[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]]:
        return _padded_segments(self.data.segments, self.data.shape[0])

    def of_subject(self, i: int, active: Sequence[str]) -> OfSubject:
        """Return one subject's log likelihood, and its derivatives in order, compiled once for all subjects."""
        data, (place, rows) = self.data, self._rows
        row, used = rows[i]
        function = compiled_scans.of_one_subject(data.model, data.facts, place, tuple(active), self._mode)

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[row])

        inputs = [pick(data.inputs[entry.name]) for entry in data.model.inputs]
        masks = [pick(data.masks[mask.of]) for mask in MASKS]
        masks = [m & used.reshape(used.shape + (1,) * (m.ndim - 2)) for m in masks]

        def likelihood(values: Arrays) -> tuple[float, list[np.ndarray]]:
            value, *slopes = function(*(values[p.name] for p in data.model.parameters), *inputs, *masks)
            return float(value), slopes

        return likelihood

    def hessians(self, params: Arrays, entries: ParameterVector) -> np.ndarray:
        """Return second derivatives, (subject, entry, entry)."""
        return compiled_scans.hessians(self.data, params, entries, self._mode)

    def total_graph(self, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]) -> Any:
        """Return the log likelihood of each subject as a graph."""
        terms = self._forward(params, columns).terms(columns["scored"])
        return terms.sum(axis=tuple(range(1, terms.ndim)))

    def argument_graph(
        self, response: str, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]
    ) -> Any:
        """Return the one argument of a response's distribution as a graph."""
        forward = self._forward(params, columns)
        (argument,) = (pt.as_tensor(v) for v in forward.graph.responses[response].arguments.values())
        return forward.put_back(forward.trial_by_trial({"argument": argument})["argument"])

    def _forward(self, params: Mapping[str, Any], columns: Mapping[str, Any]) -> Forward:
        data = self.data
        inputs = {k: columns[k] if k in columns else pt.constant(v) for k, v in data.inputs.items()}
        return Forward(
            data.model, data.facts, data.segments, dict(params), inputs, columns["learned"], columns["responded"]
        )


def _padded_segments(
    segments: Segments, n_subjects: int
) -> tuple[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]]:
    """Return one layout that holds any one subject's segments, and each subject's rows and mask in it."""
    numbers = [np.flatnonzero(segments.subject == i) for i in range(n_subjects)]
    most = max(len(k) for k in numbers)
    found = []
    for own in numbers:
        repeated = np.concatenate([own, np.repeat(own[:1], most - len(own))])
        used = segments.exists[repeated] & (np.arange(most) < len(own))[:, None]
        found.append((segments.row[repeated], used))
    return (most, segments.row.shape[1]), found


class ScanStepper(Stepper):
    """Learners whose functions are vectorised by PyTensor; what a trial has not shown yet is its default, or zero."""

    def __init__(self, data: ModelData, params: Arrays) -> None:
        super().__init__(data, params)
        self._graph = core(data.model, data.facts)
        self._functions = _step(data.model, data.facts, self.n)
        self._state: dict[str, np.ndarray] = {}
        self._assumed = {i.name: i.default for i in data.model.inputs if i.default is not None}

    def _call(self, what: str, x: Arrays, **flags: np.ndarray) -> list[np.ndarray]:
        """Call a compiled function; no policy reads what a trial has not shown yet."""
        known = {"p": self.p, "s": self._state, "x": x, "flag": flags}
        values = [
            np.asarray(known[group][name], kind.dtype)
            if name in known[group]
            else np.full(kind.shape, self._assumed.get(name, 0), kind.dtype)
            for group, name, kind in self._functions.arguments
        ]
        return self._functions.outputs[what](*values)

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The state before the trial at hand, (subject, *shape)."""
        return self._state

    def _restart(self, where: np.ndarray) -> None:
        for name, values in zip(self._graph.start, self._call("start", {}), strict=True):
            here = where.reshape((-1,) + (1,) * (values.ndim - 1))
            self._state[name] = np.where(here, values, self._state.get(name, values))

    def respond(self, name: str, x: Arrays) -> Response:
        """Return the distribution of one response."""
        response = self._graph.responses[name]
        return type(response)(**dict(zip(response.arguments, self._call(f"respond {name}", x), strict=True)))

    def update(self, x: Arrays, learned: np.ndarray, responded: np.ndarray) -> None:
        """Change the state after a trial."""
        found = self._call("update", x, learned=learned, responded=responded)
        self._state = dict(zip(self._graph.s, found, strict=True))


@dataclass(frozen=True)
class _Step:
    """Functions of one trial of n subjects, compiled quickly rather than well."""

    arguments: list[tuple[str, str, Any]]  # of which group, name, type: a state may be called as a column is
    outputs: dict[str, Callable[..., list[np.ndarray]]]


@lru_cache(maxsize=16)
def _step(model: Model, facts: Facts, n: int) -> _Step:
    graph = core(model, facts)
    flags = [pt.tensor(name, shape=(), dtype="bool") for name in ("learned", "responded")]
    groups = {"p": graph.p, "s": graph.s, "x": graph.x, "flag": {v.name: v for v in flags}}
    core_variables = [(group, name, v) for group, named in groups.items() for name, v in named.items()]
    batch = {v: pt.tensor(v.name, shape=(n, *v.type.shape), dtype=v.type.dtype) for *_, v in core_variables}
    outputs = {"start": list(graph.start.values()), "update": list(next_state(graph, *flags).values())}
    outputs |= {f"respond {k}": [pt.as_tensor(v) for v in r.arguments.values()] for k, r in graph.responses.items()}

    def compiled(wanted: list[Any]) -> Callable[..., list[np.ndarray]]:
        found = vectorize_graph(wanted, batch) if wanted else []
        shaped = [pt.broadcast_to(v, (n, *o.type.shape)) for v, o in zip(found, wanted, strict=True)]
        return pytensor.function(list(batch.values()), shaped, mode=QUICK, on_unused_input="ignore", trust_input=True)

    return _Step(
        [(group, name, batch[v].type) for group, name, v in core_variables],
        {k: compiled(v) for k, v in outputs.items()},
    )
