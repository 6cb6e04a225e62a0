"""The primitives of `rlpymc.math` on NumPy arrays."""

from typing import Any

import numpy as np

exp, log1p, expm1, sqrt, tanh, abs = np.exp, np.log1p, np.expm1, np.sqrt, np.tanh, np.abs
equal, where, stack, concatenate, arange = np.equal, np.where, np.stack, np.concatenate, np.arange
sum = np.sum


def log(x: Any) -> Any:
    """Return the logarithm, -inf at 0 without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(x)


def sigmoid(x: Any) -> Any:
    """Return the logistic function."""
    from scipy.special import expit

    return expit(x)


def erf(x: Any) -> Any:
    """Return the error function."""
    from scipy import special

    return special.erf(x)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)) without overflow."""
    return np.logaddexp(0.0, x)


def full(shape: int | tuple[int, ...], value: Any) -> np.ndarray:
    """Return a float array of one number."""
    return np.full(shape, value, dtype=float)


def stop_gradient(x: Any) -> Any:
    """Return x: there are no gradients here."""
    return x


def take(a: Any, i: tuple[Any, ...]) -> Any:
    """Return the entry or sub-array at i."""
    return np.asarray(a)[i]


def put(a: Any, i: tuple[Any, ...], value: Any) -> np.ndarray:
    """Return a copy with the entry or sub-array at i replaced."""
    out = np.array(a, dtype=float)
    out[i] = value
    return out


def size(a: Any) -> int:
    """Return the length of the last axis."""
    return np.shape(a)[-1]


def max(x: Any) -> Any:
    """Return the maximum over the last axis."""
    return np.max(x, axis=-1)
