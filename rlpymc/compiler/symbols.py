"""Arrays of scalar expressions, on which a model's functions are traced.

A small array is unrolled: each entry is an expression.  A state with many entries is a `Table`, which the kernel holds
in memory: an entry at an index that the data give is one read, a change of it one write.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from rlpymc.compiler.expressions import ModelError, Node, Unsupported, constant, is_constant, make, raw

__all__ = ["LARGE", "Symbol", "Table", "apply", "lift", "put", "take", "where"]

LARGE = 9  # entries from which on a state is a table


def apply(op: str, *values: Any) -> "Symbol":
    """Return an operation on arrays, entry by entry, with NumPy's broadcasting."""
    arrays = [lift(v).nodes for v in values]
    return Symbol(np.frompyfunc(lambda *nodes: make(op, *nodes), len(arrays), 1)(*arrays))


def lift(value: Any) -> "Symbol":
    """Return a number or an array of numbers as symbols."""
    if isinstance(value, Symbol):
        return value
    array = np.asarray(value)
    if array.dtype == object:
        raise Unsupported(f"a step computes with {type(value).__name__}, which is not made of numbers")
    return Symbol(np.frompyfunc(constant, 1, 1)(array))


class Symbol:
    """An array of expressions, with the operators of NumPy."""

    __array_ufunc__ = None  # NumPy leaves the operators to this class

    def __init__(self, nodes: Any) -> None:
        self._nodes = np.asarray(nodes, dtype=object)

    @property
    def nodes(self) -> np.ndarray:
        """The expressions, entry by entry."""
        return self._nodes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._nodes.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def node(self) -> Node:
        """Return the expression of a single number."""
        if self.nodes.size != 1:
            raise Unsupported(f"a step has an array of shape {self.shape} where one number is needed")
        return next(iter(self.nodes.flat))

    def entry(self, index: Node) -> Node:
        """Return the entry at a position in the flattened array, an index inside it."""
        return _select(self.nodes.reshape(-1), index)

    def __getitem__(self, index: Any) -> "Symbol":
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(k, Symbol) for k in parts):
            raise Unsupported("a step indexes with [...] by something that is not known beforehand; use take")
        return Symbol(self.nodes[index])

    def __iter__(self) -> Iterator["Symbol"]:
        return (Symbol(v) for v in self.nodes)

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        raise ModelError("a step branches (if, and, or, max, min) on data or parameters; use where, & and |")

    def __float__(self) -> float:
        raise Unsupported("a step calls a function outside rlpymc.math on data or parameters")

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise Unsupported("a step calls a NumPy function on data or parameters; use those of rlpymc.math")

    def __add__(self, other: Any) -> "Symbol":
        return apply("add", self, other)

    def __radd__(self, other: Any) -> "Symbol":
        return apply("add", other, self)

    def __sub__(self, other: Any) -> "Symbol":
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> "Symbol":
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> "Symbol":
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> "Symbol":
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> "Symbol":
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> "Symbol":
        return apply("div", other, self)

    def __pow__(self, other: Any) -> "Symbol":
        return apply("pow", self, other)

    def __rpow__(self, other: Any) -> "Symbol":
        return apply("pow", other, self)

    def __neg__(self) -> "Symbol":
        return apply("neg", self)

    def __abs__(self) -> "Symbol":
        return apply("abs", self)

    def __lt__(self, other: Any) -> "Symbol":
        return apply("lt", self, other)

    def __le__(self, other: Any) -> "Symbol":
        return apply("le", self, other)

    def __gt__(self, other: Any) -> "Symbol":
        return apply("lt", other, self)

    def __ge__(self, other: Any) -> "Symbol":
        return apply("le", other, self)

    def __eq__(self, other: object) -> "Symbol":  # type: ignore[override]
        return apply("eq", self, other)

    def __ne__(self, other: object) -> "Symbol":  # type: ignore[override]
        return apply("ne", self, other)

    def __and__(self, other: Any) -> "Symbol":
        return apply("and", self, other)

    def __rand__(self, other: Any) -> "Symbol":
        return apply("and", other, self)

    def __or__(self, other: Any) -> "Symbol":
        return apply("or", self, other)

    def __ror__(self, other: Any) -> "Symbol":
        return apply("or", other, self)

    def __invert__(self) -> "Symbol":
        return apply("not", self)

    __hash__ = None  # type: ignore[assignment]


class Table(Symbol):
    """An array whose entries are reached by position: a state in memory, or any large array, with writes on top.

    Parameters
    ----------
    base : Node or (size,) ndarray of Node
        The leaf of a state in memory, or expressions.
    shape : tuple of int
        The shape.
    writes : tuple of pairs of nodes
        Positions and new values, in order.
    """

    def __init__(self, base: Any, shape: tuple[int, ...], writes: tuple[tuple[Node, Node], ...] = ()) -> None:
        self.base, self._shape, self.writes = base, shape, writes

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self._shape

    @property
    def nodes(self) -> np.ndarray:
        """The expressions, entry by entry."""
        flat = [self.entry(constant(k)) for k in range(int(np.prod(self._shape)))]
        out = np.empty(len(flat), dtype=object)
        out[:] = flat
        return out.reshape(self._shape)

    def entry(self, index: Node) -> Node:
        """Return the entry at a position in the flattened array: the last write there, or what was before."""
        later = []
        for position, value in reversed(self.writes):
            if position is index:
                found = value
                break
            if not (is_constant(position) and is_constant(index)):
                later.append((position, value))
        else:
            found = raw("read", self.base, index) if isinstance(self.base, Node) else _evaluate(self.base, index)
        for position, value in reversed(later):
            found = make("where", make("eq", position, index), value, found)
        return found


def _select(nodes: np.ndarray, index: Node) -> Node:
    """Return one of several expressions; the last one wherever none of the others is meant."""
    if is_constant(index):
        return nodes[index.value]
    numbered = list(enumerate(nodes))
    return reduce(
        lambda rest, k: make("where", make("eq", index, constant(k[0])), k[1], rest), reversed(numbered[:-1]), nodes[-1]
    )


def _evaluate(nodes: np.ndarray, index: Node) -> Node:
    """Return one entry of a large array of expressions.

    Where all entries are one function of a table's entry (a whole table that decays), that is computed at the one
    index alone; otherwise one of all entries is selected.
    """
    if is_constant(index):
        return nodes[index.value]
    first = constant(0)
    same = all(_at_index(nodes[0], first, constant(k)) is nodes[k] for k in range(1, len(nodes)))
    return _at_index(nodes[0], first, index) if same else _select(nodes, index)


def _at_index(node: Node, old: Node, new: Node) -> Node:
    """Return an expression with reads of tables at one index replaced by reads at another."""
    memo: dict[int, Node] = {}
    waiting = [(node, False)]  # the last one comes first; whether its arguments are done
    while waiting:
        n, done = waiting.pop()
        if n.number in memo:
            continue
        if n.op == "read":
            memo[n.number] = raw("read", n.arguments[0], new) if n.arguments[1] is old else n
        elif n.arguments and not done:
            waiting += [(n, True), *((a, False) for a in reversed(n.arguments))]
        else:
            memo[n.number] = make(n.op, *(memo[a.number] for a in n.arguments)) if n.arguments else n
    return memo[node.number]


def _position(shape: tuple[int, ...], index: tuple[Any, ...]) -> tuple[Node, Node]:
    """Return the flat position of the first entry that an index means, and whether the index is inside the array.

    An index that is an input below a limit, or a number, is known to be inside; anything else is checked when it is
    used, so that nothing outside of the array is ever read: outside, a value is 0 and a write is none.
    """
    if len(index) > len(shape):
        raise ModelError(f"a step takes {len(index)} indices of an array with {len(shape)} axes")
    position, inside, stride = constant(0), constant(True), int(np.prod(shape))
    for k, length in zip(index, shape, strict=False):
        stride //= length
        node = lift(k).node()
        if is_constant(node):
            node = constant(node.value + length if node.value < 0 else node.value)
            if not 0 <= node.value < length:
                raise ModelError(f"a step takes entry {node.value} of {length}")
        elif node.op == "input" and node.kind != "i":
            raise ModelError(f"a step takes an entry at {node.value[0]!r}, which is no index")
        elif node.op == "input" and node.value[2] is not None and node.value[2] > length:
            raise ModelError(
                f"a step takes an entry at {node.value[0]!r}, which counts to {node.value[2]}, of {length}"
            )
        elif node.op != "input":
            here = make("and", make("le", constant(0), node), make("lt", node, constant(length)))
            node = make("where", here, node, constant(0))
            inside = make("and", inside, here)
        position = make("add", position, make("mul", node, constant(stride)))
    return position, inside


def take(a: Symbol, index: tuple[Any, ...]) -> Symbol:
    """Return the entry or sub-array at an index."""
    if all(isinstance(k, int | np.integer) for k in index) and not isinstance(a, Table):
        return Symbol(a.nodes[index])
    position, inside = _position(a.shape, index)
    rest = a.shape[len(index) :]
    a = a if isinstance(a, Table) or a.nodes.size < LARGE else Table(a.nodes.reshape(-1), a.shape)
    out = np.empty(rest, dtype=object)
    for k, place in enumerate(np.ndindex(*rest)):
        found = a.entry(make("add", position, constant(k)) if rest else position)
        out[place] = make("where", inside, found, constant(0.0) if found.kind == "f" else constant(False))
    return Symbol(out)


def put(a: Symbol, index: tuple[Any, ...], value: Any) -> Symbol:
    """Return an array in which the entry or sub-array at an index is replaced."""
    position, inside = _position(a.shape, index)
    rest = a.shape[len(index) :]
    values = np.broadcast_to(lift(value).nodes, rest).reshape(-1)
    if isinstance(a, Table) or np.prod(a.shape) >= LARGE:
        table = a if isinstance(a, Table) else Table(a.nodes.reshape(-1), a.shape)
        for k, node in enumerate(values):
            here = make("add", position, constant(k)) if rest else position
            new = make("where", inside, node, table.entry(here))
            table = Table(table.base, table.shape, (*table.writes, (here, new)))
        return table
    out = a.nodes.copy().reshape(-1)
    for place in range(out.size):
        first, k = place - place % max(1, len(values)), place % max(1, len(values))
        here = make("and", inside, make("eq", position, constant(first)))
        out[place] = make("where", here, values[k], out[place])
    return Symbol(out.reshape(a.shape))


def where(condition: Any, a: Any, b: Any) -> Symbol:
    """Return a where a condition holds and b elsewhere."""
    if isinstance(a, Table) and isinstance(b, Table) and a.base is b.base and lift(condition).nodes.size == 1:
        node = lift(condition).node()
        if a.writes == b.writes[: len(a.writes)]:
            return _undone_if(node, a, b)
        if b.writes == a.writes[: len(b.writes)]:
            return _undone_if(make("not", node), b, a)
    return apply("where", condition, a, b)


def _undone_if(condition: Node, before: Table, after: Table) -> Table:
    """Return a table whose later writes change nothing where a condition holds."""
    table = before
    for position, value in after.writes[len(before.writes) :]:
        kept = make("where", condition, table.entry(position), value)
        table = Table(table.base, table.shape, (*table.writes, (position, kept)))
    return table
