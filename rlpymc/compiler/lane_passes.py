"""The way forward over a block's trials, the way back, and the results; see `lanes`."""

from typing import Any

from rlpymc.compiler.expressions import SEGMENT, Node
from rlpymc.compiler.lane_values import LaneValues
from rlpymc.compiler.plan import Block, factors, whole_parameter
from rlpymc.compiler.signature import TERMS, TOTAL, Name
from rlpymc.compiler.vector import F64, Code


class LanePasses(LaneValues):
    """The loops over trials of one kernel in the making."""

    # ----------------------------------------------------------------------------------------------- forward
    def _start(self) -> None:
        """Set the states to what they are before the first trial."""
        self.states = {}
        for name, nodes in self.trace.start.items():
            code, size = self.code, len(nodes)
            if name not in self.trace.tables:
                for k, node in enumerate(nodes):
                    self.states[name, k] = code.variable()
                    code.set(self.states[name, k], self.value(node, "f"))
                continue
            if self.trace.variant.resumed:  # it is there
                code.store(code.constant(0.0), self.tables, self._place(name, size))
                continue
            parameter = whole_parameter(nodes)
            if parameter is not None or all(n is nodes[0] for n in nodes):
                one = None if parameter else self.value(nodes[0], "f")
                code = self.code
                with code.loop(code.single(0), code.single(size)) as e:
                    by_trial = parameter in self.trace.variant.by_trial
                    value = one if parameter is None else self._of_lanes(parameter, size, e, by_trial)
                    code.store(value, self.tables, code.builder.add(self._place(name, 0), self._times_width(e)))
            else:
                for k, node in enumerate(nodes):
                    code.store(self.value(node, "f"), self.tables, self._place(name, k))
            code.store(code.constant(0.0), self.tables, self._place(name, size))

    def _forward(self) -> None:
        code, plan = self.code, self.plan
        total = plan.mode in ("value", "gradient")
        if total:
            self.rest, self.up, self.down = (self.before.variable() for _ in range(3))
            for place, value in ((self.rest, 0.0), (self.up, 1.0), (self.down, 1.0)):
                code.set(place, code.constant(value))
        with code.loop(code.single(0), self.length) as self.t:
            self.now = {}
            if plan.mode == "latents":
                self._show()
            for block, (r, term) in zip(plan.responses, enumerate(self.trace.terms.values()), strict=False):
                if total:
                    self._add_term(block, term)
                elif plan.mode == "terms":
                    self._result(TERMS, r, self._unless(self._mask(block), self.value(term, "f")))
            if plan.mode == "arguments":
                for key, nodes in self.trace.arguments.items():
                    for k, node in enumerate(nodes.reshape(-1)):
                        self._result(Name("argument", *key), k, self.value(node, "f"))
            for node in plan.kept.values():
                code.store(self.value(node, "f"), self.tape, self._on_tape(node))
            self._change_states()
        if total:
            value = code.add(code.get(self.rest), code.called("log", Code.log, code.get(self.up)))
            value = code.sub(value, code.called("log", Code.log, code.get(self.down)))
            self._of_segment(TOTAL, code.single(0), value)
        if plan.mode in ("latents", "states"):
            self._finals()

    def _show(self) -> None:
        """Write the state before the trial at hand, its signals and probabilities."""
        code, trace = self.code, self.trace
        for name, nodes in trace.start.items():
            if name in trace.tables:
                first = self.by_trial[Name("before", name), 0]
                with code.loop(code.single(0), code.single(len(nodes))) as e:
                    value = code.load(self.tables, code.builder.add(self._place(name, 0), self._times_width(e)))
                    place = code.builder.add(self._here(self.t, len(self.by_trial), first), self._times_width(e))
                    code.store(value, self.results, place)
            else:
                for k in range(len(nodes)):
                    self._result(Name("before", name), k, code.get(self.states[name, k]))
        shown = {Name("signal", k): v for k, v in trace.signals.items()}
        shown |= {Name("probs", k): v for k, v in trace.probs.items()}
        for output, value in shown.items():
            for k, node in enumerate(value.nodes.reshape(-1)):
                self._result(output, k, self.value(node, "f"))

    def _finals(self) -> None:
        """Write the state after a segment's last trial."""
        code = self.code
        for name, nodes in self.trace.start.items():
            if name in self.trace.tables and not self.trace.variant.resumed:
                with code.loop(code.single(0), code.single(len(nodes))) as e:
                    value = code.load(self.tables, code.builder.add(self._place(name, 0), self._times_width(e)))
                    self._of_segment(Name("final", name), e, value)
            elif name not in self.trace.tables:
                for k in range(len(nodes)):
                    self._of_segment(Name("final", name), code.single(k), code.get(self.states[name, k]))

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
            by_trial: dict[tuple[Name, int], Any] = {}
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
                key = (Name("slope", leaf.value[0]), leaf.value[1])
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
        for o in (o for o in self.outputs if o.name.what == "slope"):
            name = o.name.of
            for k in range(o.size):
                value = found.get((name, k), code.constant(0.0))
                if name in of_tables:
                    value = code.add(value, code.load(self.table_slopes, self._place(of_tables[name], k)))
                if o.outer == "subject":
                    self._of_segment(o.name, code.single(k), value)
                else:  # a segment starts from the parameters of its first trial
                    place = code.single(self.by_trial[o.name, k] * self.width)
                    code.store(code.add(code.load(self.results, place), value), self.results, place)

    # ----------------------------------------------------------------------------------------------- results
    def _result(self, name: Name, entry: int, value: Any) -> None:
        """Write a result of the trial at hand."""
        self.code.store(value, self.results, self._here(self.t, len(self.by_trial), self.by_trial[name, entry]))

    def _of_segment(self, name: Name, entry: Any, value: Any) -> None:
        """Write a result of the segment."""
        self.code.store(value, self.by_segment, self._times_width(self._row(name, entry)))
