"""The oracle of kernels: one loop over a subject's trials after the other, printed as numba source from a plan.

It shares the trace and the plan with the kernels of lanes, which are held against it, and none of what makes these
fast: no lanes, no packed rows, no machine code of its own.  Forward, backward and logarithms are explained in
`rlpymc.compiler.lanes`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from rlpymc.compiler.expressions import SEGMENT, Node, is_constant
from rlpymc.compiler.plan import Block, Plan, factors, whole_parameter
from rlpymc.compiler.signature import Name, Output, arguments, outputs, response_axis
from rlpymc.compiler.trace import Trace, per_trial
from rlpymc.trials.segments import Segments
from tests.oracle.printer import Printer, adjoint_name, label, state_name, subscript

# What the compiler may do to arithmetic: no infinity or NaN is assumed away, since an impossible choice has one.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}


@lru_cache(maxsize=512)
def jit(source: str) -> Callable[..., Any]:
    """Return a printed kernel as a function, which numba compiles when it is first called."""
    names = "exp, log, log1p, expm1, sqrt, tanh, erf"
    space: dict[str, Any] = {}
    exec(compile(f"import numpy as np\nfrom math import {names}\n\n{source}", "<rlpymc kernel>", "exec"), space)
    return numba.njit(space["kernel"], **OPTIONS)


def layout(segments: Segments) -> list[np.ndarray]:
    """Return each segment's subject, first trial and end, as kernels take them."""
    first = segments.row[:, 0] % segments.place.shape[1]
    return [segments.subject.astype(np.int64), first.astype(np.int64), first + segments.exists.sum(axis=1)]


def named(found: Any, names: Sequence[Name]) -> dict[Name, np.ndarray]:
    """A kernel's results by name, from one array, a tuple of several, or nothing."""
    return dict(zip(names, (found,) if len(names) == 1 else found or (), strict=True))


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
        and probabilities.
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
        """Condition under which a block counts."""
        assert block.mask is not None
        name, r = block.mask
        return f"{name}[i, t{subscript(response_axis(self.trace), r) if name == 'scored' else ''}]"

    def _adjoint(self, what: str, *key: Any) -> str:
        """Text of a derivative that is known, see `plan`."""
        match what:
            case "weight":
                return f"weight[i, t{subscript(response_axis(self.trace), key[0])}]"
            case "argument":
                shape = self.trace.arguments[key[0]].shape
                return f"{label(Name('weight', *key[0]))}[i, t{subscript(shape, key[1])}]"
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
        if self.mode in ("latents", "states"):
            for name, shape in self.trace.shapes.items():
                for k in range(len(self.trace.start[name])):
                    p.line(f"final_{name}[i{subscript(shape, k)}] = {self._now(name, k)}")

    def _now(self, name: str, k: int) -> str:
        return f"s_{name}[{k}]" if name in self.trace.tables else state_name(name, k)

    def _shared(self) -> list[Node]:
        """Nodes that more than one block needs, and reads of tables that another block changes first."""
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
        elif self.mode == "arguments":
            for key, nodes in self.trace.arguments.items():
                for k, node in enumerate(nodes.reshape(-1)):
                    p.line(f"{label(Name('argument', *key))}[i, t{subscript(nodes.shape, k)}] = {p.number(node)}")
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
        self._forward()
        if self.backward:
            self._backward()
        out = outputs(self.trace, self.mode, self.plan.active)
        taken = ", ".join(label(name) for name in arguments(self.trace, self.mode))
        head = [f"def kernel({taken}):", "    N, T = scored.shape[:2]"]
        size = {"subject": "(N,", "segment": "(N,", "trial": "(N, T,"}
        for o in out:
            own = "".join(f" {k}," for k in o.own)
            head.append(f"    {label(o.name)} = np.zeros({size[o.outer]}{own}))")
        names = ", ".join(label(o.name) for o in out)
        head += self._range_check(out, names)
        if self.backward:
            head.append(f"    tape = np.empty((T, {max(1, len(self.slots))}))")
        for name in sorted(self.trace.tables):
            head.append(f"    s_{name} = np.empty({len(self.trace.start[name])})")
            if self.backward and self.plan.is_live(name):
                head.append(f"    d_{name} = np.empty({len(self.trace.start[name])})")
        head += self._loop()
        return "\n".join([*head, *self.print.before, *self.print.lines, f"    return {names}"]) + "\n"

    def _loop(self) -> list[str]:
        return ["    for n in range(subject.size):", "        i = subject[n]"]

    def _range_check(self, out: list[Output], names: str) -> list[str]:
        """Return a first loop that lets nothing reach memory outside of a table: where an index would, all is NaN."""
        used = self.plan.indices()
        if not used:
            return []
        shapes = self.trace.column_shapes
        texts = [f"0 <= x_{name}[i, t{subscript(shapes[name], k)}] < {limit}" for name, k, limit in used]
        inside = " and ".join(texts)
        return [
            "    inside = True",
            *self._loop(),
            "        for t in range(first[n], end[n]):",
            f"            inside &= {inside}",
            "    if not inside:",
            *(f"        {label(o.name)}[:] = np.nan" for o in out),
            f"        return {names}",
        ]
