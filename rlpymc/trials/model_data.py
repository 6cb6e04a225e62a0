"""What one model reads of trials: its columns and the masks, checked against its declaration."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.model import Facts, Model
from rlpymc.model.facts import with_arrays
from rlpymc.model.parameters import Index, resolve_shape
from rlpymc.model.record import Record
from rlpymc.trials.attributes import attribute
from rlpymc.trials.columns import is_action
from rlpymc.trials.masks import MASKS
from rlpymc.trials.model_column import model_column, not_numbers, where
from rlpymc.trials.segments import Segments


@dataclass(frozen=True, eq=False)
class ModelData:
    """What a model reads of some trials.

    Parameters
    ----------
    model : Model
        The model.
    trials : xr.Dataset
        The trials, from `read_trials` or `simulate`.
    facts : Facts
        What is known before the data (n_actions, ...).
    inputs : dict of (subject, trial, *shape)
        The model's columns.  Entries that nothing reads (padding, the outcome of a missed trial) hold a stand-in.
    masks : dict of (subject, trial) bool
        exists, scored, learned, reset; responded: whether the first response was made; complete: whether all columns
        hold what the model needs.  Where there are several responses, scored is (subject, trial, response).
    """

    model: Model
    trials: xr.Dataset
    facts: Facts
    inputs: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    @cached_property
    def segments(self) -> Segments:
        """The layout of the segments."""
        return Segments.from_masks(self.masks["exists"], self.masks["reset"])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of subjects, and of trials of the longest."""
        return self.masks["exists"].shape

    @property
    def subjects(self) -> np.ndarray:
        """Labels of the subjects."""
        return self.trials["subject"].values

    @cached_property
    def observations(self) -> tuple[np.ndarray, ...]:
        """Subject and trial, and response where there are several, of each response that is scored, in this order."""
        return np.nonzero(self.masks["scored"])

    @cached_property
    def scored_trials(self) -> np.ndarray:
        """Whether any response of a trial is scored, (subject, trial)."""
        scored = self.masks["scored"]
        return scored if scored.ndim == 2 else scored.any(axis=2)

    @property
    def columns(self) -> list[str]:
        """The columns that the model reads and the trials have."""
        return [i.name for i in self.model.inputs if i.name in self.trials]

    def parameter_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a parameter for one subject."""
        return resolve_shape(self.model.parameter(name).shape, vars(self.facts))


def data_for(model: Model, trials: xr.Dataset) -> ModelData:
    """Check that trials hold what a model needs, and return it in the model's types.

    Parameters
    ----------
    model : Model
        The model.
    trials : xr.Dataset
        From `read_trials` or `simulate`.

    Returns
    -------
    ModelData
        The columns, the masks and the facts.

    Raises
    ------
    TypeError
        If trials are not such a dataset.
    ValueError
        If a column is missing, a value is out of range or absent where it is needed, or a condition of the model
        does not hold; the message names column, subject and trial, and how to mend it.
    """
    if not isinstance(trials, xr.Dataset) or not set(MASKS) <= set(trials.data_vars):
        raise TypeError(
            f"expected trials from rlpymc.read_trials, found {type(trials).__name__}; call read_trials first"
        )
    if not {"subject", "trial"} <= set(trials.dims):
        raise ValueError(
            f"trials have dims {list(trials.dims)}, expected subject and trial; one subject is trials.isel(subject=[0])"
        )
    trials = trials.transpose("subject", "trial", ...)
    masks = {name: _mask(trials, name, model) for name in MASKS}
    _check_masks(trials, masks)
    known = with_arrays(model.name, model.facts, attribute(trials, "facts"))
    facts = Facts(**known, **_missing_facts(model, trials, masks, known))
    check_facts(model, facts)
    made = _made(trials, model, masks["exists"])
    _leave_out_missed(trials, model, masks, made)
    masks["responded"], masks["complete"] = made[..., 0], masks["exists"].copy()
    columns = {}
    for entry in model.inputs:
        if entry.name == "scored":  # a mask that the model reads
            columns["scored"] = masks["scored"]
            continue
        columns[entry.name], whole = model_column(entry, model, trials, masks, made, facts)
        masks["complete"] &= whole
    _check_on_offer(trials, model, columns, masks)
    for sentence, holds in model.conditions:
        if (wrong := masks["learned"] & ~np.asarray(holds(Record(**columns)))).any():
            raise ValueError(f"{where(trials, wrong)}: {model.name} needs that {sentence}; leave such trials out")
    return ModelData(model, trials, facts, columns, masks)


def _mask(trials: xr.Dataset, name: str, model: Model) -> np.ndarray:
    """Return a mask, (subject, trial); scored (subject, trial, response) where there are several responses."""
    values, names = trials[name], [r.name for r in model.responses]
    if name == "scored" and values.ndim == 3:
        (dim,) = set(values.dims) - {"subject", "trial"}
        if dim in values.coords:
            if absent := set(names) - set(values[dim].values.tolist()):
                raise ValueError(f"mask 'scored' has no entry for {absent.pop()!r}, a response of {model.name}")
            values = values.sel({dim: names})
        if values.sizes[dim] == len(names):
            by_response = np.asarray(values.transpose("subject", "trial", dim).values, dtype=bool)
            return by_response if len(names) > 1 else by_response[..., 0]
    if values.ndim != 2:
        raise ValueError(
            f"mask {name!r}: found dims {values.dims}, expected (subject, trial) for {model.name}, which has "
            f"{len(names)} response{'s' if len(names) > 1 else ''} in a trial"
        )
    mask = np.asarray(values.values, dtype=bool)
    return np.repeat(mask[..., None], len(names), axis=2) if name == "scored" and len(names) > 1 else mask


def _made(trials: xr.Dataset, model: Model, exists: np.ndarray) -> np.ndarray:
    """Mask of the responses that were made, (subject, trial, response): a missed one is -1, or NaN."""
    made = np.repeat(exists[..., None], len(model.responses), axis=2)
    for k, entry in enumerate(model.responses):
        if entry.name not in trials:
            continue
        values = np.asarray(trials[entry.name].values)
        if values.dtype.kind not in "biuf":
            continue  # refused when the column is read
        made[..., k] &= values >= 0 if isinstance(entry.kind, Index) else ~np.isnan(values.astype(float))
        if k and (wrong := made[..., k] & ~made[..., k - 1]).any():
            before = model.responses[k - 1].name
            raise ValueError(
                f"{where(trials, wrong, entry.name)}: found {values[wrong][0]}, and {before}, which comes before it, "
                f"is missing; give {before}, or leave both empty"
            )
    return made


def _leave_out_missed(trials: xr.Dataset, model: Model, masks: dict[str, np.ndarray], made: np.ndarray) -> None:
    """Neither score nor learn from what was missed in a response that reading did not know for one (a number, say).

    What the table itself says of scoring and learning holds.
    """
    if all(is_action(entry.name) for entry in model.responses) or (made | ~masks["exists"][..., None]).all():
        return
    told = {column["variable"] for column in attribute(trials, "table").get("columns", {}).values()}
    if "scored" not in told:
        masks["scored"] = masks["scored"] & (made if masks["scored"].ndim == 3 else made[..., 0])
    if "learned" not in told:
        masks["learned"] = masks["learned"] & made.all(axis=-1)


def _check_on_offer(
    trials: xr.Dataset, model: Model, columns: dict[str, np.ndarray], masks: dict[str, np.ndarray]
) -> None:
    """Raise a ValueError where an action was made that was not on offer."""
    if "available" not in columns or "action" not in columns:
        return
    offered = np.take_along_axis(columns["available"], columns["action"][..., None], axis=2)[..., 0]
    if (wrong := masks["responded"] & ~offered).any():
        raise ValueError(
            f"{where(trials, wrong, 'action')}: found {columns['action'][wrong][0]}, which is not on offer; mend the "
            "action, or the columns that say what is available"
        )


def one_subject(data: ModelData, i: int) -> ModelData:
    """Return the data of one subject, without the padding after its last trial."""
    length = int(data.masks["exists"][i].sum())

    def pick(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {k: np.ascontiguousarray(v[i : i + 1, :length]) for k, v in values.items()}

    return ModelData(data.model, data.trials, data.facts, pick(data.inputs), pick(data.masks))


def require_scored(data: ModelData) -> None:
    """Raise a ValueError that names the subjects without a single scored trial."""
    if (none := ~data.scored_trials.any(axis=1)).any():
        names = ", ".join(repr(s) for s in data.subjects[none].tolist())
        raise ValueError(f"no scored trial for subject {names}: nothing to learn from; leave them out of the table")


def _check_masks(trials: xr.Dataset, masks: dict[str, np.ndarray]) -> None:
    exists = masks["exists"]
    if exists.size == 0 or not exists.any(axis=1).all():
        empty = trials["subject"].values[~exists.any(axis=1)].tolist() if exists.size else "all"
        raise ValueError(f"subject {empty}: no trials; leave them out")
    if (np.diff(exists.astype(int), axis=1) > 0).any():
        raise ValueError("exists: padding (False) may only stand at a subject's end")
    if not masks["reset"][:, 0].all():
        raise ValueError("reset must be True on trial 0 of every subject: the state starts there")
    for name in ("scored", "learned"):
        mask = masks[name] if masks[name].ndim == 2 else masks[name].any(axis=2)
        if (wrong := mask & ~exists).any():
            raise ValueError(f"{where(trials, wrong)}: {name} is True where there is no trial")


def _missing_facts(
    model: Model, trials: xr.Dataset, masks: dict[str, np.ndarray], known: dict[str, Any]
) -> dict[str, int]:
    """Infer the facts that inputs count up to and that the trials do not state."""
    found: dict[str, int] = {}
    for entry in model.inputs:
        if isinstance(entry.kind, Index) and entry.kind.fact not in known and entry.name in trials:
            values = trials[entry.name].values[masks["exists"]]
            if values.dtype.kind not in "biuf":
                raise ValueError(not_numbers(entry, model, trials, masks["exists"]))
            least = entry.kind.exactly or 0
            found[entry.kind.fact] = max(found.get(entry.kind.fact, least), int(np.nanmax(values, initial=0)) + 1)
    return found


def check_facts(model: Model, facts: Facts) -> None:
    """Raise a ValueError if an input counts up to another number than the model is for."""
    for entry in model.inputs:
        if isinstance(entry.kind, Index) and (wanted := entry.kind.exactly) and not entry.kind.allows(vars(facts)):
            fact, found = entry.kind.fact, getattr(facts, entry.kind.fact, None)
            raise ValueError(
                f"column {entry.name!r}: {model.name} is for {fact}={wanted}, found {fact}={found}; if the column "
                f"holds none but 0 to {wanted - 1}, pass read_trials(..., facts={{{fact!r}: {wanted}}})"
            )
