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

from dataclasses import dataclass
from functools import lru_cache

from rlpymc.likelihood.expressions import SEGMENT, TRIAL, Node, ancestors, constant, is_constant, make, pullback, raw
from rlpymc.likelihood.interface import STEPS, Output, arguments, outputs, response_axis
from rlpymc.likelihood.printer import Printer, adjoint_name, state_name, subscript
from rlpymc.likelihood.trace import Trace, Update, per_trial

_EXPENSIVE = {"exp", "log", "log1p", "expm1", "sqrt", "tanh", "sigmoid", "erf", "pow", "div", "read"}


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
    with trace.graph.active():
        return _Kernel(trace, mode, active).text()


def _factors(term: Node) -> tuple[Node, list[Node], list[Node]]:
    """Split a log probability into a rest, and what logarithms are added and subtracted of."""
    rest = constant(0.0)
    up: list[Node] = []
    down: list[Node] = []

    def go(node: Node, sign: int) -> None:
        nonlocal rest
        match node.op:
            case "add":
                go(node.arguments[0], sign)
                go(node.arguments[1], sign)
            case "sub":
                go(node.arguments[0], sign)
                go(node.arguments[1], -sign)
            case "neg":
                go(node.arguments[0], -sign)
            case "log":
                (up if sign > 0 else down).append(node.arguments[0])
            case _:
                rest = make("add" if sign > 0 else "sub", rest, node)

    go(term, 1)
    return rest, up, down


@dataclass
class _Block:
    """What is computed on a trial under one mask: a response's term, or an update."""

    condition: str
    roots: list[Node]
    slopes: list[tuple[Node, Node]]  # leaves and the derivatives that the block adds to theirs
    kept: list[Node]  # forward values that the backward loop needs
    update: Update | None = None

    def __post_init__(self) -> None:
        self.forward = {n.number for n in per_trial(self.roots)}


class _Kernel:
    """One kernel in the making."""

    def __init__(self, trace: Trace, mode: str, active: tuple[str, ...]) -> None:
        self.trace, self.mode, self.active = trace, mode, active
        self.backward = mode in ("gradient", "terms_pullback", "arguments_pullback")
        self.live = trace.depends(active)
        self.print = Printer(trace)
        self.responses = self._response_blocks() if mode not in ("start", "update", "latents") else []
        self.updates = self._update_blocks()
        self.blocks = [*self.responses, *self.updates]
        kept = {n.number: n for b in self.blocks for n in b.kept}
        self.slots = {number: k for k, number in enumerate(sorted(kept))}
        self.kept, self.stored = kept, set[int]()
        self.sums: dict[int, tuple[str, Node]] = {}  # of derivatives, by what is computed once a segment

    # ----------------------------------------------------------------------------------------------- blocks
    def _response_blocks(self) -> list[_Block]:
        blocks = []
        if self.mode in ("arguments", "arguments_pullback", "respond"):
            roots, seeds = [], []
            for key, nodes in self.trace.arguments.items():
                for k, node in enumerate(nodes.reshape(-1)):
                    roots.append(node)
                    seeds.append((node, raw("adjoint", value=f"w_{key}[i, t{subscript(nodes.shape, k)}]")))
            return [self._block("", roots, seeds)]
        for r, term in enumerate(self.trace.terms.values()):
            place = f"[i, t{subscript(response_axis(self.trace), r)}]"
            weight = raw("adjoint", value=f"weight{place}") if self.mode == "terms_pullback" else constant(1.0)
            blocks.append(self._block(f"scored{place}", [term], [(term, weight)]))
        return blocks

    def _update_blocks(self) -> list[_Block]:
        blocks = []
        for mask, update in self.trace.updates.items():
            seeds = [
                (n, raw("adjoint", value=f"e_{s}_{k}")) for (s, k), n in update.numbers.items() if self._is_live(s)
            ]
            seeds += [
                (value, raw("adjoint", value=f"b{j}_{mask}"))
                for j, (s, _, value) in enumerate(update.writes)
                if self._is_live(s)
            ]
            if update.nodes:
                blocks.append(self._block(f"{mask}[i, t]", update.nodes, seeds, update))
        return blocks

    def _is_live(self, state: str) -> bool:
        return state in self.live.states

    def _block(
        self, condition: str, roots: list[Node], seeds: list[tuple[Node, Node]], update: Update | None = None
    ) -> _Block:
        slopes = pullback(seeds, self.live, SEGMENT) if self.backward else []
        block = _Block(condition, roots, slopes, [], update)
        wanted = [g for _, g in slopes] + [n.arguments[1] for n, _ in slopes if n.op == "read"]
        if update is not None and self.backward:
            wanted += [position for s, position, _ in update.writes if self._is_live(s)]
        found: dict[int, Node] = {}

        def go(node: Node) -> None:
            if node.stage < TRIAL or node.op in ("input", "adjoint", "parameter_now", "constant"):
                return
            if node.number in block.forward and (node.op == "state" or node.op in _EXPENSIVE):
                found[node.number] = node
            else:
                for a in node.arguments:
                    go(a)

        for node in wanted:
            go(node)
        block.kept = list(found.values())
        return block

    # ---------------------------------------------------------------------------------------------- forward
    def _start(self) -> None:
        for name, nodes in self.trace.start.items():
            if name not in self.trace.tables:
                for k, node in enumerate(nodes):
                    self.print.line(f"{state_name(name, k)} = {self.print.number(node)}")
            elif (parameter := _whole_parameter(nodes)) is not None:
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
                if not block.condition:
                    self._response(block, term)
                else:
                    with p.block(f"if {block.condition}:"):
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
        blocks = self.updates if self.mode == "latents" else self.blocks
        by_number = {n.number: n for b in blocks for n in per_trial(b.roots)}
        shared = []
        for number in sorted(by_number):
            node, inside = by_number[number], [b for b in blocks if number in b.forward]
            changed = {name for b in self.updates if b is not inside[0] and b.update for name in b.update.states}
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

    def _response(self, block: _Block, term: Node) -> None:
        p = self.print
        if self.mode == "terms":
            p.line(f"{block.condition.replace('scored', 'terms')} = {p.number(term)}")
        elif self.mode in ("arguments", "respond"):
            place = "i, t" if self.mode == "arguments" else "i"
            for key, nodes in self.trace.arguments.items():
                for k, node in enumerate(nodes.reshape(-1)):
                    p.line(f"y_{key}[{place}{subscript(nodes.shape, k)}] = {p.number(node)}")
        elif self.mode in ("value", "gradient"):
            rest, up, down = _factors(term)
            if not is_constant(rest, 0):
                p.line(f"rest += {p.text(rest)}")
            for product, sign, factors in (("up", "+", up), ("down", "-", down)):
                for factor in factors:
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
        late = [key for key in (self.updates[0].update.numbers if self.updates else ()) if key in read_later]  # type: ignore[union-attr]
        for name, k in late:
            p.line(f"n_{name}_{k} = {state_name(name, k)}")
        for block in self.updates:
            with p.block(f"if {block.condition}:"):
                assert block.update is not None
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
    def _numbers(self) -> list[tuple[str, int]]:
        """Return the states held in variables that carry derivatives."""
        held = [name for name in self.trace.start if name not in self.trace.tables and self._is_live(name)]
        return [(name, k) for name in held for k in range(len(self.trace.start[name]))]

    def _backward(self) -> None:
        p = self.print
        for name, k in self._numbers():
            p.line(f"{adjoint_name(name, k)} = 0.0")
        for name in self._live_tables():
            p.line(f"d_{name}[:] = 0.0")
        for block in self.blocks:
            for leaf, _ in block.slopes:
                if leaf.stage <= SEGMENT and leaf.number not in self.sums:
                    self.sums[leaf.number] = (f"a{len(self.sums)}", leaf)
        for total, _ in self.sums.values():
            p.line(f"{total} = 0.0")
        with p.block("for t in range(end[n] - 1, first[n] - 1, -1):"):
            changed = [key for b in self.updates if b.update for key in b.update.numbers if self._is_live(key[0])]
            for name, k in changed:
                p.line(f"e_{name}_{k} = {adjoint_name(name, k)}")
                p.line(f"{adjoint_name(name, k)} = 0.0")
            for block in self.updates:
                self._backward_update(block)
            for block in self.responses:
                if block.slopes and block.condition:
                    with p.block(f"if {block.condition}:"):
                        self._add_slopes(block)
                else:
                    self._add_slopes(block)
        self._to_parameters()

    def _live_tables(self) -> list[str]:
        return [name for name in self.trace.start if name in self.trace.tables and self._is_live(name)]

    def _backward_update(self, block: _Block) -> None:
        p, update = self.print, block.update
        assert update is not None
        changed = [key for key in update.numbers if self._is_live(key[0])]
        writes = [(j, *w) for j, w in enumerate(update.writes) if self._is_live(w[0])]
        if not changed and not writes:
            return
        mask = block.condition.partition("[")[0]
        with p.block(f"if {block.condition}:"):
            self._load(block)
            for j, name, position, _ in reversed(writes):
                at = p.index(position)
                p.line(f"b{j}_{mask} = d_{name}[{at}]")
                p.line(f"d_{name}[{at}] = 0.0")
            self._add_slopes(block, loaded=True)
        if changed:
            with p.block("else:"):
                for name, k in changed:
                    p.line(f"{adjoint_name(name, k)} += e_{name}_{k}")

    def _load(self, block: _Block) -> None:
        for node in block.kept:
            self.print.name(node, f"tape[t, {self.slots[node.number]}]")

    def _add_slopes(self, block: _Block, loaded: bool = False) -> None:
        """Add what a block contributes to the derivatives of states, parameters and what depends on these alone."""
        p = self.print
        if not loaded:
            self._load(block)
        lines = []
        for leaf, g in block.slopes:
            value = p.number(g)
            if leaf.stage <= SEGMENT:
                lines.append(f"{self.sums[leaf.number][0]} += {value}")
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
        seeds = [(node, raw("adjoint", value=total)) for total, node in self.sums.values()]
        for name, nodes in self.trace.start.items():
            if not self._is_live(name):
                continue
            if name not in self.trace.tables:
                seeds += [(node, raw("adjoint", value=adjoint_name(name, k))) for k, node in enumerate(nodes)]
            elif (parameter := _whole_parameter(nodes)) is not None:
                if parameter in self.active:
                    shape = self.trace.parameter_shapes[parameter]
                    p.line(f"{self._parameter_row('g', parameter)} += d_{name}.reshape({shape})")
            elif all(n is nodes[0] for n in nodes):
                seeds.append((nodes[0], raw("adjoint", value=f"d_{name}.sum()")))
            else:
                seeds += [(node, raw("adjoint", value=f"d_{name}[{k}]")) for k, node in enumerate(nodes)]
        for leaf, g in pullback(seeds, self.live, 0):
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
        out = outputs(self.trace, self.mode, self.active)
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
            if self.backward and self._is_live(name):
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
        shown = [n for v in (*self.trace.signals.values(), *self.trace.probs.values()) for n in v.nodes.flat]
        positions = [
            n.arguments[1] for n in ancestors([*shown, *(n for b in self.blocks for n in b.roots)]) if n.op == "read"
        ]
        positions += [at for update in self.trace.updates.values() for _, at, _ in update.writes]
        used = {n.value for n in ancestors(positions) if n.op == "input" and n.value[2] is not None}
        if not used:
            return []
        shapes = self.trace.column_shapes
        texts = [f"0 <= x_{name}[i, t{subscript(shapes[name], k)}] < {limit}" for name, k, limit in sorted(used)]
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


def _whole_parameter(nodes: list[Node]) -> str | None:
    """Return the parameter whose entries, in order, these are."""
    if all(n.op == "parameter" and n.value == (nodes[0].value[0], k) for k, n in enumerate(nodes)):
        return str(nodes[0].value[0])
    return None
