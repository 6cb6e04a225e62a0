"""Learners in mid-course whose steps are compiled: loops over a single trial, which start from a given state."""

import numpy as np

from rlpymc.compiler.signature import Name
from rlpymc.compiler.trace import Trace
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
        self._first, self._update = (Evaluator(step, "states", trial, packed=False) for step in (first, resumed))
        self._respond = Evaluator(resumed, "arguments", trial, packed=False, states=self._update.states)
        self._arguments = self._respond.hold()
        self._lanes = self._update.blocks.subject.reshape((-1, 1, self._update.blocks.width))
        self._set(self.p)

    def _set(self, params: Arrays) -> None:
        """Write parameters to where the kernels read them."""
        for kernel in (self._first, self._update, self._respond):
            for name, values in params.items():
                kernel.params[name][...] = values

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The state before the trial at hand, (subject, *shape)."""
        return self._update.final_states()

    def begin(self, t: int, reset: np.ndarray) -> None:
        """Go on to trial t."""
        self._set({name: self._given[name][:, t] for name in self._moving})
        super().begin(t, reset)

    def _restart(self, where: np.ndarray) -> None:
        self._show({})  # a trial that nothing is learned from
        self._first.go_on()
        np.copyto(self._update.states, self._first.states, where=where[self._lanes])

    def _show(self, x: Arrays, **masks: np.ndarray) -> None:
        """Write a trial to where the kernels read it."""
        for name, held in self._x.items():
            held[:, 0] = x.get(name, 0)
        for name, held in self._masks.items():
            held[:, 0] = masks.get(name, False)

    def respond(self, name: str, x: Arrays) -> Response:
        """Return the distribution of one response."""
        self._show(x)
        self._respond.again()
        self._check(self._respond)
        response = self._kinds[name]
        found = {k: self._arguments[Name("argument", name, k)][:, 0].copy() for k in response.arguments}
        return type(response)(**found)

    def update(self, x: Arrays, learned: np.ndarray, responded: np.ndarray) -> None:
        """Change the state after a trial."""
        self._show(x, learned=learned, responded=responded)
        self._update.go_on()
        self._check(self._update)

    def _check(self, kernel: Evaluator) -> None:
        if kernel.wrong_index:
            raise IndexError(kernel.wrong_index)
