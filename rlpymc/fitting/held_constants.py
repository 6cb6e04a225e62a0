"""Whether what a model holds constant decides what is concluded: each constant is freed, alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.progress import track
from scipy.special import chdtri

from rlpymc.checks import as_names, check_seed, check_whole, unknown
from rlpymc.fitting.budget import Budget
from rlpymc.fitting.constant_refits import refits
from rlpymc.likelihood.backends import check_backend
from rlpymc.model import Model
from rlpymc.model.parameter_vector import dataset
from rlpymc.model.parameters import Parameter
from rlpymc.model.priors import Prior
from rlpymc.model.registry import get_model
from rlpymc.population.population import Population
from rlpymc.trials.model_data import ModelData, data_for, require_scored

SELDOM = 1e-3  # how often chance alone gains what counts as telling, in large samples
WELL_ABOVE = 4.0  # in units of what chance gains, which is up to twice as much in sixty trials as in large samples
CONSTANTS = "constants"  # attribute of a fit, `Constants.to_json`


@dataclass(frozen=True, repr=False)
class Constants:
    """What the log likelihood gains when a parameter that a model holds constant is estimated, each alone.

    Parameters
    ----------
    model : str
        The model.
    log_lik : xr.DataArray (subject,)
        Maximum log likelihood with all constants held, of the subjects that were fitted.
    gains : xr.DataArray (constant, subject)
        What freeing each adds, in nats.
    estimates : xr.Dataset (subject, *shape)
        The freed parameters, each from its own fit.
    held : mapping of float
        The values that they are held at.
    n_asked : int
        How many subjects there are; more than were fitted if time ran out.
    left_out : tuple of str
        Constants that cannot be freed as they are, and why.
    """

    model: str
    log_lik: xr.DataArray
    gains: xr.DataArray
    estimates: xr.Dataset
    held: Mapping[str, float]
    n_asked: int
    left_out: tuple[str, ...] = ()

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a constant.

        Returns
        -------
        pandas.DataFrame
            ``value`` that it is held at; ``gain`` in nats, over all subjects; ``by_chance``, what a parameter without
            any effect gains in expectation, half a nat for each number and subject (Wilks 1938); ``telling``, whether
            the gain is four times as much and more than chance brings once in a thousand times; ``gaining``, how many
            of the ``n_subjects`` gain what chance brings one of them once in twenty times; ``median`` of the estimates.
        """
        names, n = list(self.held), self.log_lik.size
        numbers = {name: self.estimates[name].size // max(n, 1) for name in names}
        gain = self.gains.sum("subject").values
        freed = np.array([n * numbers[name] for name in names], dtype=float)
        one = np.array([chdtri(numbers[name], 0.05) / 2 for name in names])
        rows = {
            "value": [self.held[name] for name in names],
            "gain": gain,
            "by_chance": freed / 2,
            "telling": gain > np.maximum(chdtri(freed, SELDOM) / 2, WELL_ABOVE * freed / 2),
            "gaining": (self.gains.values > one[:, None]).sum(axis=1),
            "n_subjects": n,
            "median": [float(np.median(self.estimates[name])) for name in names],
        }
        return pd.DataFrame(rows, index=pd.Index(names, name="constant"))

    def by_subject(self) -> pd.DataFrame:
        """Return one row a subject: log likelihood, and for each constant the gain and the estimate (median entry)."""
        found: dict[str, Any] = {"log_lik": self.log_lik.values}
        for name in self.held:
            own = self.estimates[name].values.reshape(self.log_lik.size, -1)
            found |= {f"{name}_gain": self.gains.sel(constant=name).values, name: np.median(own, axis=1)}
        return pd.DataFrame(found, index=pd.Index(self.log_lik["subject"].values, name="subject"))

    def to_json(self) -> str:
        """Return the table as text, to be kept with a fit."""
        rows = self.to_dataframe().to_dict("index")
        return json.dumps({"model": self.model, "n_subjects": self.n_asked, "constants": rows})

    def __repr__(self) -> str:
        return "\n".join([self._title(), self.to_dataframe().to_string(float_format="{:.4g}".format), *self._notes()])

    def _repr_html_(self) -> str:
        table = self.to_dataframe().to_html(float_format="{:.4g}".format)
        return f"<p>{self._title()}</p>{table}" + "".join(f"<p>{note}</p>" for note in self._notes())

    def _title(self) -> str:
        return (
            f"{self.model}, {self.log_lik.size} of {self.n_asked} subjects, each by maximum likelihood: "
            f"{float(self.log_lik.sum()):.1f} nats with all constants held, and what freeing one adds"
        )

    def _notes(self) -> list[str]:
        return [*(f"{sentence}." for sentence in telling(self.to_json()).values()), *self.left_out]


def telling(kept: str) -> dict[str, str]:
    """Return by name a sentence about each constant that matters, from the text that a fit keeps; "" has none."""
    found = json.loads(kept or '{"constants": {}}')
    return {
        name: f"{name} = {row['value']:g} is held, and freeing it gains {row['gain']:.1f} nats of log likelihood over "
        f"{row['n_subjects']} of {found['n_subjects']} subjects, where chance gains {row['by_chance']:.1f} (the "
        f"estimates' median is {row['median']:.2g})"
        for name, row in found["constants"].items()
        if row["telling"]
    }


def mends(found: Constants, population: Population) -> list[str]:
    """Return what to say of each constant that matters, and how to estimate it beside what is estimated already."""
    return [
        f"{sentence}: what else is concluded may rest on it. Estimate it, with one value for all, by build(..., "
        f"shared={(*population.shared, name)}); rlpymc.constants(...) tells by subject"
        for name, sentence in telling(found.to_json()).items()
    ]


def constants(
    model: Model | str,
    trials: xr.Dataset,
    names: str | Sequence[str] | None = None,
    *,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    priors: Mapping[str, Prior] | None = None,
    starts: int = 10,
    seed: int | None = 0,
    backend: str = "fused",
    progress: bool = True,
) -> Constants:
    """Free each parameter that a model holds constant, alone, and return what the log likelihood gains.

    A constant such as the value that learning starts from can decide what is concluded about all else.  Each subject
    is fitted by maximum likelihood, with all constants held and with one of them freed, as if nothing were pooled.  A
    parameter without any effect gains about half a nat for each number and subject (Wilks 1938, The large-sample
    distribution of the likelihood ratio); what gains much more should be estimated: ``build(..., free=("q0",))``.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    names : str or sequence of str, optional
        The constants to try; all that can be estimated unless told.
    fixed, free
        As for `fit_mle`: what is fixed is not tried, and what is free is estimated throughout.
    priors : mapping, optional
        Priors of constants instead of their own; they say where searches start, and nothing else.
    starts, seed, backend, progress
        As for `fit_mle`.

    Returns
    -------
    Constants
        A table: the gain in all and by subject, what chance would gain, and the estimates' median.

    Raises
    ------
    ValueError
        If the model holds no constant that can be freed, or a name is of none.
    """
    check_backend(backend)
    check_whole(1, starts=starts)
    check_seed(seed)
    data = data_for(get_model(model), trials)
    require_scored(data)
    population = Population("none", fixed=fixed or {}, free=free)
    population.check(data)
    freed, left_out = _chosen(data.model, population, None if names is None else as_names("names", names), priors or {})
    return _tried(data, population, freed, Budget(), starts, seed, backend, progress, left_out)


def constants_within(data: ModelData, population: Population, seconds: Budget, most: int, starts: int = 1) -> Constants:
    """Return the same as far as there is time, for the first few constants of a model that has been sampled.

    Parameters
    ----------
    data : ModelData
        The data.
    population : Population
        What was estimated; pooling does not count.
    seconds : Budget
        The time.
    most : int
        The number of constants.
    starts : int
        As for `rlpymc.fit_mle`; few, since more subjects tell more.
    """
    names = [p.name for p in data.model.parameters]
    priors = {name: prior for name, prior in population.priors.items() if name in names}  # none of a group
    alone = replace(population, pooling="none", shared=(), free=(*population.free, *population.shared), priors=priors)
    freed = {p.name: alone.freeing(p.name) for p in can_be_freed(data.model, population)[:most]}
    return _tried(data, alone, freed, seconds, starts, 0, "fused", False, ())


def can_be_freed(model: Model, population: Population) -> list[Parameter]:
    """Return the parameters that are held at the model's own value and can be estimated as numbers."""
    return [p for p in _held(model, population) if p.prior is not None and not p.support.discrete]


def _held(model: Model, population: Population) -> list[Parameter]:
    return [p for p in model.parameters if not population.is_free(p) and p.name not in population.fixed]


def _chosen(
    model: Model, population: Population, names: tuple[str, ...] | None, priors: Mapping[str, Prior]
) -> tuple[dict[str, Population], tuple[str, ...]]:
    """Return what is estimated with each constant freed, and sentences about constants that cannot be."""
    held = {p.name: p for p in _held(model, population)}
    for option, given in (("names", names or ()), ("priors", priors)):
        for name in given:
            if name not in held:
                raise unknown(f"constant of {model.name} in {option}", name, held)
    whole = {
        k: f"{k} is a whole number: compare fits with fixed={{{k!r}: ...}}"
        for k, p in held.items()
        if p.support.discrete
    }
    bare = {
        k: f"{k} has no prior, so there is nowhere to search: constants(..., priors={{{k!r}: ...}})"
        for k, p in held.items()
        if p.prior is None and k not in priors
    }
    left_out = {k: v for k, v in (bare | whole).items() if names is None or k in names}
    found = [name for name in held if name not in left_out and (names is None or name in names)]
    if not found or (names and left_out):
        why = "; ".join(left_out.values()) or "its parameters are all estimated or fixed, and there is nothing to try"
        raise ValueError(f"{model.name} holds no such constant that can be freed: {why}")
    return {name: population.freeing(name, priors.get(name)) for name in found}, tuple(left_out.values())


def _tried(
    data: ModelData,
    population: Population,
    freed: Mapping[str, Population],
    budget: Budget,
    starts: int,
    seed: int | None,
    backend: str,
    progress: bool,
    left_out: tuple[str, ...],
) -> Constants:
    n = data.shape[0]
    each = refits(data, population, freed, starts, seed, backend, budget)
    label = f"{data.model.name}: constants"
    found = sorted(track(each, label, n, disable=not progress, transient=True), key=lambda r: r.subject)
    subjects = data.subjects[[r.subject for r in found]]
    estimates = {
        name: np.array([r.estimates[k] for r in found]).reshape(len(found), *data.parameter_shape(name))
        for k, name in enumerate(freed)
    }
    gains = np.array([r.gains for r in found]).reshape(len(found), len(freed)).T
    where = {"subject": subjects}
    return Constants(
        model=data.model.name,
        log_lik=xr.DataArray([r.log_lik for r in found], coords=where, dims="subject"),
        gains=xr.DataArray(gains, coords={"constant": list(freed), **where}, dims=("constant", "subject")),
        estimates=dataset(estimates, subjects),
        held={name: float(data.model.parameter(name).value or 0.0) for name in freed},
        n_asked=n,
        left_out=left_out,
    )
