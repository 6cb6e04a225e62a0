"""One trial of many subjects at once, on NumPy arrays: simulations take a Python turn per trial."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import xarray as xr

from rlpymc.compiler.trace import Trace
from rlpymc.likelihood.derived import derive
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.loop import find_trace
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import resolve_shape
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData

type Arrays = Mapping[str, np.ndarray]


class Stepper(Protocol):
    """A model's functions, compiled for one trial of n subjects; none changes the arrays that it is given."""

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """The state before the first trial, (subject, *shape)."""

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """The distribution of one response, its arguments with a leading axis over subjects."""

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The state after a trial, (subject, *shape)."""


class LoopStepper:
    """Loops over a single trial, which start from a given state; what a trial has not shown yet is zero.

    Parameters
    ----------
    first, resumed : Trace
        The model's step from its own start, and from a given state.
    n : int
        Number of subjects.
    """

    def __init__(self, first: Trace, resumed: Trace, n: int) -> None:
        model, facts = resumed.variant.model, resumed.variant.facts
        columns = [i for i in model.inputs if i.name not in resumed.variant.assumed]
        self._x = {i.name: np.zeros((n, 1, *resolve_shape(i.shape, vars(facts))), i.dtype) for i in columns}
        axis = [len(model.responses)] if len(model.responses) > 1 else []
        self._masks = {name: np.zeros((n, 1), dtype=bool) for name in ("learned", "responded")}
        ones = np.ones((n, 1), dtype=bool)
        masks = {"exists": ones, "reset": ones, "scored": np.zeros((n, 1, *axis), dtype=bool), **self._masks}
        data = ModelData(model, xr.Dataset(), facts, self._x, masks)
        self._responses = resumed.responses
        self._start = Evaluator(first, "states", data, packed=False)
        self._respond = Evaluator(resumed, "arguments", data, packed=False)
        self._update = Evaluator(resumed, "states", data, packed=False)

    def _call(self, evaluator: Evaluator, params: Arrays, x: Arrays, **masks: np.ndarray) -> dict[str, np.ndarray]:
        for name, held in self._x.items():
            held[...] = np.reshape(x[name], held.shape) if name in x else 0
        for name, held in self._masks.items():
            held[:, 0] = masks.get(name, False)
        found = evaluator(params)
        if evaluator.has_wrong_index:
            raise IndexError("an index is out of range")
        return found

    def start(self, p: Arrays) -> dict[str, np.ndarray]:
        """The state before the first trial."""
        return {k.removeprefix("final_"): v for k, v in self._call(self._start, p, {}).items()}

    def respond(self, name: str, p: Arrays, s: Arrays, x: Arrays) -> Response:
        """The distribution of one response."""
        found = self._call(self._respond, {**p, **_given(s)}, x)
        response = self._responses[name]
        return type(response)(**{k: found[f"y_{name}_{k}"][:, 0] for k in response.arguments})

    def update(
        self, p: Arrays, s: Arrays, x: Arrays, learned: np.ndarray, responded: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The state after a trial."""
        found = self._call(self._update, {**p, **_given(s)}, x, learned=learned, responded=responded)
        return {k.removeprefix("final_"): v for k, v in found.items()}


def _given(s: Arrays) -> dict[str, np.ndarray]:
    """A state as the parameters of a resumed step."""
    return {f"state_{k}": v for k, v in s.items()}


def stepper(model: Model, facts: Facts, n: int, columns: Iterable[str], backend: str = "fused") -> Stepper:
    """The compiled functions of a model for n subjects whose trials have these columns."""
    columns = list(columns)
    first = find_trace(model, facts, columns, (), backend)
    resumed = None if first is None else find_trace(model, facts, columns, (), backend, resumed=True)
    if first is None or resumed is None:
        from rlpymc.likelihood.scan_steps import scan_stepper  # PyTensor, which loops do without

        return scan_stepper(model, facts, n)
    return LoopStepper(first, resumed, n)


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
    model, params = derive(model, facts, params, n)
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
