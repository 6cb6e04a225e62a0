"""Writing expressions as vector code, each once, where it is first needed."""

from collections.abc import Generator
from functools import partial
from typing import Any

from rlpymc.compiler.expressions import LEAVES, Node
from rlpymc.compiler.vector import Code

FUNCTIONS = {"exp", "log", "log1p", "expm1", "tanh", "sigmoid", "erf"}
# So many of these are written where they are needed, and further ones called: the numbers are the same, up to a tenth
# later, but with 200 options the kernel compiles in half the time.
INLINE = 64
type Steps = Generator[tuple[Node, str], Any, Any]  # yields nodes and kinds, gets vectors, returns one


class Writer:
    """Writes expressions.

    Attributes
    ----------
    code : Code
        Where to.
    functions : int
        How many of `FUNCTIONS` were written.
    """

    code: Code
    functions = 0

    def known(self, n: Node) -> dict[int, Any]:
        """Memory that keeps a node's value once it is computed."""
        raise NotImplementedError

    def leaf(self, n: Node) -> Any:
        """Return the value of a leaf, or None for an operation to be written."""
        raise NotImplementedError

    def value(self, n: Node, kind: str | None = None) -> Any:
        """Return a node as a vector, of its own kind or another, computed where it was not yet."""
        value, waiting = None, [self._value(n, kind)]  # instead of calls within calls: a step may be deep
        while waiting:
            try:
                waiting.append(self._value(*waiting[-1].send(value)))
                value = None
            except StopIteration as end:
                waiting.pop()
                value = end.value
        return value

    def _value(self, n: Node, kind: str | None) -> Steps:
        if n.op == "constant":
            return self.code.constant(n.value, kind or n.kind)
        known = self.known(n)
        if n.number not in known:
            known[n.number] = yield from self.compute(n)
        return self.code.convert(known[n.number], n.kind, kind or n.kind)

    def compute(self, n: Node) -> Steps:
        """Write the computation of a node; what it needs the values of, and of which kind, is yielded."""
        value = self.leaf(n)
        if value is not None:
            return value
        assert n.op not in LEAVES, n
        code, a = self.code, n.arguments
        match n.op:
            case "where":
                condition = yield a[0], "b"
                first = yield a[1], n.kind
                return code.select(condition, first, (yield a[2], n.kind))
            case "lt" | "le" | "eq" | "ne":
                kind = a[0].kind if a[0].kind == a[1].kind else "f"
                sign = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}[n.op]
                first = yield a[0], kind
                return code.compare(sign, first, (yield a[1], kind), kind)
        values = []
        for x in a:
            values.append((yield x, n.kind))
        match n.op:
            case "stop":
                return values[0]
            case "and" | "or":
                return getattr(code.builder, f"{n.op}_")(*values)
            case "not":
                return code.builder.not_(values[0])
            case "max":
                return code.select(code.compare(">=", values[0], values[1], n.kind), *values)
        if n.kind == "i":
            return getattr(code.builder, n.op)(*values)
        if n.op in ("pow", "sqrt", "abs"):
            return code.intrinsic({"abs": "fabs"}.get(n.op, n.op), *values)
        write, name = getattr(Code, n.op), f"any_{n.op}"
        if n.op == "exp" and a[0].reaches_minus_infinity:  # options that are not on offer have such a logit
            write, name = partial(Code.exp, often_minus_infinity=True), "exp_often_0"
        if n.op in FUNCTIONS:
            self.functions += 1
            if self.functions > INLINE:
                return code.called(name, write, values[0])
        return write(code, *values)
