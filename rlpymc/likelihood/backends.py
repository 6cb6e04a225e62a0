"""What can compute a likelihood, and what does for a model and its data."""

import warnings
from collections.abc import Iterable

from rlpymc.checks import unknown
from rlpymc.compiler.expressions import Unsupported
from rlpymc.compiler.trace import Trace, Variant, trace
from rlpymc.likelihood.derived import DerivingLikelihood, derived, without_derive
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.likelihood.loop import LoopLikelihood
from rlpymc.model import Facts, Model
from rlpymc.trials.model_data import ModelData

BACKENDS = ("fused", "scan")


class ScanWarning(UserWarning):
    """A model runs as a scan because it cannot be compiled into a loop."""


def check_backend(backend: str) -> None:
    """Raise a ValueError unless there is a backend of this name."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)


def likelihood_of(
    data: ModelData, backend: str = "fused", by_trial: Iterable[str] = (), *, mode: str = "quick", threads: int = 1
) -> Likelihood:
    """Return the likelihood of some data.

    Parameters
    ----------
    data : ModelData
        The data of a model.
    backend : {"fused", "scan"}
        What computes it, see `rlpymc.log_prob`; the scan also computes what cannot be compiled into a loop.
    by_trial : iterable of str
        Parameters that vary by trial.
    mode, threads
        How a scan is compiled, and how many threads share the work of a loop, see `rlpymc.log_prob`.

    Raises
    ------
    ValueError
        If the model's step is wrong, or can be computed in neither way; the message names the line.

    Warns
    -----
    ScanWarning
        If the model cannot be compiled into a loop; the message says why.
    """
    further = derived(data.model, data.facts)
    if further is not None:
        inner = likelihood_of(further.data(data), backend, by_trial, mode=mode, threads=threads)
        return DerivingLikelihood(data, further, inner)
    found = find_trace(data.model, data.facts, data.columns, by_trial, backend)
    if found is not None:
        return LoopLikelihood(data, found, threads)
    from rlpymc.likelihood.scan_likelihood import ScanLikelihood  # PyTensor, which loops do without

    return ScanLikelihood(data, mode)


def find_trace(
    model: Model, facts: Facts, columns: Iterable[str], by_trial: Iterable[str] = (), backend: str = "fused"
) -> Trace | None:
    """The step of a model for loops, in which derived values are parameters, or None where the scan is to run.

    Parameters
    ----------
    model, facts
        The model and what is known before the data.
    columns : iterable of str
        Those of the model's columns that the trials have.
    by_trial, backend
        See `likelihood_of`, which raises and warns alike.
    """
    assumed, why = frozenset(i.name for i in model.inputs) - frozenset(columns), ""
    try:  # for the scan, too: what is wrong with a step is found here
        found = trace(Variant(without_derive(model, facts), facts, assumed, frozenset(by_trial)))
    except Unsupported as problem:
        found, why = None, str(problem)
    if found is not None and backend == "fused":
        return found
    _require_scan(model, facts, why)
    if backend == "fused":
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
