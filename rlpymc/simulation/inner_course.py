"""What a learner knew on each trial: its states and values, at given parameters or over the draws of a fit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from rlpymc.checks import check_seed
from rlpymc.likelihood.by_trial import labelled_latents, latents_of
from rlpymc.likelihood.draws import latent_draws
from rlpymc.model import Model

if TYPE_CHECKING:
    from rlpymc.fitting.factory import RLModel

FORMS = (
    "latents takes a model, trials and parameters, latents(model, trials, params), or a model from rlpymc.build and "
    "its fit, latents(rl_model, fit, draws=100)"
)


def latents(
    model: "Model | str | RLModel",
    trials: xr.Dataset | xr.DataTree,
    params: Mapping[str, Any] | xr.Dataset | None = None,
    backend: str = "fused",
    mode: str = "quick",
    *,
    draws: int = 100,
    seed: int | None = None,
) -> xr.Dataset:
    """The learner's states and values on each trial: ``latents(model, trials, params)``, or ``latents(rl_model, fit)``.

    Parameters
    ----------
    model : Model, str or RLModel
        A model or its name; or one from `build`.
    trials : xr.Dataset or xr.DataTree
        From `read_trials` or `simulate`; or, for a model from `build`, its fit, from `sample`.
    params : mapping
        As for `log_prob`; for a fit, the draws of its posterior take their place.
    backend, mode
        As for `log_prob`; a fit is evaluated as its model was built.
    draws : int
        For a fit: number of draws of the parameters, spread over the posterior at random.
    seed : int, optional
        For a fit: the same seed gives the same draws, those of `predict` with this seed.

    Returns
    -------
    xr.Dataset
        Each state before the trial, (subject, trial, ...); ``<state>_final``, (subject, ...), after the subject's last
        trial; what it derived from its parameters beforehand, (subject, ...); the model's signals, (subject, trial,
        ...); and the probability of each response, ``<response>_probs``, where it is discrete.  NaN in padding; a
        signal is NaN where a column that it may need is missing.  For a fit all of them begin with the dim sample:
        ``.mean("sample")`` and ``.std("sample")`` are what one correlates with a brain, and how sure it is.

    Raises
    ------
    TypeError
        If model, trials and parameters do not go together.
    ValueError
        If trials, parameters or the fit do not fit the model.
    """
    if isinstance(model, Model | str):
        if isinstance(trials, xr.DataTree):
            raise TypeError(f"{FORMS}; found {_kind(model)} and a fit: give the model that was fitted")
        if params is None:
            raise TypeError(
                f"{FORMS}; found {_kind(model)} and trials without parameters: give params={{'name': value}}"
            )
        return latents_of(model, trials, params, backend, mode)
    from rlpymc.simulation.chosen_draws import chosen_draws  # PyMC, which latents of parameters do without

    if not isinstance(trials, xr.DataTree):
        raise TypeError(f"{FORMS}; found {_kind(model)} and {type(trials).__name__}")
    if params is not None:
        raise TypeError(
            f"{FORMS}; found a fit and params {params!r:.60}: a number of draws is given by name, draws=..."
        )
    check_seed(seed)
    data, chosen = chosen_draws("latents", model, trials, draws, np.random.default_rng(seed))
    return labelled_latents(data, latent_draws(data, chosen, model.spec.backend), draws)


def _kind(model: Any) -> str:
    return f"the model {model!r}" if isinstance(model, str) else type(model).__name__
