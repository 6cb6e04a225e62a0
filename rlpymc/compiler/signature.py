"""What kernels take and return: the arrays, by name and in order."""

from dataclasses import dataclass

import numpy as np

from rlpymc.compiler.trace import Trace

STEPS = ("start", "respond", "update")  # a single trial, for simulations: states come and go as arrays
MASKS = ("scored", "learned", "responded")
LAYOUT = ("subject", "first", "end")


@dataclass(frozen=True)
class Output:
    """One array that a kernel returns.

    Parameters
    ----------
    name : str
        Its name in the kernel.
    outer : {"subject", "trial"}
        Whether it has leading axes (subject,) or (subject, trial).
    own : tuple of int
        Its further axes.
    start : str
        What it is filled with.
    """

    name: str
    outer: str
    own: tuple[int, ...]
    start: str = "0.0"


def outputs(trace: Trace, mode: str, active: tuple[str, ...]) -> list[Output]:
    """Return what the kernel of a mode returns, in order."""
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
            before = [Output(f"before_{k}", "trial", v, "np.nan") for k, v in trace.shapes.items()]
            signals = [Output(f"signal_{k}", "trial", v.shape, "np.nan") for k, v in trace.signals.items()]
            probs = [Output(f"probs_{k}", "trial", v.shape, "np.nan") for k, v in trace.probs.items()]
            return [*before, *signals, *probs, *(Output(f"final_{k}", "subject", v) for k, v in trace.shapes.items())]
        case "start":
            return [Output(f"state_{k}", "subject", (len(v),)) for k, v in trace.start.items()]
        case "respond":
            return [Output(f"y_{k}", "subject", np.shape(nodes)) for k, nodes in trace.arguments.items()]
        case "update":
            return []
    return slopes


def response_axis(trace: Trace) -> tuple[int, ...]:
    """Return the axis over responses, if there are several."""
    return (len(trace.responses),) if len(trace.responses) > 1 else ()


def weights(trace: Trace, mode: str) -> list[Output]:
    """Return the arrays that a pullback takes beside the arguments: the derivatives with respect to its outputs."""
    if mode == "terms_pullback":
        return [Output("weight", "trial", response_axis(trace))]
    if mode == "arguments_pullback":
        return [Output(f"w_{k}", "trial", np.shape(nodes)) for k, nodes in trace.arguments.items()]
    return []


def arguments(trace: Trace, mode: str) -> list[str]:
    """Return the names of a kernel's arguments, in order."""
    model = trace.variant.model
    columns = [f"x_{i.name}" for i in model.inputs if i.name not in trace.variant.assumed]
    params = [f"p_{p.name}" for p in model.parameters]
    if mode == "start":
        return [*params, "scored"]
    if mode in STEPS:
        return [*params, *columns, *MASKS, *(f"state_{k}" for k in trace.start)]
    return [*params, *columns, *MASKS, *LAYOUT, *(w.name for w in weights(trace, mode))]


def dtypes(trace: Trace, mode: str) -> list[str]:
    """Return the types of a kernel's arguments, in order."""
    columns = {f"x_{i.name}": i.dtype for i in trace.variant.model.inputs}
    kinds = columns | dict.fromkeys(MASKS, "bool") | dict.fromkeys(LAYOUT, "int64")
    return [kinds.get(name, "float64") for name in arguments(trace, mode)]
