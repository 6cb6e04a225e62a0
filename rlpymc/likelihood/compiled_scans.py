"""Scans of all trials, of one subject, and second derivatives, each compiled once for data of one shape."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from rlpymc.compiler.signature import MASKS, TERMS, Name
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Facts, Model
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.parameters import resolve_shape
from rlpymc.trials.model_data import ModelData
from rlpymc.trials.segments import Segments


def by_trial(data: ModelData, arrays: Mapping[str, np.ndarray], what: str, mode: str) -> dict[Name, np.ndarray]:
    """Return "terms", the same and slopes ("gradient"), "arguments" or "latents", as kernels name them."""
    model, segments = data.model, data.segments
    shapes = tuple(arrays[p.name].shape for p in model.parameters)
    names, function = _by_trial(model, data.facts, segments, shapes, what, mode)
    inputs = [data.inputs[i.name] for i in model.inputs]
    masks = [data.masks[mask.of] for mask in MASKS]
    values = function(*(arrays[p.name] for p in model.parameters), *inputs, *masks)
    found = {name: np.asarray(v) for name, v in zip(names, values, strict=True)}
    last = {s: k for k, s in enumerate(segments.subject)}  # each subject's last segment
    order = [last[s] for s in range(data.shape[0])]
    return {k: v[order] if k.what == "final" else v for k, v in found.items()}


@lru_cache(maxsize=16)
def _by_trial(
    model: Model,
    facts: Facts,
    segments: Segments,
    shapes: tuple[tuple[int, ...], ...],
    what: str,
    mode: str,
) -> tuple[list[Name], Callable[..., list[np.ndarray]]]:
    by_name = dict(zip((p.name for p in model.parameters), shapes, strict=True))
    arguments, params, scored, forward = placeholders(model, facts, segments, by_name)
    graph = forward.graph
    outputs: dict[Name, Any]
    wanted: dict[Name, Any]
    if what == "latents":
        wanted = {Name("signal", k): v for k, v in graph.signals.items()}
        wanted |= {Name("probs", k): pt.as_tensor(r.probs) for k, r in graph.responses.items() if r.discrete}
        states: dict[Name, Any] = {Name("before", k): v.swapaxes(0, 1) for k, v in forward.states.items()}
        outputs = {k: forward.put_back(v) for k, v in {**states, **forward.trial_by_trial(wanted)}.items()}
        outputs |= {Name("final", k): v for k, v in forward.final.items()}
    elif what == "arguments":
        wanted = {
            Name("argument", k, a): pt.as_tensor(v) for k, r in graph.responses.items() for a, v in r.arguments.items()
        }
        outputs = {k: forward.put_back(v) for k, v in forward.trial_by_trial(wanted).items()}
    else:
        outputs = {TERMS: forward.terms(scored)}
        if what == "gradient" and params:
            slopes = pt.grad(outputs[TERMS].sum(), list(params.values()), disconnected_inputs="ignore")
            outputs |= {Name("slope", k): v for k, v in zip(params, slopes, strict=True)}
    function = pytensor.function(
        arguments,
        list(outputs.values()),
        mode=pytensor_mode(mode),
        on_unused_input="ignore",
        trust_input=True,
    )
    return list(outputs), function


@lru_cache(maxsize=16)
def of_one_subject(
    model: Model,
    facts: Facts,
    layout: tuple[int, int],
    estimated: tuple[str, ...],
    mode: str,
) -> Callable[..., list[np.ndarray]]:
    """Return the compiled sum of log probabilities over one subject's segments, and its gradient."""
    everywhere, starts = np.ones(layout, dtype=bool), np.zeros(layout, dtype=bool)
    starts[:, 0] = True
    shapes = {p.name: resolve_shape(p.shape, vars(facts)) for p in model.parameters}
    segments = Segments.from_masks(everywhere, starts)
    arguments, params, scored, forward = placeholders(model, facts, segments, shapes)
    total = forward.terms(scored).sum()
    slopes = pt.grad(total, [params[k] for k in estimated], disconnected_inputs="ignore") if estimated else []
    return pytensor.function(
        arguments, [total, *slopes], mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
    )


def hessians(data: ModelData, arrays: Mapping[str, np.ndarray], vector: ParameterVector, mode: str) -> np.ndarray:
    """Return the Hessians by differentiating the scan's gradient, (subject, entry, entry)."""
    function = _product(data.model, data.facts, data.segments, vector.names, mode)
    values = [arrays[p.name] for p in data.model.parameters]
    values += [data.inputs[i.name] for i in data.model.inputs] + [data.masks[mask.of] for mask in MASKS]
    n, size = data.shape[0], len(vector)
    found = np.empty((n, size, size))
    for k, direction in enumerate(np.eye(size)):
        everybody = vector.split(np.tile(direction, (n, 1)))
        parts = [np.ascontiguousarray(part) for part in everybody.values()]
        found[:, k] = vector.join_slopes(function(*parts, *values), (n,))
    return found


@lru_cache(maxsize=8)
def _product(
    model: Model, facts: Facts, segments: Segments, names: tuple[str, ...], mode: str
) -> Callable[..., list[np.ndarray]]:
    """Return the compiled product of the Hessian with a direction, each subject's with its own."""
    shapes = {p.name: (len(segments.place), *resolve_shape(p.shape, vars(facts))) for p in model.parameters}
    arguments, params, scored, forward = placeholders(model, facts, segments, shapes)
    chosen = [params[name] for name in names]
    slopes = pt.grad(forward.terms(scored).sum(), chosen, disconnected_inputs="ignore")
    directions = [pt.tensor(f"{p.name}_direction", shape=p.type.shape, dtype="float64") for p in chosen]
    along = sum((slope * d).sum() for slope, d in zip(slopes, directions, strict=True))
    products = pt.grad(along, chosen, disconnected_inputs="ignore")
    # ready at once means without the C compiler, which would work on each operation of the scans' steps
    with pytensor.config.change_flags(**({"cxx": ""} if mode == "quick" else {})):
        return pytensor.function(
            [*directions, *arguments], products, mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
        )
