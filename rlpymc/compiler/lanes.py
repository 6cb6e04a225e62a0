"""Kernels that take several segments side by side, one in each lane of the machine's vectors.

*Phases.*  What depends on parameters alone is computed once a segment, before the loop over its trials; all else on
each trial.  Every expression knows which it is (`Node.stage`).

*Forward.*  States are variables, or, where they have many entries, tables: arrays of which a trial reads and writes the
entries that the data point to.  All reads of a trial come before its writes, so that an expression always means the
state before the trial.

*Backward.*  Reverse-mode differentiation: a second loop runs over the trials from last to first and carries the
derivative of the result with respect to each state.  It needs values of the forward loop.  Those that are cheap are
computed again; states, reads of tables and expensive operations are kept on a tape, a row a trial.  A write to a table
replaced an entry, so backward its derivative is taken out and goes to the value written; a read adds to the entry's
derivative.  Tables are never copied.  The derivative with respect to what depends on parameters alone is added up over
trials, and carried on to the parameters once a segment.

*Logarithms.*  A log likelihood is a sum of logarithms of probabilities, and a logarithm costs as much as all the rest.
So probabilities are multiplied, in `up` where logarithms are added and in `down` where they are subtracted, and the
logarithm is taken when a product leaves 1e-250..1e250, and at the end.

*Blocks.*  Segments are sorted by length, and as many as there are lanes make a block.  A block's trials are first
copied into rows, (trial, column, lane), so that what the lanes need stands side by side; data that are used many times
are packed once.  After a segment's end its last trial is repeated, with all masks false and all weights 0.

*Widths.*  A kernel is written for 1, 2, 4 or 8 lanes: a row of eight costs twice a row of one, so more lanes pay unless
they stand empty, as with a few segments or one that is much longer than the others (`suitable_width`).

*Flag bits.*  Masks and columns that are true or false would be one load and one comparison each; as bits of one word,
62 of them so that its sign stays free, they are one load for all.

*No branches.*  Lanes cannot go different ways.  Everything is computed on every trial, and where a mask is false a
result is replaced by what changes nothing: a state by itself, a factor by 1, a derivative by 0.  Only what all lanes
seldom need (a product of probabilities about to underflow) is branched around.

*Tables* are (entry, lane).  An entry at a position from the data is another one in each lane, and is read and written
lane by lane.  Each table has one entry more, to which a lane writes that must not write; its derivative stays 0.

A kernel takes one address, of a list of whole numbers: those in `HEAD`, and the addresses of all arrays.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llvmlite import ir

from rlpymc.compiler.lane_passes import LanePasses
from rlpymc.compiler.lane_values import Column
from rlpymc.compiler.plan import Plan
from rlpymc.compiler.signature import LAYOUT, Name, Output
from rlpymc.compiler.trace import Trace
from rlpymc.compiler.vector import F64, I64, POINTER, Code

# What a kernel computes.  "value", "gradient": the log likelihood of each subject, without or with its gradient.
# "terms", "terms_pullback": that of each trial; the gradient of a weighted sum of it.  "arguments",
# "arguments_pullback": the same of the arguments of the responses' distributions.  "latents": states, signals and
# probabilities on each trial, and the last states; "states": the last states alone.
MODES = ("value", "gradient", "terms", "terms_pullback", "arguments", "arguments_pullback", "latents", "states")
# Blocks to compute (first, end), lanes in all, trials of a subject's row and of the longest segment; addresses of what
# the kernel works in: packed rows (0: none), the first row of each block, scratch, results by segment, and a mark that
# is set where an index is out of range.
HEAD = ("first_block", "end_block", "n_lanes", "n_trials", "longest", "rows", "offset", "scratch", "by_lane", "wrong")
ALIGNMENT = 64  # bytes, of scratch and rows: what a cache moves at once
BYTE = ir.IntType(8)


@dataclass(frozen=True)
class LaneKernel:
    """A printed kernel.

    Parameters
    ----------
    text : str
        A module in LLVM's language with the functions ``pack`` (rows of all blocks), ``compute`` and ``collect``
        (from the results by segment to those by subject).
    width : int
        Number of lanes.
    row : int
        Numbers in a row of packed data.
    scratch : tuple of int
        Numbers of scratch for a trial, and besides.
    by_lane : int
        Numbers in the results of a segment.
    places : dict of int
        Where each array begins among these.
    addresses : tuple of str
        The arrays whose addresses follow `HEAD`.
    outputs : tuple of Output
        Those among them that are results.
    """

    text: str
    width: int
    row: int
    scratch: tuple[int, int]
    by_lane: int
    places: dict[Name, int]
    addresses: tuple[Name, ...]
    outputs: tuple[Output, ...]


@lru_cache(maxsize=512)
def lane_kernel(
    trace: Trace, mode: str, active: tuple[str, ...], width: int, always: frozenset[str] = frozenset()
) -> LaneKernel:
    """Return the kernel of a mode (of `MODES`) for so many lanes, and for data whose masks `always` are all true."""
    with trace.graph.copy().active():  # the text depends on nothing that was printed before
        return _Lanes(Plan(trace, mode, active, always), width, ir.Module("rlpymc"), "").kernel()


def write_kernel(trace: Trace, mode: str, active: tuple[str, ...], width: int, module: ir.Module, prefix: str) -> None:
    """Write the same functions into a module, as private ones whose names start with a prefix."""
    with trace.graph.copy().active():
        _Lanes(Plan(trace, mode, active), width, module, prefix).write()
    for name in ("pack", "compute", "collect"):
        module.globals[prefix + name].linkage = "private"


class _Lanes(LanePasses):
    """One kernel in the making: its functions."""

    # --------------------------------------------------------------------------------------------- functions
    def write(self) -> None:
        """Write all functions."""
        pack = self._pack()
        self._over_blocks("pack", pack, None)
        self._over_blocks("compute", pack, self._block)
        self._collect()

    def kernel(self) -> LaneKernel:
        """Write all functions and return the kernel."""
        self.write()
        per_trial = self.width * (self.n_columns + len(self.plan.slots) + len(self.by_trial))
        return LaneKernel(
            str(self.module),
            self.width,
            self.n_columns * self.width,
            (per_trial, self.width * 2 * self.table_rows + ALIGNMENT),
            self.by_lane * self.width,
            self.lane_at,
            tuple(self.addresses),
            tuple(self.outputs),
        )

    def _function(self, name: str, *more: Any) -> Code:
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER, *more]), self.prefix + name)
        return Code(function, self.width, "entry")

    def _number(self, code: Code, name: Name | str) -> Any:
        """Return a whole number of the kernel's list."""
        place = HEAD.index(name) if isinstance(name, str) else len(HEAD) + self.addresses.index(name)
        return code.load_single(code.function.args[0], code.single(place), I64)

    def _array(self, code: Code, name: Name | str) -> Any:
        return code.builder.inttoptr(self._number(code, name), POINTER)

    def _pack(self) -> ir.Function:
        """Write the function that copies a block's trials into rows."""
        code = self._function("pack_block", I64, POINTER)
        _, block, rows = code.function.args
        code.function.linkage = "private"
        b, width = code.builder, code.single(self.width)
        arrays = {c.array: self._array(code, c.array) for c in (*self.columns.values(), *self.flags)}
        layout = [self._array(code, name) for name in LAYOUT]
        n_trials, wrong = self._number(code, "n_trials"), self._array(code, "wrong")
        first_lane = b.mul(block, width)
        longest = self._length(code, block)
        stride = code.single(self.n_columns * self.width)

        def item(column: Column, at: Any, kind: Any) -> Any:
            place = b.add(b.mul(at, code.single(column.size)), code.single(column.entry))
            return code.load_single(arrays[column.array], place, kind)

        with code.loop(code.single(0), width) as lane:
            subject, first, end = (code.load_single(a, b.add(first_lane, lane), I64) for a in layout)
            start, length = b.add(b.mul(subject, n_trials), first), b.sub(end, first)
            last = b.select(b.icmp_signed("<", first, end), b.sub(length, code.single(1)), code.single(0))
            with code.loop(code.single(0), longest) as t:
                exists = b.icmp_signed("<", t, length)
                at, to = b.add(start, b.select(exists, t, last)), b.add(b.mul(t, stride), lane)
                for k, (number, column) in enumerate(self.columns.items()):
                    whole = self.kinds[number] == "i"
                    value = item(column, at, I64 if whole else F64)
                    if column.limit is not None:
                        inside = b.icmp_unsigned("<", value, code.single(column.limit))
                        with b.if_then(b.not_(inside), likely=False):
                            b.store(code.single(1), wrong)
                        value = b.select(inside, value, code.single(0))
                    if column.array.what == "weight":
                        value = b.select(exists, value, ir.Constant(F64, 0.0))
                    b.store(value, code.at(rows, b.add(to, code.single(k * self.width))))
                for word in range(self.flag_words):
                    bits: Any = code.single(0)
                    for j, flag in enumerate(self.flags[62 * word : 62 * word + 62]):
                        value = b.zext(item(flag, at, BYTE), I64)
                        if flag.array.what == "mask":
                            value = b.select(exists, value, code.single(0))
                        bits = b.or_(bits, b.shl(value, code.single(j)))
                    k = len(self.columns) + word
                    b.store(bits, code.at(rows, b.add(to, code.single(k * self.width))))
        b.ret_void()
        return code.function

    def _length(self, code: Code, block: Any) -> Any:
        """Return the length of a block's first segment, its longest."""
        lane = code.builder.mul(block, code.single(self.width))
        first, end = (code.load_single(self._array(code, name), lane, I64) for name in LAYOUT[1:])
        return code.builder.sub(end, first)

    def _over_blocks(self, name: str, pack: ir.Function, body: Any) -> None:
        """Write a function that goes through the blocks, in rows that are packed or to be packed."""
        code = self._function(name)
        b, table = code.builder, code.function.args[0]
        scratch = b.and_(
            b.add(self._number(code, "scratch"), code.single(ALIGNMENT - 1)), code.single(-ALIGNMENT & (2**64 - 1))
        )
        rows, offset = self._number(code, "rows"), self._array(code, "offset")
        packed = b.icmp_signed("!=", rows, code.single(0))
        first, end = self._number(code, "first_block"), self._number(code, "end_block")
        with code.loop(first, end) as block:
            if body is None:
                here = self._rows(code, rows, offset, block)
                b.call(pack, [table, block, here])
            else:
                with b.if_then(b.not_(packed), likely=False):
                    b.call(pack, [table, block, b.inttoptr(scratch, POINTER)])
                with b.if_else(packed) as (then, otherwise):
                    with then:
                        one, one_block = self._rows(code, rows, offset, block), b.block
                    with otherwise:
                        other, other_block = b.inttoptr(scratch, POINTER), b.block
                here = b.phi(POINTER)
                here.add_incoming(one, one_block)
                here.add_incoming(other, other_block)
                body(code, block, here, scratch)
        b.ret_void()

    def _rows(self, code: Code, rows: Any, offset: Any, block: Any) -> Any:
        b = code.builder
        place = b.mul(code.load_single(offset, block, I64), code.single(8 * self.n_columns * self.width))
        return b.inttoptr(b.add(rows, place), POINTER)

    def _collect(self) -> None:
        """Write the function that adds up the results of each subject's segments."""
        code = self._function("collect")
        b, width = code.builder, code.single(self.width)
        by_lane = self._array(code, "by_lane")
        subject, first, end = (self._array(code, name) for name in LAYOUT)
        inside = [o for o in self.outputs if o.outer == "subject"]
        arrays = {o.name: self._array(code, o.name) for o in inside}
        with code.loop(code.single(0), self._number(code, "n_lanes")) as n:
            i = code.load_single(subject, n, I64)
            exists = b.icmp_signed("<", code.load_single(first, n, I64), code.load_single(end, n, I64))
            block, lane = b.udiv(n, width), b.urem(n, width)
            with b.if_then(exists):
                for o in inside:
                    size = code.single(o.size)
                    with code.loop(code.single(0), size) as e:
                        row = b.add(
                            b.mul(block, code.single(self.by_lane)), b.add(code.single(self.lane_at[o.name]), e)
                        )
                        value = code.load_single(by_lane, b.add(b.mul(row, width), lane))
                        place = code.at(arrays[o.name], b.add(b.mul(i, size), e))
                        b.store(b.fadd(b.load(place, typ=F64), value), place)
        b.ret_void()

    # ----------------------------------------------------------------------------------------------- a block
    def _block(self, driver: Code, block: Any, rows: Any, scratch: Any) -> None:
        """Write what is done for one block."""
        function, width, d = driver.function, self.width, driver.builder
        self.rows, self.block = rows, block
        self.length = self._length(driver, block)
        longest = self._number(driver, "longest")

        def area(numbers_before: int, fixed: int = 0) -> Any:
            """Return the address in scratch after so many numbers a trial."""
            size = d.add(d.mul(longest, driver.single(8 * width * numbers_before)), driver.single(8 * width * fixed))
            return d.inttoptr(d.add(scratch, size), POINTER)

        n_slots = len(self.plan.slots)
        self.tape = area(self.n_columns)
        self.results = area(self.n_columns + n_slots)
        self.tables = area(self.n_columns + n_slots + len(self.by_trial))
        self.table_slopes = area(self.n_columns + n_slots + len(self.by_trial), self.table_rows)
        lane = [d.add(d.mul(block, driver.single(width)), driver.single(w)) for w in range(width)]
        layout = [[driver.load_single(self._array(driver, name), n, I64) for n in lane] for name in LAYOUT]
        self.subjects, firsts, ends = layout
        self.starts = [
            d.add(d.mul(i, self._number(driver, "n_trials")), first)
            for i, first in zip(self.subjects, firsts, strict=True)
        ]
        self.pointers = {name: self._array(driver, name) for name in self.addresses}
        self.by_segment = self._array(driver, "by_lane")
        if self.trace.variant.resumed:
            first = d.mul(block, driver.single(8 * width * self.by_lane))
            self.tables = d.inttoptr(d.add(self._number(driver, "by_lane"), first), POINTER)
        self.segment, self.backward = {}, False
        before = Code(function, width, "segment")
        d.branch(before.builder.block)
        self.before = self.code = before
        self._start()
        forward = self.code = Code(function, width, "forward")
        first_forward = forward.builder.block
        self._forward()
        if self.plan.backward:
            self.backward = True
            self._backward()
            self._to_parameters()
        self._hand_over(firsts, ends)
        before.builder.branch(first_forward)
        d.position_at_end(self.code.builder.block)

    def _hand_over(self, firsts: list[Any], ends: list[Any]) -> None:
        """Copy the results of all trials to where they belong."""
        code, b = self.code, self.code.builder
        if not self.by_trial:
            return
        found = [o for o in self.outputs if o.outer == "trial"]
        for w in range(self.width):
            with code.loop(code.single(0), b.sub(ends[w], firsts[w])) as t:
                for o in found:
                    with code.loop(code.single(0), code.single(o.size)) as e:
                        place = self._here(t, len(self.by_trial), self.by_trial.get((o.name, 0), 0))
                        value = code.load_single(
                            self.results, b.add(b.add(place, self._times_width(e)), code.single(w))
                        )
                        at = b.add(b.mul(b.add(self.starts[w], t), code.single(o.size)), e)
                        b.store(value, code.at(self.pointers[o.name], at))
