"""The primitives of `rlpymc.math` on symbols, which a model is traced with."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from rlpymc.compiler import symbols
from rlpymc.compiler.expressions import Node, make
from rlpymc.compiler.symbols import Symbol, apply, lift

where = symbols.where


def exp(x: Any) -> Symbol:
    """Return e to the power of x."""
    return apply("exp", x)


def log(x: Any) -> Symbol:
    """Return the logarithm, -inf at 0, where its gradient is 0."""
    return apply("log", x)


def log1p(x: Any) -> Symbol:
    """Return log(1 + x)."""
    return apply("log1p", x)


def expm1(x: Any) -> Symbol:
    """Return exp(x) - 1."""
    return apply("expm1", x)


def sqrt(x: Any) -> Symbol:
    """Return the square root."""
    return apply("sqrt", x)


def tanh(x: Any) -> Symbol:
    """Return the hyperbolic tangent."""
    return apply("tanh", x)


def sigmoid(x: Any) -> Symbol:
    """Return the logistic function."""
    return apply("sigmoid", x)


def erf(x: Any) -> Symbol:
    """Return the error function."""
    return apply("erf", x)


def abs(x: Any) -> Symbol:
    """Return the absolute value."""
    return apply("abs", x)


def softplus(x: Any) -> Symbol:
    """Return log(1 + exp(x)) without overflow."""
    positive = apply("lt", 0.0, x)
    return apply("where", positive, x, 0.0) + log(1.0 + exp(apply("where", positive, -x, x)))


def equal(a: Any, b: Any) -> Symbol:
    """Boolean equality, entry by entry."""
    return apply("eq", a, b)


def sum(x: Any, axis: int) -> Symbol:
    """Return the sum over one axis."""
    return _fold("add", x, axis)


def max(x: Any) -> Symbol:
    """Return the maximum over the last axis; of tied entries the first."""
    return _fold("max", x, -1)


def full(shape: int | tuple[int, ...], value: Any) -> Symbol:
    """Return an array of one number."""
    return Symbol(np.full(shape, lift(value).node(), dtype=object))


def stack(values: Sequence[Any]) -> Symbol:
    """Return arrays joined along a new first axis."""
    return Symbol(np.stack([lift(v).nodes for v in values]))


def concatenate(values: Sequence[Any]) -> Symbol:
    """Return arrays joined along their first axis."""
    return Symbol(np.concatenate([lift(v).nodes for v in values]))


def stop_gradient(x: Any) -> Symbol:
    """Return x, through which no gradient flows."""
    return apply("stop", x)


def take(a: Any, i: tuple[Any, ...]) -> Symbol:
    """Return the entry or sub-array at i."""
    return symbols.take(lift(a), i)


def put(a: Any, i: tuple[Any, ...], value: Any) -> Symbol:
    """Return a copy with the entry or sub-array at i replaced."""
    return symbols.put(lift(a), i, value)


def size(a: Any) -> int:
    """Return the length of the last axis."""
    return lift(a).shape[-1]


def _fold(op: str, x: Any, axis: int) -> Symbol:
    parts = np.moveaxis(lift(x).nodes, axis, 0)

    def join(a: Any, b: Any) -> Any:
        return np.frompyfunc(lambda m, n: make(op, m, n), 2, 1)(a, b)

    found: Node | np.ndarray = reduce(join, parts)
    return Symbol(found)
