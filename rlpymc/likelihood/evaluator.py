"""A kernel and the data that it works on: laid out once, evaluated for any parameters."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from math import prod
from typing import Any

import numpy as np

from rlpymc.compiler import machine
from rlpymc.compiler.lanes import ALIGNMENT, HEAD, lane_kernel
from rlpymc.compiler.signature import MASKS, Name, Output, weights
from rlpymc.compiler.trace import Trace
from rlpymc.likelihood.blocks import Blocks
from rlpymc.model.parameters import Index
from rlpymc.trials.model_data import ModelData


class Evaluator:
    """A kernel bound to data.

    Parameters
    ----------
    trace : Trace
        The model's trace.
    mode : str
        Of `rlpymc.compiler.lanes.MODES`.
    data : ModelData
        Columns and masks.
    active : tuple of str
        Parameters with respect to which the gradient is wanted.
    packed : bool
        Whether to pack the data when they are used again, which pays; not where they change in between.
    threads : int
        How many threads share the work.  More than one pays for tens of thousands of trials; not within chains or
        processes that run side by side.
    width : int, optional
        Number of lanes, unless it is to be chosen.
    states : ndarray, optional
        Where the kernel of a resumed step finds the states, and leaves them: the `states` of another one.

    Attributes
    ----------
    params : dict of ndarray
        What the kernel reads as parameters.
    addresses : list of int
        What its functions take, one for each thread.
    states : (block, number, lane) ndarray
        States after the last trials, and what else there is of each segment.
    """

    def __init__(
        self,
        trace: Trace,
        mode: str,
        data: ModelData,
        active: Sequence[str] = (),
        packed: bool = True,
        threads: int = 1,
        width: int | None = None,
        states: np.ndarray | None = None,
    ) -> None:
        self.blocks = blocks = Blocks.of(data.segments, width)
        self.kernel = lane_kernel(trace, mode, tuple(active), blocks.width, _always_true(data, blocks, mode))
        self._machine = machine.load(self.kernel.text, blocks.width > 1)
        columns = [data.inputs[i.name] for i in trace.variant.model.inputs if i.name not in trace.variant.assumed]
        masks = [data.masks[mask.of] for mask in MASKS]
        self._data, self._arrays = data, [*(np.ascontiguousarray(v) for v in (*columns, *masks)), *blocks.layout]
        shapes = dict.fromkeys(("subject", "segment"), data.shape[:1]) | {"trial": data.shape}
        by_trial = trace.variant.by_trial
        self._n_subjects, self._n_trials = data.shape
        self._shapes = {
            k: shapes["trial" if k in by_trial else "subject"] + own for k, own in trace.parameter_shapes.items()
        }
        self._weight_shapes = {w.name: shapes[w.outer] + w.own for w in weights(trace, mode)}
        self._result_shapes = {o.name: shapes[o.outer] + o.own for o in self.kernel.outputs}
        self._threads = max(1, min(threads, blocks.count))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        self._rows: np.ndarray | None = None
        self._packs, self._used = packed and not by_trial and not self._weight_shapes, False
        self._held: np.ndarray | None = None
        self._ends = np.cumsum([0, *(prod(shape) for shape in self._result_shapes.values())])
        self._offsets = 8 * self._ends[:-1]
        finals = [o for o in self.kernel.outputs if o.outer == "segment"]
        self._finals = self._places_of(finals) if finals else []
        self._wrong = np.zeros(1, dtype=np.int64)
        self._take_memory(states)

    def _take_memory(self, states: np.ndarray | None = None) -> None:
        """Make all arrays that the kernel writes to or whose content changes, and list their addresses."""
        kernel, blocks = self.kernel, self.blocks
        self.params = {k: np.empty(shape) for k, shape in self._shapes.items()}
        self._weights = {k: np.empty(shape) for k, shape in self._weight_shapes.items()}
        self._wrong = self._wrong.copy()
        # results by segment: numbers of all lanes side by side, states among them
        self.states = (
            np.empty((blocks.count, kernel.by_lane // blocks.width, blocks.width)) if states is None else states
        )
        per_trial, besides = kernel.scratch
        fixed = [*self.params.values(), *self._arrays, *self._weights.values()]
        limits = np.searchsorted(blocks.offset, np.linspace(0, blocks.offset[-1], self._threads + 1)).tolist()
        self._scratch = [np.empty(per_trial * blocks.longest + besides) for _ in range(self._threads)]
        self._numbers = []
        for begin, end, scratch in zip(limits[:-1], limits[1:], self._scratch, strict=True):
            head = {
                "first_block": begin,
                "end_block": end,
                "n_lanes": len(blocks.subject),
                "n_trials": self._n_trials,
                "longest": blocks.longest,
                "rows": 0 if self._rows is None else _aligned(self._rows),
                "offset": blocks.offset.ctypes.data,
                "scratch": scratch.ctypes.data,
                "by_lane": self.states.ctypes.data,
                "wrong": self._wrong.ctypes.data,
            }
            places = [*(head[k] for k in HEAD), *(v.ctypes.data for v in fixed), *([0] * len(kernel.outputs))]
            self._numbers.append(np.array(places, dtype=np.int64))
        self.addresses = [v.ctypes.data for v in self._numbers]

    def _pack(self) -> None:
        if self._rows is not None or not self._packs:
            return
        self._rows = np.empty(self.blocks.offset[-1] * self.kernel.row + ALIGNMENT // 8)
        for numbers, address in zip(self._numbers, self.addresses, strict=True):
            numbers[HEAD.index("rows")] = _aligned(self._rows)
            self._machine.function("pack")(address)

    def twin(self) -> "Evaluator":
        """Return another one for the same data, which can be used at the same time."""
        self._pack()
        other = copy(self)
        other._take_memory()
        return other

    @property
    def wrong_index(self) -> str:
        """Which index in the data is out of range, in words, as far as that is known; empty where none is."""
        if not self._wrong[0]:
            return ""
        data = self._data
        for entry in data.model.inputs:
            if isinstance(entry.kind, Index) and entry.name in data.inputs:
                limit, values = getattr(data.facts, entry.kind.fact), data.inputs[entry.name]
                outside = ((values < 0) | (values >= limit)) & data.masks["exists"]
                for i, t in np.argwhere(outside)[:1]:
                    where = f"column {entry.name!r}, subject {data.subjects[i].item()!r}, trial {t}"
                    return f"{where}: found {values[i, t]}, expected an index from 0 to {limit - 1}"
        return "an index in the trials is out of range"

    def hold(self) -> dict[Name, np.ndarray]:
        """Return arrays for results, for a caller that runs the kernel by its addresses; they are not set to zero."""
        self._pack()
        self._held, views = self._results()
        self._write_to(self._held)
        return views

    def _results(self) -> tuple[np.ndarray, dict[Name, np.ndarray]]:
        """Return zeros for all results, and the part of each by name."""
        flat = np.zeros(self._ends[-1])
        pairs = zip(self._ends[:-1], self._result_shapes.items(), strict=True)
        return flat, {k: flat[begin : begin + prod(shape)].reshape(shape) for begin, (k, shape) in pairs}

    def start(self, function: str) -> int:
        """Address of one of the kernel's functions."""
        return self._machine.address(function)

    def _write_to(self, results: np.ndarray) -> None:
        for numbers in self._numbers:
            numbers[numbers.size - len(self._result_shapes) :] = self._offsets + results.ctypes.data

    def __call__(
        self, params: Mapping[str, Any], weights: Mapping[Name, np.ndarray] | None = None
    ) -> dict[Name, np.ndarray]:
        """The kernel's results by name.

        Parameters
        ----------
        params : dict of (subject, *shape) or (subject, trial, *shape)
            Every parameter.
        weights : dict of ndarray, optional
            What a pullback takes beside them.
        """
        if self._used:
            self._pack()
        self._used = True
        for name, held in self.params.items():
            held[...] = params[name]
        for weight, held in self._weights.items():
            held[...] = (weights or {})[weight]
        flat, found = self._results()
        self._write_to(flat)
        self._run(flat)
        if self._held is not None:
            self._write_to(self._held)
        return found

    def again(self) -> None:
        """Compute from what `params` hold now, into the arrays from `hold`."""
        assert self._held is not None, "hold comes first"
        self._held.fill(0.0)
        self._run(self._held)

    def go_on(self) -> None:
        """Compute, and leave `states` as they are after the last trial; nothing else is made of them."""
        compute = self._machine.function("compute")
        if self._pool is None:
            compute(self.addresses[0])
        else:
            list(self._pool.map(compute, self.addresses))

    def _run(self, results: np.ndarray) -> None:
        self.go_on()
        self._machine.function("collect")(self.addresses[0])
        for where, place in self._finals:
            np.take(self.states, place, out=results[where], mode="clip")  # the mode that needs no buffer
        if self._wrong[0]:
            results.fill(np.nan)

    def final_states(self) -> dict[str, np.ndarray]:
        """Return the states after each subject's last trial, (subject, *shape), by name."""
        shapes = {name.of: shape for name, shape in self._result_shapes.items() if name.what == "final"}
        places = (place for _, place in self._finals)
        return {
            k: np.take(self.states, place).reshape(shape)
            for (k, shape), place in zip(shapes.items(), places, strict=True)
        }

    def _places_of(self, finals: Sequence[Output]) -> list[tuple[slice, np.ndarray]]:
        """Places of each subject's last states in the results, and among those of all segments."""
        kernel, blocks = self.kernel, self.blocks
        width, rows = blocks.width, kernel.by_lane // blocks.width
        exists = np.flatnonzero(blocks.first < blocks.end)
        lanes = exists[np.argsort(blocks.first[exists], kind="stable")]  # of a subject's segments, the last one stays
        last = np.zeros(self._n_subjects, dtype=np.int64)
        last[blocks.subject[lanes]] = lanes
        block, lane = np.divmod(last, width)
        names, found = list(self._result_shapes), []
        for o in finals:
            begin = int(self._ends[names.index(o.name)])
            row = kernel.places[o.name] + np.arange(o.size)
            place = (block[:, None] * rows + row) * width + lane[:, None]
            found.append((slice(begin, begin + place.size), place.ravel()))
        return found


def _always_true(data: ModelData, blocks: Blocks, mode: str) -> frozenset[str]:
    """Return the masks that are true on all trials, so that a kernel need not look at them.

    Trials that fill up a block are not scored.  What is learned there does no harm, unless last states are asked for:
    nothing else depends on it any more.
    """
    exists = data.masks["exists"]
    found = {mask.of for mask in MASKS if data.masks[mask.of][exists].all()}
    full = blocks.width * int(blocks.offset[-1]) == int(exists.sum())
    if full:
        return frozenset(found)
    return frozenset() if mode in ("latents", "states") else frozenset(found - {"scored"})


def _aligned(array: np.ndarray) -> int:
    """Return the first address in an array at which a line of the cache begins."""
    return -(-array.ctypes.data // ALIGNMENT) * ALIGNMENT
