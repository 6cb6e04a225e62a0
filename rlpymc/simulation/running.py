"""Simulated behaviour: a model acts in a task."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.likelihood.backends import check_backend, likelihood_of
from rlpymc.likelihood.by_trial import latents_of
from rlpymc.likelihood.parameter_arrays import parameter_arrays, varying
from rlpymc.likelihood.steps import Stepper
from rlpymc.model import Facts, Model
from rlpymc.model.facts import with_arrays
from rlpymc.model.parameter_vector import own_dims
from rlpymc.model.registry import get_model
from rlpymc.tasks import Task
from rlpymc.tasks.base import World
from rlpymc.trials.attributes import as_attributes, attribute, with_facts
from rlpymc.trials.grid import column_dims, padding
from rlpymc.trials.masks import MASKS
from rlpymc.trials.model_data import ModelData, check_facts, data_for

type Columns = dict[str, np.ndarray]
type Stop = Callable[[int, Mapping[str, np.ndarray]], np.ndarray]


def simulate(
    model: Model | str,
    task: Task,
    params: Mapping[str, Any] | xr.Dataset,
    n_subjects: int,
    n_trials: int,
    seed: int | np.random.Generator | None = None,
    *,
    stop: Stop | None = None,
    first_rows: xr.Dataset | None = None,
    latents: bool = False,
    best: bool = False,
    backend: str = "fused",
) -> xr.Dataset:
    """Let a model act in a task.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    task : Task
        Where it acts, one of `rlpymc.tasks`.
    params : mapping
        The true parameters: numbers, arrays (subject, *shape), or DataArrays with named dims.  Constants may be left
        out.
    n_subjects, n_trials : int
        How many subjects, and trials of each.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same trials.
    stop : callable, optional
        ``stop(t, x) -> (n_subjects,) bool``, asked after each trial with its number and its columns: subjects for whom
        it is true have no further trials.
    first_rows : xr.Dataset, optional
        Trials of these subjects that were lived through before, as from `read_trials`: they come first in the result,
        are learned from as their masks say, and the task goes on from there.
    latents : bool
        Whether to add what `latents` returns: states, signals and probabilities.  What is called as a column of the
        trials is becomes ``<name>_before``.
    best : bool
        Whether to add the column ``best``: whether the first response was one with the highest expected reward.
        Bandits, reversal learning and RLWM say so, and any task with `is_best`.
    backend : {"fused", "scan"}
        What computes the model's steps.

    Returns
    -------
    xr.Dataset
        Trials as from `read_trials`, with the log probability of each trial's responses as `log_prob` and the true
        parameters as `true_<name>` (subject, ...).  Responses that the task forced are learned from and not scored;
        missed ones are -1 (NaN for numbers); outcomes that were not shown are NaN (-1 for states), and not learned.

    Raises
    ------
    ValueError
        If a parameter is unknown, missing, of the wrong shape or outside its support, or the task does not give a
        column that the model reads.
    """
    check_backend(backend)
    model, rng = get_model(model), np.random.default_rng(seed)
    if not isinstance(task, Task):
        raise TypeError(f"task: found {type(task).__name__}, expected a task such as rlpymc.tasks.Bandit")
    if n_subjects != int(n_subjects) or n_trials != int(n_trials) or n_subjects < 1 or n_trials < 1:
        raise ValueError(f"found {n_subjects} subjects and {n_trials} trials, expected at least one of each")
    if stop is not None and not callable(stop):
        raise TypeError(f"stop: found {stop!r}, expected a function stop(t, x) that returns a boolean for each subject")
    if task.responses != tuple(r.name for r in model.responses):
        raise ValueError(
            f"{model.name} responds with {', '.join(r.name for r in model.responses)}; this task asks for "
            f"{', '.join(task.responses)}"
        )
    for entry in model.inputs:
        if entry.name not in {*task.columns, *task.responses, "scored"} and entry.default is None:
            given = ", ".join([*task.columns, *task.responses])
            raise ValueError(f"{model.name} reads {entry.name!r}, which this task does not give; it gives {given}")
    if best and not task.says_best:
        raise ValueError(f"best: {type(task).__name__} does not say which action is best; give it `is_best`")
    if best and first_rows is not None:
        raise ValueError("best: of given rows it is not known what was best; leave out best, or first_rows")
    check_facts(model, Facts(**task.facts))
    before = _Rows(model, task, first_rows, n_subjects)
    run = _Run(model, task, n_subjects, n_trials, before, rng, best)
    trials = run.trials(run.blank())  # the masks, for parameters that vary by block, and which columns there will be
    facts = Facts(**with_arrays(model.name, model.facts, task.facts))
    data = ModelData(model, trials, facts, {}, {name: trials[name].values for name in MASKS})
    arrays = parameter_arrays(data, params)
    trials = run.trials(run.act(likelihood_of(data, backend).stepper(arrays), stop))
    data, true = data_for(model, trials), {}
    by_trial = varying(data, arrays)
    for name, value in arrays.items():
        own, varies = own_dims(name, len(data.parameter_shape(name))), name in by_trial
        true[name] = xr.DataArray(
            value[:, : run.length] if varies else value, dims=("subject", *["trial"][:varies], *own)
        )
    terms = likelihood_of(data, backend, by_trial).terms({name: value.values for name, value in true.items()})
    trials["log_prob"] = (("subject", "trial"), terms if terms.ndim == 2 else terms.sum(axis=2))
    trials = trials.assign({f"true_{name}": value.variable for name, value in true.items()})
    if not latents:
        return trials
    found = latents_of(model, trials, true, backend)
    return trials.merge(found.rename({str(name): f"{name}_before" for name in found if name in trials}))


class _Rows:
    """Given first rows, checked: those columns of theirs that the task gives, too."""

    def __init__(self, model: Model, task: Task, rows: xr.Dataset | None, n_subjects: int) -> None:
        self.data: ModelData | None = None
        self.columns: Columns = {}
        if rows is None:
            return
        try:
            known = {**attribute(rows, "facts"), **task.facts}
            self.data = data_for(model, with_facts(rows, known) if isinstance(rows, xr.Dataset) else rows)
        except ValueError as problem:
            raise ValueError(f"first_rows: {problem}") from problem
        if self.data.shape[0] != n_subjects:
            raise ValueError(f"first_rows: found {self.data.shape[0]} subjects, expected {n_subjects}")
        if not self.data.masks["exists"].all():
            raise ValueError("first_rows: found padding, expected as many rows for each subject")
        given = {*task.columns, *task.responses} | ({"block"} if task.block_length else set())
        if more := [k for k in self.data.columns if k not in given and k != "scored"]:
            raise ValueError(f"first_rows: found a column {more[0]!r}, which this task does not give")
        assumed = {i.name: self.data.inputs[i.name] for i in model.inputs}
        for name in sorted(given):
            if name in rows:
                self.columns[name] = rows[name].transpose("subject", "trial", ...).values
            elif name == "block":
                self.columns[name] = np.zeros(self.data.shape, dtype=int)
            elif name in assumed:
                self.columns[name] = assumed[name]
            else:
                raise ValueError(f"first_rows: found no column {name!r}, which this task gives; add it")

    def __len__(self) -> int:
        return 0 if self.data is None else self.data.shape[1]


class _Run:
    """One simulation under way."""

    def __init__(
        self, model: Model, task: Task, n: int, n_trials: int, before: _Rows, rng: np.random.Generator, best: bool
    ) -> None:
        self.best = best
        self.model, self.task, self.before, self.rng, self.n = model, task, before, rng, n
        self.first, self.length = len(before), len(before) + n_trials
        self.world: World = task.begin(n, n_trials, rng)
        k = len(model.responses)
        shape = (n, self.length)
        # subjects side by side in memory, as in the task's masks
        self.exists, self.learned = np.ones(shape, dtype=bool, order="F"), np.ones(shape, dtype=bool, order="F")
        self.scored, self.reset = np.ones((*shape, k), bool, order="F"), np.zeros(shape, bool, order="F")
        for t in range(n_trials):
            self.reset[:, self.first + t] = task.resets(t) and (t > 0 or not self.first)
        if before.data is not None:
            masks, first = before.data.masks, slice(0, self.first)
            self.learned[:, first], self.reset[:, first] = masks["learned"], masks["reset"]
            self.scored[:, first] = masks["scored"].reshape((n, self.first, k))
        forced, missed = self.world.forced, self.world.missed
        now = slice(self.first, None)
        self.scored[:, now] &= ~forced[..., None] & ~missed
        self.learned[:, now] &= ~missed.any(axis=2) & ~self.world.no_feedback

    def blank(self) -> Columns:
        """Return the columns that the model will read, with nothing in them."""
        given = {*self.task.columns, *self.task.responses}
        return {i.name: np.zeros((self.n, self.length)) for i in self.model.inputs if i.name in given}

    def act(self, learners: Stepper, stop: Stop | None) -> Columns:
        """Go through the trials; return the columns."""
        columns: dict[str, list[np.ndarray]] = {}
        going = np.ones(self.n, dtype=bool)
        for t in range(self.length):
            learners.begin(t, self.reset[:, t])
            if stop is not None:
                self.exists[:, t] = going
            shown, kept, made = self._given(t) if t < self.first else self._lived(t, learners)
            for name, value in kept.items():
                columns.setdefault(name, []).append(value)
            learners.update(shown, self.learned[:, t], made)
            if stop is not None and t >= self.first:
                going = going & ~self._stops(stop, t - self.first, kept)
                if not going.any():
                    break
        self.length = t + 1
        return {name: np.stack(values, axis=1) for name, values in columns.items()}

    def _given(self, t: int) -> tuple[Columns, Columns, np.ndarray]:
        data = self.before.data
        assert data is not None
        shown = {name: values[:, t] for name, values in data.inputs.items()}
        kept = {name: values[:, t] for name, values in self.before.columns.items() if name != "block"}
        kept |= {"block": self.before.columns["block"][:, t]} if "block" in self.task.columns else {}
        self.task.follow(self.world, kept)
        return shown, kept, data.masks["responded"][:, t]

    def _lived(self, t: int, learners: Stepper) -> tuple[Columns, Columns, np.ndarray]:
        """The model's view of the trial, its record, and a mask of the first responses that were made."""
        now = t - self.first
        shown = self.task.offer(self.world, now, self.rng)
        if len(self.model.responses) == 1:
            shown = {**shown, "scored": self.scored[:, t, 0]}
        kept = {k: v for k, v in shown.items() if k != "scored"}
        for k, response in enumerate(self.model.responses):
            missed, forced = self.world.missed[:, now, k], self.world.forced[:, now]
            value = learners.respond(response.name, shown).sample(self.rng)
            if forced.any():
                picked = self.task.force(self.world, now, response.name, shown, self.rng)
                value = np.where(forced, picked, value)
            nothing = -1 if value.dtype.kind == "i" else np.nan
            kept[response.name] = np.where(missed, nothing, value) if missed.any() else value
            if self.best and k == 0:
                kept["best"] = self.task.is_best(self.world, now, kept) & ~missed
            brought = self.task.outcome(self.world, now, response.name, kept, self.rng)
            shown |= {response.name: value, **{k: _stand_in(v, missed) for k, v in brought.items()}}
            last = k == len(self.model.responses) - 1
            hidden = missed | self.world.no_feedback[:, now] if last else missed
            kept |= {name: _hide(v, hidden) for name, v in brought.items()} if hidden.any() else brought
        return shown, kept, ~self.world.missed[:, now, 0]

    def _stops(self, stop: Stop, t: int, x: Columns) -> np.ndarray:
        found = np.asarray(stop(t, x))
        if found.shape != (self.n,) or found.dtype != bool:
            raise ValueError(
                f"stop: found {found.dtype} {found.shape}, expected a boolean for each of {self.n} subjects"
            )
        return found

    def trials(self, columns: Columns) -> xr.Dataset:
        """Return the trials, with padding where a subject stopped."""
        exists = self.exists[:, : self.length]
        masks = {"exists": exists, "scored": self.scored, "learned": self.learned, "reset": self.reset}
        if (self.scored == self.scored[..., :1]).all():
            masks["scored"] = self.scored[..., 0]
        masks = {k: v[:, : self.length] & (exists if v.ndim == 2 else exists[..., None]) for k, v in masks.items()}
        if self.task.block_length and "block" not in columns:
            known = self.before.columns.get("block", np.zeros((self.n, 0), dtype=int))
            last = (
                known[:, -1:] if self.first else np.zeros((self.n, 1), dtype=int)
            )  # the first new one goes on with it
            block = last + np.arange(self.length - self.first) // self.task.block_length
            columns = {"block": np.concatenate([known, block], axis=1)[:, : self.length], **columns}
        out = {}
        for name, value in {**masks, **columns}.items():
            inside = exists.reshape(exists.shape + (1,) * (value.ndim - 2))
            value = value if exists.all() or name in masks else np.where(inside, value, padding(name, value.dtype))
            out[name] = (column_dims(name, value.ndim), value)
        coords: dict[str, Any] = {"subject": np.arange(self.n), "trial": np.arange(self.length)}
        if masks["scored"].ndim == 3:
            coords["response"] = [r.name for r in self.model.responses]
        return xr.Dataset(out, coords=coords, attrs=as_attributes(facts=dict(self.task.facts)))


def _stand_in(value: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return a column with zeros where nothing follows, as nobody responded; nothing is learned from them."""
    return np.where(missed.reshape((-1,) + (1,) * (value.ndim - 1)), 0, value) if missed.any() else value


def _hide(value: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return a column with what was not shown left open: NaN, -1 for an index, False."""
    nothing = {"f": np.nan, "b": False}.get(value.dtype.kind, -1)
    return np.where(where.reshape((-1,) + (1,) * (value.ndim - 1)), nothing, value).astype(value.dtype)
