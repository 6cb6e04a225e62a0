"""A kernel as an operation of PyTensor: value and gradient in one call."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numba
import numpy as np
import pytensor.tensor as pt
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from pytensor.gradient import DisconnectedType, disconnected_type, grad_not_implemented
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from pytensor.tensor.rewriting.basic import register_specialize

from rlpymc.compiler import signature
from rlpymc.compiler.lanes import HEAD, lane_kernel, write_kernel
from rlpymc.compiler.trace import Trace

PULLBACKS = {"terms": "terms_pullback", "arguments": "arguments_pullback"}


class LoopOp(Op):
    """What a kernel computes, given parameters, columns, masks and the layout of segments.

    Parameters
    ----------
    trace : Trace
        The model's step.
    mode : str
        Of `rlpymc.compiler.lanes.MODES`.
    active : tuple of str
        Parameters with respect to which derivatives can be asked for.
    width : int
        Number of lanes, those of the `Blocks` whose layout is given.
    """

    __props__ = ("key", "mode", "active")

    def __init__(self, trace: Trace, mode: str, active: Sequence[str], width: int) -> None:
        self._names = [p.name for p in trace.variant.model.parameters]
        self.trace, self.mode, self.width = trace, mode, width
        self.active = tuple(k for k in self._names if k in active)
        self.slopes = self.active if mode == "gradient" or "pullback" in mode else ()
        self.key = sha256(lane_kernel(trace, mode, self.slopes, width).text.encode()).hexdigest()

    def __str__(self) -> str:
        return f"LoopOp({self.trace.variant.model.name}, {self.mode})"

    def make_node(self, *inputs: Any) -> Apply:
        """Return the node of these inputs, in the order of `rlpymc.compiler.signature.arguments`."""
        wanted = signature.dtypes(self.trace, self.mode)  # PyMC makes smaller integers of data
        inputs = tuple(pt.as_tensor(i).astype(dtype) for i, dtype in zip(inputs, wanted, strict=True))
        scored = inputs[signature.arguments(self.trace, self.mode).index(signature.MASKS[0])]
        outer = {"subject": scored.type.shape[:1], "trial": scored.type.shape[:2]}
        outputs = [
            pt.tensor(dtype="float64", shape=(*outer[o.outer], *o.own))
            for o in signature.outputs(self.trace, self.mode, self.active)
        ]
        return Apply(self, list(inputs), outputs)

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: list[list[Any]]) -> None:
        """Run the kernel on arrays."""
        found = compiled(self)(*(np.ascontiguousarray(i) for i in inputs))
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
            total = (
                outputs if self.mode == "gradient" else LoopOp(self.trace, "gradient", self.active, self.width)(*inputs)
            )
            slopes = [_scaled(slope, cotangents[0]) for slope in (total[1:] if self.active else [])]
        elif self.mode in PULLBACKS:
            weights = [
                c if is_asked else pt.zeros_like(o) for c, o, is_asked in zip(cotangents, outputs, asked, strict=True)
            ]
            found = LoopOp(self.trace, PULLBACKS[self.mode], self.active, self.width)(*inputs, *weights)
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


@register_funcify_default_op_cache_key(LoopOp)  # type: ignore[untyped-decorator]
def _compile(op: LoopOp, node: Apply | None = None, **options: Any) -> Any:
    """The compiled function, and a constant as the extra key for PyTensor's cache: an Op's own key tells all apart."""
    return compiled(op), 1


@lru_cache(maxsize=512)
def compiled(op: LoopOp) -> Any:
    """Return a kernel as a function that numba can call, and that calls LLVM's code of the kernel."""
    kernel = lane_kernel(op.trace, op.mode, op.slopes, op.width)
    names = {name: f"a{k}" for k, name in enumerate(kernel.addresses)}
    taken = [names[name] for name in signature.arguments(op.trace, op.mode)]
    made = [names[o.name] for o in kernel.outputs]
    scored, (subject, first, end) = names[signature.MASKS[0]], (names[name] for name in signature.LAYOUT)
    size = {"subject": "(N,", "trial": "(N, T,"}
    per_trial, besides = kernel.scratch
    head = dict.fromkeys(HEAD, "0") | {
        "end_block": f"{subject}.size // {kernel.width}",
        "n_lanes": f"{subject}.size",
        "n_trials": "T",
        "longest": "longest",
        **{k: f"{k}.ctypes.data" for k in ("scratch", "by_lane", "wrong")},
    }
    places = [*head.values(), *(f"{name}.ctypes.data" for name in (*taken, *made))]
    lines = [
        f"def kernel({', '.join(taken)}):",
        f"    N, T = {scored}.shape[:2]",
        *(f"    {name} = np.ascontiguousarray({name})" for name in taken),
        *(
            f"    {names[o.name]} = np.zeros({size[o.outer]}{''.join(f' {k},' for k in o.own)}))"
            for o in kernel.outputs
        ),
        f"    longest = {end}[0] - {first}[0]",
        f"    scratch = np.empty({per_trial} * longest + {besides})",
        f"    by_lane = np.empty({subject}.size // {kernel.width} * {kernel.by_lane})",
        "    wrong = np.zeros(1, np.int64)",
        f"    numbers = np.empty({len(places)}, np.int64)",
        *(f"    numbers[{k}] = {place}" for k, place in enumerate(places)),
        f"    call(numbers, ({', '.join([*taken, *made])}, scratch, by_lane, wrong))",
        "    if wrong[0] != 0:",
        *(f"        {name}[:] = np.nan" for name in made),
        f"    return {', '.join(made)}",
    ]
    space: dict[str, Any] = {"np": np, "call": _call(op)}
    exec(compile("\n".join(lines), "<rlpymc kernel>", "exec"), space)
    return numba.njit(space["kernel"], nogil=True)


def _call(op: LoopOp) -> Any:
    """A numba function that calls a kernel; all arrays are arguments, so that none is freed before."""
    prefix = f"rlpymc_{op.key[:16]}_"

    @intrinsic
    def call(typing_context: Any, numbers: Any, arrays: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            if f"{prefix}compute" not in builder.module.globals:
                write_kernel(op.trace, op.mode, op.slopes, op.width, builder.module, prefix)
            address = make_array(signature.args[0])(context, builder, values[0]).data  # type: ignore[no-untyped-call]
            for name in ("compute", "collect"):
                builder.call(builder.module.globals[prefix + name], [address])
            return context.get_dummy_value()

        return types.void(numbers, arrays), write

    return call


@register_specialize  # type: ignore[untyped-decorator]
@node_rewriter([LoopOp])  # type: ignore[untyped-decorator]
def leave_out_unused_gradient(fgraph: Any, node: Apply) -> Any:
    """Compute the value alone where nobody asks for the gradient."""
    if node.op.mode != "gradient" or any(fgraph.clients[o] for o in node.outputs[1:]):
        return None
    return {node.outputs[0]: LoopOp(node.op.trace, "value", node.op.active, node.op.width)(*node.inputs)}
