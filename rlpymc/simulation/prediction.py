"""What a fitted model predicts: choices given what people saw, and choices in its own course."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.fitting.factory import RLModel
from rlpymc.likelihood.backends import likelihood_of
from rlpymc.likelihood.draws import repeat_subjects, response_draws
from rlpymc.likelihood.parameter_arrays import varying
from rlpymc.likelihood.steps import yoked
from rlpymc.model import Model
from rlpymc.simulation.chosen_draws import chosen_draws
from rlpymc.simulation.running import simulate
from rlpymc.tasks import Task
from rlpymc.trials.attributes import as_attributes, attribute
from rlpymc.trials.model_data import ModelData

KINDS = ("one_step", "yoked", "free_run")


def predict(
    rl_model: RLModel,
    idata: xr.DataTree,
    kind: str = "one_step",
    *,
    task: Task | None = None,
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
    kind : {"one_step", "yoked", "free_run"}
        "one_step": each choice given the *observed* history before it.  "yoked": choices drawn in order, each after
        the model's own earlier ones, with outcomes and later inputs as recorded.  "free_run": people with these
        parameters do a task anew, and live with the outcomes of their own choices.
    task : Task, optional
        For "free_run": the task, one of `rlpymc.tasks`; as many trials are simulated as it is described for, or as
        the data have.
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
        ``<response>`` (sample, subject, trial), drawn responses, -1 (NaN for numbers) where none was scored; for
        "one_step" ``<response>_probs`` (sample, subject, trial, option), NaN in padding.  Beside them, for plots, what
        was observed: ``observed`` (``observed_<response>`` where there are several), the masks, and the columns
        (subject, trial) of the trials.  For "free_run" all columns and masks of the simulation, with the dim sample.

    Raises
    ------
    ValueError
        If there is no such kind, the posterior is of another model, or trials do not fit the model.
    """
    if kind not in KINDS:
        raise unknown("kind of prediction", kind, KINDS)
    if (kind == "free_run") != (task is not None):
        raise ValueError("kind='free_run' needs a task, such as task=rlpymc.tasks.Bandit(...); the others take none")
    rng = np.random.default_rng(seed)
    data, params = chosen_draws("predict", rl_model, idata, draws, rng, trials)
    model, trials = data.model, data.trials
    if task is not None:
        return _free_run(data, params, task, rng).assign_attrs(_about(trials, model, task.facts))
    out = xr.Dataset(coords={"sample": np.arange(draws), "subject": data.subjects, "trial": trials["trial"].values})
    exists, scored = data.masks["exists"], data.masks["scored"].reshape((*data.shape, -1))
    if kind == "yoked":
        many = repeat_subjects(data, draws)
        arrays = {k: v.reshape((-1, *v.shape[2:])) for k, v in params.items()}
        learners = likelihood_of(many, rl_model.spec.backend, varying(many, arrays)).stepper(arrays)
        drawn = yoked(learners, many.inputs, many.masks, rng)
        drawn = {name: values.reshape((draws, *data.shape)) for name, values in drawn.items()}
    else:
        responses = response_draws(data, params, rl_model.spec.backend)
        drawn = {name: response.sample(rng) for name, response in responses.items()}
        for name, response in responses.items():
            if response.discrete:
                probs = np.where(exists[..., None], response.probs, np.nan)
                out[f"{name}_probs"] = (("sample", "subject", "trial", "option"), probs)
    several = len(model.responses) > 1
    for k, entry in enumerate(model.responses):
        nothing = -1 if entry.dtype == "int64" else np.nan
        out[entry.name] = (("sample", "subject", "trial"), np.where(scored[..., k], drawn[entry.name], nothing))
        seen = np.where(exists, trials[entry.name].transpose("subject", "trial").values, nothing)
        out[f"observed_{entry.name}" if several else "observed"] = (("subject", "trial"), seen)
    if several:
        out["scored"] = (("subject", "trial", "response"), scored)
        out = out.assign_coords(response=[r.name for r in model.responses])
    else:
        out["scored"] = (("subject", "trial"), scored[..., 0])
    dims = {"available": ("subject", "trial", "option")}  # which options were on offer stays, too
    kept = [v for v in trials.data_vars if trials[v].dims == dims.get(str(v), ("subject", "trial")) and v not in out]
    out.attrs = {"kind": kind, "model": model.name, "response": model.responses[0].name}
    return out.merge(trials[kept], compat="override", combine_attrs="override").assign_attrs(
        _about(trials, model, vars(data.facts))
    )


def _about(trials: xr.Dataset, model: Model, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a prediction says of itself beside its kind: the facts, and the labels of what was predicted."""
    labels = attribute(trials, "labels")
    for entry in model.responses:
        if entry.name in labels:
            labels |= dict.fromkeys(("observed", f"observed_{entry.name}"), labels[entry.name])
    return as_attributes(facts=dict(facts), labels=labels)


def _free_run(data: ModelData, params: dict[str, np.ndarray], task: Task, rng: np.random.Generator) -> xr.Dataset:
    """Simulate each person anew for each draw; outcomes follow from the model's own choices."""
    draws, (n, n_trials) = len(next(iter(params.values()))), data.shape
    arrays: dict[str, Any] = {k: v.reshape((-1, *v.shape[2:])) for k, v in params.items()}
    for name in varying(data, arrays):
        if (length := getattr(task, "length", None) or n_trials) != n_trials:
            raise ValueError(
                f"parameter {name!r} varies by trial, and the task has {length} trials where the data have {n_trials}; "
                "give a task without a length of its own"
            )
        if not data.masks["exists"].all():
            raise ValueError(
                f"parameter {name!r} varies by trial, and subjects have unlike numbers of trials; predict those with "
                "equal numbers: trials=trials.sel(subject=...)"
            )
        arrays[name] = xr.DataArray(arrays[name], dims=("subject", "trial"))
    constant = {p.name for p in data.model.parameters if p.value is not None}
    arrays = {k: v for k, v in arrays.items() if k not in constant or not (v == data.model.parameter(k).value).all()}
    found = simulate(data.model, task, arrays, draws * n, getattr(task, "length", None) or n_trials, rng)
    names = [str(k) for k, v in found.items() if v.dims[:2] == ("subject", "trial") and not str(k).startswith("true_")]
    out = xr.Dataset(
        {k: (("sample", *found[k].dims), found[k].values.reshape((draws, n, *found[k].shape[1:]))) for k in names},
        coords={
            "sample": np.arange(draws),
            "subject": data.subjects,
            **{k: v for k, v in found.coords.items() if k != "subject"},
        },
    )
    response = data.model.responses[0].name
    return out.assign_attrs(kind="free_run", model=data.model.name, response=response)
