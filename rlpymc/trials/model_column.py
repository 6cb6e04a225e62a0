"""One column that a model reads, checked cell by cell where it is read, with errors that say where it does not fit."""

import numpy as np
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.model import Facts, Model
from rlpymc.model.parameters import Boolean, Index, Input, resolve_shape
from rlpymc.trials.attributes import attribute
from rlpymc.trials.columns import INDEX_FACTS, SHOWN, means_action
from rlpymc.trials.masks import MASKS
from rlpymc.trials.table import shown


def model_column(
    entry: Input, model: Model, trials: xr.Dataset, masks: dict[str, np.ndarray], made: np.ndarray, facts: Facts
) -> tuple[np.ndarray, np.ndarray]:
    """Return one column in the model's type, with a stand-in where nothing reads it, and where its values are good.

    Parameters
    ----------
    entry : Input
        The column.
    model : Model
        Who reads it.
    trials : xr.Dataset
        The trials.
    masks : dict of (subject, trial) bool
        The masks, and where the first response was made.
    made : (subject, trial, response) bool
        Which responses were made.
    facts : Facts
        What is known before the data.

    Returns
    -------
    values : (subject, trial, *shape)
        The column.
    good : (subject, trial) bool
        Where the trials hold what the model needs.

    Raises
    ------
    ValueError
        If the column is not there, of another shape, or a cell that is read does not fit.
    """
    shape = (*masks["exists"].shape, *resolve_shape(entry.shape, vars(facts)))
    if entry.name not in trials:
        if entry.default is None:
            raise ValueError(_no_column(entry, model, trials))
        return np.full(shape, entry.default, dtype=entry.dtype), masks["exists"]
    values = trials[entry.name].values
    if values.shape != shape:
        raise ValueError(
            f"column {entry.name!r}: found shape {values.shape[2:]} at a trial, {model.name} needs {shape[2:]}"
        )
    used = _used(entry, model, trials, masks, made)
    if values.dtype.kind not in "biuf":
        raise ValueError(not_numbers(entry, model, trials, masks["exists"]))
    good = _is_valid(entry, values, facts).reshape(*used.shape, -1).all(axis=-1)
    wrong = used & ~good
    if wrong.any():
        found = values[tuple(np.argwhere(wrong)[0])]
        found = shown(found) if np.ndim(found) == 0 else found
        if isinstance(entry.kind, Index) and found == "-1" and _is_counted(trials, entry.name):
            cure = f"give it, or {_leave_out(entry)}"
            what = "no response" if entry.response else "an empty cell"
            raise ValueError(
                f"{where(trials, wrong, entry.name)}: found {what}, expected one, as the trial is used; {cure}"
            )
        raise ValueError(f"{where(trials, wrong, entry.name)}: found {found}, {_expected(entry, trials, facts)}")
    stand_in = values[used][0] if used.any() else np.zeros(shape[2:])
    kept = (masks["exists"] & good).reshape(used.shape + (1,) * (values.ndim - 2))
    return np.ascontiguousarray(np.where(kept, values, stand_in), dtype=entry.dtype), good


def _used(entry: Input, model: Model, trials: xr.Dataset, masks: dict[str, np.ndarray], made: np.ndarray) -> np.ndarray:
    """Return the trials on which a column is read: to learn, by a response that is scored, or in remembering it."""
    if entry.unless in trials:
        over = np.asarray(trials[entry.unless].values)
        masks = masks | {"learned": masks["learned"] & ~(over == 1)}
    order = [r.name for r in model.responses]
    scored = masks["scored"].reshape((*masks["exists"].shape, len(order)))
    if entry.response:
        own = order.index(entry.name)
        return masks["learned"] | scored[..., own:].any(axis=2) | made[..., own]
    first = 0 if entry.after is None else order.index(entry.after) + 1
    used = masks["learned"] | scored[..., first:].any(axis=2)
    return used | masks["responded"] if entry.after is None else used


def _is_valid(entry: Input, values: np.ndarray, facts: Facts) -> np.ndarray:
    if isinstance(entry.kind, Index):
        limit = getattr(facts, entry.kind.fact)
        return (values >= 0) & (values < limit) & (values == np.round(values))
    if isinstance(entry.kind, Boolean):
        return (values == 0) | (values == 1)
    return entry.kind.contains(values)


def _expected(entry: Input, trials: xr.Dataset, facts: Facts) -> str:
    if isinstance(entry.kind, Index):
        limit, labels = getattr(facts, entry.kind.fact), attribute(trials, "labels").get(entry.name)
        ways = [f"if there are more, pass read_trials(..., facts={{'{entry.kind.fact}': ...}})"]
        if entry.name in INDEX_FACTS and labels is None:
            ways.append(f"if these are labels, number them by read_trials(..., states={{'{entry.name}': [...]}})")
        if entry.response:
            ways.append("if the trial was missed, leave the cell empty")
        else:
            ways.append(f"if there was none, {_leave_out(entry)}")
        return f"expected an integer from 0 to {limit - 1}; {'; '.join(ways)}"
    if entry.response:
        return f"expected {entry.kind}; give the response, or mark the trial False in a column named scored"
    return f"expected {entry.kind}; give the value, or {_leave_out(entry)}"


def _leave_out(entry: Input) -> str:
    """Say how a trial is not used; what stands before a response is also read to remember that."""
    cure = "mark the trial False in columns named scored and learned"
    return cure if entry.response or entry.after is not None else f"{cure}, and leave its response empty"


def not_numbers(entry: Input, model: Model, trials: xr.Dataset, exists: np.ndarray) -> str:
    """Say which cell of a column is no number, and how to make numbers of it."""
    values = trials[entry.name].values
    wrong = exists & ~np.vectorize(_reads_as_number, otypes=[bool])(values)
    place = wrong if wrong.any() else exists
    found, name = shown(values[place][0]), entry.name
    if isinstance(entry.kind, Index):
        listed = ", ".join(map(repr, sorted({str(cell) for cell in values[exists]} - {""})[:SHOWN]))
        what = f"actions=[{listed}]" if means_action(name) else f"states={{{name!r}: [{listed}]}}"
        cure = f"number the labels by read_trials(..., {what}), in the order that you want"
    elif isinstance(entry.kind, Boolean):
        cure = "write True and False, or 1 and 0"
    elif not wrong.any():
        column = f"table[{_names_in_table(trials).get(name, name)!r}]"
        cure = f"make numbers of the texts, {column} = {column}.astype(float)"
    else:
        cure = (
            "write numbers; a text that means that there is none is read_trials(..., missing=<text>), a decimal comma "
            "read_trials(<path>, decimal=',')"
        )
    return f"{where(trials, place, name)}: found {found}, {model.name} needs {entry.kind}; {cure}"


def _reads_as_number(cell: object) -> bool:
    try:
        float(str(cell) or "nan")
    except ValueError:
        return False
    return True


def _no_column(entry: Input, model: Model, trials: xr.Dataset) -> str:
    named = _names_in_table(trials)
    made = {*MASKS, "row"} | {name for name in attribute(trials, "table").get("variables", []) if name not in named}
    hint = unknown("column", entry.name, [named.get(str(v), v) for v in trials.data_vars if v not in made])
    return (
        f"model {model.name} reads a column {entry.name!r}, which the trials do not have: "
        f"pass read_trials(..., columns={{'{entry.name}': <name in your table>}}). ({hint})"
    )


def where(trials: xr.Dataset, wrong: np.ndarray, column: str | None = None) -> str:
    """Return in words where the first wrong entry stands: column, subject, trial, row."""
    i, t = (int(k) for k in np.argwhere(wrong)[0])
    number = trials["trial_number"].values[i, t] if "trial_number" in trials else t
    row = f", row {trials['row'].values[i, t]}" if "row" in trials else ""
    theirs = _names_in_table(trials).get(column, column) if column else column
    start = f"column {column!r}{f' ({theirs!r} in the table)' if theirs != column else ''}: " if column else ""
    return f"{start}subject {trials['subject'].values[i].item()!r}, trial {number}{row}"


def _is_counted(trials: xr.Dataset, name: str) -> bool:
    """Whether a column was counted from 0 when it was read, so that -1 stands for nothing."""
    columns = attribute(trials, "table").get("columns", {}).values()
    return any({"base", "labels", "boolean"} & {*column} for column in columns if column["variable"] == name)


def _names_in_table(trials: xr.Dataset) -> dict[str, str]:
    """Return what the table that trials were read from calls each variable."""
    columns = attribute(trials, "table").get("columns", {})
    return {column["variable"]: theirs for theirs, column in columns.items()}
