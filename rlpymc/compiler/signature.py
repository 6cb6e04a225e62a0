"""What a kernel takes and returns: its arrays, by name and in order."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rlpymc.compiler.trace import Trace

type Taken = Literal["parameter", "column", "mask", "layout", "weight"]
type Returned = Literal["total", "terms", "slope", "argument", "before", "signal", "probs", "final", "derived"]


class Name(NamedTuple):
    """What an array holds.

    Parameters
    ----------
    what : str
        Taken: a "parameter", a "column", a "mask", the "layout" of segments, or a "weight", the derivative with
        respect to an output.  Returned: the "total" log probability of each subject, the "terms" of each trial, a
        "slope" (a derivative), an "argument" of a response's distribution; and what latents are: a state "before"
        each trial, a "signal", the "probs" of a response, a "final" state, and what was "derived" from parameters.
    of : str
        The parameter, column, mask, state, signal or response.
    argument : str
        The argument of a response's distribution.
    """

    what: Taken | Returned
    of: str = ""
    argument: str = ""


TOTAL, TERMS, WEIGHT = Name("total"), Name("terms"), Name("weight")
MASKS = tuple(Name("mask", k) for k in ("scored", "learned", "responded"))
LAYOUT = tuple(Name("layout", k) for k in ("subject", "first", "end"))


@dataclass(frozen=True)
class Output:
    """One array that a kernel returns, or takes the derivatives with respect to.

    Parameters
    ----------
    name : Name
        What it holds.
    outer : {"subject", "segment", "trial"}
        Whether it has leading axes (subject,), summed over a subject's segments or from the last of them, or (subject,
        trial).
    own : tuple of int
        Its further axes.
    """

    name: Name
    outer: str
    own: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in each of its entries."""
        return int(np.prod(self.own))


def outputs(trace: Trace, mode: str, active: tuple[str, ...]) -> list[Output]:
    """What the kernel of a mode returns, in order."""
    by_trial, shapes = trace.variant.by_trial, trace.parameter_shapes
    slopes = [Output(Name("slope", k), "trial" if k in by_trial else "subject", shapes[k]) for k in active]
    match mode:
        case "value":
            return [Output(TOTAL, "subject", ())]
        case "gradient":
            return [Output(TOTAL, "subject", ()), *slopes]
        case "terms":
            return [Output(TERMS, "trial", response_axis(trace))]
        case "arguments":
            return [Output(Name("argument", *k), "trial", np.shape(v)) for k, v in trace.arguments.items()]
        case "latents":
            before = [Output(Name("before", k), "trial", v) for k, v in trace.shapes.items()]
            signals = [Output(Name("signal", k), "trial", v.shape) for k, v in trace.signals.items()]
            probs = [Output(Name("probs", k), "trial", v.shape) for k, v in trace.probs.items()]
            return [*before, *signals, *probs, *outputs(trace, "states", active)]
        case "states":
            return [Output(Name("final", k), "segment", v) for k, v in trace.shapes.items()]
    return slopes


def response_axis(trace: Trace) -> tuple[int, ...]:
    """The axis over responses, if there are several."""
    return (len(trace.responses),) if len(trace.responses) > 1 else ()


def weights(trace: Trace, mode: str) -> list[Output]:
    """The arrays that a pullback takes beside the arguments: the derivatives with respect to its outputs."""
    if mode == "terms_pullback":
        return [Output(WEIGHT, "trial", response_axis(trace))]
    if mode == "arguments_pullback":
        return [Output(Name("weight", *k), "trial", np.shape(v)) for k, v in trace.arguments.items()]
    return []


def arguments(trace: Trace, mode: str) -> list[Name]:
    """The arrays that a kernel takes, in order."""
    columns = [Name("column", i.name) for i in trace.variant.model.inputs if i.name not in trace.variant.assumed]
    params = [Name("parameter", k) for k in trace.parameter_shapes]
    return [*params, *columns, *MASKS, *LAYOUT, *(w.name for w in weights(trace, mode))]


def dtypes(trace: Trace, mode: str) -> list[str]:
    """The types of a kernel's arguments, in order."""
    columns = {Name("column", i.name): i.dtype for i in trace.variant.model.inputs}
    kinds = columns | dict.fromkeys(MASKS, "bool") | dict.fromkeys(LAYOUT, "int64")
    return [kinds.get(name, "float64") for name in arguments(trace, mode)]
