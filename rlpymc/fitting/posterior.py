"""From a fitted PyMC model back to the model's parameters, subject by subject."""

import json
from collections.abc import Sequence
from itertools import product
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.fitting.factory import Spec
from rlpymc.fitting.subject_draws import SubjectDraws, group_values
from rlpymc.likelihood.draws import log_prob_draws
from rlpymc.likelihood.parameter_arrays import parameter_array
from rlpymc.model.parameters import Parameter
from rlpymc.model.responses import Categorical
from rlpymc.population.whole_numbers import whole_numbers
from rlpymc.trials.model_data import ModelData

BY_TRIAL = {"session", "block", "trial"}  # dims by which a person's parameter may differ


class Fitted(Protocol):
    """What was fitted: an `RLModel`, or what a fit says of it."""

    @property
    def spec(self) -> Spec:
        """Model and population."""

    @property
    def data(self) -> ModelData:
        """The data."""


def origin_of(fit: xr.DataTree, model: Fitted) -> dict[str, Any]:
    """Return what a fit says that it was made from, empty if nothing; a ValueError if that is another model."""
    made_from = dict(json.loads(fit.attrs.get("rlpymc", "{}")))
    if made_from:
        spec = json.loads(model.spec.to_json())
        # fits of before presets had names were under "wide"; another one with the same links reads them as well
        preset = "wide" if spec["preset"] == "hbayesdm" else spec["preset"]
        found = {"coupled": [], "preset": preset, "formulas": {}, "correlated": False, **made_from["spec"]}
        if found != spec:
            raise ValueError(f"the fit is of {found}, and the model is {spec}")
    return made_from


def parameter_draws(
    model: Fitted,
    posterior: xr.Dataset,
    data: ModelData,
    rng: np.random.Generator | None = None,
    leave_out: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Return draws of every parameter for the subjects of some data, constants included.

    Parameters
    ----------
    model : Fitted
        What was fitted.
    posterior : xr.Dataset
        With the dim ``sample``.
    data : ModelData
        Whose subjects are asked for; ones that were not in the fit are drawn from the population.
    rng : numpy.random.Generator, optional
        For subjects that were not in the fit.
    leave_out : sequence of str
        Parameters not to return.

    Returns
    -------
    dict of (sample, subject, *shape)
        By parameter; (sample, subject, trial, *shape) of one that differs between sessions, blocks or trials.
    """
    found, population = {}, model.spec.population
    effects, made, _ = population.parts(data)
    tied, predictors = population.tied, {p.name: p for p in made}
    own = SubjectDraws(effects, posterior, data, rng)
    for parameter in data.model.parameters:
        if parameter.name in leave_out or parameter.name in tied:
            continue
        shape = data.parameter_shape(parameter.name)
        full = (posterior.sizes["sample"], data.shape[0], *shape)
        if not population.is_free(parameter):
            found[parameter.name] = np.broadcast_to(_constant(model, parameter, data), full)
            continue
        if parameter.name in predictors:
            numbers = {e.name: own[e.name] for e in predictors[parameter.name].effects}
            found[parameter.name] = predictors[parameter.name].by_trial(numbers)
            continue
        draws = posterior[parameter.name]
        if BY_TRIAL & set(draws.dims):
            by_draw = (parameter_array(data, parameter, draws.isel(sample=k)) for k in range(draws.sizes["sample"]))
            found[parameter.name] = np.stack(list(by_draw))
        elif "subject" not in draws.dims:
            found[parameter.name] = np.broadcast_to(draws.transpose("sample", ...).values[:, None], full)
        else:
            found[parameter.name] = _by_subject(draws.transpose("sample", "subject", ...), own, data)
    return found | {name: found[first] for name, first in tied.items() if name not in leave_out}


def _constant(model: Fitted, parameter: Parameter, data: ModelData) -> np.ndarray:
    """Return the values of a constant parameter for the subjects of some data, by their labels."""
    fitted = model.data
    values = model.spec.population.constant(parameter, fitted)
    if (values == values[:1]).all():
        return values[0]
    known = {label: k for k, label in enumerate(fitted.subjects.tolist())}
    if absent := [label for label in data.subjects.tolist() if label not in known]:
        raise ValueError(f"parameter {parameter.name!r} was fixed by subject, and {absent[0]!r} was not among them")
    return values[[known[label] for label in data.subjects.tolist()]]


def _by_subject(draws: xr.DataArray, own: SubjectDraws, data: ModelData) -> np.ndarray:
    """Return draws of a parameter, as the fit has them of those who were in it."""
    known = {label: k for k, label in enumerate(draws["subject"].values.tolist())}
    labels = data.subjects.tolist()
    if all(label in known for label in labels):
        return np.asarray(draws.values[:, [known[label] for label in labels]])
    others = own[str(draws.name)]
    columns = [draws.values[:, known[k]] if k in known else others[:, i] for i, k in enumerate(labels)]
    return np.stack(columns, axis=1)


def log_prior(model: Fitted, posterior: xr.Dataset) -> xr.Dataset:
    """Return the log density of each draw's variables under their own priors, by variable, summed over entries.

    Subjects' deviations from the group are left out: their distribution is a part of the model, and no prior of it.
    """
    draws, found = flat(posterior), {}
    sizes = [posterior.sizes[d] for d in ("chain", "draw")]
    for effect in model.spec.population.effects(model.data):
        values = group_values(effect, draws)
        if not effect.pooled and effect.by_subject and effect.name in draws and effect.variables:
            values["own"] = draws[effect.name].transpose("sample", ...).values
        for name, v in effect.named.items():
            if v.key in values:
                density = np.asarray(v.prior.log_prob(values[v.key]))
                found[name] = (("chain", "draw"), density.reshape((*sizes, -1)).sum(axis=2))
    coords = {d: posterior[d].values for d in ("chain", "draw")}
    return xr.Dataset(found, coords=coords)


def draw_whole_numbers(model: Fitted, posterior: xr.Dataset, seed: int | None) -> xr.Dataset:
    """Return a posterior with draws of the parameters that are whole numbers, over which the likelihood was summed.

    Each is drawn from its probabilities given the draw of all other parameters and the subject's data.
    """
    data, population = model.data, model.spec.population
    whole = [p for p in data.model.parameters if p.support.discrete and population.is_free(p)]
    if not whole:
        return posterior
    draws, rng = flat(posterior), np.random.default_rng(seed)
    rest = parameter_draws(model, draws, data, leave_out=[p.name for p in whole])
    shape = (draws.sizes["sample"], data.shape[0])
    combinations = list(product(*(whole_numbers(p) for p in whole)))
    scores = []
    for combination in combinations:
        chosen = {p.name: np.full(shape, float(v)) for p, v in zip(whole, combination, strict=True)}
        terms = log_prob_draws(data, rest | chosen, model.spec.backend)
        score = terms.sum(axis=tuple(range(2, terms.ndim)))
        for p, v in zip(whole, combination, strict=True):
            score = score + log_weight(population.prior(p), p.name, v, draws)[:, None]
        scores.append(score)
    table = np.stack(scores, axis=-1)
    picked = Categorical(logits=table).sample(rng)
    sizes = [posterior.sizes[d] for d in ("chain", "draw")]
    for k, p in enumerate(whole):
        values = np.array([c[k] for c in combinations])[picked].reshape((*sizes, -1))
        posterior = posterior.assign({p.name: (("chain", "draw", "subject"), values)})
    return posterior.assign_coords(subject=data.subjects)


def log_weight(prior: Any, name: str, value: int, draws: xr.Dataset) -> np.ndarray:
    """Return the log probability that a parameter which is a whole number has a value, (sample,)."""
    if f"{name}_probs" in draws:
        if value not in draws[f"{name}_value"]:
            return np.full(draws.sizes["sample"], -np.inf)
        return np.log(draws[f"{name}_probs"].sel({f"{name}_value": value}).transpose("sample").values)
    return np.full(draws.sizes["sample"], prior.log_prob(value))


def by_chain[Labelled: (xr.Dataset, xr.DataArray)](found: Labelled, posterior: xr.Dataset) -> Labelled:
    """Return what has the dim ``sample``, as `flat` makes it, with chains and draws as dims of their own, the first."""
    index = pd.MultiIndex.from_product([posterior[d].values for d in ("chain", "draw")], names=["chain", "draw"])
    coords = xr.Coordinates.from_pandas_multiindex(index, "sample")
    return found.assign_coords(coords).unstack("sample").transpose("chain", "draw", ...)


def flat(posterior: xr.Dataset) -> xr.Dataset:
    """Return a posterior with chains and draws as one dim, ``sample``."""
    return posterior.stack(sample=("chain", "draw"), create_index=False)


def log_likelihood(model: Fitted, posterior: xr.Dataset, unit: str) -> xr.Dataset:
    """Return the log likelihood of each draw by observation ("obs") or summed by subject ("subject")."""
    if unit not in ("obs", "subject"):
        raise unknown("unit of the log likelihood", unit, ("auto", "obs", "subject", "False"))
    data = model.data
    values = log_prob_draws(data, parameter_draws(model, flat(posterior), data), model.spec.backend)
    shape: dict[str, Any] = {d: posterior.sizes[d] for d in ("chain", "draw")}
    coords: dict[str, Any] = {d: posterior[d].values for d in ("chain", "draw")}
    if unit == "subject":
        coords["subject"] = data.subjects
        array = values.sum(axis=tuple(range(2, values.ndim))).reshape((*shape.values(), -1))
    else:
        subject, trial, *which = data.observations
        names = np.array([r.name for r in data.model.responses])
        coords["obs"] = np.arange(len(subject))
        coords |= {"subject": ("obs", data.subjects[subject]), "trial": ("obs", trial)}
        coords["response"] = ("obs", names[which[0]] if which else np.full(len(subject), names[0]))
        for column in ("session", "block"):  # for leaving sessions out
            if column in data.trials:
                coords[column] = ("obs", data.trials[column].transpose("subject", "trial").values[subject, trial])
        array = np.moveaxis(values, 0, -1)[data.observations].T.reshape((*shape.values(), -1))
    return xr.Dataset({"choice": (("chain", "draw", "subject" if unit == "subject" else "obs"), array)}, coords=coords)
