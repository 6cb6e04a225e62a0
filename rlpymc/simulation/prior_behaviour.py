"""What priors say of behaviour, before any data: people drawn from the population that they describe, in a task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.checks import check_seed, check_whole
from rlpymc.model import Facts, Model
from rlpymc.model.facts import with_arrays
from rlpymc.model.priors import Prior
from rlpymc.model.registry import get_model
from rlpymc.population.people import people
from rlpymc.population.population import Population
from rlpymc.population.presets import DEFAULT, preset_and_own
from rlpymc.simulation.behaviour import behaviour
from rlpymc.simulation.running import simulate
from rlpymc.tasks import Task
from rlpymc.trials.masks import MASKS
from rlpymc.trials.model_data import ModelData, check_facts

type Priors = str | Mapping[str, Prior]


def prior_predictive(
    model: Model | str,
    task: Task,
    *,
    priors: Priors | Sequence[str] = DEFAULT,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    n_subjects: int = 20,
    n_trials: int | None = None,
    draws: int = 100,
    seed: int | None = None,
) -> xr.Dataset:
    """Simulate people from the population that priors describe, and measure what they do.

    Parameters
    ----------
    model : Model or str
        A model with numbered choices, or its name.
    task : Task
        Where they act, one of `rlpymc.tasks`.
    priors : str, mapping, or sequence of str
        As for `build`: a preset by name, or priors by parameter.  Several names are compared, side by side.
    fixed, free : optional
        As for `build`.
    n_subjects : int
        How many people come from each draw of the population.
    n_trials : int, optional
        How many trials each of them does; as many as the task is described for, unless told.
    draws : int
        How many populations are drawn from the priors, with partial pooling.
    seed : int, optional
        The same seed gives the same result.

    Returns
    -------
    xr.Dataset
        By draw of the population and subject: ``stay``, the share of choices that repeat the one before (of the same
        stimulus or state since the last reset); ``win_stay`` and ``lose_shift``, the shares of wins after which it was
        repeated, and of losses after which it was not; ``reward``, the mean; ``accuracy``, the share of choices that
        were best.  By draw and trial since the last reset, as means over subjects: ``reward_by_trial`` and
        ``accuracy_by_trial``, the learning curves.  A win is a reward above the middle of the task's range, above 0
        if it has none.  The dim ``preset`` comes first where several are named.

        What is left out: `win_stay`, `lose_shift` and rewards in tasks without a column ``reward``; accuracy where the
        task does not say which action is best (`Task.is_best`: bandits, reversal learning and RLWM do).  Of several
        responses in a trial the first is measured.  NaN stands for somebody who never won, or never lost.

    Raises
    ------
    ValueError
        If responses are numbers, the priors do not fit the model, or the task does not fit it.
    """
    model = get_model(model)
    if not isinstance(task, Task):
        raise TypeError(f"task: found {type(task).__name__}, expected a task such as rlpymc.tasks.Bandit")
    response = model.responses[0]
    if response.dtype != "int64":
        raise ValueError(
            f"prior_predictive is for choices, and {model.name} responds with the number {response.name!r}; draw "
            "parameters from its priors, and see what simulate gives"
        )
    check_whole(1, n_subjects=n_subjects, draws=draws)
    check_seed(seed)
    several = not isinstance(priors, str | Mapping)
    asked: list[Any] = list(priors) if several else [priors]
    if not asked or len({*map(str, asked)}) < len(asked):
        raise ValueError(f"priors: found {priors!r}, expected one or more names of presets, each once")
    length = task.length or task.n_trials if n_trials is None else n_trials
    root = np.random.SeedSequence(seed)
    found: list[xr.Dataset] = [
        _measured(model, task, given, fixed or {}, free, n_subjects, length, draws, root) for given in asked
    ]
    joined = xr.concat(list(found), "preset").assign_coords(preset=asked) if several else found[0]
    return joined.assign_attrs(model=model.name, task=type(task).__name__)


def _measured(
    model: Model,
    task: Task,
    priors: Priors,
    fixed: Mapping[str, Any],
    free: Sequence[str],
    n: int,
    n_trials: int,
    draws: int,
    root: np.random.SeedSequence,
) -> xr.Dataset:
    """Return the behaviour of people under one choice of priors; the same random numbers serve for each."""
    preset, own = preset_and_own(priors)
    population, rng = Population(priors=own, fixed=fixed, free=free, preset=preset), np.random.default_rng(root)
    data = _nobody_yet(model, task, n)
    population.check(data)
    params = people(population.effects(data), draws, n, rng)
    params = {name: value.reshape((-1, *value.shape[2:])) for name, value in params.items()}
    for name in fixed:
        value = population.constant(model.parameter(name), data)
        params[name] = np.tile(value, (draws, *[1] * (value.ndim - 1)))
    trials = simulate(model, task, params, draws * n, n_trials, rng, best=task.says_best)
    measured = behaviour(trials, model.responses[0].name, _middle(task))
    out = xr.Dataset(coords={"draw": np.arange(draws), "subject": np.arange(n)})
    for name, values in measured.by_subject.items():
        out[name] = ("draw", "subject"), values.reshape((draws, n))
    for name, values in measured.by_trial.items():
        course = values.reshape((draws, n, -1))
        there = np.isfinite(course)
        total = np.where(there, course, 0).sum(axis=1)
        out[f"{name}_by_trial"] = ("draw", "trial"), total / np.where(there.any(axis=1), there.sum(axis=1), np.nan)
    return out


def _nobody_yet(model: Model, task: Task, n: int) -> ModelData:
    """Return what is known of people before they have done anything: how many there are, and the facts of the task."""
    facts = Facts(**with_arrays(model.name, model.facts, task.facts))
    check_facts(model, Facts(**task.facts))
    masks = {name: np.ones((n, 1), dtype=bool) for name in MASKS}
    trials = xr.Dataset({k: (("subject", "trial"), v) for k, v in masks.items()}, {"subject": range(n), "trial": [0]})
    return ModelData(model, trials, facts, {}, masks)


def _middle(task: Task) -> float:
    """Return the reward above which one has won."""
    space: Any = task.columns.get("reward")
    return 0.0 if space is None else float(space.low / 2 + space.high / 2)
