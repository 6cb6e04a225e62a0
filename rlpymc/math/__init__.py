"""The functions that model files are written in.

Each has one meaning on every kind of value that the engine passes through a model: NumPy arrays (replay and
simulation), PyTensor variables (the likelihood as a scan) and symbols (the likelihood as a compiled loop).  A further
kind joins by naming the module that implements the primitives below for it, see `KINDS`.  Everything that is not a
primitive is built from them, once.

Shapes are those of one subject at one trial: scalars, vectors over actions, small tables.  Reductions run over the
last axis.  Conventions that a likelihood depends on:

- a maximum gives its value, and its gradient, to the *first* of tied entries;
- ``log(0)`` is ``-inf``, without a warning and with a gradient of zero, and ``sqrt(0)`` has a gradient of zero;
- entries of an array are reached through `take`, `put` and `add_at` alone, by an index or a tuple of indices.
"""

from collections.abc import Sequence
from importlib import import_module
from math import prod
from types import ModuleType
from typing import Any

__all__ = [
    "abs",
    "add_at",
    "arange",
    "concatenate",
    "equal",
    "erf",
    "exp",
    "expm1",
    "full",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "max",
    "maximum",
    "minimum",
    "onehot",
    "put",
    "sigmoid",
    "size",
    "softmax",
    "softplus",
    "sqrt",
    "stack",
    "stop_gradient",
    "sum",
    "take",
    "tanh",
    "where",
    "zeros",
]

type Value = Any  # a number, a NumPy array, a PyTensor variable, or a value of a further kind
type Index = Value | tuple[Value, ...]

# The package that a value's type comes from -> the module that implements the primitives for it.
KINDS = {"pytensor": "rlpymc.math.tensors", "rlpymc": "rlpymc.compiler.symbol_math"}
_NUMPY = "rlpymc.math.arrays"
MOST_NUMBERS = 10**7  # in an array of one subject


def _kind(*values: Value) -> ModuleType:
    """Return the module that implements the primitives for these values."""
    for value in values:
        if isinstance(value, list | tuple):
            kind = _kind(*value)
            if kind.__name__ != _NUMPY:
                return kind
        else:
            package = type(value).__module__.partition(".")[0]
            if package in KINDS:
                return import_module(KINDS[package])
    return import_module(_NUMPY)


def check_size(shape: tuple[int, ...]) -> None:
    """Raise a ValueError if an array of this shape has more numbers than a state or parameter can sensibly have."""
    if prod(shape) > MOST_NUMBERS:
        raise ValueError(
            f"an array of shape {shape} for each subject would not fit into memory: are the facts right (n_states, "
            "n_stimuli, n_actions)? See trials.attrs['facts'], and read_trials(..., facts=...)"
        )


# ---------------------------------------------------------------------------------------------- primitives
def exp(x: Value) -> Value:
    """Return e to the power of x."""
    return _kind(x).exp(x)


def log(x: Value) -> Value:
    """Return the natural logarithm; -inf at 0, where the gradient is 0."""
    return _kind(x).log(x)


def log1p(x: Value) -> Value:
    """Return log(1 + x), exact for small x."""
    return _kind(x).log1p(x)


def expm1(x: Value) -> Value:
    """Return exp(x) - 1, exact for small x."""
    return _kind(x).expm1(x)


def sqrt(x: Value) -> Value:
    """Return the square root; at 0, its gradient is 0."""
    return _kind(x).sqrt(x)


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent."""
    return _kind(x).tanh(x)


def sigmoid(x: Value) -> Value:
    """Return the logistic function 1 / (1 + exp(-x))."""
    return _kind(x).sigmoid(x)


def softplus(x: Value) -> Value:
    """Return log(1 + exp(x)) without overflow."""
    return _kind(x).softplus(x)


def erf(x: Value) -> Value:
    """Return the error function."""
    return _kind(x).erf(x)


def abs(x: Value) -> Value:
    """Return the absolute value."""
    return _kind(x).abs(x)


def equal(a: Value, b: Value) -> Value:
    """Boolean equality, entry by entry (``==`` compares the graph's nodes on PyTensor variables)."""
    return _kind(a, b).equal(a, b)


def where(condition: Value, a: Value, b: Value) -> Value:
    """Return a where the condition holds and b elsewhere; no gradient flows to the branch not taken."""
    return _kind(condition, a, b).where(condition, a, b)


def sum(x: Value, axis: int = -1) -> Value:
    """Return the sum over one axis, the last unless told."""
    return _kind(x).sum(x, axis)


def full(shape: int | tuple[int, ...], value: Value) -> Value:
    """Return an array of this shape with every entry equal to one number."""
    check_size(shape if isinstance(shape, tuple) else (shape,))
    return _kind(value).full(shape, value)


def stack(values: Sequence[Value]) -> Value:
    """Return values of one shape joined along a new first axis."""
    return _kind(values).stack(values)


def concatenate(values: Sequence[Value]) -> Value:
    """Return arrays joined along their first axis."""
    return _kind(values).concatenate(values)


def stop_gradient(x: Value) -> Value:
    """Return x, through which no gradient flows."""
    return _kind(x).stop_gradient(x)


def take(a: Value, i: Index) -> Value:
    """Return ``a[i]``; i is an index or a tuple of indices, and axes that it leaves out are kept whole."""
    return _kind(a, i).take(a, i if isinstance(i, tuple) else (i,))


def put(a: Value, i: Index, value: Value) -> Value:
    """Return a copy of a in which ``a[i]`` is the value."""
    return _kind(a, i, value).put(a, i if isinstance(i, tuple) else (i,), value)


def add_at(a: Value, i: Index, change: Value) -> Value:
    """Return a copy of a in which the change was added to ``a[i]``."""
    return put(a, i, take(a, i) + change)


def size(a: Value) -> int:
    """Return the length of the last axis, a plain integer on every kind of value."""
    return _kind(a).size(a)


def max(x: Value) -> Value:
    """Return the largest entry along the last axis; of tied ones the first, which also gets the gradient."""
    return _kind(x).max(x)


# ---------------------------------------------------------------------------------- built from the primitives
def arange(n: int) -> Value:
    """Return the integers from 0 to n - 1."""
    return import_module(_NUMPY).arange(n)


def zeros(shape: int | tuple[int, ...]) -> Value:
    """Return an array of zeros."""
    return full(shape, 0.0)


def maximum(a: Value, b: Value) -> Value:
    """Return the larger of a and b, entry by entry; a where they tie."""
    return where(a >= b, a, b)


def minimum(a: Value, b: Value) -> Value:
    """Return the smaller of a and b, entry by entry; a where they tie."""
    return where(a <= b, a, b)


def onehot(i: Value, n: int) -> Value:
    """Return a vector of n entries, 1.0 at index i and 0.0 elsewhere."""
    return put(zeros(n), i, 1.0)


def _top_and_rest(x: Value) -> tuple[Value, Value]:
    """Return two numbers whose sum is log(sum(exp(x))): the larger of them apart, so that the smaller is not lost."""
    if size(x) == 2:  # one exponential will do
        a, b = x[..., 0], x[..., 1]
        return maximum(a, b), log(1.0 + exp(where(a >= b, b - a, a - b)))
    top = stop_gradient(max(x))  # its gradient cancels
    return top, log(sum(exp(x - top[..., None])))


def logsumexp(x: Value) -> Value:
    """Return log(sum(exp(x))) over the last axis; entries of -inf count as impossible."""
    top, rest = _top_and_rest(x)
    return top + rest


def log_softmax(x: Value, i: Value | None = None) -> Value:
    """Return x - logsumexp(x), the log probabilities of choices with logits x, or that of choice i alone."""
    top, rest = _top_and_rest(x)
    return (x - top[..., None]) - rest[..., None] if i is None else (take(x, i) - top) - rest


def softmax(x: Value) -> Value:
    """Return the probabilities of choices with logits x; -inf is a probability of exactly 0."""
    weights = exp(x - stop_gradient(max(x))[..., None])
    return weights / sum(weights)[..., None]
