"""Predictors as machine code around a kernel: subjects' numbers go in, and derivatives by them come out.

A kernel is called in two steps, "compute" and "collect", with the address of its table.  What is written here has the
same two functions and a table of its own, in which the kernel's stands first: before the first step it makes the
values of all trials, and after the second takes their derivatives back.  Cells of a subject go side by side.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc.compiler import machine
from rlpymc.compiler.expressions import Graph
from rlpymc.compiler.signature import Name
from rlpymc.compiler.vector import I64, POINTER, Code
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.model.parameters import Support
from rlpymc.population.named_numbers import FormulaWriter, derivatives, leaf
from rlpymc.population.predictors import Predictor

LANES = 4
STEP = ir.FunctionType(ir.VoidType(), [POINTER])
HEAD = ("compute", "collect", "table")  # of the kernel


class PredictedEvaluator:
    """A kernel with gradient in terms of numbers, as `Evaluator` is one in terms of parameters.

    Parameters
    ----------
    inner : Evaluator
        The kernel.
    predictors : sequence of Predictor
        What makes parameters of numbers.
    """

    def __init__(self, inner: Evaluator, predictors: Sequence[Predictor]) -> None:
        self.inner, self._predictors = inner, tuple(predictors)
        shape = predictors[0].cell.shape
        keys = tuple(
            (p.support, tuple(e.shape[0] if e.shape else 1 for e in p.effects), _n_cells(p), len(p.copies))
            for p in self._predictors
        )
        self._machine = machine.load(_text(shape, keys), False)
        outputs = inner.hold()
        made = [name for p in self._predictors for name in (p.name, *p.copies)]
        self.params = {name: array for name, array in inner.params.items() if name not in made}
        self._outputs = {k: v for k, v in outputs.items() if k not in [Name("slope", name) for name in made]}
        places = [inner.start("compute"), inner.start("collect"), inner.addresses[0]]
        self._arrays = list[np.ndarray]()
        for p in self._predictors:
            n, weights = len(p.cell), np.zeros((*p.weights.shape[:2], _n_cells(p)))
            weights[..., : p.weights.shape[2]] = p.weights
            arrays = [weights, np.ascontiguousarray(p.cell), *(np.zeros((n, _n_cells(p))) for _ in range(3))]
            arrays += [inner.params[name] for name in (p.name, *p.copies)]
            arrays += [outputs[Name("slope", name)] for name in (p.name, *p.copies)]
            for e in p.effects:
                self.params[e.name], self._outputs[Name("slope", e.name)] = np.zeros((2, n, *e.shape))
                arrays += [self.params[e.name], self._outputs[Name("slope", e.name)]]
            self._arrays += arrays
            places += [array.ctypes.data for array in arrays]
        self._table = np.array(places, dtype=np.int64)
        self.addresses = [self._table.ctypes.data]

    def hold(self) -> dict[Name, np.ndarray]:
        """Return the arrays that results are written to; derivatives are added to what they hold."""
        return self._outputs

    @property
    def wrong_index(self) -> str:
        """Which index in the data is out of range, in words; empty where none is."""
        return self.inner.wrong_index

    def start(self, step: str) -> int:
        """Return the address of a function."""
        return self._machine.address(step)

    def twin(self) -> "PredictedEvaluator":
        """Return another one for the same data, which can be used at the same time."""
        return PredictedEvaluator(self.inner.twin(), self._predictors)


def _n_cells(predictor: Predictor) -> int:
    """Return how long rows of cells are, filled up."""
    return -(-predictor.weights.shape[2] // LANES) * LANES


@lru_cache(maxsize=128)
def _text(shape: tuple[int, int], keys: tuple[tuple[Support, tuple[int, ...], int, int], ...]) -> str:
    """Return both functions as a module in LLVM's language."""
    with Graph().active():
        module = ir.Module("rlpymc")
        for step in ("compute", "collect"):
            writer = _Steps(ir.Function(module, STEP, step), shape)
            if step == "collect":
                writer.call(1)
            place = len(HEAD)
            for support, sizes, n_cells, n_copies in keys:
                n_arrays = 5 + 2 * (1 + n_copies) + 2 * len(sizes)
                arrays = [writer.array(place + k) for k in range(n_arrays)]
                place += n_arrays
                write = writer.make if step == "compute" else writer.take_back
                write(_Place(arrays, sizes, n_cells, n_copies), support)
            if step == "compute":
                writer.call(0)
            writer.code.builder.ret_void()
        return str(module)


class _Place:
    """Where the arrays of a predictor are."""

    def __init__(self, arrays: list[Any], sizes: tuple[int, ...], n_cells: int, n_copies: int) -> None:
        self.weights, self.cell, self.value, self.link, self.of_cell = arrays[:5]
        self.trials, self.slopes = arrays[5 : 6 + n_copies], arrays[6 + n_copies : 7 + 2 * n_copies]
        numbers = arrays[7 + 2 * n_copies :]
        self.n_cells, self.numbers = n_cells, list(zip(numbers[::2], numbers[1::2], sizes, strict=True))
        self.n_numbers = sum(sizes)


class _Steps(FormulaWriter):
    """One of the functions in the making."""

    def __init__(self, function: ir.Function, shape: tuple[int, int]) -> None:
        super().__init__()
        self.code, self.shape, (self.table,) = Code(function, LANES), shape, function.args

    def array(self, k: int) -> Any:
        """Return an address of the table."""
        code = self.code
        return code.builder.inttoptr(code.load_single(self.table, code.single(k), I64), POINTER)

    def call(self, k: int) -> None:
        """Call a function of the kernel."""
        code = self.code
        address = code.load_single(self.table, code.single(k), I64)
        code.builder.call(code.builder.inttoptr(address, STEP.as_pointer()), [self.array(2)])

    def _at(self, i: Any, size: int, k: Any) -> Any:
        b, code = self.code.builder, self.code
        return b.add(b.mul(i, code.single(size)), k)

    def _entries(self, place: _Place) -> list[tuple[int, Any, Any, int, int]]:
        """Return the numbers of a subject: their place among weights, arrays of values and slopes, size and entry."""
        found = [(values, slopes, size, e) for values, slopes, size in place.numbers for e in range(size)]
        return [(m, *entry) for m, entry in enumerate(found)]

    def make(self, place: _Place, support: Support) -> None:
        """Make the values of all trials, and set derivatives by them to 0."""
        code, (n, n_trials) = self.code, self.shape
        value, slope = support.constrain(leaf("x")), derivatives([(support.constrain(leaf("x")), 1.0)])["x"]
        with code.loop(code.single(0), code.single(n)) as i:
            first = code.builder.mul(i, code.single(place.n_numbers))
            own = [
                code.splat(code.load_single(values, self._at(i, size, code.single(e))))
                for _, values, _, size, e in self._entries(place)
            ]
            with code.loop(code.single(0), code.single(place.n_cells // LANES)) as block:
                c, x = code.builder.mul(block, code.single(LANES)), code.constant(0.0)
                for m, number in enumerate(own):
                    row = code.builder.add(first, code.single(m))
                    x = code.add(x, code.mul(number, code.load(place.weights, self._at(row, place.n_cells, c))))
                self.given({"x": x})
                at = self._at(i, place.n_cells, c)
                code.store(self.of(value), place.value, at)
                code.store(self.of(slope), place.link, at)
                code.store(code.constant(0.0), place.of_cell, at)
            with code.loop(code.single(0), code.single(n_trials)) as t:
                at = self._at(i, n_trials, t)
                cell = self._at(i, place.n_cells, code.load_single(place.cell, at, I64))
                for trials, slopes in zip(place.trials, place.slopes, strict=True):
                    code.builder.store(code.load_single(place.value, cell), code.at(trials, at))
                    code.builder.store(code.lane(code.constant(0.0), 0), code.at(slopes, at))

    def take_back(self, place: _Place, support: Support) -> None:
        """Add the derivatives by numbers."""
        del support
        code, b, (n, n_trials) = self.code, self.code.builder, self.shape
        with code.loop(code.single(0), code.single(n)) as i:
            with code.loop(code.single(0), code.single(n_trials)) as t:
                at = self._at(i, n_trials, t)
                cell = code.at(place.of_cell, self._at(i, place.n_cells, code.load_single(place.cell, at, I64)))
                for slopes in place.slopes:
                    b.store(b.fadd(code.load_single(cell, code.single(0)), code.load_single(slopes, at)), cell)
            sums = [self.place() for _ in range(place.n_numbers)]
            first = b.mul(i, code.single(place.n_numbers))
            with code.loop(code.single(0), code.single(place.n_cells // LANES)) as block:
                c = b.mul(block, code.single(LANES))
                at = self._at(i, place.n_cells, c)
                slope = code.mul(code.load(place.of_cell, at), code.load(place.link, at))
                for m, total in enumerate(sums):
                    weight = code.load(place.weights, self._at(b.add(first, code.single(m)), place.n_cells, c))
                    code.set(total, code.add(code.get(total), code.mul(slope, weight)))
            for m, _, slopes, size, e in self._entries(place):
                where = self._at(i, size, code.single(e))
                own = b.fadd(code.load_single(slopes, where), code.total(code.get(sums[m])))
                b.store(own, code.at(slopes, where))
