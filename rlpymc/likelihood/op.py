"""A kernel as an operation of PyTensor: value and gradient in one call."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from pytensor.tensor.rewriting.basic import register_specialize

from rlpymc.likelihood import interface, kernel
from rlpymc.likelihood.fused import OPTIONS, jit
from rlpymc.likelihood.trace import Trace

PULLBACKS = {"terms": "terms_pullback", "arguments": "arguments_pullback"}


class Kernel(Op):
    """What a kernel computes, given parameters, columns, masks and the layout of segments.

    Parameters
    ----------
    step : Trace
        The model's step.
    mode : {"value", "gradient", "terms", "terms_pullback", "arguments", "arguments_pullback"}
        See `rlpymc.likelihood.kernel.source`.
    active : tuple of str
        Parameters with respect to which derivatives can be asked for.
    """

    __props__ = ("source", "mode", "active")

    def __init__(self, step: Trace, mode: str, active: Sequence[str]) -> None:
        self._names = [p.name for p in step.variant.model.parameters]
        self.step, self.mode, self.active = step, mode, tuple(k for k in self._names if k in active)
        self.source = kernel.source(step, mode, self.active if mode == "gradient" or "pullback" in mode else ())

    def __str__(self) -> str:
        return f"Kernel({self.step.variant.model.name}, {self.mode})"

    def make_node(self, *inputs: Any) -> Apply:
        """Return the node of these inputs, in the order of `rlpymc.likelihood.interface.arguments`."""
        inputs = tuple(pt.as_tensor(i) for i in inputs)
        scored = inputs[interface.arguments(self.step, self.mode).index("scored")]
        outer = {"subject": scored.type.shape[:1], "trial": scored.type.shape[:2]}
        outputs = [
            pt.tensor(dtype="float64", shape=(*outer[o.outer], *o.own))
            for o in interface.outputs(self.step, self.mode, self.active)
        ]
        return Apply(self, list(inputs), outputs)

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Run the kernel on arrays."""
        found = jit(self.source)(*(np.ascontiguousarray(i) for i in inputs))
        for storage, value in zip(output_storage, (found,) if len(node.outputs) == 1 else found, strict=True):
            storage[0] = value

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Return on which inputs outputs depend differentiably: the active parameters."""
        inputs = [*self._names, *[""] * (len(node.inputs) - len(self._names))]
        return [[name in self.active] * len(node.outputs) for name in inputs]

    def pullback(self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Sequence[Variable]) -> Any:
        """Return derivatives with respect to the inputs, from this very call where it computed them."""
        asked = [not isinstance(c.type, DisconnectedType) for c in cotangents]
        if self.mode in ("value", "gradient") and not any(asked[1:]):
            total = outputs if self.mode == "gradient" else Kernel(self.step, "gradient", self.active)(*inputs)
            slopes = [_scaled(slope, cotangents[0]) for slope in (total[1:] if self.active else [])]
        elif self.mode in PULLBACKS:
            weights = [
                c if is_asked else pt.zeros_like(o) for c, o, is_asked in zip(cotangents, outputs, asked, strict=True)
            ]
            found = Kernel(self.step, PULLBACKS[self.mode], self.active)(*inputs, *weights)
            slopes = found if isinstance(found, list) else [found]
        else:
            why = "second derivatives of a compiled likelihood are not available; build with backend='scan' for them"
            known = [grad_not_implemented(self, k, inputs[k], why) for k in range(len(self._names))]
            slopes = [v for v, name in zip(known, self._names, strict=True) if name in self.active]
        by_name = dict(zip(self.active, slopes, strict=True))
        found = [by_name.get(name, disconnected_type()) for name in self._names]
        return [*found, *(disconnected_type() for _ in inputs[len(found) :])]


def _scaled(slope: Any, weight: Any) -> Any:
    """Multiply a slope (subject, ...) by a weight (subject,)."""
    return slope * weight.reshape((-1, *[1] * (slope.ndim - 1))) if slope.ndim > 1 else slope * weight


@register_funcify_default_op_cache_key(Kernel)  # type: ignore[untyped-decorator]
def _compile(op: Kernel, node: Apply | None = None, **options: Any) -> Any:
    """Return the function, and what besides the source PyTensor's cache on disk must tell apart: the options."""
    return jit(op.source), crc32(repr([sorted(OPTIONS["fastmath"]), OPTIONS["error_model"]]).encode())


@register_specialize  # type: ignore[untyped-decorator]
@node_rewriter([Kernel])  # type: ignore[untyped-decorator]
def leave_out_unused_gradient(fgraph: Any, node: Apply) -> Any:
    """Compute the value alone where nobody asks for the gradient."""
    if node.op.mode != "gradient" or any(fgraph.clients[o] for o in node.outputs[1:]):
        return None
    return {node.outputs[0]: Kernel(node.op.step, "value", node.op.active)(*node.inputs)}
