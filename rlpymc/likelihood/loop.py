"""The fast likelihood: a model's step, compiled into one loop over trials."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from rlpymc.compiler import scalar_source as kernel
from rlpymc.compiler import signature as interface
from rlpymc.compiler.expressions import Unsupported
from rlpymc.compiler.lanes import MODES
from rlpymc.compiler.trace import Trace, Variant, trace
from rlpymc.likelihood.derived import settled
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.likelihood.scan import core
from rlpymc.model import Facts, Model
from rlpymc.trials.model_data import ModelData
from rlpymc.trials.segments import Segments

# What the compiler may do to arithmetic: no infinity or NaN is assumed away, since an impossible choice has one.
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}


class ScanWarning(UserWarning):
    """A model runs as a scan because it cannot be compiled into a loop."""


@lru_cache(maxsize=512)
def jit(source: str) -> Callable[..., Any]:
    """Return a printed kernel as a function, which numba compiles when it is first called."""
    names = "exp, log, log1p, expm1, sqrt, tanh, erf"
    space: dict[str, Any] = {}
    exec(compile(f"import numpy as np\nfrom math import {names}\n\n{source}", "<rlpymc kernel>", "exec"), space)
    return numba.njit(space["kernel"], **OPTIONS)


def find_trace(
    model: Model, facts: Facts, columns: Iterable[str], by_trial: Iterable[str] = (), backend: str = "fused"
) -> Trace | None:
    """Return a model's step for kernels, in which derived values are parameters, or None where the scan is to run.

    Parameters
    ----------
    model, facts
        The model and what is known before the data.
    columns : iterable of str
        Those of the model's columns that the trials have.
    by_trial : iterable of str
        Parameters that vary by trial.
    backend : {"fused", "scan"}
        What was asked for.

    Raises
    ------
    ValueError
        If the model's step is wrong, or can be computed in neither way; the message names the line.

    Warns
    -----
    ScanWarning
        If the model cannot be compiled into a loop; the message says why.
    """
    model = settled(model, facts)
    assumed = frozenset(i.name for i in model.inputs) - frozenset(columns)
    step, why = None, ""
    try:
        step = trace(Variant(model, facts, assumed, frozenset(by_trial)))
    except Unsupported as found:
        why = str(found)
    try:
        core(model, facts)
    except Exception as problem:  # neither way will do: the tracer's words name the line of the model
        if not why or (isinstance(problem, ValueError) and str(problem) in why):
            raise
        raise ValueError(f"model {model.name!r}: {why}") from problem
    if backend == "scan":
        return None
    if step is None:
        warnings.warn(
            f"{model.name} runs as a scan, many times slower: {why}. backend='scan' says that this is meant",
            ScanWarning,
            stacklevel=2,
        )
    return step


def layout(segments: Segments) -> list[np.ndarray]:
    """Return each segment's subject, first trial and end, as kernels take them."""
    first = segments.row[:, 0] % segments.place.shape[1]
    return [segments.subject.astype(np.int64), first.astype(np.int64), first + segments.exists.sum(axis=1)]


def run(
    step: Trace,
    mode: str,
    params: Mapping[str, np.ndarray],
    data: ModelData,
    active: tuple[str, ...] = (),
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Return what a kernel computes, by name.

    Parameters
    ----------
    step : Trace
        The model's step.
    mode : str
        See `rlpymc.compiler.scalar_source.source`.
    params : dict of (subject, *shape) or (subject, trial, *shape)
        Every parameter.
    data : ModelData
        Columns and masks.
    active : tuple of str
        Parameters with respect to which the gradient is wanted.
    threads : int
        How many threads share the work.
    """
    if mode in MODES:
        return Evaluator(step, mode, data, active, packed=False, threads=threads)(params)
    values = [np.ascontiguousarray(params[p.name], dtype=float) for p in step.variant.model.parameters]
    columns = [data.inputs[i.name] for i in step.variant.model.inputs if i.name not in step.variant.assumed]
    masks = [data.masks[name] for name in interface.MASKS]
    found = jit(kernel.source(step, mode, active))(*values, *columns, *masks, *layout(data.segments))
    return named(found, [o.name for o in interface.outputs(step, mode, active)])


def named(found: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what a kernel returned by name: one array, a tuple of several, or nothing."""
    return dict(zip(names, (found,) if len(names) == 1 else found or (), strict=True))
