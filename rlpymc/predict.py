"""What a fitted model predicts: choices given what people saw, and choices in its own course."""

import json

import numpy as np
import xarray as xr

from rlpymc.build import RLModel
from rlpymc.errors import unknown
from rlpymc.inference.posterior import flat, parameter_draws
from rlpymc.likelihood.draws import probs_draws, repeat_subjects
from rlpymc.likelihood.step import yoked
from rlpymc.responses import Categorical
from rlpymc.sequences import sequences

KINDS = ("one_step", "yoked")


def predict(
    rl_model: RLModel,
    idata: xr.DataTree,
    kind: str = "one_step",
    *,
    trials: xr.Dataset | None = None,
    draws: int = 100,
    seed: int | None = None,
) -> xr.Dataset:
    """Predict choices from the posterior.

    Parameters
    ----------
    rl_model : RLModel
        From `build`.
    idata : xr.DataTree
        Its fit, from `sample`.
    kind : {"one_step", "yoked"}
        "one_step": each choice given the *observed* history before it.  "yoked": choices drawn in order, each after
        the model's own earlier ones, with outcomes and later inputs as recorded.
    trials : xr.Dataset, optional
        New trials of the same people, or of new ones, who are drawn from the population; those of the fit unless
        given.
    draws : int
        Number of draws of the parameters, spread over the posterior at random.
    seed : int, optional
        The same seed gives the same predictions.

    Returns
    -------
    xr.Dataset
        ``<response>`` (sample, subject, trial), drawn choices, -1 where none was scored; for "one_step"
        ``<response>_probs`` (sample, subject, trial, option), NaN in padding.  Beside them, for plots, what was
        observed: ``observed``, the masks, and the columns (subject, trial) of the trials.

    Raises
    ------
    ValueError
        If there is no such kind, the posterior is of another model, or trials do not fit the model.
    """
    if kind not in KINDS:
        raise unknown("kind of prediction", kind, KINDS)
    if not isinstance(rl_model, RLModel):
        raise TypeError(f"predict takes a model from rlpymc.build and its fit, found {type(rl_model).__name__}")
    if "posterior" not in getattr(idata, "children", {}):
        raise ValueError("predict takes a fit from rlpymc.sample, with a group 'posterior'")
    made_from = json.loads(idata.attrs["rlpymc"])["spec"] if "rlpymc" in idata.attrs else None
    if made_from is not None and made_from != json.loads(rl_model.spec.to_json()):
        raise ValueError(f"the fit is of {made_from}, and the model is {rl_model.spec.to_json()}")
    model, trials = rl_model.spec.model, rl_model.trials if trials is None else trials
    data, rng = sequences(model, trials), np.random.default_rng(seed)
    if len(model.responses) != 1 or model.responses[0].dtype != "int64":
        raise ValueError(f"predict is for models with one choice in a trial; {model.name} has other responses")
    posterior = flat(idata["posterior"].to_dataset())
    free = [p.name for p in model.parameters if rl_model.spec.population.is_free(p)]
    if missing := [name for name in free if name not in posterior]:
        raise ValueError(f"the posterior has no {missing[0]!r}: it is not a fit of {model.name}")
    if fixed := [p.name for p in model.parameters if p.name in posterior and p.name not in free]:
        raise ValueError(f"{fixed[0]!r} is fixed in the model and free in the posterior: it is not a fit of this model")
    if draws < 1:
        raise ValueError(f"draws: found {draws}, expected at least 1")
    n = posterior.sizes["sample"]
    chosen = np.sort(rng.choice(n, size=draws, replace=draws > n))
    params = parameter_draws(rl_model, posterior.isel(sample=chosen), data, rng)
    name, scored = model.responses[0].name, data.masks["scored"]
    out = xr.Dataset(coords={"sample": np.arange(draws), "subject": data.subjects, "trial": trials["trial"].values})
    if kind == "one_step":
        probs = probs_draws(data, params)
        probs[:, ~data.masks["exists"]] = np.nan
        drawn = Categorical(probs=np.where(data.masks["exists"][..., None], probs, 1.0)).sample(rng)
        out[f"{name}_probs"] = (("sample", "subject", "trial", "option"), probs)
    else:
        many = repeat_subjects(data, draws)
        arrays = {k: v.reshape((-1, *v.shape[2:])) for k, v in params.items()}
        drawn = yoked(model, data.facts, arrays, many.inputs, many.masks, rng)[name].reshape((draws, *data.shape))
    out[name] = (("sample", "subject", "trial"), np.where(scored, drawn, -1))
    out["observed"] = (("subject", "trial"), np.where(data.masks["responded"], data.inputs[name], -1))
    kept = [v for v in trials.data_vars if trials[v].dims == ("subject", "trial") and v not in out]
    out.attrs = {"kind": kind, "model": model.name, "response": name}
    return out.merge(trials[kept], compat="override", combine_attrs="override").assign_attrs(
        trials_facts=vars(data.facts)
    )
