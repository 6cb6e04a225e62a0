"""The kernel: one loop over a subject's trials, printed as numba source from a model's step.

This is the one file of the library that is clever; here is what it does.

*Forward.*  Segments are taken one by one.  What depends on parameters alone is computed once before the loop over
trials.  States are variables, or, where they have many entries, tables: arrays of which a trial reads and writes the
entries that the data point to.  All reads of a trial come before its writes, so that an expression always means the
state before the trial.

*Backward.*  Reverse-mode differentiation by hand of the compiler: a second loop runs over the trials from last to first
and carries the derivative of the result with respect to each state.  It needs values of the forward loop.  Those that
are cheap are computed again; states, reads of tables and expensive operations are kept on a tape, a row a trial.  A
write to a table replaced an entry, so backward its derivative is taken out and goes to the value written; a read adds
to the entry's derivative.  Tables are never copied.  The derivative with respect to what depends on parameters alone
is added up over trials, and carried on to the parameters once a segment.

*Logarithms.*  A log likelihood is a sum of logarithms of probabilities, and a logarithm costs as much as all the rest.
So probabilities are multiplied, in `up` where logarithms are added and in `down` where they are subtracted, and the
logarithm is taken when a product leaves 1e-250..1e250, and at the end.

A kernel takes the parameters, (subject, ...) or (subject, trial, ...); the columns and masks, (subject, trial, ...);
and for each segment its subject, first trial and end.  What it returns is in `outputs`.  Simulations go trial by
trial: the kernels of `STEPS` take columns and masks of one trial, (subject, 1, ...), and states, (subject, entries).
"""

from functools import lru_cache
from typing import Any

from rlpymc.compiler.expressions import SEGMENT, Node, constant, is_constant
from rlpymc.compiler.plan import Block, Plan, factors, whole_parameter
from rlpymc.compiler.printer import Printer, adjoint_name, state_name, subscript
from rlpymc.compiler.signature import STEPS, Output, arguments, outputs, response_axis
from rlpymc.compiler.trace import Trace, per_trial


@lru_cache(maxsize=512)
def source(trace: Trace, mode: str, active: tuple[str, ...] = ()) -> str:
    """Return the numba source of a kernel.

    Parameters
    ----------
    trace : Trace
        The model's step.
    mode : str
        What it computes.  "value", "gradient": the log likelihood of each subject, without or with its gradient.
        "terms", "terms_pullback": that of each trial; the gradient of a weighted sum of it.  "arguments",
        "arguments_pullback": the same of the arguments of the responses' distributions.  "latents": states, signals
        and probabilities.  "start", "respond", "update": states before the first trial; arguments of the responses'
        distributions; states after a trial, in place.
    active : tuple of str
        Parameters with respect to which the gradient is wanted.
    """
    with trace.graph.copy().active():  # the text depends on nothing that was printed before
        return _Kernel(Plan(trace, mode, active)).text()


class _Kernel:
    """One kernel in the making."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.trace, self.mode, self.backward = plan, plan.trace, plan.mode, plan.backward
        self.print = Printer(self.trace, self._adjoint)
        self.responses, self.updates, self.slots, self.kept = plan.responses, plan.updates, plan.slots, plan.kept
        self.stored = set[int]()

    def _condition(self, block: Block) -> str:
        """Return where a block counts."""
        assert block.mask is not None
        name, r = block.mask
        return f"{name}[i, t{subscript(response_axis(self.trace), r) if name == 'scored' else ''}]"

    def _adjoint(self, what: str, *key: Any) -> str:
        """Return what stands for a derivative that is known, see `plan`."""
        match what:
            case "weight":
                return f"weight[i, t{subscript(response_axis(self.trace), key[0])}]"
            case "argument":
                return f"w_{key[0]}[i, t{subscript(self.trace.arguments[key[0]].shape, key[1])}]"
            case "after":
                return f"e_{key[0]}_{key[1]}"
            case "write":
                return f"b{key[1]}_{key[0]}"
            case "sum":
                return f"a{key[0]}"
            case "table":
                return f"d_{key[0]}.sum()"
        name, k = key
        return f"d_{name}[{k}]" if name in self.trace.tables else adjoint_name(name, k)

    # ---------------------------------------------------------------------------------------------- forward
    def _start(self) -> None:
        for name, nodes in self.trace.start.items():
            if name not in self.trace.tables:
                for k, node in enumerate(nodes):
                    self.print.line(f"{state_name(name, k)} = {self.print.number(node)}")
            elif (parameter := whole_parameter(nodes)) is not None:
                self.print.line(f"s_{name}[:] = {self._parameter_row('p', parameter)}.ravel()")
            elif all(n is nodes[0] for n in nodes):
                self.print.line(f"s_{name}[:] = {self.print.number(nodes[0])}")
            else:
                for k, node in enumerate(nodes):
                    self.print.line(f"s_{name}[{k}] = {self.print.number(node)}")

    def _parameter_row(self, prefix: str, name: str) -> str:
        return f"{prefix}_{name}[i, first[n]]" if name in self.trace.variant.by_trial else f"{prefix}_{name}[i]"

    def _forward(self) -> None:
        p = self.print
        self._start()
        if self.mode in ("value", "gradient"):
            p.line("rest, up, down = 0.0, 1.0, 1.0")
        with p.block("for t in range(first[n], end[n]):"):
            if self.mode == "latents":
                self._write_latents()
            for node in self._shared():
                p.text(node)
            self._keep()
            for block, term in zip(self.responses, self.trace.terms.values(), strict=False):
                if block.mask is None:
                    self._response(block, term)
                else:
                    with p.block(f"if {self._condition(block)}:"):
                        self._response(block, term)
            self._change_states()
        if self.mode in ("value", "gradient"):
            p.line("total[i] += rest + log(up) - log(down)")
        if self.mode == "latents":
            for name, shape in self.trace.shapes.items():
                for k in range(len(self.trace.start[name])):
                    p.line(f"final_{name}[i{subscript(shape, k)}] = {self._now(name, k)}")

    def _now(self, name: str, k: int) -> str:
        return f"s_{name}[{k}]" if name in self.trace.tables else state_name(name, k)

    def _shared(self) -> list[Node]:
        """Return what more than one block needs, and reads of tables that another block changes first."""
        blocks = self.plan.blocks
        by_number = {n.number: n for b in blocks for n in per_trial(b.roots)}
        shared = []
        for number in sorted(by_number):
            node, inside = by_number[number], [b for b in blocks if number in b.forward]
            changed = {name for b in self.updates if b is not inside[0] for name in b.update.states}
            early = node.op == "read" and node.arguments[0].value in changed
            if node.op not in ("input", "state", "table") and (len(inside) > 1 or early):
                shared.append(node)
        return shared

    def _keep(self) -> None:
        """Write to the tape what is known here and wanted later."""
        for number, node in self.kept.items():
            if number not in self.stored and (self.print.known(node) is not None or node.op == "state"):
                self.print.line(f"tape[t, {self.slots[number]}] = {self.print.number(node)}")
                self.stored.add(number)

    def _response(self, block: Block, term: Node) -> None:
        p = self.print
        if self.mode == "terms":
            p.line(f"{self._condition(block).replace('scored', 'terms')} = {p.number(term)}")
        elif self.mode in ("arguments", "respond"):
            place = "i, t" if self.mode == "arguments" else "i"
            for key, nodes in self.trace.arguments.items():
                for k, node in enumerate(nodes.reshape(-1)):
                    p.line(f"y_{key}[{place}{subscript(nodes.shape, k)}] = {p.number(node)}")
        elif self.mode in ("value", "gradient"):
            rest, up, down = factors(term)
            if not is_constant(rest, 0):
                p.line(f"rest += {p.text(rest)}")
            for product, sign, multiplied in (("up", "+", up), ("down", "-", down)):
                for factor in multiplied:
                    text = p.text(factor)
                    p.line(f"new = {product} * {text}")
                    p.line("if 1e-250 < new < 1e250:")
                    p.line(f"    {product} = new")
                    p.line("else:")
                    p.line(f"    rest {sign}= log({product}) + log({text})")
                    p.line(f"    {product} = 1.0")
        for node in block.kept:
            p.text(node)
        self._keep()

    def _change_states(self) -> None:
        p = self.print
        read_later = {n.value for b in self.updates[1:] for n in per_trial(b.roots) if n.op == "state"}
        late = [key for key in (self.updates[0].update.numbers if self.updates else ()) if key in read_later]
        for name, k in late:
            p.line(f"n_{name}_{k} = {state_name(name, k)}")
        for block in self.updates:
            with p.block(f"if {self._condition(block)}:"):
                for node in block.kept:
                    p.text(node)
                writes = [(s, p.index(at), p.number(value)) for s, at, value in block.update.writes]
                values = [p.number(node) for node in block.update.numbers.values()]
                self._keep()
                for s, at, value in writes:
                    p.line(f"s_{s}[{at}] = {value}")
                targets = [f"n_{s}_{k}" if (s, k) in late else state_name(s, k) for s, k in block.update.numbers]
                if targets:
                    p.line(f"{', '.join(targets)} = {', '.join(values)}")
        for name, k in late:
            p.line(f"{state_name(name, k)} = n_{name}_{k}")

    def _write_latents(self) -> None:
        p = self.print
        for name, shape in self.trace.shapes.items():
            for k in range(len(self.trace.start[name])):
                p.line(f"before_{name}[i, t{subscript(shape, k)}] = {self._now(name, k)}")
        for prefix, arrays in (("signal", self.trace.signals), ("probs", self.trace.probs)):
            for name, value in arrays.items():
                for k, node in enumerate(value.nodes.reshape(-1)):
                    p.line(f"{prefix}_{name}[i, t{subscript(value.shape, k)}] = {p.number(node)}")

    # --------------------------------------------------------------------------------------------- backward
    def _backward(self) -> None:
        p = self.print
        for name, k in self.plan.numbers:
            p.line(f"{adjoint_name(name, k)} = 0.0")
        for name in self.plan.live_tables:
            p.line(f"d_{name}[:] = 0.0")
        for j in range(len(self.plan.sums)):
            p.line(f"a{j} = 0.0")
        with p.block("for t in range(end[n] - 1, first[n] - 1, -1):"):
            changed = [key for b in self.updates for key in b.update.numbers if self.plan.is_live(key[0])]
            for name, k in changed:
                p.line(f"e_{name}_{k} = {adjoint_name(name, k)}")
                p.line(f"{adjoint_name(name, k)} = 0.0")
            for block in self.updates:
                self._backward_update(block)
            for block in self.responses:
                if block.slopes and block.mask is not None:
                    with p.block(f"if {self._condition(block)}:"):
                        self._add_slopes(block)
                else:
                    self._add_slopes(block)
        self._to_parameters()

    def _backward_update(self, block: Block) -> None:
        p, update = self.print, block.update
        changed = [key for key in update.numbers if self.plan.is_live(key[0])]
        writes = self.plan.live_writes(update)
        if not changed and not writes:
            return
        mask = block.name
        with p.block(f"if {self._condition(block)}:"):
            self._load(block)
            for j, name, position in reversed(writes):
                at = p.index(position)
                p.line(f"b{j}_{mask} = d_{name}[{at}]")
                p.line(f"d_{name}[{at}] = 0.0")
            self._add_slopes(block, loaded=True)
        if changed:
            with p.block("else:"):
                for name, k in changed:
                    p.line(f"{adjoint_name(name, k)} += e_{name}_{k}")

    def _load(self, block: Block) -> None:
        for node in block.kept:
            self.print.name(node, f"tape[t, {self.slots[node.number]}]")

    def _add_slopes(self, block: Block, loaded: bool = False) -> None:
        """Add what a block contributes to the derivatives of states, parameters and what depends on these alone."""
        p = self.print
        if not loaded:
            self._load(block)
        lines = []
        for leaf, g in block.slopes:
            value = p.number(g)
            if leaf.stage <= SEGMENT:
                lines.append(f"a{self.plan.sums.index(leaf)} += {value}")
            elif leaf.op == "state":
                lines.append(f"{adjoint_name(*leaf.value)} += {value}")
            elif leaf.op == "read":
                lines.append(f"d_{leaf.arguments[0].value}[{p.index(leaf.arguments[1])}] += {value}")
            elif leaf.op == "parameter_now":
                name, k = leaf.value
                lines.append(f"g_{name}[i, t{subscript(self.trace.parameter_shapes[name], k)}] += {value}")
        for line in lines:
            p.line(line)

    def _to_parameters(self) -> None:
        """Carry derivatives from what was computed once a segment to the parameters."""
        p = self.print
        slopes, whole = self.plan.start_slopes()
        for name, parameter in whole.items():
            shape = self.trace.parameter_shapes[parameter]
            p.line(f"{self._parameter_row('g', parameter)} += d_{name}.reshape({shape})")
        for leaf, g in slopes:
            p.line(f"g_{p.parameter(leaf)} += {p.number(g)}")

    # ---------------------------------------------------------------------------------------------- assembly
    def text(self) -> str:
        """Return the whole source."""
        if self.mode in STEPS:
            self._one_trial()
        else:
            self._forward()
        if self.backward:
            self._backward()
        out = outputs(self.trace, self.mode, self.plan.active)
        head = [f"def kernel({', '.join(arguments(self.trace, self.mode))}):", "    N, T = scored.shape[:2]"]
        size = {"subject": "(N,", "trial": "(N, T,"}
        for o in out:
            own = "".join(f" {k}," for k in o.own)
            head.append(f"    {o.name} = np.full({size[o.outer]}{own}), {o.start})")
        names = ", ".join(o.name for o in out)
        if self.mode != "start":
            head += self._range_check(out, names)
        if self.backward:
            head.append(f"    tape = np.empty((T, {max(1, len(self.slots))}))")
        for name in sorted(self.trace.tables) if self.mode not in ("respond", "update") else ():
            head.append(f"    s_{name} = np.empty({len(self.trace.start[name])})")
            if self.backward and self.plan.is_live(name):
                head.append(f"    d_{name} = np.empty({len(self.trace.start[name])})")
        head += self._loop()
        return "\n".join([*head, *self.print.before, *self.print.lines, f"    return {names}"]) + "\n"

    def _loop(self) -> list[str]:
        if self.mode in STEPS:
            return ["    for i in range(N):", "        t = 0"]
        return ["    for n in range(subject.size):", "        i = subject[n]"]

    def _one_trial(self) -> None:
        p = self.print
        if self.mode == "start":
            self._start()
        else:
            for name, nodes in self.trace.start.items():
                if name in self.trace.tables:
                    p.line(f"s_{name} = state_{name}[i]")
                else:
                    for k in range(len(nodes)):
                        p.line(f"{state_name(name, k)} = state_{name}[i, {k}]")
        if self.mode == "respond":
            self._response(self.responses[0], constant(0.0))
            return
        if self.mode == "update":
            for node in self._shared():
                p.text(node)
            self._change_states()
        for name, nodes in self.trace.start.items():
            if name in self.trace.tables and self.mode == "start":
                p.line(f"state_{name}[i] = s_{name}")
            elif name not in self.trace.tables:
                for k in range(len(nodes)):
                    p.line(f"state_{name}[i, {k}] = {state_name(name, k)}")

    def _range_check(self, out: list[Output], names: str) -> list[str]:
        """Return a first loop that lets nothing reach memory outside of a table: where an index would, all is NaN."""
        used = self.plan.indices()
        if not used:
            return []
        shapes = self.trace.column_shapes
        texts = [f"0 <= x_{name}[i, t{subscript(shapes[name], k)}] < {limit}" for name, k, limit in used]
        inside = " and ".join(texts)
        if self.mode in STEPS:  # called from Python alone, and so can raise
            return [
                *self._loop(),
                f"        if not ({inside}):",
                "            raise IndexError('an index is out of range')",
            ]
        return [
            "    inside = True",
            *self._loop(),
            "        for t in range(first[n], end[n]):",
            f"            inside &= {inside}",
            "    if not inside:",
            *(f"        {o.name}[:] = np.nan" for o in out),
            f"        return {names}",
        ]
