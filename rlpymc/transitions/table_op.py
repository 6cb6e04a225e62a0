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


@numba.njit(nogil=True)
def look_up(v: np.ndarray, growth: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the function of a table and its first two derivatives at v (n,)."""
    value, slope, curvature = np.empty(v.size), np.empty(v.size), np.empty(v.size)
    pieces, highest = coefficients.shape[1], coefficients.shape[2] - 1
    for i in range(v.size):
        x = v[i]
        if not np.isfinite(x):
            value[i] = slope[i] = curvature[i] = np.nan
            continue
        sign, size = (1.0, x) if x >= 0 else (-1.0, -x)
        below = 1 / (size + 1)
        share = size * below
        piece = min(int(share * pieces), pieces - 1)
        z = 2 * (share * pieces - piece) - 1
        c = coefficients[1 if x >= 0 else 0, piece]
        p, dp, ddp = c[highest], 0.0, 0.0
        for k in range(highest - 1, -1, -1):
            ddp = ddp * z + 2 * dp
            dp = dp * z + p
            p = p * z + c[k]
        rate = 2 * pieces * below * below  # dz / d|v|
        square = 1 + x * x
        root = np.sqrt(square)
        value[i] = p + growth[0] * x + growth[1] * root + growth[2] * np.log(square)
        slope[i] = sign * dp * rate + growth[0] + growth[1] * x / root + 2 * growth[2] * x / square
        curvature[i] = (
            ddp * rate * rate
            - 2 * dp * rate * below
            + growth[1] / (square * root)
            + 2 * growth[2] * (1 - x * x) / (square * square)
        )
    return value, slope, curvature


class Tabled(Op):
    """The function of a `RealLineTable` and its first two derivatives, at v (n,)."""

    __props__ = ()

    def make_node(self, v: Any, growth: Any, coefficients: Any) -> Apply:
        """Return the node of these inputs."""
        v, growth, coefficients = (pt.as_tensor(k).astype("float64") for k in (v, growth, coefficients))
        return Apply(self, [v, growth, coefficients], [v.type() for _ in range(3)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Compute it."""
        for storage, found in zip(output_storage, look_up(*map(np.ascontiguousarray, inputs)), strict=True):
            storage[0] = found

    def infer_shape(self, node: Apply, shapes: Any) -> list[Any]:
        """Return the shapes of the outputs."""
        return [shapes[0]] * 3

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return on which inputs outputs depend differentiably."""
        return [[True] * 3, [False] * 3, [False] * 3]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Sequence[Variable]) -> Any:
        """Return the derivative with respect to v."""
        if not isinstance(cotangents[2].type, DisconnectedType):
            slope = grad_not_implemented(self, 0, inputs[0], "third derivatives of a table are not available")
        else:
            asked = [k for k in range(2) if not isinstance(cotangents[k].type, DisconnectedType)]
            slope = sum(
                (cotangents[k] * outputs[k + 1] for k in asked[1:]), cotangents[asked[0]] * outputs[asked[0] + 1]
            )
        return [slope, disconnected_type(), disconnected_type()]


@register_funcify_default_op_cache_key(Tabled)  # type: ignore[untyped-decorator]
def _compile(op: Tabled, node: Apply | None = None, **options: Any) -> Any:
    """Return the function, and the version of it for PyTensor's cache on disk."""
    return look_up, 1
