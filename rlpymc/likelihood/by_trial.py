"""Likelihoods: log probabilities, their gradients, and the quantities behind them, trial by trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.compiler.signature import Name
from rlpymc.likelihood.backends import check_backend, likelihood_of
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.likelihood.parameter_arrays import parameter_arrays, varying
from rlpymc.model import Model
from rlpymc.model.parameter_vector import own_dims
from rlpymc.model.registry import get_model
from rlpymc.trials.model_data import ModelData, data_for


def log_prob(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    backend: str = "fused",
    gradient: bool = False,
    mode: str = "quick",
    threads: int = 1,
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
    backend : {"fused", "scan"}
        What computes it: a loop compiled for the model, or PyTensor's scan, which is the reference.  A model that
        cannot be compiled into a loop runs as a scan, and a warning says why.
    gradient : bool
        Whether to return the gradient, too.
    mode : {"quick", "NUMBA", "JAX", ...}
        How a scan is compiled: "quick" is ready at once, and right for a few calls; the others, PyTensor's, pay off
        over hundreds.
    threads : int
        How many threads share the work of a loop; more than one pays for tens of thousands of trials.

    Returns
    -------
    xr.DataArray (subject, trial)
        0 where a trial is not scored; the sum over its responses where there are several.
    xr.Dataset
        With ``gradient=True``, a second value: the derivative of each subject's sum with respect to every parameter,
        (subject, *shape), or (subject, trial, *shape) for a parameter that varies by trial.

    Raises
    ------
    ValueError
        If trials or parameters do not fit the model.
    """
    likelihood, arrays = _likelihood(model, trials, params, backend, mode, threads)
    data, terms = likelihood.data, likelihood.terms(arrays)
    coords = {"subject": data.subjects, "trial": trials["trial"].values}
    terms = terms if terms.ndim == 2 else terms.sum(axis=2)
    out = xr.DataArray(terms, coords=coords, dims=list(coords), name="log_prob")
    if not gradient:
        return out
    found, outer = {}, ("subject", "trial")
    for name, slope in likelihood.gradient(arrays, list(arrays))[1].items():
        own = own_dims(name, len(data.parameter_shape(name)))
        found[name] = ((*outer[: slope.ndim - len(own)], *own), slope)
    by_trial = any("trial" in d for d, _ in found.values())
    return out, xr.Dataset(found, coords=coords if by_trial else {"subject": data.subjects})


def latents_of(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    backend: str = "fused",
    mode: str = "quick",
) -> xr.Dataset:
    """Return the learner's states and values on each trial, as `rlpymc.latents` describes them.

    Parameters
    ----------
    model, trials, params, backend, mode
        As for `log_prob`.

    Returns
    -------
    xr.Dataset (subject, trial, ...)
    """
    likelihood, arrays = _likelihood(model, trials, params, backend, mode)
    return labelled_latents(likelihood.data, likelihood.latents(arrays))


def _likelihood(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    backend: str,
    mode: str,
    threads: int = 1,
) -> tuple[Likelihood, dict[str, np.ndarray]]:
    """Return the likelihood of some trials, and the parameters as it takes them."""
    check_backend(backend)
    data = data_for(get_model(model), trials)
    arrays = parameter_arrays(data, params)
    return likelihood_of(data, backend, varying(data, arrays), mode=mode, threads=threads), arrays


LABELS = {"before": "{}", "signal": "{}", "probs": "{}_probs", "final": "{}_final", "derived": "{}"}


def labelled_latents(data: ModelData, values: Mapping[Name, np.ndarray], samples: int | None = None) -> xr.Dataset:
    """Return latents from a `Likelihood` under the names that users know, with NaN where there are none.

    Parameters
    ----------
    data : ModelData
        The data.
    values : mapping
        Arrays (subject, ...) or, where there are samples, (sample, subject, ...).
    samples : int, optional
        Number of samples.
    """
    first, out = () if samples is None else ("sample",), {}
    for (what, name, _), value in values.items():
        outer: tuple[str, ...] = (*first, "subject")
        if what not in ("final", "derived"):
            outer = (*outer, "trial")
            shown = data.masks["complete" if what == "signal" else "exists"]
            value = np.where(shown.reshape(shown.shape + (1,) * (value.ndim - len(outer))), value, np.nan)
        label = LABELS[what].format(name)
        axes = name if what == "final" else label  # a final state has the axes of the state
        own = own_dims(axes, value.ndim - len(outer))
        out[label] = ((*outer, *own), value)
    coords = {"subject": data.subjects, "trial": data.trials["trial"].values}
    return xr.Dataset(out, coords=coords if samples is None else {"sample": np.arange(samples), **coords})
