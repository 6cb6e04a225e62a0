"""What checks are run on: random trials of any model, random parameters, and tasks to simulate it in."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.model import Model
from rlpymc.model.facts import Fact
from rlpymc.model.parameters import Boolean, Index, Input, resolve_shape
from rlpymc.model.record import Record
from rlpymc.tasks import RLWM, Bandit, Chain, Choices, GridWorld, Prediction, RandomMDP, Task, TwoStep
from rlpymc.trials.attributes import as_attributes
from rlpymc.trials.grid import column_dims
from rlpymc.trials.model_data import data_for


def random_trials(
    model: Model, n_subjects: int = 4, n_trials: int = 24, n_actions: int = 3, seed: int = 0
) -> xr.Dataset:
    """Return ragged trials with missed, forced, unscored and unlearned ones and resets, from declared inputs alone.

    Parameters
    ----------
    model : Model
        Whose columns to make.
    n_subjects, n_trials, n_actions : int
        Sizes; every fact that an input counts up to, and every axis of the other facts, is `n_actions`, unless the
        model is for another number.
    seed : int
        For the random numbers.

    Returns
    -------
    xr.Dataset
        As from `read_trials`.
    """
    rng = np.random.default_rng(seed)
    counted = [i.kind for i in model.inputs if isinstance(i.kind, Index)]
    counts = {"n_actions": n_actions} | {kind.fact: kind.exactly or n_actions for kind in counted}
    facts = counts | {fact.name: _random_fact(fact, counts, rng) for fact in model.facts}
    lengths = rng.integers(n_trials // 2, n_trials + 1, n_subjects)
    lengths[rng.integers(n_subjects)] = n_trials
    shape = (n_subjects, n_trials)
    exists = np.arange(n_trials) < lengths[:, None]
    columns = _random_columns(model, facts, shape, rng)
    for sentence, holds in model.conditions:
        for _ in range(1000):
            if (good := np.asarray(holds(Record(**columns)))).all():
                break
            again = _random_columns(model, facts, shape, rng)
            columns = {k: np.where(widen(good, v), v, again[k]) for k, v in columns.items()}
        else:
            raise ValueError(f"no random trials of {model.name} found in which {sentence}")
    broken_off = rng.random((*shape, len(model.responses))) < 0.1
    made = exists[..., None] & ~np.maximum.accumulate(broken_off, axis=2)  # nothing follows a missed response
    scored = made & (rng.random(made.shape) < 0.9)
    scored[:, -1] |= made[:, -1]
    masks = {
        "exists": exists,
        "scored": scored if len(model.responses) > 1 else scored[..., 0],
        "learned": made[..., -1] & (rng.random(shape) < 0.9),
        "reset": exists & (rng.random(shape) < 0.08),
    }
    masks["reset"][:, 0] = True
    order = [r.name for r in model.responses]
    for entry in model.inputs:
        if entry.response or entry.after is not None:
            blank = ~made[..., order.index(entry.name if entry.response else str(entry.after))]
            nothing = {"int64": -1, "bool": False}.get(entry.dtype, np.nan)
            columns[entry.name] = np.where(widen(blank, columns[entry.name]), nothing, columns[entry.name])
    columns.pop("scored", None)  # a mask that the model reads
    return _dataset(columns | masks, facts, order)


def _random_fact(fact: Fact, counts: dict[str, int], rng: np.random.Generator) -> Any:
    """Return a random array that a model may know beforehand; axes that nothing has counted yet are counted."""
    shape = [counts.setdefault(axis, counts["n_actions"]) if isinstance(axis, str) else axis for axis in fact.shape]
    values = {"probabilities": rng.dirichlet(np.ones(shape[-1]), shape[:-1]), "boolean": rng.random(shape) < 0.2}
    return values.get(fact.kind, rng.normal(size=shape).round(2)).tolist()


def _random_columns(
    model: Model, facts: Mapping[str, int], shape: tuple[int, int], rng: np.random.Generator
) -> dict[str, Any]:
    columns = {i.name: _random_column(i, facts, shape, rng) for i in model.inputs}
    if "available" in columns and "action" in columns:  # an action is one of those on offer, with at least one other
        n = facts["n_actions"]
        order = rng.permuted(np.tile(np.arange(n), (*shape, 1)), axis=2)
        columns["available"] = order < rng.integers(2, n + 1, shape)[..., None]
        columns["action"] = order.argmin(axis=2)
    return columns


def _random_column(
    entry: Input, facts: Mapping[str, int], shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    full = (*shape, *resolve_shape(entry.shape, facts))
    if isinstance(entry.kind, Index):
        return rng.integers(0, facts[entry.kind.fact], full)
    if isinstance(entry.kind, Boolean):
        return rng.random(full) < 0.5
    if entry.kind.discrete:
        return rng.integers(int(entry.kind.lower), int(entry.kind.upper) + 1, full).astype(float)
    values = rng.normal(size=full).round(2)
    if entry.kind.link == "none":
        return entry.kind.lower + np.abs(values)
    return (
        np.clip(entry.kind.constrain(values), entry.kind.lower, entry.kind.upper)
        if entry.kind.lower > -np.inf
        else values
    )


def random_params(model: Model, trials: xr.Dataset, seed: int = 1) -> dict[str, np.ndarray]:
    """Return a draw of every parameter for each subject, from its prior (its constant value where it has none)."""
    data, rng = data_for(model, trials), np.random.default_rng(seed)
    return {
        p.name: p.prior.sample(rng, (data.shape[0], *data.parameter_shape(p.name)))
        if p.prior is not None
        else np.full((data.shape[0], *data.parameter_shape(p.name)), p.value)
        for p in model.parameters
    }


def default_task(model: Model, block_length: int = 50) -> Task:
    """Return a task that gives the columns that a model reads.

    Raises
    ------
    ValueError
        If no task does.
    """
    names = {i.name for i in model.inputs} - {"scored"}
    two_cells = np.eye(9).reshape((3, 3, 9))[..., [0, 5]]
    needed = {fact.name for fact in model.facts if fact.default is None}
    full: dict[str, Any] = {"feedback": "full", "on_offer": 2} if "reward_other" in names else {}
    candidates = (
        Bandit(means=(-0.5, 0.0, 0.5), block_length=block_length, **full),
        TwoStep(block_length=block_length),
        RLWM((2, 3, 4, 5, 6) * 6),
        RandomMDP(block_length=block_length),
        GridWorld(3, 3, features=two_cells, slip=0.2, episode_length=10, block_length=block_length),
        Prediction(sd=1.0, bounds=(-3.0, 3.0), block_length=block_length),
        Choices(block_length=block_length),
        Chain(block_length=block_length),
    )
    responses = tuple(r.name for r in model.responses)
    counted = [i.kind for i in model.inputs if isinstance(i.kind, Index)]
    for task in candidates:
        given = names <= {*task.columns, *task.responses, "available", "done"} and needed <= {*task.facts}
        if given and task.responses == responses and all(kind.allows(task.facts) for kind in counted):
            return task
    raise ValueError(f"{model.name} reads {', '.join(sorted(names))}, which no task gives; pass a task")


def _dataset(columns: Mapping[str, np.ndarray], facts: Mapping[str, int], order: list[str]) -> xr.Dataset:
    n, t = columns["exists"].shape
    labels = {"response": order} if columns["scored"].ndim == 3 else {}
    return xr.Dataset(
        {name: (column_dims(name, values.ndim), values) for name, values in columns.items()},
        coords={"subject": np.arange(n), "trial": np.arange(t), **labels},
        attrs=as_attributes(facts=dict(facts)),
    )


def widen(mask: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a mask (subject, trial) that broadcasts against a column with further dims."""
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))


def plausible_params(model: Model) -> dict[str, float]:
    """Return a typical value of every parameter that is estimated."""
    return {p.name: p.plausible for p in model.parameters if p.value is None and p.plausible is not None}
