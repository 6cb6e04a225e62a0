"""The primitives of `rlpymc.math` on PyTensor variables.

An entry at an index is a sum of `where` over a one-hot mask, and never an advanced subtensor: the graph then has only
elementwise operations, which vectorise over subjects, fuse, and differentiate well.  A product with the one-hot would
turn an infinity elsewhere in the array into NaN.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

exp, log1p, expm1, tanh, abs = pt.exp, pt.log1p, pt.expm1, pt.tanh, pt.abs
sigmoid, softplus, erf, equal = pt.sigmoid, pt.softplus, pt.erf, pt.eq
stop_gradient = disconnected_grad


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds and b elsewhere."""
    return pt.switch(np.asarray(condition) if isinstance(condition, bool) else condition, _double(a), _double(b))


def log(x: Any) -> Any:
    """Return the logarithm; at 0 it is -inf and its gradient 0, not the NaN of 0 times infinity."""
    impossible = pt.eq(x, 0.0)
    return pt.switch(impossible, -np.inf, pt.log(pt.switch(impossible, 1.0, x)))


def sqrt(x: Any) -> Any:
    """Return the square root; at 0 its gradient is 0, not infinite."""
    zero = pt.eq(x, 0.0)
    return pt.switch(zero, np.float64(0.0), pt.sqrt(pt.switch(zero, np.float64(1.0), x)))


def sum(x: Any, axis: int) -> Any:
    """Return the sum over one axis."""
    return pt.sum(x, axis=axis)


def full(shape: int | tuple[int, ...], value: Any) -> Any:
    """Return a float tensor of one number, with a static shape."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return pt.specify_shape(pt.broadcast_to(pt.as_tensor(value).astype("float64"), shape), shape)


def stack(values: Sequence[Any]) -> Any:
    """Return tensors joined along a new first axis."""
    return pt.stack([_double(v) for v in values])


def concatenate(values: Sequence[Any]) -> Any:
    """Return tensors joined along their first axis."""
    return pt.concatenate([_double(v) for v in values])


def take(a: Any, i: tuple[Any, ...]) -> Any:
    """Return the entry or sub-array at i."""
    a = pt.as_tensor(a)
    if all(isinstance(k, int | np.integer) for k in i):
        return a[i]
    axes = tuple(range(len(i)))
    if a.type.dtype == "bool":
        return pt.any(_mask(a, i) & a, axis=axes)
    return pt.sum(pt.switch(_mask(a, i), a, np.zeros((), a.type.dtype)), axis=axes)


def put(a: Any, i: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with the entry or sub-array at i replaced."""
    a = pt.as_tensor(a)
    return pt.switch(_mask(a, i), _double(value), a)


def size(a: Any) -> int:
    """Return the length of the last axis."""
    return _length(a, -1)


def max(x: Any) -> Any:
    """Return the maximum over the last axis; pt.max would give the full gradient to every tied entry."""
    x = pt.as_tensor(x)
    return reduce(lambda best, k: pt.switch(best >= x[..., k], best, x[..., k]), range(1, _length(x, -1)), x[..., 0])


def _mask(a: Any, i: tuple[Any, ...]) -> Any:
    """Return a boolean tensor, true at the entries that i addresses, that broadcasts against a."""
    mask: Any = None
    for axis, k in enumerate(i):
        if isinstance(k, int | np.integer) and k < 0:
            k += _length(a, axis)
        here = pt.eq(np.arange(_length(a, axis)), k).reshape((-1,) + (1,) * (a.ndim - axis - 1))
        mask = here if mask is None else mask & here
    return mask


def _double(value: Any) -> Any:
    """Keep Python's numbers in double precision: PyTensor would take 1.0 as single precision, and 1 as a byte."""
    return np.float64(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _length(a: Any, axis: int) -> int:
    length = a.type.shape[axis]
    if length is None:
        raise ValueError(f"an array in a model needs a length that is known beforehand; axis {axis} of {a} has none")
    return length
