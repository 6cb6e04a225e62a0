"""Tables as operations of PyTensor: value and derivatives in one call."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from rlpymc.transitions.cells import TABLED

LENGTH = float(np.log1p(TABLED))  # of all pieces in s = log(1 + |v|)


@numba.njit(nogil=True)
def look_up(
    v: np.ndarray, growth: np.ndarray, coefficients: np.ndarray, tail: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the functions of a table and their first two derivatives at v (n,), each (n_functions, n)."""
    n_functions, _, pieces, terms = coefficients.shape
    value, slope, curvature = (
        np.empty((n_functions, v.size)),
        np.empty((n_functions, v.size)),
        np.empty((n_functions, v.size)),
    )
    per_piece = 2 * pieces / LENGTH
    for i in range(v.size):
        x = v[i]
        side, sign = (1, 1.0) if x >= 0 else (0, -1.0)
        s = np.log1p(abs(x))
        by = 1 / (1 + abs(x))  # ds / d|v|
        square = 1 + x * x
        root = np.sqrt(square)
        for f in range(n_functions):
            if not np.isfinite(x):
                value[f, i] = slope[f, i] = curvature[f, i] = np.nan
                continue
            if s < LENGTH:
                piece = min(int(s * per_piece / 2), pieces - 1)
                z = s * per_piece - 2 * piece - 1
                c = coefficients[f, side, piece]
                p, dp, ddp = c[terms - 1], 0.0, 0.0
                for k in range(terms - 2, -1, -1):
                    ddp = ddp * z + 2 * dp
                    dp = dp * z + p
                    p = p * z + c[k]
                dp, ddp = dp * per_piece, ddp * per_piece * per_piece
            else:
                end, decline, rate = tail[f, side]
                kept = np.exp(-rate * (s - LENGTH))
                p = end + decline * (1 - kept) / rate
                dp = decline * kept
                ddp = -rate * dp
            middle, half, log_half = growth[f]
            value[f, i] = p + middle * x + half * root + log_half * np.log(square)
            slope[f, i] = sign * dp * by + middle + half * x / root + 2 * log_half * x / square
            curvature[f, i] = (
                (ddp - dp) * by * by + half / (square * root) + 2 * log_half * (1 - x * x) / (square * square)
            )
    return value, slope, curvature


class Tabled(Op):
    """The functions of a `RealLineTable` and their first two derivatives at v (n,), each (n_functions, n)."""

    __props__ = ()

    def make_node(self, v: Any, growth: Any, coefficients: Any, tail: Any) -> Apply:
        """Return the node of these inputs."""
        inputs = [pt.as_tensor(k).astype("float64") for k in (v, growth, coefficients, tail)]
        shape = (inputs[1].type.shape[0], inputs[0].type.shape[0])
        return Apply(self, inputs, [pt.matrix(dtype="float64", shape=shape) for _ in range(3)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Compute it."""
        for storage, found in zip(output_storage, look_up(*map(np.ascontiguousarray, inputs)), strict=True):
            storage[0] = found

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        """Return the shapes of the outputs."""
        return [(shapes[1][0], shapes[0][0])] * 3

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return on which inputs outputs depend differentiably."""
        return [[True] * 3, *([False] * 3 for _ in range(3))]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Sequence[Variable]) -> Any:
        """Return the derivative with respect to v."""
        if not isinstance(cotangents[2].type, DisconnectedType):
            slope = grad_not_implemented(self, 0, inputs[0], "third derivatives of a table are not available")
        else:
            asked = [k for k in range(2) if not isinstance(cotangents[k].type, DisconnectedType)]
            terms = [(cotangents[k] * outputs[k + 1]).sum(axis=0) for k in asked]
            slope = sum(terms[1:], terms[0])
        return [slope, *(disconnected_type() for _ in range(3))]


@register_funcify_default_op_cache_key(Tabled)  # type: ignore[untyped-decorator]
def _compile(op: Tabled, node: Apply | None = None, **options: Any) -> Any:
    """Return the function, and the version of it for PyTensor's cache on disk."""
    return look_up, 3
