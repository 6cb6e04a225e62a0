"""What a kernel takes and returns: the arrays, by name and in order."""

from dataclasses import dataclass

import numpy as np

from rlpymc.compiler.trace import Trace

MASKS = ("scored", "learned", "responded")
LAYOUT = ("subject", "first", "end")


@dataclass(frozen=True)
class Output:
    """One array that a kernel returns.

    Parameters
    ----------
    name : str
        Its name in the kernel.
    outer : {"subject", "segment", "trial"}
        Whether it has leading axes (subject,), summed over a subject's segments or from the last of them, or (subject,
        trial).
    own : tuple of int
        Its further axes.
    """

    name: str
    outer: str
    own: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in each of its entries."""
        return int(np.prod(self.own))


def outputs(trace: Trace, mode: str, active: tuple[str, ...]) -> list[Output]:
    """What the kernel of a mode returns, in order."""
    by_trial, shapes = trace.variant.by_trial, trace.parameter_shapes
    slopes = [Output(f"g_{k}", "trial" if k in by_trial else "subject", shapes[k]) for k in active]
    match mode:
        case "value":
            return [Output("total", "subject", ())]
        case "gradient":
            return [Output("total", "subject", ()), *slopes]
        case "terms":
            return [Output("terms", "trial", response_axis(trace))]
        case "arguments":
            return [Output(f"y_{k}", "trial", np.shape(nodes)) for k, nodes in trace.arguments.items()]
        case "latents":
            before = [Output(f"before_{k}", "trial", v) for k, v in trace.shapes.items()]
            signals = [Output(f"signal_{k}", "trial", v.shape) for k, v in trace.signals.items()]
            probs = [Output(f"probs_{k}", "trial", v.shape) for k, v in trace.probs.items()]
            return [*before, *signals, *probs, *outputs(trace, "states", active)]
        case "states":
            return [Output(f"final_{k}", "segment", v) for k, v in trace.shapes.items()]
    return slopes


def response_axis(trace: Trace) -> tuple[int, ...]:
    """The axis over responses, if there are several."""
    return (len(trace.responses),) if len(trace.responses) > 1 else ()


def weights(trace: Trace, mode: str) -> list[Output]:
    """The arrays that a pullback takes beside the arguments: the derivatives with respect to its outputs."""
    if mode == "terms_pullback":
        return [Output("weight", "trial", response_axis(trace))]
    if mode == "arguments_pullback":
        return [Output(f"w_{k}", "trial", np.shape(nodes)) for k, nodes in trace.arguments.items()]
    return []


def arguments(trace: Trace, mode: str) -> list[str]:
    """The names of a kernel's arguments, in order."""
    columns = [f"x_{i.name}" for i in trace.variant.model.inputs if i.name not in trace.variant.assumed]
    params = [f"p_{k}" for k in trace.parameter_shapes]
    return [*params, *columns, *MASKS, *LAYOUT, *(w.name for w in weights(trace, mode))]


def dtypes(trace: Trace, mode: str) -> list[str]:
    """The types of a kernel's arguments, in order."""
    columns = {f"x_{i.name}": i.dtype for i in trace.variant.model.inputs}
    kinds = columns | dict.fromkeys(MASKS, "bool") | dict.fromkeys(LAYOUT, "int64")
    return [kinds.get(name, "float64") for name in arguments(trace, mode)]
