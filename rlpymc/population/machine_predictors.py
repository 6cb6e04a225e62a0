"""Predictors as machine code around a kernel: subjects' numbers go in, and derivatives by them come out.

A kernel is called in two steps, "compute" and "collect", with the address of its table.  What is written here has the
same two functions and a table of its own, in which the kernel's stands first: before the first step it makes the
values of all trials, and after the second takes their derivatives back.  Cells of a subject go side by side.  Where
values change at resets alone, the kernel has a row for each unit of a subject in place of trials (`units_of`).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc.compiler import machine
from rlpymc.compiler.expressions import Graph
from rlpymc.compiler.signature import TOTAL, Name
from rlpymc.compiler.vector import F64, I64, POINTER, Code
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.loop import LoopLikelihood
from rlpymc.model.parameters import Support
from rlpymc.population.named_numbers import FormulaWriter, derivatives, leaf
from rlpymc.population.predictors import Predictor, parameters_of
from rlpymc.population.units import units_of
from rlpymc.trials.model_data import ModelData

LANES = 4
STEP = ir.FunctionType(ir.VoidType(), [POINTER])
HEAD = ("compute", "collect", "table")  # of the kernel


class PredictedEvaluator:
    """A kernel with gradient in terms of numbers, as `Evaluator` is one in terms of parameters.

    Parameters
    ----------
    inner : Evaluator
        The kernel, whose subjects are units where it knows nothing of trials.
    predictors : sequence of Predictor
        What makes parameters of numbers.
    cells : sequence of (subject, place)
        Of each predictor, the cell of each of a subject's trials, or units.
    by_unit : bool
        Whether places are units.
    """

    def __init__(
        self, inner: Evaluator, predictors: Sequence[Predictor], cells: Sequence[np.ndarray], by_unit: bool
    ) -> None:
        self.inner, self._predictors, self._cells, self._by_unit = inner, tuple(predictors), tuple(cells), by_unit
        n, outputs = len(cells[0]), inner.hold()
        made = parameters_of(self._predictors)
        self.params = {name: array for name, array in inner.params.items() if name not in made}
        self._outputs = {k: v for k, v in outputs.items() if k not in [Name("slope", name) for name in made]}
        self._arrays = list[np.ndarray]()
        sums: list[tuple[int, bool]] = []
        if by_unit:  # what does not vary is spread over units, and what comes of it is summed
            self.params = {name: np.zeros((n, *v.shape[1:])) for name, v in self.params.items()}
            self._outputs = {k: np.zeros((n, *v.shape[1:])) for k, v in self._outputs.items()}
            for name, own in self.params.items():
                slope = Name("slope", name)
                sums.append((own[0].size, slope in outputs))
                self._arrays += [own, inner.params[name]]
                self._arrays += [self._outputs[slope], outputs[slope]] if slope in outputs else []
            self._arrays += [self._outputs[TOTAL], outputs[TOTAL]]
        for p, cell in zip(self._predictors, self._cells, strict=True):
            weights = np.zeros((*p.weights.shape[:2], _n_cells(p)))
            weights[..., : p.weights.shape[2]] = p.weights
            self._arrays += [weights, np.ascontiguousarray(cell), *(np.zeros((n, _n_cells(p))) for _ in range(3))]
            self._arrays += [inner.params[name] for name in p.parameters]
            self._arrays += [outputs[Name("slope", name)] for name in p.parameters]
            for e in p.effects:
                self.params[e.name], self._outputs[Name("slope", e.name)] = np.zeros((2, n, *e.shape))
                self._arrays += [self.params[e.name], self._outputs[Name("slope", e.name)]]
        keys = tuple(
            (p.support, tuple(e.shape[0] if e.shape else 1 for e in p.effects), _n_cells(p), len(p.copies))
            for p in self._predictors
        )
        self._machine = machine.load(_text(cells[0].shape, keys, tuple(sums) if by_unit else None), False)
        head = [inner.start("compute"), inner.start("collect"), inner.addresses[0]]
        self._table = np.array([*head, *(array.ctypes.data for array in self._arrays)], dtype=np.int64)
        self.addresses = [self._table.ctypes.data]

    @classmethod
    def of(cls, data: ModelData, predictors: Sequence[Predictor], own: Sequence[str]) -> "PredictedEvaluator | None":
        """Return the evaluator of some data, or None if the model cannot be compiled into a loop.

        Parameters
        ----------
        data : ModelData
            The data.
        predictors : sequence of Predictor
            What makes parameters of numbers.
        own : sequence of str
            Other parameters with respect to which the gradient is wanted.
        """
        made, units = parameters_of(predictors), units_of(data, predictors)
        inner_data, cells = units or (data, [p.cell for p in predictors])
        likelihood = likelihood_of(inner_data, by_trial=() if units else made)
        if not isinstance(likelihood, LoopLikelihood):
            return None
        return cls(likelihood.evaluator("gradient", [*own, *made]), predictors, cells, units is not None)

    def __call__(self, params: Mapping[str, np.ndarray]) -> dict[Name, np.ndarray]:
        """Return log likelihoods of subjects, and derivatives by numbers and other parameters."""
        for name, held in self.params.items():
            held[...] = params[name]
        for held in self._outputs.values():
            held.fill(0.0)
        for step in ("compute", "collect"):
            self._machine.function(step)(self.addresses[0])
        return {name: held.copy() for name, held in self._outputs.items()}

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
        return PredictedEvaluator(self.inner.twin(), self._predictors, self._cells, self._by_unit)


def _n_cells(predictor: Predictor) -> int:
    """Return how long rows of cells are, filled up."""
    return -(-predictor.weights.shape[2] // LANES) * LANES


@lru_cache(maxsize=128)
def _text(
    shape: tuple[int, int],
    keys: tuple[tuple[Support, tuple[int, ...], int, int], ...],
    sums: tuple[tuple[int, bool], ...] | None,
) -> str:
    """Return both functions as a module in LLVM's language.

    Parameters
    ----------
    shape : tuple of int
        Numbers of subjects, and of places of each.
    keys : tuple
        Of each predictor: its support, the numbers of each effect, how long rows of cells are, and copies.
    sums : tuple, optional
        If places are units, of each other parameter its size, and whether there are derivatives by it.
    """
    with Graph().active():
        module = ir.Module("rlpymc")
        for step in ("compute", "collect"):
            writer, make = _Steps(ir.Function(module, STEP, step), shape), step == "compute"
            if not make:
                writer.call(1)
            for size, has_slopes in sums or ():
                own, inner = writer.next(2)
                if make:
                    writer.spread(own, inner, size)
                if has_slopes:
                    own, inner = writer.next(2)
                    (writer.clear if make else writer.sum_up)(own, inner, size)
            if sums is not None:
                own, inner = writer.next(2)
                (writer.clear if make else writer.sum_up)(own, inner, 1)
            for support, sizes, n_cells, n_copies in keys:
                place = _Place(writer.next(5 + 2 * (1 + n_copies) + 2 * len(sizes)), sizes, n_cells, n_copies)
                if make:
                    writer.make(place, support)
                else:
                    writer.take_back(place)
            if make:
                writer.call(0)
            writer.code.builder.ret_void()
        return str(module)


class _Place:
    """Where the arrays of a predictor are."""

    def __init__(self, arrays: list[Any], sizes: tuple[int, ...], n_cells: int, n_copies: int) -> None:
        self.weights, self.cell, self.value, self.link, self.of_cell = arrays[:5]
        self.values, self.slopes = arrays[5 : 6 + n_copies], arrays[6 + n_copies : 7 + 2 * n_copies]
        numbers = arrays[7 + 2 * n_copies :]
        self.n_cells, self.numbers = n_cells, list(zip(numbers[::2], numbers[1::2], sizes, strict=True))
        self.n_numbers = sum(sizes)


class _Steps(FormulaWriter):
    """One of the functions in the making."""

    def __init__(self, function: ir.Function, shape: tuple[int, int]) -> None:
        super().__init__()
        self.code, self.shape, (self.table,) = Code(function, LANES), shape, function.args
        self._place = len(HEAD)

    def next(self, n: int) -> list[Any]:
        """Return the next so many addresses of the table."""
        self._place += n
        return [self.array(k) for k in range(self._place - n, self._place)]

    def array(self, k: int) -> Any:
        """Return an address of the table."""
        code = self.code
        return code.builder.inttoptr(code.load_single(self.table, code.single(k), I64), POINTER)

    def call(self, k: int) -> None:
        """Call a function of the kernel."""
        code = self.code
        address = code.load_single(self.table, code.single(k), I64)
        code.builder.call(code.builder.inttoptr(address, STEP.as_pointer()), [self.array(2)])

    def spread(self, own: Any, inner: Any, size: int) -> None:
        """Copy each subject's numbers to all places of the subject."""
        code, (n, places) = self.code, self.shape
        with self.each(n) as i, self.each(places) as u, self.each(size) as e:
            value = code.load_single(own, self._at(i, size, e))
            code.builder.store(value, code.at(inner, self._at(self._at(i, places, u), size, e)))

    def clear(self, own: Any, inner: Any, size: int) -> None:
        """Set what belongs to places to 0."""
        del own
        with self.each(self.shape[0] * self.shape[1] * size) as at:
            self.code.builder.store(self.code.lane(self.code.constant(0.0), 0), self.code.at(inner, at))

    def sum_up(self, own: Any, inner: Any, size: int) -> None:
        """Add what belongs to places to what belongs to subjects."""
        code, b, (n, places) = self.code, self.code.builder, self.shape
        with self.each(n) as i, self.each(places) as u, self.each(size) as e:
            where = code.at(own, self._at(i, size, e))
            value = code.load_single(inner, self._at(self._at(i, places, u), size, e))
            b.store(b.fadd(b.load(where, typ=F64), value), where)

    def _at(self, i: Any, size: int, k: Any) -> Any:
        b, code = self.code.builder, self.code
        return b.add(b.mul(i, code.single(size)), k)

    def _entries(self, place: _Place) -> list[tuple[int, Any, Any, int, int]]:
        """Return the numbers of a subject: their place among weights, arrays of values and slopes, size and entry."""
        found = [(values, slopes, size, e) for values, slopes, size in place.numbers for e in range(size)]
        return [(m, *entry) for m, entry in enumerate(found)]

    def make(self, place: _Place, support: Support) -> None:
        """Make the values of all places, and set derivatives by them to 0."""
        code, (n, places) = self.code, self.shape
        value, slope = support.constrain(leaf("x")), derivatives([(support.constrain(leaf("x")), 1.0)])["x"]
        with self.each(n) as i:
            first = code.builder.mul(i, code.single(place.n_numbers))
            own = [
                code.splat(code.load_single(values, self._at(i, size, code.single(e))))
                for _, values, _, size, e in self._entries(place)
            ]
            with self.each(place.n_cells // LANES) as block:
                c, x = code.builder.mul(block, code.single(LANES)), code.constant(0.0)
                for m, number in enumerate(own):
                    row = code.builder.add(first, code.single(m))
                    x = code.add(x, code.mul(number, code.load(place.weights, self._at(row, place.n_cells, c))))
                self.given({"x": x})
                at = self._at(i, place.n_cells, c)
                code.store(self.of(value), place.value, at)
                code.store(self.of(slope), place.link, at)
                code.store(code.constant(0.0), place.of_cell, at)
            with self.each(places) as t:
                at = self._at(i, places, t)
                cell = self._at(i, place.n_cells, code.load_single(place.cell, at, I64))
                for values, slopes in zip(place.values, place.slopes, strict=True):
                    code.builder.store(code.load_single(place.value, cell), code.at(values, at))
                    code.builder.store(code.lane(code.constant(0.0), 0), code.at(slopes, at))

    def take_back(self, place: _Place) -> None:
        """Add the derivatives by numbers."""
        code, b, (n, places) = self.code, self.code.builder, self.shape
        with self.each(n) as i:
            with self.each(places) as t:
                at = self._at(i, places, t)
                cell = code.at(place.of_cell, self._at(i, place.n_cells, code.load_single(place.cell, at, I64)))
                for slopes in place.slopes:
                    b.store(b.fadd(code.load_single(cell, code.single(0)), code.load_single(slopes, at)), cell)
            sums = [self.place() for _ in range(place.n_numbers)]
            first = b.mul(i, code.single(place.n_numbers))
            with self.each(place.n_cells // LANES) as block:
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
