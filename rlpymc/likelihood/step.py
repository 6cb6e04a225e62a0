"""One trial of many subjects at once, on NumPy arrays: simulations take a Python turn per trial."""

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
from rlpymc.responses import Response

type Arrays = Mapping[str, np.ndarray]


class Stepper:
    """A model's functions, vectorised over a number of subjects and compiled quickly rather than well.

    Parameters
    ----------
    model : Model
        The model.
    facts : Facts
        What is known before the data.
    n : int
        Number of subjects.
    """

    def __init__(self, model: Model, facts: Facts, n: int) -> None:
        self._graph, self._n = core(model, facts), n
        graph = self._graph
        self._core = [*graph.p.items(), *graph.s.items(), *graph.x.items()]
        one = [pt.tensor(name, shape=(), dtype="bool") for name in ("learned", "responded")]
        self._batch = {v: pt.tensor(v.name, shape=(n, *v.type.shape), dtype=v.type.dtype) for _, v in self._core}
        self._flags = {v: pt.tensor(v.name, shape=(n,), dtype="bool") for v in one}
        arguments = {k: [pt.as_tensor(v) for v in r.arguments.values()] for k, r in graph.responses.items()}
        self._start = self._compile(list(graph.start.values()))
        self._respond = {k: self._compile(v) for k, v in arguments.items()}
        self._log_prob = self._compile(list(graph.log_prob.values()))
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
            return np.zeros(batch.shape, batch.dtype) if given is None else np.asarray(given, batch.dtype)

        off = np.zeros(self._n, dtype=bool)
        values = [value(name, variable) for name, variable in self._core]
        return function(*values, *(flags.get(v.name, off) for v in self._flags))

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """Return the state before the first trial."""
        return dict(zip(self._graph.start, self._call(self._start, p, {}, {}), strict=True))

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """Return the distribution of one response, its arguments with a leading axis over subjects."""
        response = self._graph.responses[name]
        values = self._call(self._respond[name], p, s, x)
        return type(response)(**dict(zip(response.arguments, values, strict=True)))

    def log_prob(self, p: Arrays, s: Arrays, x: Arrays) -> np.ndarray:
        """Return the log probability of a trial's responses."""
        return np.sum(self._call(self._log_prob, p, s, x), axis=0)

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the state after a trial."""
        return dict(
            zip(self._graph.s, self._call(self._update, p, s, x, learned=learned, responded=responded), strict=True)
        )


@lru_cache(maxsize=16)
def stepper(model: Model, facts: Facts, n: int) -> Stepper:
    """Return the compiled functions of a model for n subjects."""
    return Stepper(model, facts, n)


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
        scored, learned, responded, reset.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of (subject, trial)
        Each response.
    """
    n, n_trials = masks["scored"].shape
    step, shapes = stepper(model, facts, n), {k: v.type.shape for k, v in core(model, facts).p.items()}
    drawn = {r.name: np.array(inputs[r.name]) for r in model.responses}
    state = step.start(at_trial(params, shapes, 0))
    for t in range(n_trials):
        p = at_trial(params, shapes, t)
        if t and masks["reset"][:, t].any():
            state = restart(state, step.start(p), masks["reset"][:, t])
        x = {k: v[:, t] for k, v in inputs.items()}
        for name, column in drawn.items():
            fresh = step.respond(name, p, state, x).sample(rng)
            column[:, t] = x[name] = np.where(masks["scored"][:, t], fresh, column[:, t])
        state = step.update(p, state, x, masks["learned"][:, t], masks["responded"][:, t])
    return drawn
