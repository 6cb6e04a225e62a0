"""Writing expressions as statements of Python, each once, where it is first needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlpymc.compiler.expressions import TRIAL, Node
from rlpymc.compiler.signature import Name
from rlpymc.compiler.trace import Trace

INFIX = {
    "add": "({} + {})",
    "sub": "({} - {})",
    "mul": "({} * {})",
    "div": "({} / {})",
    "neg": "(-{})",
    "pow": "({} ** {})",
    "max": "({0} if {0} >= {1} else {1})",
    "where": "({1} if {0} else {2})",
    "stop": "{}",
    "sigmoid": "(1.0 / (1.0 + exp(-{})))",
    "lt": "({} < {})",
    "le": "({} <= {})",
    "eq": "({} == {})",
    "ne": "({} != {})",
    "and": "({} and {})",
    "or": "({} or {})",
    "not": "(not {})",
}


class Printer:
    """Writes expressions as statements, each once, where it is first needed."""

    def __init__(self, trace: Trace, adjoint: Callable[..., str]) -> None:
        self._trace, self._adjoint = trace, adjoint
        self.lines: list[str] = []
        self.before: list[str] = []  # what depends on parameters alone, computed before the loop over trials
        self._depth, self._count = 2, 0
        self._names: list[dict[int, str]] = [{}, {}]  # by scope; the first is that of `before`

    def line(self, text: str) -> None:
        """Write a statement."""
        self.lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, header: str) -> Iterator[None]:
        """Write statements under a header; what is named inside is unknown after it."""
        self.line(header)
        self._depth += 1
        self._names.append({})
        length = len(self.lines)
        yield
        if len(self.lines) == length:
            self.line("pass")
        self._names.pop()
        self._depth -= 1

    def known(self, node: Node) -> str | None:
        """Return the name of a node that was computed, if it was."""
        return next((names[node.number] for names in reversed(self._names) if node.number in names), None)

    def name(self, node: Node, text: str, inside: bool = True) -> str:
        """Write the computation of a node and return its name."""
        self._count += 1
        name = f"v{self._count}"
        if inside:
            self.line(f"{name} = {text}")
            self._names[-1][node.number] = name
        else:
            self.before.append(f"        {name} = {text}")
            self._names[0][node.number] = name
        return name

    def text(self, node: Node) -> str:
        """Text of a node, after writing its computation if it is not there yet."""
        if node.op == "constant":
            return number_text(node.value)
        if node.op == "state":
            known = self.known(node)  # in the backward loop it stands on the tape
            return known if known is not None else state_name(*node.value)
        if node.op == "adjoint":
            return self._adjoint(*node.value)
        if (known := self.known(node)) is not None:
            return known
        return self.name(node, self._computation(node), inside=node.stage == TRIAL)

    def _computation(self, node: Node) -> str:
        match node.op:
            case "input":
                name, k, _ = node.value
                return f"x_{name}[i, t{subscript(self._trace.column_shapes[name], k)}]"
            case "parameter":
                return f"p_{self.parameter(node)}"
            case "parameter_now":
                name, k = node.value
                return f"p_{name}[i, t{subscript(self._trace.parameter_shapes[name], k)}]"
            case "read":
                return f"s_{node.arguments[0].value}[{self.index(node.arguments[1])}]"
        parts = [self.text(a) for a in node.arguments]
        return INFIX[node.op].format(*parts) if node.op in INFIX else f"{node.op}({parts[0]})"

    def parameter(self, node: Node) -> str:
        """Return the name and subscript of a parameter that a segment starts with."""
        name, k = node.value
        first = ", first[n]" if name in self._trace.variant.by_trial else ""
        return f"{name}[i{first}{subscript(self._trace.parameter_shapes[name], k)}]"

    def index(self, node: Node) -> str:
        """Text of a position."""
        return self.text(node) if node.kind == "i" else f"int({self.text(node)})"

    def number(self, node: Node) -> str:
        """Text of a node as a float."""
        text = self.text(node)
        return text if node.kind == "f" else f"float({text})"


SHORT = {"parameter": "p", "column": "x", "argument": "y", "slope": "g", "mask": "", "layout": ""}


def label(name: Name) -> str:
    """Return what an array is called in printed code."""
    return "_".join(part for part in (SHORT.get(name.what, name.what), name.of, name.argument) if part)


def number_text(value: Any) -> str:
    """Return a number as it is written in Python."""
    if isinstance(value, bool | int):
        return repr(value)
    return repr(value) if np.isfinite(value) else "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"


def state_name(name: str, k: int) -> str:
    """Return the variable that holds an entry of a state."""
    return f"s_{name}_{k}"


def adjoint_name(name: str, k: int) -> str:
    """Return the variable that holds the derivative of the result with respect to an entry of a state."""
    return f"d_{name}_{k}"


def subscript(shape: tuple[int, ...], k: int) -> str:
    """Return the subscripts of an entry along its own axes, after those of subject and trial."""
    return "".join(f", {j}" for j in np.unravel_index(k, shape)) if shape else ""
