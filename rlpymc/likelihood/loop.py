"""The fast likelihood: a model's step, traced and compiled into one loop over trials."""

import warnings
from collections.abc import Iterable, Mapping

import numpy as np

from rlpymc.compiler.expressions import Unsupported
from rlpymc.compiler.trace import Trace, Variant, trace
from rlpymc.likelihood.derived import without_derive
from rlpymc.likelihood.evaluator import Evaluator
from rlpymc.model import Facts, Model
from rlpymc.model.responses import Response
from rlpymc.trials.model_data import ModelData


class ScanWarning(UserWarning):
    """A model runs as a scan because it cannot be compiled into a loop."""


def find_trace(
    model: Model,
    facts: Facts,
    columns: Iterable[str],
    by_trial: Iterable[str] = (),
    backend: str = "fused",
    resumed: bool = False,
) -> Trace | None:
    """The step of a model for loops, in which derived values are parameters, or None where the scan is to run.

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
    resumed : bool
        Whether the state before the first trial is given.

    Raises
    ------
    ValueError
        If the model's step is wrong, or can be computed in neither way; the message names the line.

    Warns
    -----
    ScanWarning
        If the model cannot be compiled into a loop; the message says why.
    """
    assumed, why = frozenset(i.name for i in model.inputs) - frozenset(columns), ""
    try:  # for the scan, too: what is wrong with a step is found here
        found = trace(Variant(without_derive(model, facts), facts, assumed, frozenset(by_trial), resumed))
    except Unsupported as problem:
        found, why = None, str(problem)
    if found is not None and backend == "fused":
        return found
    _require_scan(model, facts, why)
    if backend == "scan":
        return None
    warnings.warn(
        f"{model.name} runs as a scan, many times slower: {why}. backend='scan' says that this is meant",
        ScanWarning,
        stacklevel=2,
    )
    return None


def _require_scan(model: Model, facts: Facts, why: str = "") -> None:
    """Raise a ValueError if a step cannot be computed as a scan either; the tracer's words name the model's line."""
    from rlpymc.likelihood.scan import core  # PyTensor, which loops do without

    try:
        core(model, facts)
    except Exception as problem:
        if not why or (isinstance(problem, ValueError) and str(problem) in why):
            raise
        raise ValueError(f"model {model.name!r}: {why}") from problem


def responses_of(data: ModelData, backend: str) -> Mapping[str, Response]:
    """The distribution of each response, by name, its arguments expressions or graphs of one subject at one trial."""
    found = find_trace(data.model, data.facts, data.columns, (), backend)
    if found is not None:
        return found.responses
    from rlpymc.likelihood.scan import core  # PyTensor, which loops do without

    return core(data.model, data.facts).responses


def run(
    trace: Trace,
    mode: str,
    params: Mapping[str, np.ndarray],
    data: ModelData,
    active: tuple[str, ...] = (),
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """What a kernel computes, by name.

    Parameters
    ----------
    trace : Trace
        The model's step.
    mode : str
        Of `rlpymc.compiler.lanes.MODES`.
    params : dict of (subject, *shape) or (subject, trial, *shape)
        Every parameter.
    data : ModelData
        Columns and masks.
    active : tuple of str
        Parameters with respect to which the gradient is wanted.
    threads : int
        How many threads share the work.
    """
    return Evaluator(trace, mode, data, active, packed=False, threads=threads)(params)
