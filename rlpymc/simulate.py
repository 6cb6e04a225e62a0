"""Simulated behaviour: a model acts in a task."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.likelihood.arguments import parameter_arrays
from rlpymc.likelihood.step import at_trial, stepper
from rlpymc.model import Facts, Model
from rlpymc.parameters import resolve_shape
from rlpymc.registry import get_model
from rlpymc.sequences import MASKS, Sequences
from rlpymc.tasks import Bandit
from rlpymc.trials import column_dims


def simulate(
    model: Model | str,
    task: Bandit,
    params: Mapping[str, Any] | xr.Dataset,
    n_subjects: int,
    n_trials: int,
    seed: int | np.random.Generator | None = None,
) -> xr.Dataset:
    """Let a model act in a task.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    task : Bandit
        Where it acts.
    params : mapping
        The true parameters: numbers, arrays (subject, *shape), or DataArrays with named dims.  Constants may be left
        out.
    n_subjects, n_trials : int
        How many subjects, and trials of each.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same trials.

    Returns
    -------
    xr.Dataset
        Trials as from `read_trials`, with the log probability of each trial's responses as `log_prob` and the true
        parameters as `true_<name>` (subject, ...).

    Raises
    ------
    ValueError
        If a parameter is unknown, missing, of the wrong shape or outside its support, or the task does not give a
        column that the model reads.
    """
    model, rng = get_model(model), np.random.default_rng(seed)
    if not isinstance(task, Bandit):
        raise TypeError(f"task: found {type(task).__name__}, expected a task such as rlpymc.tasks.Bandit")
    if n_subjects < 1 or n_trials < 1:
        raise ValueError(f"found {n_subjects} subjects and {n_trials} trials, expected at least one of each")
    trials = _bare_trials(task, n_subjects, n_trials)
    data = Sequences(model, trials, Facts(**task.facts), {}, {name: trials[name].values for name in MASKS})
    arrays = parameter_arrays(data, params)
    shapes = {name: data.parameter_shape(name) for name in arrays}
    step, always = stepper(model, data.facts, n_subjects), np.ones(n_subjects, dtype=bool)
    assumed = {
        i.name: np.full((n_subjects, *resolve_shape(i.shape, task.facts)), i.default)
        for i in model.inputs
        if i.default is not None
    }
    state: dict[str, np.ndarray] = {}
    columns: dict[str, list[np.ndarray]] = {}
    for t in range(n_trials):
        p = at_trial(arrays, shapes, t)
        if task.resets(t):
            state = step.start(p)
        x = task.offer(t, n_subjects, rng)
        for response in model.responses:
            x[response.name] = step.respond(response.name, p, state, assumed | x).sample(rng)
        x |= task.outcome(t, x, rng)
        if absent := [i.name for i in model.inputs if i.name not in assumed | x]:
            raise ValueError(
                f"{model.name} reads {absent[0]!r}, which this task does not give; it gives {', '.join(x)}"
            )
        for name, value in {**x, "log_prob": step.log_prob(p, state, assumed | x)}.items():
            columns.setdefault(name, []).append(value)
        state = step.update(p, state, assumed | x, always, always)
    for name, values in columns.items():
        column = np.stack(values, axis=1)
        trials[name] = (column_dims(name, column.ndim), column)
    for name, value in arrays.items():
        own = tuple(f"{name}_dim_{k}" for k in range(len(shapes[name])))
        trials[f"true_{name}"] = ((*("subject", "trial")[: value.ndim - len(own)], *own), value)
    return trials


def _bare_trials(task: Bandit, n_subjects: int, n_trials: int) -> xr.Dataset:
    """Return trials without columns: all exist, are scored and learned from."""
    resets = np.array([task.resets(t) for t in range(n_trials)])
    yes = np.ones((n_subjects, n_trials), dtype=bool)
    masks = {"exists": yes, "scored": yes.copy(), "learned": yes.copy(), "reset": yes & resets}
    columns: dict[str, np.ndarray] = dict(masks)
    if task.block_length:
        columns["block"] = np.tile(np.arange(n_trials) // task.block_length, (n_subjects, 1))
    return xr.Dataset(
        {name: (("subject", "trial"), values) for name, values in columns.items()},
        coords={"subject": np.arange(n_subjects), "trial": np.arange(n_trials)},
        attrs={"facts": dict(task.facts)},
    )
