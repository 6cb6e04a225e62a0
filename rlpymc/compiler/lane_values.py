"""What a kernel of several lanes reads and computes: rows of data, expressions, tables; see `lanes`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from rlpymc.compiler.expressions import SEGMENT, TRIAL, Node, ancestors
from rlpymc.compiler.plan import Block, Plan
from rlpymc.compiler.signature import WEIGHT, Name, arguments, outputs, response_axis, weights
from rlpymc.compiler.vector import Code
from rlpymc.compiler.writer import Steps, Writer


@dataclass(frozen=True)
class Column:
    """What a trial's row holds in each lane: an entry of an array (subject, trial, size)."""

    array: Name
    entry: int
    size: int
    limit: int | None = None


class LaneValues(Writer):
    """The values of one kernel in the making.

    Attributes
    ----------
    before : Code
        Where what is the same on all trials is computed, before the loops over them.
    backward : bool
        Whether the way back is being written.
    t, block, length
        The trial and the block at hand, and the trials of its longest segment.
    rows, tape, results, tables, table_slopes
        Addresses of packed data, of what is kept for the way back, of results by trial, of tables and of their
        derivatives.
    subjects, starts
        Of each lane: its subject, and the place of its first trial in arrays (subject, trial).
    pointers, by_segment
        Addresses of arrays, and of the results by segment.
    states : dict
        Variables of the states' entries.
    """

    before: Code
    backward: bool
    t: Any
    block: Any
    length: Any
    rows: Any
    tape: Any
    results: Any
    tables: Any
    table_slopes: Any
    subjects: list[Any]
    starts: list[Any]
    pointers: dict[Name, Any]
    by_segment: Any
    states: dict[tuple[str, int], Any]

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
            for k, key in enumerate((o.name, e) for o in self.outputs if o.outer == "trial" for e in range(o.size))
        }
        resumed = trace.variant.resumed
        inside = outputs(trace, "states", ()) if resumed else [o for o in self.outputs if o.outer != "trial"]
        starts = np.cumsum([0, *(o.size + (o.name.of in trace.tables) for o in inside)]).tolist()
        self.by_lane, self.lane_at = starts[-1], dict(zip((o.name for o in inside), starts, strict=False))
        if resumed:  # tables stay where the states are kept
            self.table_at = {name: self.lane_at[Name("final", name)] for name in sizes}

    # ----------------------------------------------------------------------------------------------- columns
    def _find_columns(self) -> None:
        """Settle what of the data goes into rows: columns that the kernel reads, and a word of masks."""
        trace, plan = self.trace, self.plan
        nodes = ancestors(
            [n for b in plan.blocks for n in b.roots]
            + [n for b in plan.blocks for pair in b.slopes for n in pair]
            + [at for b in plan.blocks for _, at, _ in b.update.writes]
            + plan.shown
        )
        limits = set(plan.indices())
        found: dict[Any, Column] = {}
        masks = dict.fromkeys(b.mask for b in plan.blocks if b.mask is not None)
        n_responses = int(np.prod(response_axis(trace)))
        self.flags = [Column(Name("mask", mask), k, n_responses if mask == "scored" else 1) for mask, k in masks]
        sizes = {w.name: w.size for w in weights(trace, plan.mode)}
        for n in nodes:
            if n.op == "input":
                name, k, _ = n.value
                column = Column(Name("column", name), k, int(np.prod(trace.column_shapes[name])))
                if n.kind == "b":
                    self.flags.append(column)
                else:
                    limit = n.value[2] if n.value in limits else None
                    found[n.number] = Column(column.array, k, column.size, limit)
            elif n.op == "parameter_now":
                name, k = n.value
                found[n.number] = Column(Name("parameter", name), k, int(np.prod(trace.parameter_shapes[name])))
            elif n.op == "adjoint" and n.value[0] == "weight":
                found[n.number] = Column(WEIGHT, n.value[1], sizes[WEIGHT])
            elif n.op == "adjoint" and n.value[0] == "argument":
                weight = Name("weight", *n.value[1])
                found[n.number] = Column(weight, n.value[2], sizes[weight])
        self.kinds = {n.number: n.kind for n in nodes if n.number in found}
        self.columns = found
        self.column_at = {number: k for k, number in enumerate(found)}
        self.flag_words = -(-len(self.flags) // 62)
        self.n_columns = len(found) + self.flag_words

    # ------------------------------------------------------------------------------------------- expressions
    def known(self, n: Node) -> dict[Any, Any]:
        """Memory that keeps a node's value: the segment's, or that of the trial at hand."""
        return self.segment if n.stage <= SEGMENT else self.now

    def compute(self, n: Node) -> Steps:
        """Write the computation of a node, before the loop over trials where it is the same on all."""
        code = self.code
        if n.stage <= SEGMENT:
            self.code = self.before
        value = yield from super().compute(n)
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
                return self._flag(Name("column", n.value[0]), n.value[1])
            case "parameter":
                name, k = n.value
                size = int(np.prod(self.trace.parameter_shapes[name]))
                return self._of_lanes(name, size, k, name in self.trace.variant.by_trial)
            case "given":
                name, k = n.value
                return self.code.load(self.by_segment, self._times_width(self._row(Name("final", name), k)))
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

    def _times_width(self, k: Any) -> Any:
        return self.code.builder.mul(k, self.code.single(self.width))

    def _row(self, name: Name, entry: Any) -> Any:
        """Return the row of an entry of a segment's results."""
        b, single = self.code.builder, self.code.single
        entry = single(entry) if isinstance(entry, int) else entry
        return b.add(b.mul(self.block, single(self.by_lane)), b.add(single(self.lane_at[name]), entry))

    def _on_tape(self, n: Node) -> Any:
        return self._here(self.t, len(self.plan.slots), self.plan.slots[n.number])

    def _column(self, k: int, kind: str) -> Any:
        return self.code.load(self.rows, self._here(self.t, self.n_columns, k), kind)

    def _flag(self, array: Name, entry: int) -> Any:
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
        """Condition under which a block counts."""
        if block.mask is None:
            return None
        key = ("mask", block.mask)
        if key not in self.now:
            name, entry = block.mask
            self.now[key] = self._flag(Name("mask", name), entry)
        return self.now[key]

    def _unless(self, mask: Any, value: Any, otherwise: float = 0.0) -> Any:
        """Return a value where a mask is true, and a number elsewhere."""
        return value if mask is None else self.code.select(mask, value, self.code.constant(otherwise))

    def _of_lanes(self, parameter: str, size: int, entry: Any, by_trial: bool) -> Any:
        """Return an entry of a parameter in each lane; `entry` is a number, or a counter."""
        code = self.code
        b = code.builder
        entry = code.single(entry) if isinstance(entry, int) else entry
        places = (b.add(b.mul(row, code.single(size)), entry) for row in (self.starts if by_trial else self.subjects))
        array = self.pointers[Name("parameter", parameter)]
        return code.gather([code.load_single(array, place) for place in places])

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
