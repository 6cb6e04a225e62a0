"""The fast likelihood: a model's step, traced and compiled into one loop over trials."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlpymc.compiler.signature import MASKS, TOTAL, Name
from rlpymc.compiler.trace import Trace, trace
from rlpymc.likelihood.blocks import Blocks
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.likelihood import Arrays, DirectLikelihood, OfSubject
from rlpymc.likelihood.loop_steps import LoopStepper
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData, one_subject


class LoopLikelihood(DirectLikelihood):
    """The likelihood of some data by compiled loops, each made and laid out when it is first asked for.

    Parameters
    ----------
    data : ModelData
        The data.
    trace : Trace
        The model's step.
    threads : int
        How many threads share the work.
    """

    backend = "fused"

    def __init__(self, data: ModelData, trace: Trace, threads: int = 1) -> None:
        self.data, self.trace, self._threads = data, trace, threads
        self._evaluators: dict[tuple[str, tuple[str, ...]], Evaluator] = {}
        # whole numbers are tried one after the other, and all with the same subject's data
        self._one: tuple[Any, OfSubject] | None = None

    @property
    def responses(self) -> Mapping[str, Response]:
        """The distribution of each response, its arguments expressions."""
        return self.trace.responses

    def evaluator(self, mode: str, active: Sequence[str] = ()) -> Evaluator:
        """Return the kernel of a mode, of `rlpymc.compiler.lanes.MODES`, bound to the data."""
        key = mode, tuple(active)
        if key not in self._evaluators:
            self._evaluators[key] = Evaluator(self.trace, mode, self.data, key[1], threads=self._threads)
        return self._evaluators[key]

    def compute(self, what: str, params: Arrays, active: Sequence[str] = ()) -> dict[Name, np.ndarray]:
        """Return a kernel's results."""
        return self.evaluator(what, active)(params)

    def stepper(self, params: Arrays) -> LoopStepper:
        """Return the subjects as learners in mid-course."""
        first = trace(replace(self.trace.variant, by_trial=frozenset()))
        return LoopStepper(self.data, params, first, trace(replace(first.variant, resumed=True)))

    def of_subject(self, i: int, active: Sequence[str]) -> OfSubject:
        """Return one subject's log likelihood, and its derivatives in order."""
        key = i, tuple(active)
        if self._one is None or self._one[0] != key:
            self._one = key, self._bind(*key)
        return self._one[1]

    def _bind(self, i: int, active: tuple[str, ...]) -> OfSubject:
        evaluator = Evaluator(self.trace, "gradient" if active else "value", one_subject(self.data, i), active)
        found = evaluator.hold()
        total, slopes = found[TOTAL], [found[Name("slope", k)] for k in active]

        def likelihood(values: Arrays) -> tuple[float, list[np.ndarray]]:
            for name, read in evaluator.params.items():
                read[...] = values[name]
            evaluator.again()
            return float(total[0]), [slope[0] for slope in slopes]

        return likelihood

    def total_graph(self, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]) -> Any:
        """Return the log likelihood of each subject as a graph."""
        return self._graph("gradient" if active else "value", params, columns, active)

    def argument_graph(
        self, response: str, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]
    ) -> Any:
        """Return the one argument of the response's distribution as a graph."""
        return self._graph("arguments", params, columns, active)

    def _graph(self, mode: str, params: Mapping[str, Any], columns: Mapping[str, Any], active: Iterable[str]) -> Any:
        """Return the first of a kernel's outputs."""
        from rlpymc.likelihood.loop_op import LoopOp  # PyTensor, which loops on arrays do without

        blocks = Blocks.of(self.data.segments)
        given = [params[p.name] for p in self.data.model.parameters]
        given += [columns[name] for name in (*self.data.columns, *(mask.of for mask in MASKS))]
        op = LoopOp(self.trace, mode, tuple(active), blocks.width)
        return op(*given, *blocks.layout, return_list=True)[0]
