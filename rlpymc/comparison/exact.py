"""Exact leave-one-out: the model is fitted without a unit, and its density of that unit is evaluated."""

from pathlib import Path

import numpy as np
import xarray as xr
from rich.progress import track
from scipy.special import logsumexp

from rlpymc.comparison.marginal import integrated, thinned
from rlpymc.comparison.refits import Refits, check_fit_of, settings_of, with_scored
from rlpymc.comparison.terms import SESSIONS, which_unit
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.posterior import flat, parameter_draws
from rlpymc.likelihood.draws import log_prob_totals
from rlpymc.trials.model_data import ModelData, data_for

POINTS = 200  # of a person's parameters for each draw of a population that was fitted without them


def leave_out(
    rl_model: RLModel,
    fit: xr.DataTree,
    terms: xr.DataArray,
    units: np.ndarray,
    folder: str | Path | None,
    progress: bool,
) -> np.ndarray:
    """Return the log predictive densities of some units, each from a refit without it.

    What is left out is not scored; the actions still drive what is learned.  A person of whom other responses remain
    is predicted from their own parameters, one of whom nothing remains from the population.

    Parameters
    ----------
    rl_model, fit
        The model of all data, and its fit.
    terms : xr.DataArray
        Log likelihoods, whose coordinates say which unit is which.
    units : (n,) int
        Which of them to leave out.
    folder, progress
        As for `loo`.
    """
    check_fit_of(rl_model, fit)
    data = rl_model.data
    refits = Refits(rl_model, settings_of(fit), folder)
    near = flat(fit["posterior"].to_dataset())
    found = []
    for k in track(units.tolist(), "refits", disable=not (progress and len(units)), transient=True):
        labels = which_unit(terms, k)
        mask = held_out(data, labels)
        name = ", ".join(f"{c} {labels[c]!r}" for c in ("subject", *SESSIONS, "trial", "response") if c in labels)
        _, refit = refits.fit(name, data.masks["scored"] & ~mask, f"without_{k}", k)
        log_lik = predictive(rl_model, refit, mask, near)
        found.append(float(logsumexp(log_lik) - np.log(log_lik.size)))
    refits.warn(stacklevel=4)  # leave_out, elpd_of, loo or compare
    return np.array(found)


def held_out(data: ModelData, labels: dict[str, object]) -> np.ndarray:
    """Mask of a unit's responses, (subject, trial[, response])."""
    names = [r.name for r in data.model.responses]
    scored = data.masks["scored"].reshape((*data.shape, len(names)))
    mask = scored & (data.subjects == labels["subject"])[:, None, None]
    if "trial" in labels:
        mask &= (np.arange(data.shape[1]) == labels["trial"])[:, None]
        mask &= np.array(names) == labels["response"]
    else:
        for column in SESSIONS:
            if column in labels:
                values = data.trials[column].transpose("subject", "trial").values
                mask &= (values == labels[column])[..., None]
    return mask.reshape(data.masks["scored"].shape)


def predictive(rl_model: RLModel, refit: xr.DataTree, mask: np.ndarray, near: xr.Dataset) -> np.ndarray:
    """Return the log likelihood, for each draw of a refit, of what one person did and was left out, (sample,).

    Parameters
    ----------
    rl_model : RLModel
        The model of all data, which knows what was fixed for whom.
    refit : xr.DataTree
        The fit to the rest.
    mask : (subject, trial[, response]) bool
        What was left out.
    near : xr.Dataset
        A posterior of all data, with the dim ``sample``: it says where to look for the parameters of a person who is
        not in the refit.
    """
    data = rl_model.data
    who = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    one = data_for(data.model, with_scored(data, mask).isel(subject=who))
    posterior = refit["posterior"].to_dataset()
    own = any(effect.by_subject for effect in rl_model.spec.population.effects(data))
    if not own or (data.masks["scored"] & ~mask)[who].any():
        return log_prob_totals(one, parameter_draws(rl_model, flat(posterior), one), rl_model.spec.backend).sum(axis=1)
    values, _ = integrated(rl_model, flat(thinned(posterior)), one, near, POINTS, np.random.default_rng(0))
    return values.sum(axis=1)
