"""Learners in mid-course whose steps are compiled: loops over a single trial, which start from a given state."""

import numpy as np

from rlpymc.compiler.signature import Name
from rlpymc.compiler.trace import Trace, given_state
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.steps import Arrays, Stepper
from rlpymc.model.parameters import resolve_shape
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData


class LoopStepper(Stepper):
    """Learners whose steps are compiled; what a trial has not shown yet is zero.

    Parameters
    ----------
    data, params
        See `Stepper`.
    first, resumed : Trace
        The model's step from its own start, and from a given state.
    """

    def __init__(self, data: ModelData, params: Arrays, first: Trace, resumed: Trace) -> None:
        super().__init__(data, params)
        model, facts, n = data.model, data.facts, self.n
        columns = [i for i in model.inputs if i.name not in resumed.variant.assumed]
        self._x = {i.name: np.zeros((n, 1, *resolve_shape(i.shape, vars(facts))), i.dtype) for i in columns}
        axis = [len(model.responses)] if len(model.responses) > 1 else []
        self._masks = {name: np.zeros((n, 1), dtype=bool) for name in ("learned", "responded")}
        ones = np.ones((n, 1), dtype=bool)
        masks = {"exists": ones, "reset": ones, "scored": np.zeros((n, 1, *axis), dtype=bool), **self._masks}
        trial = ModelData(model, data.trials, facts, self._x, masks)
        self._kinds = resumed.responses
        update = Evaluator(resumed, "states", trial, packed=False)
        self._kernels = {"start": Evaluator(first, "states", trial, packed=False), "update": update}
        self._kernels["respond"] = Evaluator(resumed, "arguments", trial, packed=False, params=update.params)
        self._results = {k: kernel.hold() for k, kernel in self._kernels.items()}
        self._given_states = {name: update.params[given_state(name)] for name in first.start}
        self._set(self.p)

    def _set(self, params: Arrays) -> None:
        """Write parameters to where the kernels read them."""
        for what in ("start", "update"):
            for name, values in params.items():
                self._kernels[what].params[name][...] = values

    def begin(self, t: int, reset: np.ndarray) -> None:
        """Go on to trial t."""
        self._set({name: self._given[name][:, t] for name in self._moving})
        super().begin(t, reset)

    def _go_on(self, state: Arrays) -> None:
        """Write a new state to where the kernels read it."""
        self.state = self._given_states
        for name, held in self.state.items():
            held[...] = state[name]

    def _call(self, what: str, x: Arrays, **masks: np.ndarray) -> dict[Name, np.ndarray]:
        """Return the results of a kernel, which the next call of it overwrites."""
        kernel = self._kernels[what]
        for name, held in self._x.items():
            held[:, 0] = x.get(name, 0)
        for name, held in self._masks.items():
            held[:, 0] = masks.get(name, False)
        kernel.again()
        if kernel.wrong_index:
            raise IndexError(kernel.wrong_index)
        return self._results[what]

    def _start(self) -> dict[str, np.ndarray]:
        return {name.of: v for name, v in self._call("start", {}).items()}

    def respond(self, name: str, x: Arrays) -> Response:
        """Return the distribution of one response."""
        found, response = self._call("respond", x), self._kinds[name]
        return type(response)(**{k: found[Name("argument", name, k)][:, 0].copy() for k in response.arguments})

    def update(self, x: Arrays, learned: np.ndarray, responded: np.ndarray) -> None:
        """Change the state after a trial."""
        found = self._call("update", x, learned=learned, responded=responded)
        self._go_on({name.of: v for name, v in found.items()})
