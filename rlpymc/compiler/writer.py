"""Writing expressions as vector code, each once, where it is first needed."""

from typing import Any

import numpy as np

from rlpymc.compiler.expressions import LEAVES, Node, ancestors
from rlpymc.compiler.vector import Code


class Writer:
    """Writes expressions.

    Attributes
    ----------
    code : Code
        Where to.
    """

    code: Code

    def known(self, n: Node) -> dict[int, Any]:
        """Memory that keeps a node's value once it is computed."""
        raise NotImplementedError

    def leaf(self, n: Node) -> Any:
        """Return the value of a leaf, or None for an operation to be written."""
        raise NotImplementedError

    def value(self, n: Node, kind: str | None = None) -> Any:
        """Return a node as a vector, of its own kind or another, computed where it was not yet."""
        if n.op == "constant":
            return self.code.constant(n.value, kind or n.kind)
        known = self.known(n)
        if n.number not in known:
            known[n.number] = self.compute(n)
        return self.code.convert(known[n.number], n.kind, kind or n.kind)

    def compute(self, n: Node) -> Any:
        """Write the computation of a node."""
        value = self.leaf(n)
        if value is not None:
            return value
        assert n.op not in LEAVES, n
        code, a = self.code, n.arguments
        match n.op:
            case "where":
                condition = self.value(a[0], "b")
                return code.select(condition, self.value(a[1], n.kind), self.value(a[2], n.kind))
            case "stop":
                return self.value(a[0], n.kind)
            case "and" | "or":
                return getattr(code.builder, f"{n.op}_")(*(self.value(x) for x in a))
            case "not":
                return code.builder.not_(self.value(a[0]))
            case "lt" | "le" | "eq" | "ne":
                kind = a[0].kind if a[0].kind == a[1].kind else "f"
                sign = {"lt": "<", "le": "<=", "eq": "==", "ne": "!="}[n.op]
                return code.compare(sign, self.value(a[0], kind), self.value(a[1], kind), kind)
        values = [self.value(x, n.kind) for x in a]
        if n.op == "max":
            return code.select(code.compare(">=", values[0], values[1], n.kind), *values)
        if n.kind == "i":
            return getattr(code.builder, n.op)(*values)
        if n.op in ("pow", "sqrt", "abs"):
            return code.intrinsic({"abs": "fabs"}.get(n.op, n.op), *values)
        if n.op == "exp":  # options that are not on offer have a logit of minus infinity
            return code.exp(values[0], any(v.op == "constant" and v.value == -np.inf for v in ancestors(a)))
        return getattr(code, n.op)(*values)
