"""Draws of a model's parameters from its fit, chosen at random."""

import numpy as np
import xarray as xr

from rlpymc.checks import check_whole
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.posterior import flat, origin_of, parameter_draws
from rlpymc.population.predictors import parameters_of
from rlpymc.trials.model_data import ModelData, data_for


def chosen_draws(
    what: str,
    rl_model: RLModel,
    fit: xr.DataTree,
    draws: int,
    rng: np.random.Generator,
    trials: xr.Dataset | None = None,
) -> tuple[ModelData, dict[str, np.ndarray]]:
    """Check that a fit is of a model, and return data and so many draws of every parameter, constants included.

    Parameters
    ----------
    what : str
        The function that asks, for messages.
    rl_model : RLModel
        From `build`.
    fit : xr.DataTree
        Its fit, from `sample`.
    draws : int
        How many, without repetition as long as the posterior has as many, in its order.
    rng : numpy.random.Generator
        Chooses them, and draws the parameters of people who were not in the fit.
    trials : xr.Dataset, optional
        Whose parameters; the trials of the model unless given.

    Returns
    -------
    ModelData, dict of (draw, subject, *shape)
        The second as `parameter_draws` returns it.
    """
    if not isinstance(rl_model, RLModel):
        raise TypeError(f"{what} takes a model from rlpymc.build and its fit, found {type(rl_model).__name__}")
    if "posterior" not in getattr(fit, "children", {}):
        raise ValueError(f"{what} takes a fit from rlpymc.sample, with a group 'posterior'")
    origin_of(fit, rl_model)
    model = rl_model.spec.model
    data = rl_model.data if trials is None else data_for(model, trials)
    posterior = flat(fit["posterior"].to_dataset())
    population = rl_model.spec.population
    free = [p.name for p in model.parameters if population.is_free(p)]
    within = parameters_of(population.predictors(data))
    if missing := [name for name in free if name not in posterior and name not in within]:
        raise ValueError(f"the posterior has no {missing[0]!r}: it is not a fit of {model.name}")
    if fixed := [p.name for p in model.parameters if p.name in posterior and p.name not in free]:
        raise ValueError(f"{fixed[0]!r} is fixed in the model and free in the posterior: it is not a fit of this model")
    check_whole(1, draws=draws)
    n = posterior.sizes["sample"]
    chosen = np.sort(rng.choice(n, size=draws, replace=draws > n))
    return data, parameter_draws(rl_model, posterior.isel(sample=chosen), data, rng)
