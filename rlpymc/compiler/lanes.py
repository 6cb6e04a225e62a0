"""Kernels that take several segments side by side, one in each lane of the machine's vectors.

This and `kernel` are the two clever files; `kernel` explains the way forward and back over the trials, the tape, and
why probabilities are multiplied.  What differs here:

*Blocks.*  Segments are sorted by length, and as many as there are lanes make a block.  A block's trials are first
copied into rows, (trial, column, lane), so that what the lanes need stands side by side; data that are used many times
are packed once.  After a segment's end its last trial is repeated, with all masks false and all weights 0.

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

import numpy as np
from llvmlite import ir

from rlpymc.compiler.expressions import SEGMENT, TRIAL, Node, ancestors
from rlpymc.compiler.plan import Block, Plan, factors, whole_parameter
from rlpymc.compiler.signature import Output, arguments, outputs, response_axis, weights
from rlpymc.compiler.trace import Trace
from rlpymc.compiler.vector import F64, I64, POINTER, Code
from rlpymc.compiler.writer import Writer

MODES = ("value", "gradient", "terms", "terms_pullback", "arguments", "arguments_pullback")
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
    addresses: tuple[str, ...]
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


@dataclass(frozen=True)
class _Column:
    """What a trial's row holds in each lane: an entry of an array (subject, trial, size)."""

    array: str
    entry: int
    size: int
    limit: int | None = None


class _Lanes(Writer):
    """One kernel in the making."""

    def __init__(self, plan: Plan, width: int, module: ir.Module, prefix: str) -> None:
        self.plan, self.trace, self.width, self.module, self.prefix = plan, plan.trace, width, module, prefix
        trace, mode = plan.trace, plan.mode
        self.outputs = outputs(trace, mode, plan.active)
        self.addresses = [*arguments(trace, mode), *(o.name for o in self.outputs)]
        self.segment: dict[Any, Any] = {}  # values computed once a segment, and on the trial at hand
        self.now: dict[Any, Any] = {}
        self.adjoints: dict[Any, Any] = {}
        self._find_columns()
        sizes = {name: len(trace.start[name]) + 1 for name in sorted(trace.tables)}
        self.table_rows = sum(sizes.values())
        self.table_at = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
        self.by_trial = {  # places in the rows of results by trial
            key: k
            for k, key in enumerate(
                (o.name, e) for o in self.outputs if o.outer == "trial" for e in range(int(np.prod(o.own)))
            )
        }
        inside = [o for o in self.outputs if o.outer == "subject"]
        starts = np.cumsum([0, *(int(np.prod(o.own)) for o in inside)]).tolist()
        self.by_lane, self.lane_at = starts[-1], dict(zip((o.name for o in inside), starts, strict=False))

    # ----------------------------------------------------------------------------------------------- columns
    def _find_columns(self) -> None:
        """Settle what of the data goes into rows: columns that the kernel reads, and a word of masks."""
        trace, plan = self.trace, self.plan
        nodes = ancestors(
            [n for b in plan.blocks for n in b.roots]
            + [n for b in plan.blocks for pair in b.slopes for n in pair]
            + [at for b in plan.blocks for _, at, _ in b.update.writes]
        )
        limits = set(plan.indices())
        found: dict[Any, _Column] = {}
        sizes = {"scored": int(np.prod(response_axis(trace)))}
        masks = dict.fromkeys(b.mask for b in plan.blocks if b.mask is not None)
        self.flags = [_Column(mask, k, sizes.get(mask, 1)) for mask, k in masks]
        sizes = {w.name: int(np.prod(w.own)) for w in weights(trace, plan.mode)}
        for n in nodes:
            if n.op == "input":
                name, k, _ = n.value
                column = _Column(f"x_{name}", k, int(np.prod(trace.column_shapes[name])))
                if n.kind == "b":
                    self.flags.append(column)
                else:
                    limit = n.value[2] if n.value in limits else None
                    found[n.number] = _Column(column.array, k, column.size, limit)
            elif n.op == "parameter_now":
                name, k = n.value
                found[n.number] = _Column(f"p_{name}", k, int(np.prod(trace.parameter_shapes[name])))
            elif n.op == "adjoint" and n.value[0] == "weight":
                found[n.number] = _Column("weight", n.value[1], sizes["weight"])
            elif n.op == "adjoint" and n.value[0] == "argument":
                found[n.number] = _Column(f"w_{n.value[1]}", n.value[2], sizes[f"w_{n.value[1]}"])
        self.kinds = {n.number: n.kind for n in nodes if n.number in found}
        self.columns = found
        self.column_at = {number: k for k, number in enumerate(found)}
        self.flag_words = -(-len(self.flags) // 62)
        self.n_columns = len(found) + self.flag_words

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
            tuple(self.addresses),
            tuple(self.outputs),
        )

    def _function(self, name: str, *more: Any) -> Code:
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER, *more]), self.prefix + name)
        return Code(function, self.width, "entry")

    def _number(self, code: Code, name: str) -> Any:
        """Return a whole number of the kernel's list."""
        place = HEAD.index(name) if name in HEAD else len(HEAD) + self.addresses.index(name)
        return code.load_single(code.function.args[0], code.single(place), I64)

    def _array(self, code: Code, name: str) -> Any:
        return code.builder.inttoptr(self._number(code, name), POINTER)

    def _pack(self) -> ir.Function:
        """Write the function that copies a block's trials into rows."""
        code = self._function("pack_block", I64, POINTER)
        _, block, rows = code.function.args
        code.function.linkage = "private"
        b, width = code.builder, code.single(self.width)
        arrays = {c.array: self._array(code, c.array) for c in (*self.columns.values(), *self.flags)}
        layout = [self._array(code, name) for name in ("subject", "first", "end")]
        n_trials, wrong = self._number(code, "n_trials"), self._array(code, "wrong")
        first_lane = b.mul(block, width)
        longest = self._length(code, block)
        stride = code.single(self.n_columns * self.width)

        def item(column: _Column, at: Any, kind: Any) -> Any:
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
                    if column.array.startswith("w"):  # a weight
                        value = b.select(exists, value, ir.Constant(F64, 0.0))
                    b.store(value, code.at(rows, b.add(to, code.single(k * self.width))))
                for word in range(self.flag_words):
                    bits: Any = code.single(0)
                    for j, flag in enumerate(self.flags[62 * word : 62 * word + 62]):
                        value = b.zext(item(flag, at, BYTE), I64)
                        if not flag.array.startswith("x_"):
                            value = b.select(exists, value, code.single(0))
                        bits = b.or_(bits, b.shl(value, code.single(j)))
                    k = len(self.columns) + word
                    b.store(bits, code.at(rows, b.add(to, code.single(k * self.width))))
        b.ret_void()
        return code.function

    def _length(self, code: Code, block: Any) -> Any:
        """Return the length of a block's first segment, its longest."""
        lane = code.builder.mul(block, code.single(self.width))
        first, end = (code.load_single(self._array(code, name), lane, I64) for name in ("first", "end"))
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
        by_lane, subject, first, end = (self._array(code, k) for k in ("by_lane", "subject", "first", "end"))
        inside = [o for o in self.outputs if o.outer == "subject"]
        arrays = {o.name: self._array(code, o.name) for o in inside}
        with code.loop(code.single(0), self._number(code, "n_lanes")) as n:
            i = code.load_single(subject, n, I64)
            exists = b.icmp_signed("<", code.load_single(first, n, I64), code.load_single(end, n, I64))
            block, lane = b.udiv(n, width), b.urem(n, width)
            with b.if_then(exists):
                for o in inside:
                    size = code.single(int(np.prod(o.own)))
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
        names = ("subject", "first", "end")
        layout = {name: [driver.load_single(self._array(driver, name), n, I64) for n in lane] for name in names}
        self.subjects, self.firsts = layout["subject"], layout["first"]
        self.starts = [
            d.add(d.mul(i, self._number(driver, "n_trials")), first)
            for i, first in zip(self.subjects, self.firsts, strict=True)
        ]
        self.pointers = {name: self._array(driver, name) for name in (*self.addresses, "by_lane")}
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
        self._hand_over(layout)
        before.builder.branch(first_forward)
        d.position_at_end(self.code.builder.block)

    # ------------------------------------------------------------------------------------------- expressions
    def known(self, n: Node) -> dict[Any, Any]:
        """Return where the value of a node is kept: for the segment, or for the trial at hand."""
        return self.segment if n.stage <= SEGMENT else self.now

    def compute(self, n: Node) -> Any:
        """Write the computation of a node, before the loop over trials where it is the same on all."""
        code = self.code
        if n.stage <= SEGMENT:
            self.code = self.before
        value = super().compute(n)
        self.code = code
        return value

    def leaf(self, n: Node) -> Any:
        """Return the value of a leaf, or what the way forward left on the tape."""
        if self.backward and n.number in self.plan.slots and n.stage == TRIAL:
            return self.code.load(self.tape, self._on_tape(n))
        if n.number in self.columns:
            return self._column(self.column_at[n.number], self.kinds[n.number])
        match n.op:
            case "input":
                return self._flag(f"x_{n.value[0]}", n.value[1])
            case "parameter":
                name, k = n.value
                size = int(np.prod(self.trace.parameter_shapes[name]))
                return self._of_lanes(f"p_{name}", size, k, name in self.trace.variant.by_trial)
            case "state":
                return self.code.get(self.states[n.value])
            case "adjoint":
                return self.adjoints[n.value]
            case "read":
                return self._read(self.tables, n.arguments[0].value, n.arguments[1], None)
        return None

    def _here(self, t: Any, per_trial: int, k: int) -> Any:
        """Return the place of the k-th of so many vectors that a trial has."""
        b = self.code.builder
        return b.add(b.mul(t, self.code.single(per_trial * self.width)), self.code.single(k * self.width))

    def _on_tape(self, n: Node) -> Any:
        return self._here(self.t, len(self.plan.slots), self.plan.slots[n.number])

    def _column(self, k: int, kind: str) -> Any:
        return self.code.load(self.rows, self._here(self.t, self.n_columns, k), kind)

    def _flag(self, array: str, entry: int) -> Any:
        """Return a mask, or a column that is true or false."""
        place = next(j for j, f in enumerate(self.flags) if (f.array, f.entry) == (array, entry))
        word, bit = divmod(place, 62)
        key = ("flags", word)
        if key not in self.now:
            self.now[key] = self._column(len(self.columns) + word, "i")
        code = self.code
        return code.compare(
            "!=",
            code.builder.and_(self.now[key], code.constant(2**bit, "i")),
            code.constant(0, "i"),
            "i",
        )

    def _mask(self, block: Block) -> Any:
        """Return where a block counts."""
        if block.mask is None:
            return None
        key = ("mask", block.mask)
        if key not in self.now:
            self.now[key] = self._flag(*block.mask)
        return self.now[key]

    def _unless(self, mask: Any, value: Any, otherwise: float = 0.0) -> Any:
        """Return a value where a mask is true, and a number elsewhere."""
        return value if mask is None else self.code.select(mask, value, self.code.constant(otherwise))

    def _of_lanes(self, array: str, size: int, entry: Any, by_trial: bool) -> Any:
        """Return an entry of a parameter in each lane; `entry` is a number, or a counter."""
        code = self.code
        b = code.builder
        entry = code.single(entry) if isinstance(entry, int) else entry
        places = (b.add(b.mul(row, code.single(size)), entry) for row in (self.starts if by_trial else self.subjects))
        return code.gather([code.load_single(self.pointers[array], place) for place in places])

    # ------------------------------------------------------------------------------------------------ tables
    def _place(self, table: str, entry: int) -> Any:
        return self.code.single((self.table_at[table] + entry) * self.width)

    def _position(self, table: str, at: Node, mask: Any) -> list[Any]:
        """Return each lane's place in the tables' memory; where the mask is false, that of the further entry."""
        code, b = self.code, self.code.builder
        index = self.value(at, "i")
        if mask is not None:
            index = code.select(mask, index, code.constant(len(self.trace.start[table]), "i"))
        scaled = b.mul(index, code.constant(self.width, "i"))
        lanes = ir.Constant(code.types["i"], [self.table_at[table] * self.width + w for w in range(self.width)])
        places = b.add(scaled, lanes)
        return [code.lane(places, w) for w in range(self.width)]

    def _read(self, memory: Any, table: str, at: Node, mask: Any) -> Any:
        """Return an entry of a table."""
        code = self.code
        if at.op == "constant":
            return code.load(memory, self._place(table, int(at.value)))
        return code.gather([code.load_single(memory, k) for k in self._position(table, at, mask)])

    def _write(self, memory: Any, table: str, at: Node, mask: Any, value: Any) -> None:
        """Write an entry of a table where the mask is true."""
        code = self.code
        if at.op == "constant":
            place = self._place(table, int(at.value))
            code.store(value if mask is None else code.select(mask, value, code.load(memory, place)), memory, place)
            return
        for w, k in enumerate(self._position(table, at, mask)):
            code.builder.store(code.lane(value, w), code.at(memory, k))

    # ----------------------------------------------------------------------------------------------- forward
    def _start(self) -> None:
        """Set the states to what they are before the first trial."""
        self.states: dict[tuple[str, int], Any] = {}
        for name, nodes in self.trace.start.items():
            code, size = self.code, len(nodes)
            if name not in self.trace.tables:
                for k, node in enumerate(nodes):
                    self.states[name, k] = code.variable()
                    code.set(self.states[name, k], self.value(node, "f"))
                continue
            parameter = whole_parameter(nodes)
            if parameter is not None or all(n is nodes[0] for n in nodes):
                one = None if parameter else self.value(nodes[0], "f")
                code = self.code
                with code.loop(code.single(0), code.single(size)) as e:
                    by_trial = parameter in self.trace.variant.by_trial
                    value = one if parameter is None else self._of_lanes(f"p_{parameter}", size, e, by_trial)
                    code.store(value, self.tables, code.builder.add(self._place(name, 0), self._times_width(e)))
            else:
                for k, node in enumerate(nodes):
                    code.store(self.value(node, "f"), self.tables, self._place(name, k))
            code.store(code.constant(0.0), self.tables, self._place(name, size))

    def _times_width(self, k: Any) -> Any:
        return self.code.builder.mul(k, self.code.single(self.width))

    def _forward(self) -> None:
        code, plan = self.code, self.plan
        total = plan.mode in ("value", "gradient")
        if total:
            self.rest, self.up, self.down = (self.before.variable() for _ in range(3))
            for place, value in ((self.rest, 0.0), (self.up, 1.0), (self.down, 1.0)):
                code.set(place, code.constant(value))
        with code.loop(code.single(0), self.length) as self.t:
            self.now = {}
            for block, (r, term) in zip(plan.responses, enumerate(self.trace.terms.values()), strict=False):
                if total:
                    self._add_term(block, term)
                elif plan.mode == "terms":
                    self._result("terms", r, self._unless(self._mask(block), self.value(term, "f")))
            if plan.mode == "arguments":
                for key, nodes in self.trace.arguments.items():
                    for k, node in enumerate(nodes.reshape(-1)):
                        self._result(f"y_{key}", k, self.value(node, "f"))
            for node in plan.kept.values():
                code.store(self.value(node, "f"), self.tape, self._on_tape(node))
            self._change_states()
        if total:
            value = code.add(code.get(self.rest), code.called("log", Code.log, code.get(self.up)))
            value = code.sub(value, code.called("log", Code.log, code.get(self.down)))
            self._of_segment("total", code.single(0), value)

    def _add_term(self, block: Block, term: Node) -> None:
        code, mask = self.code, self._mask(block)
        rest, up, down = factors(term)
        if not (rest.op == "constant" and rest.value == 0):
            code.set(self.rest, code.add(code.get(self.rest), self._unless(mask, self.value(rest, "f"))))
        for place, nodes, change in ((self.up, up, code.add), (self.down, down, code.sub)):
            for node in nodes:
                self._multiply(place, self._unless(mask, self.value(node, "f"), 1.0), change)

    def _multiply(self, place: Any, factor: Any, change: Any) -> None:
        """Multiply a product of probabilities; where it leaves the safe range, turn it into its logarithm."""
        code, b = self.code, self.code.builder
        product = code.get(place)
        new = code.mul(product, factor)
        low, high = code.constant(1e-250), code.constant(1e250)
        safe = b.and_(code.compare(">", new, low), code.compare("<", new, high))
        code.set(place, new)
        with b.if_then(b.not_(code.everywhere(safe)), likely=False):
            logs = code.add(code.called("log", Code.log, product), code.called("log", Code.log, factor))
            rest = code.get(self.rest)
            code.set(self.rest, code.select(safe, rest, change(rest, logs)))
            code.set(place, code.select(safe, new, code.constant(1.0)))

    def _change_states(self) -> None:
        """Write the new states: all that they are made of was read before."""
        updates = [(b.update, self._mask(b)) for b in self.plan.updates]
        new = []
        for update, mask in updates:
            for key, node in update.numbers.items():
                old = self.code.get(self.states[key])
                value = self.value(node, "f")
                new.append((self.states[key], value if mask is None else self.code.select(mask, value, old)))
        writes = [
            (table, at, mask, self.value(value, "f"))
            for update, mask in updates
            for table, at, value in update.writes
            if self.value(at, "i") is not None  # positions, too, are from before
        ]
        for place, value in new:
            self.code.set(place, value)
        for write in writes:
            self._write(self.tables, *write)

    # ---------------------------------------------------------------------------------------------- backward
    def _backward(self) -> None:
        plan, code = self.plan, self.code
        self.slopes = {key: code.variable() for key in plan.numbers}
        self.sums = [code.variable() for _ in plan.sums]
        for place in (*self.slopes.values(), *self.sums):
            code.set(place, code.constant(0.0))
        if plan.live_tables:
            with code.loop(code.single(0), code.single(self.table_rows)) as e:
                code.store(code.constant(0.0), self.table_slopes, self._times_width(e))
        with code.loop(code.single(0), self.length, backward=True) as self.t:
            self.now = {}
            after = {key: code.get(place) for key, place in self.slopes.items()}
            self.adjoints = {("after", *key): value for key, value in after.items()}
            before = dict(after)
            for block in plan.updates:
                for key in block.update.numbers:
                    if key in after:  # replaced where the update took place
                        mask, zero = self._mask(block), code.constant(0.0)
                        before[key] = zero if mask is None else code.select(mask, zero, after[key])
            for block in reversed(plan.updates):
                self._take_writes(block)
            by_trial: dict[tuple[str, int], Any] = {}
            for block in plan.blocks:
                self._add_slopes(block, before, by_trial)
            for key, place in self.slopes.items():
                code.set(place, before[key])
            for name, k in self.by_trial:
                self._result(name, k, by_trial.get((name, k), code.constant(0.0)))

    def _take_writes(self, block: Block) -> None:
        """Take the derivatives of what an update wrote to tables out of the tables."""
        code, mask = self.code, self._mask(block)
        for j, table, at in reversed(self.plan.live_writes(block.update)):
            value = self._read(self.table_slopes, table, at, mask)
            self.adjoints["write", block.name, j] = self._unless(mask, value)
            self._write(self.table_slopes, table, at, mask, code.constant(0.0))

    def _add_slopes(self, block: Block, before: dict[Any, Any], by_trial: dict[Any, Any]) -> None:
        """Add what a block contributes to the derivatives of states, parameters and what depends on these alone."""
        code, mask = self.code, self._mask(block)
        values = [(leaf, self._unless(mask, self.value(g, "f"))) for leaf, g in block.slopes]
        for leaf, value in values:
            if leaf.stage <= SEGMENT:
                place = self.sums[self.plan.sums.index(leaf)]
                code.set(place, code.add(code.get(place), value))
            elif leaf.op == "state":
                before[leaf.value] = code.add(before[leaf.value], value)
            elif leaf.op == "read":
                self._add_to_table(leaf.arguments[0].value, leaf.arguments[1], mask, value)
            elif leaf.op == "parameter_now":
                key = (f"g_{leaf.value[0]}", leaf.value[1])
                by_trial[key] = code.add(by_trial[key], value) if key in by_trial else value

    def _add_to_table(self, table: str, at: Node, mask: Any, value: Any) -> None:
        code, b = self.code, self.code.builder
        if at.op == "constant":
            place = self._place(table, int(at.value))
            code.store(code.add(code.load(self.table_slopes, place), value), self.table_slopes, place)
            return
        for w, k in enumerate(self._position(table, at, mask)):
            place = code.at(self.table_slopes, k)
            b.store(b.fadd(b.load(place, typ=F64), code.lane(value, w)), place)

    def _to_parameters(self) -> None:
        """Carry derivatives from what was computed once a segment to the parameters."""
        plan, code = self.plan, self.code
        self.now = {}
        slopes, whole = plan.start_slopes()
        self.adjoints = {("sum", j): code.get(place) for j, place in enumerate(self.sums)}
        self.adjoints |= {("start", *key): code.get(place) for key, place in self.slopes.items()}
        for name in plan.live_tables:
            size = len(self.trace.start[name])
            total = code.variable()
            code.set(total, code.constant(0.0))
            with code.loop(code.single(0), code.single(size)) as e:
                row = code.load(self.table_slopes, code.builder.add(self._place(name, 0), self._times_width(e)))
                code.set(total, code.add(code.get(total), row))
            self.adjoints["table", name] = code.get(total)
            if all(n is self.trace.start[name][0] for n in self.trace.start[name]):
                continue
            for k in range(0 if name in whole else size):
                self.adjoints["start", name, k] = code.load(self.table_slopes, self._place(name, k))
        found: dict[tuple[str, int], Any] = {leaf.value: self.value(g, "f") for leaf, g in slopes}
        of_tables = {parameter: name for name, parameter in whole.items()}
        for o in (o for o in self.outputs if o.name.startswith("g_")):
            name = o.name.removeprefix("g_")
            for k in range(int(np.prod(o.own))):
                value = found.get((name, k), code.constant(0.0))
                if name in of_tables:
                    value = code.add(value, code.load(self.table_slopes, self._place(of_tables[name], k)))
                if o.outer == "subject":
                    self._of_segment(o.name, code.single(k), value)
                else:  # a segment starts from the parameters of its first trial
                    place = code.single(self.by_trial[o.name, k] * self.width)
                    code.store(code.add(code.load(self.results, place), value), self.results, place)

    # ----------------------------------------------------------------------------------------------- results
    def _result(self, name: str, entry: int, value: Any) -> None:
        """Write a result of the trial at hand."""
        self.code.store(value, self.results, self._here(self.t, len(self.by_trial), self.by_trial[name, entry]))

    def _of_segment(self, name: str, entry: Any, value: Any) -> None:
        """Write a result of the segment."""
        code, b = self.code, self.code.builder
        row = b.add(b.mul(self.block, code.single(self.by_lane)), b.add(code.single(self.lane_at[name]), entry))
        code.store(value, self.pointers["by_lane"], self._times_width(row))

    def _hand_over(self, layout: dict[str, list[Any]]) -> None:
        """Copy the results of all trials to where they belong."""
        code, b = self.code, self.code.builder
        if not self.by_trial:
            return
        sizes = {o.name: int(np.prod(o.own)) for o in self.outputs}
        for w in range(self.width):
            length = b.sub(layout["end"][w], layout["first"][w])
            with code.loop(code.single(0), length) as t:
                for (name, entry), k in self.by_trial.items():
                    value = code.load_single(self.results, b.add(self._here(t, len(self.by_trial), k), code.single(w)))
                    at = b.add(b.mul(b.add(self.starts[w], t), code.single(sizes[name])), code.single(entry))
                    b.store(value, code.at(self.pointers[name], at))
