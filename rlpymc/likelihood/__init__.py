"""Likelihoods: log probabilities, their gradients, and the quantities behind them, trial by trial."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr

from rlpymc.errors import unknown
from rlpymc.likelihood.arguments import parameter_arrays
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import core, placeholders
from rlpymc.model import Facts, Model
from rlpymc.registry import get_model
from rlpymc.responses import Normal
from rlpymc.sequences import Segments, Sequences, sequences

__all__ = ["check_backend", "evaluate", "latents", "log_prob"]

BACKENDS = ("scan",)


def check_backend(backend: str) -> None:
    """Raise a ValueError unless there is a backend of this name."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)


def log_prob(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    backend: str = "scan",
    gradient: bool = False,
    mode: str = "quick",
) -> Any:
    """Return the log probability of each trial's responses.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    params : mapping
        By name: a number, an array (subject, *shape), or a DataArray with dims out of subject, session, block, trial
        and the parameter's own.  Constants may be left out.
    backend : {"scan"}
        What computes it.
    gradient : bool
        Whether to return the gradient, too.
    mode : {"quick", "NUMBA", "JAX", ...}
        How to compile: "quick" is ready at once, and right for a few calls; the others, PyTensor's, pay off over
        hundreds.

    Returns
    -------
    xr.DataArray (subject, trial)
        0 where a trial is not scored.
    xr.Dataset
        With ``gradient=True``, a second value: the derivative of each subject's sum with respect to every parameter,
        (subject, *shape), or (subject, trial, *shape) for a parameter that varies by trial.

    Raises
    ------
    ValueError
        If trials or parameters do not fit the model.
    """
    check_backend(backend)
    data = sequences(get_model(model), trials)
    arrays = parameter_arrays(data, params)
    value, *slopes = evaluate(data, arrays, "gradient" if gradient else "log_prob", mode)
    dims = {"subject": data.subjects, "trial": trials["trial"].values}
    out = xr.DataArray(value, coords=dims, dims=list(dims), name="log_prob")
    if not gradient:
        return out
    outer = ("subject", "trial")
    found = {
        name: ((*outer[: slope.ndim - len(own)], *(f"{name}_dim_{k}" for k in range(len(own)))), slope)
        for name, slope in zip(arrays, slopes, strict=True)
        for own in [data.parameter_shape(name)]
    }
    coords = (
        dims
        if any(v.ndim > 1 + len(data.parameter_shape(k)) for k, v in arrays.items())
        else {"subject": data.subjects}
    )
    return out, xr.Dataset(found, coords=coords)


def latents(
    model: Model | str, trials: xr.Dataset, params: Mapping[str, Any] | xr.Dataset, mode: str = "quick"
) -> xr.Dataset:
    """Return what the learner knew and computed on each trial.

    Parameters
    ----------
    model, trials, params, mode
        As for `log_prob`.

    Returns
    -------
    xr.Dataset
        Each state before the trial, (subject, trial, ...); ``<state>_final``, (subject, ...), after the subject's last
        trial; the model's signals, (subject, trial, ...); and the probability of each response, ``<response>_probs``,
        where it is discrete.  NaN in padding; a signal is NaN where a column that it may need is missing.
    """
    data = sequences(get_model(model), trials)
    arrays = parameter_arrays(data, params)
    graph = core(data.model, data.facts)
    probs = [k for k, r in graph.responses.items() if not isinstance(r, Normal)]
    names = [*graph.s, *graph.signals, *(f"{k}_probs" for k in probs), *(f"{k}_final" for k in graph.s)]
    values = dict(zip(names, evaluate(data, arrays, "latents", mode), strict=True))
    exists = data.masks["exists"]
    out = {}
    for name, value in values.items():
        outer: tuple[str, ...] = ("subject",)
        if not name.endswith("_final"):
            outer = ("subject", "trial")
            shown = data.masks["complete"] if name in graph.signals else exists
            value = np.where(shown.reshape(shown.shape + (1,) * (value.ndim - 2)), value, np.nan)
        else:
            last = {s: k for k, s in enumerate(data.segments.subject)}  # each subject's last segment
            value = value[[last[s] for s in range(data.shape[0])]]
        own = tuple(f"{name.removesuffix('_final')}_dim_{k}" for k in range(value.ndim - len(outer)))
        out[name] = ((*outer, *own), value)
    return xr.Dataset(out, coords={"subject": data.subjects, "trial": trials["trial"].values})


def evaluate(data: Sequences, arrays: Mapping[str, np.ndarray], what: str, mode: str) -> list[np.ndarray]:
    """Return "log_prob", "gradient" or "latents" of data and parameters; compiled once for all of one shape."""
    model = data.model
    shapes = tuple(arrays[p.name].shape for p in model.parameters)
    function = _compiled(model, data.facts, data.segments, shapes, what, mode)
    inputs = [data.inputs[i.name] for i in model.inputs]
    masks = [data.masks[name] for name in ("scored", "learned", "responded")]
    return [np.asarray(v) for v in function(*(arrays[p.name] for p in model.parameters), *inputs, *masks)]


@lru_cache(maxsize=16)
def _compiled(
    model: Model,
    facts: Facts,
    segments: Segments,
    shapes: tuple[tuple[int, ...], ...],
    what: str,
    mode: str,
) -> Callable[..., list[np.ndarray]]:
    by_name = dict(zip((p.name for p in model.parameters), shapes, strict=True))
    arguments, params, scored, forward = placeholders(model, facts, segments, by_name)
    graph = forward.graph
    outputs: list[Any]
    if what == "latents":
        probs = {f"{k}_probs": pt.as_tensor(r.probs) for k, r in graph.responses.items() if not isinstance(r, Normal)}
        by_trial = forward.trial_by_trial({**graph.signals, **probs})
        states = {k: v.swapaxes(0, 1) for k, v in forward.states.items()}
        outputs = [forward.put_back(v) for v in {**states, **by_trial}.values()] + list(forward.final.values())
    else:
        value = forward.log_prob(scored)
        outputs = [value]
        if what == "gradient" and params:
            outputs += pt.grad(value.sum(), list(params.values()), disconnected_inputs="ignore")
    return pytensor.function(
        arguments,
        outputs,
        mode=pytensor_mode(mode),
        on_unused_input="ignore",
        trust_input=True,
    )
