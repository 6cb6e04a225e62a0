"""Scalar expressions: each is built once, simplified as it is built, and can be differentiated.

A model's step, traced on symbols, is a graph of such nodes.  Nodes of one `Graph` are shared: the same operation on
the same arguments is the same object, so common subexpressions are found for free, and a node's number is larger than
those of its arguments, so that sorting by number is an order in which to compute.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np

CONSTANT, SEGMENT, TRIAL = 0, 1, 2  # how often a node has to be computed

# Leaves, with how often their value changes.  "set" is a write to a table, and no number.
LEAVES = {
    "parameter": SEGMENT,  # (name, entry)
    "given": SEGMENT,  # (name, entry) of a state before the first trial that was left by an earlier one
    "parameter_now": TRIAL,  # (name, entry) of a parameter that varies by trial
    "input": TRIAL,  # (name, entry, limit): a column; an index is below its limit
    "state": TRIAL,  # (name, entry)
    "table": TRIAL,  # name: all entries of a state that is held in memory
    "adjoint": TRIAL,  # text: the derivative of the result with respect to something computed before
}
KIND = Literal["f", "i", "b"]
COMPARISONS = {"lt", "le", "eq", "ne", "and", "or", "not"}


class Unsupported(Exception):
    """A model's step holds what cannot be traced."""


class ModelError(ValueError):
    """A model's step does what would be wrong numbers, however it is computed."""


class Node:
    """One operation on other nodes, or a leaf."""

    __slots__ = ("arguments", "kind", "number", "op", "reaches_minus_infinity", "stage", "value")

    def __init__(self, op: str, arguments: tuple["Node", ...], value: Any, kind: KIND, number: int) -> None:
        self.op, self.arguments, self.value, self.kind, self.number = op, arguments, value, kind, number
        if op == "read":
            self.stage = TRIAL
        else:
            self.stage = LEAVES.get(op, max((a.stage for a in arguments), default=CONSTANT))
        itself = op == "constant" and value == -math.inf
        self.reaches_minus_infinity: bool = itself or any(a.reaches_minus_infinity for a in arguments)

    def __repr__(self) -> str:
        inside = ", ".join(f"#{a.number}" for a in self.arguments) if self.arguments else repr(self.value)
        return f"#{self.number} {self.op}({inside})"  # without what its arguments are made of: a step may be deep


class Graph:
    """The nodes of one trace."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}

    def copy(self) -> "Graph":
        """Return a graph with the same nodes, to which others can be added."""
        other = Graph()
        other._nodes = dict(self._nodes)
        return other

    @property
    def content(self) -> list[Any]:
        """All nodes in order, by their operations, arguments and values."""
        return [*self._nodes]

    @contextmanager
    def active(self) -> Iterator["Graph"]:
        """Within this context new nodes belong to this graph."""
        token = _graph.set(self)
        try:
            yield self
        finally:
            _graph.reset(token)

    def node(self, op: str, arguments: tuple[Node, ...], value: Any, kind: KIND) -> Node:
        """Return the node of an operation, the one there is if it was built before."""
        key = (op, tuple(a.number for a in arguments), type(value), repr(value))  # True, 1 and 1.0 are equal in Python
        if key not in self._nodes:
            self._nodes[key] = Node(op, arguments, value, kind, len(self._nodes))
        return self._nodes[key]


_graph: ContextVar[Graph] = ContextVar("graph")


def raw(op: str, *arguments: Node, value: Any = None, kind: KIND = "f") -> Node:
    """Return a node as it is, without simplification."""
    return _graph.get().node(op, arguments, value, kind)


def constant(value: Any) -> Node:
    """Return the node of a number."""
    value = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return raw("constant", value=value, kind="b" if isinstance(value, bool) else "i" if isinstance(value, int) else "f")


def is_constant(node: Node, value: Any = None) -> bool:
    """True if a node is a number, or this number."""
    return node.op == "constant" and (value is None or node.value == value)


_COMPUTE: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
    "max": lambda a, b: a if a >= b else b,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "abs": abs,
    "tanh": math.tanh,
    "erf": math.erf,
}


def make(op: str, *a: Node) -> Node:
    """Return the node of an operation, simplified: constants are computed, zeros and ones fall away."""
    if op in ("and", "or", "not") and any(n.kind != "b" for n in a):
        raise Unsupported("a step uses &, | or ~ on numbers, where true and false are needed")
    if op in ("add", "sub", "mul") and all(n.kind == "b" for n in a):
        raise Unsupported("a step adds or multiplies what is true or false; write where(condition, 1.0, 0.0)")
    if op == "pow" and a[0].kind == "i" and is_constant(a[1]) and a[1].kind == "i" and a[1].value < 0:
        raise Unsupported("a step takes a negative power of whole numbers; write 1.0 * x")
    if op not in ("and", "or", "not", "eq", "ne", "where") and any(n.kind == "b" for n in a):
        a = tuple(make("where", n, constant(1.0), constant(0.0)) if n.kind == "b" else n for n in a)
    if op in _COMPUTE and all(n.op == "constant" for n in a):
        try:
            return constant(_COMPUTE[op](*(n.value for n in a)))
        except (ValueError, ZeroDivisionError, OverflowError):
            pass  # log(0) and its like are left to the kernel
    if op in _SIMPLIFY and (simpler := _SIMPLIFY[op](*a)) is not None:
        return simpler
    if op == "where" and a[0].kind != "b":
        a = (make("ne", a[0], constant(0)), *a[1:])
    if op in ("add", "mul") and a[0].number > a[1].number:
        a = a[::-1]
    kind: KIND = "f"
    if op in COMPARISONS:
        kind = "b"
    elif op in ("add", "sub", "mul", "neg", "max") and all(n.kind == "i" for n in a):
        kind = "i"
    elif op == "where" and a[1].kind == a[2].kind:
        kind = a[1].kind
    return raw(op, *a, kind=kind)


def _add(a: Node, b: Node) -> Node | None:
    if is_constant(a, 0):
        return b
    if is_constant(b, 0):
        return a
    if b.op == "neg":
        return make("sub", a, b.arguments[0])
    if a.op == "neg":
        return make("sub", b, a.arguments[0])
    return None


def _sub(a: Node, b: Node) -> Node | None:
    if is_constant(b, 0):
        return a
    if is_constant(a, 0):
        return make("neg", b)
    if b.op == "neg":
        return make("add", a, b.arguments[0])
    return None


def _mul(a: Node, b: Node) -> Node | None:
    for one, other in ((a, b), (b, a)):
        if is_constant(one, 0):
            return constant(0.0)
        if is_constant(one, 1):
            return other
        if is_constant(one, -1):
            return make("neg", other)
        if one.op == "neg":
            return make("neg", make("mul", one.arguments[0], other))
    return None


def _div(a: Node, b: Node) -> Node | None:
    return a if is_constant(b, 1) else constant(0.0) if is_constant(a, 0) else None


def _neg(a: Node) -> Node | None:
    return a.arguments[0] if a.op == "neg" else None


def _pow(a: Node, b: Node) -> Node | None:
    if not is_constant(b):
        return None
    match b.value:
        case 0:
            return constant(1.0)
        case 1:
            return a
        case 2:
            return make("mul", a, a)
        case -1:
            return make("div", constant(1.0), a)
    return None


def _where(condition: Node, a: Node, b: Node) -> Node | None:
    if is_constant(condition):
        return a if condition.value else b
    return a if a is b else None


def _and(a: Node, b: Node) -> Node | None:
    for one, other in ((a, b), (b, a)):
        if is_constant(one):
            return other if one.value else constant(False)
    return None


def _or(a: Node, b: Node) -> Node | None:
    for one, other in ((a, b), (b, a)):
        if is_constant(one):
            return constant(True) if one.value else other
    return None


_SIMPLIFY: dict[str, Callable[..., Node | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow": _pow,
    "where": _where,
    "and": _and,
    "or": _or,
}


# ---------------------------------------------------------------------------------------------- derivatives
def _zero_unless(condition: Node, g: Node) -> Node:
    return make("where", condition, g, constant(0.0))


def _zero_if(condition: Node, g: Node) -> Node:
    return make("where", condition, constant(0.0), g)


def _one_minus(a: Node) -> Node:
    return make("sub", constant(1.0), a)


def _unless_cut_off(g: Node, slope: Node) -> Node:
    """Return a slope that may be infinite or NaN, but 0 where `where` took the other branch, and so g is 0."""
    return slope if g.op == "constant" else _zero_if(make("eq", g, constant(0.0)), slope)


def _d_div(g: Node, n: Node, a: Node, b: Node) -> tuple[Node, Node]:
    share = make("div", g, b)
    return _unless_cut_off(g, share), _unless_cut_off(g, make("neg", make("mul", share, n)))


def _is_positive(node: Node) -> bool:
    """True if a sum is known to be above 0: it adds positive numbers, at least one, and exponentials."""
    parts = [n for n in ancestors([node], lambda n: n.op == "add") if n.op != "add"]
    numbers = [n.value for n in parts if n.op == "constant"]
    return bool(numbers) and min(numbers) > 0 and all(n.op in ("constant", "exp") for n in parts)


def _d_log(g: Node, n: Node, a: Node) -> tuple[Node]:
    if _is_positive(a):
        return (make("div", g, a),)
    zero = make("eq", a, constant(0.0))  # an impossible choice has no gradient
    return (_unless_cut_off(g, _zero_if(zero, make("div", g, a))),)


def _d_sqrt(g: Node, n: Node, a: Node) -> tuple[Node]:
    zero = make("eq", a, constant(0.0))
    return (_unless_cut_off(g, _zero_if(zero, make("div", make("mul", constant(0.5), g), n))),)


def _d_pow(g: Node, n: Node, a: Node, b: Node) -> tuple[Node, Node]:
    by_base = make("mul", g, make("mul", b, make("pow", a, make("sub", b, constant(1.0)))))
    by_power = _zero_unless(make("lt", constant(0.0), a), make("mul", g, make("mul", n, make("log", a))))
    return _unless_cut_off(g, by_base), _unless_cut_off(g, by_power)


def _d_erf(g: Node, n: Node, a: Node) -> tuple[Node]:
    return (make("mul", g, make("mul", constant(2 / math.sqrt(math.pi)), make("exp", make("neg", make("mul", a, a))))),)


# g: derivative of the result with respect to node n; returned: with respect to each of its arguments.
DERIVATIVES: dict[str, Callable[..., tuple[Node | None, ...]]] = {
    "add": lambda g, n, a, b: (g, g),
    "sub": lambda g, n, a, b: (g, make("neg", g)),
    "mul": lambda g, n, a, b: (make("mul", g, b), make("mul", g, a)),
    "div": _d_div,
    "neg": lambda g, n, a: (make("neg", g),),
    "abs": lambda g, n, a: (make("where", make("lt", a, constant(0.0)), make("neg", g), g),),
    "exp": lambda g, n, a: (make("mul", g, n),),
    "log": _d_log,
    "log1p": lambda g, n, a: (make("div", g, make("add", constant(1.0), a)),),
    "expm1": lambda g, n, a: (make("mul", g, make("add", n, constant(1.0))),),
    "sqrt": _d_sqrt,
    "tanh": lambda g, n, a: (make("mul", g, _one_minus(make("mul", n, n))),),
    "sigmoid": lambda g, n, a: (make("mul", g, make("mul", n, _one_minus(n))),),
    "erf": _d_erf,
    "pow": _d_pow,
    "max": lambda g, n, a, b: (_zero_unless(make("le", b, a), g), _zero_if(make("le", b, a), g)),
    "where": lambda g, n, c, a, b: (None, _zero_unless(c, g), _zero_if(c, g)),
    "stop": lambda g, n, a: (None,),
}


def ancestors(roots: Iterable[Node], beyond: Callable[[Node], bool] = lambda node: True) -> list[Node]:
    """Return all nodes that some depend on, themselves included, each after its arguments.

    Parameters
    ----------
    roots : iterable of Node
        The nodes to begin with.
    beyond : callable
        Whether to go on to the arguments of a node.
    """
    seen: dict[int, Node] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.number not in seen:
            seen[node.number] = node
            waiting.extend(node.arguments if beyond(node) else ())
    return sorted(seen.values(), key=lambda n: n.number)


def pullback(seeds: Iterable[tuple[Node, Node]], live: Callable[[Node], bool], stage: int) -> list[tuple[Node, Node]]:
    """Return the derivatives of a sum with respect to its leaves.

    Parameters
    ----------
    seeds : pairs of nodes
        Nodes, and the derivatives of the sum with respect to them.
    live : callable
        Whether a derivative with respect to a node is wanted at all.
    stage : int
        Nodes computed no more often than this are leaves; others are states, reads of tables, and what `live` keeps.

    Returns
    -------
    list of pairs of nodes
        Leaves with their derivatives.
    """
    found: dict[int, Node] = {}
    leaves = []

    def push(node: Node, g: Node | None) -> None:
        if g is not None and not is_constant(g, 0) and node.kind == "f" and live(node):
            found[node.number] = make("add", found[node.number], g) if node.number in found else g

    seeds = list(seeds)
    order = ancestors(node for node, _ in seeds)
    for node, g in seeds:
        push(node, g)
    for node in reversed(order):
        if node.number not in found or is_constant(g := found[node.number], 0):
            continue
        if node.stage <= stage or node.op in LEAVES or node.op == "read":
            leaves.append((node, g))
        elif node.op in DERIVATIVES:
            for argument, part in zip(node.arguments, DERIVATIVES[node.op](g, node, *node.arguments), strict=True):
                push(argument, part)
    return leaves
