"""From a fitted PyMC model back to the model's parameters, subject by subject."""

from typing import Any

import numpy as np
import xarray as xr

from rlpymc.build import RLModel
from rlpymc.errors import unknown
from rlpymc.likelihood.draws import log_prob_draws
from rlpymc.parameters import Parameter
from rlpymc.sequences import Sequences


def parameter_draws(
    model: RLModel, posterior: xr.Dataset, data: Sequences, rng: np.random.Generator | None = None
) -> dict[str, np.ndarray]:
    """Return draws of every parameter for the subjects of some data, constants included.

    Parameters
    ----------
    model : RLModel
        What was fitted.
    posterior : xr.Dataset
        With the dim ``sample``.
    data : Sequences
        Whose subjects are asked for; ones that were not in the fit are drawn from the population.
    rng : numpy.random.Generator, optional
        For subjects that were not in the fit.

    Returns
    -------
    dict of (sample, subject, *shape)
        By parameter.
    """
    found = {}
    for parameter in data.model.parameters:
        shape = data.parameter_shape(parameter.name)
        full = (posterior.sizes["sample"], data.shape[0], *shape)
        if not model.spec.population.is_free(parameter):
            found[parameter.name] = np.broadcast_to(_constant(model, parameter, data), full)
            continue
        draws = posterior[parameter.name]
        if "subject" not in draws.dims:
            found[parameter.name] = np.broadcast_to(draws.transpose("sample", ...).values[:, None], full)
        else:
            found[parameter.name] = _by_subject(
                parameter, draws.transpose("sample", "subject", ...), posterior, data, rng
            )
    return found


def _constant(model: RLModel, parameter: Parameter, data: Sequences) -> np.ndarray:
    """Return the values of a constant parameter for the subjects of some data, by their labels."""
    fitted = model.data
    values = model.spec.population.constant(parameter, fitted)
    if (values == values[:1]).all():
        return values[0]
    known = {label: k for k, label in enumerate(fitted.subjects.tolist())}
    if absent := [label for label in data.subjects.tolist() if label not in known]:
        raise ValueError(f"parameter {parameter.name!r} was fixed by subject, and {absent[0]!r} was not among them")
    return values[[known[label] for label in data.subjects.tolist()]]


def _by_subject(
    parameter: Parameter, draws: xr.DataArray, posterior: xr.Dataset, data: Sequences, rng: np.random.Generator | None
) -> np.ndarray:
    known = {label: k for k, label in enumerate(draws["subject"].values.tolist())}
    columns = []
    for label in data.subjects.tolist():
        if label in known:
            columns.append(draws.values[:, known[label]])
            continue
        if f"{parameter.name}_mu" not in posterior:
            raise ValueError(
                f"subject {label!r} was not in the fit, and without partial pooling nothing is known of them"
            )
        mu, sigma = (posterior[f"{parameter.name}_{part}"].transpose("sample", ...).values for part in ("mu", "sigma"))
        rng = rng if rng is not None else np.random.default_rng()
        columns.append(np.asarray(parameter.support.constrain(mu + sigma * rng.standard_normal(mu.shape))))
    return np.stack(columns, axis=1)


def flat(posterior: xr.Dataset) -> xr.Dataset:
    """Return a posterior with chains and draws as one dim, ``sample``."""
    return posterior.stack(sample=("chain", "draw"), create_index=False)


def log_likelihood(model: RLModel, posterior: xr.Dataset, unit: str) -> xr.Dataset:
    """Return the log likelihood of each draw by observation ("obs") or summed by subject ("subject")."""
    if unit not in ("obs", "subject"):
        raise unknown("unit of the log likelihood", unit, ("auto", "obs", "subject", "False"))
    data = model.data
    values = log_prob_draws(data, parameter_draws(model, flat(posterior), data))
    shape: dict[str, Any] = {d: posterior.sizes[d] for d in ("chain", "draw")}
    coords: dict[str, Any] = {d: posterior[d].values for d in ("chain", "draw")}
    if unit == "subject":
        coords["subject"] = data.subjects
        array = values.sum(axis=2).reshape((*shape.values(), -1))
    else:
        subject, trial = data.observations
        coords["obs"] = np.arange(len(subject))
        coords |= {"subject": ("obs", data.subjects[subject]), "trial": ("obs", trial)}
        coords["response"] = ("obs", np.full(len(subject), data.model.responses[0].name))
        array = values[:, subject, trial].reshape((*shape.values(), -1))
    return xr.Dataset({"choice": (("chain", "draw", "subject" if unit == "subject" else "obs"), array)}, coords=coords)
