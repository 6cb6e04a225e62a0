"""One trial of many subjects at once, on NumPy arrays: simulations take a Python turn per trial."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph

from rlpymc.compiler import scalar_source as kernel
from rlpymc.compiler import signature as interface
from rlpymc.compiler.trace import Trace
from rlpymc.likelihood.derived import settle
from rlpymc.likelihood.loop import find_trace, jit, named
from rlpymc.likelihood.modes import QUICK
from rlpymc.likelihood.scan import core, next_state
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import resolve_shape
from rlpymc.model.responses import Response

type Arrays = Mapping[str, np.ndarray]


class Stepper(Protocol):
    """A model's functions, compiled for one trial of n subjects."""

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """Return the state before the first trial."""

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """Return the distribution of one response, its arguments with a leading axis over subjects."""

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the state after a trial; the one before it is used up."""


class _Loop:
    """Kernels of one trial; what a trial has not shown yet is zero, and no policy reads it."""

    def __init__(self, step: Trace, n: int) -> None:
        self._step, self._n = step, n
        model, facts = step.variant.model, vars(step.variant.facts)
        self._params = [p.name for p in model.parameters]
        self._columns = {
            i.name: np.zeros((n, 1, *resolve_shape(i.shape, facts)), i.dtype)
            for i in model.inputs
            if i.name not in step.variant.assumed
        }
        scored = np.ones((n, 1, *([len(model.responses)] if len(model.responses) > 1 else [])), dtype=bool)
        self._off, self._scored = np.zeros((n, 1), dtype=bool), scored
        self._functions = {mode: jit(kernel.source(step, mode)) for mode in interface.STEPS}
        self._outputs = {mode: [o.name for o in interface.outputs(step, mode, ())] for mode in interface.STEPS}

    def _call(self, mode: str, p: Arrays, *rest: Any) -> dict[str, np.ndarray]:
        values = [np.ascontiguousarray(p[name], dtype=float) for name in self._params]
        return named(self._functions[mode](*values, *rest), self._outputs[mode])

    def _seen(self, x: Arrays) -> list[np.ndarray]:
        return [
            np.ascontiguousarray(x[k], dtype=zero.dtype).reshape(zero.shape) if k in x else zero
            for k, zero in self._columns.items()
        ]

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """Return the state before the first trial, (subject, entries)."""
        return {k.removeprefix("state_"): v for k, v in self._call("start", p, self._scored).items()}

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """Return the distribution of one response."""
        masks = self._scored, self._off, self._off
        found = self._call("respond", p, *self._seen(x), *masks, *s.values())
        response = self._step.responses[name]
        return type(response)(**{k: found[f"y_{name}_{k}"] for k in response.arguments})

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the state after a trial."""
        state = dict(s)
        self._call("update", p, *self._seen(x), self._scored, learned[:, None], responded[:, None], *state.values())
        return state


class _Scan:
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


def stepper(model: Model, facts: Facts, n: int, columns: Iterable[str], backend: str = "fused") -> Stepper:
    """Return the compiled functions of a model for n subjects whose trials have these columns."""
    step = find_trace(model, facts, columns, (), backend)
    return _scan_stepper(model, facts, n) if step is None else _Loop(step, n)


@lru_cache(maxsize=16)
def _scan_stepper(model: Model, facts: Facts, n: int) -> _Scan:
    return _Scan(model, facts, n)


def at_trial(params: Arrays, shapes: Mapping[str, tuple[int, ...]], t: int) -> dict[str, np.ndarray]:
    """Return the parameters of trial t, (subject, *shape), out of ones that may vary by trial."""
    return {k: v[:, t] if v.ndim == 2 + len(shapes[k]) else v for k, v in params.items()}


def restart(state: Arrays, fresh: Arrays, where: np.ndarray) -> dict[str, np.ndarray]:
    """Return the state with that of some subjects set back to its start."""
    return {k: np.where(where.reshape((-1,) + (1,) * (v.ndim - 1)), fresh[k], v) for k, v in state.items()}


def yoked(
    model: Model,
    facts: Facts,
    params: Arrays,
    inputs: Arrays,
    masks: Arrays,
    rng: np.random.Generator,
    columns: Iterable[str],
    backend: str = "fused",
) -> dict[str, np.ndarray]:
    """Draw responses in order, given outcomes and later inputs as recorded.

    Responses that are not scored (forced, missed) stay as recorded.  This is the law whose density is the likelihood.

    Parameters
    ----------
    model, facts
        The model and what is known before the data.
    params : dict of (subject, *shape) or (subject, trial, *shape)
        Every parameter.
    inputs : dict of (subject, trial, *shape)
        The recorded columns, responses included.
    masks : dict of (subject, trial) bool
        scored ((subject, trial, response) where there are several), learned, responded, reset.
    rng : numpy.random.Generator
        Source of randomness.
    columns : iterable of str
        The columns that the trials have.
    backend : {"fused", "scan"}
        What computes a step.

    Returns
    -------
    dict of (subject, trial)
        Each response.
    """
    n, n_trials = masks["learned"].shape
    model, params = settle(model, facts, params, n)
    shapes = {p.name: resolve_shape(p.shape, vars(facts)) for p in model.parameters}
    step = stepper(model, facts, n, columns, backend)
    drawn = {r.name: np.array(inputs[r.name]) for r in model.responses}
    scored = masks["scored"].reshape((n, n_trials, len(drawn)))
    state = step.start(at_trial(params, shapes, 0))
    for t in range(n_trials):
        p = at_trial(params, shapes, t)
        if t and masks["reset"][:, t].any():
            state = restart(state, step.start(p), masks["reset"][:, t])
        x = {k: v[:, t] for k, v in inputs.items()}
        for k, (name, column) in enumerate(drawn.items()):
            fresh = step.respond(name, p, state, x).sample(rng)
            column[:, t] = x[name] = np.where(scored[:, t, k], fresh, column[:, t])
        state = step.update(p, state, x, masks["learned"][:, t], masks["responded"][:, t])
    return drawn
