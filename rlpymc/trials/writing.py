"""From trials back to a table."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.trials.attributes import attribute
from rlpymc.trials.columns import INDEX_FACTS, means_action
from rlpymc.trials.grid import check_masks
from rlpymc.trials.masks import MASKS
from rlpymc.trials.record import restore


def to_table(trials: xr.Dataset) -> pd.DataFrame:
    """Write trials as a table, one row a trial.

    Parameters
    ----------
    trials : xr.Dataset
        From `read_trials`, also after subjects or trials were selected, from `simulate`, or from `predict`.

    Returns
    -------
    pd.DataFrame
        Trials that were read: the rows, columns and coding of the table they came from, and behind them the variables
        that were added since. Trials that were made: subject and trial, the variables (array-valued ones as
        available_0, available_1, ...), then scored, learned and reset. Of several samples the column sample comes
        first. Variables without the dims subject and trial stay behind.

    Raises
    ------
    ValueError
        If the masks are not there.

    Examples
    --------
    >>> table = pd.DataFrame({"subject": ["a", "b", "a"], "action": [2, 1, 1]})
    >>> to_table(read_trials(table, action_base=1)).equals(table)
    True
    """
    if "sample" in trials.dims:
        tables = [to_table(trials.isel(sample=k)) for k in range(trials.sizes["sample"])]
        numbers = trials["sample"].values  # their coordinate, or 0, 1, ...
        return pd.concat(
            [t.assign(sample=k)[["sample", *t]] for k, t in zip(numbers, tables, strict=True)]
        ).reset_index(drop=True)
    trials = check_masks(trials).transpose("subject", "trial", ...)
    return _as_read(trials) if "table" in trials.attrs else _as_made(trials)


def _as_read(trials: xr.Dataset) -> pd.DataFrame:
    """Give back the table that trials were read from."""
    record = attribute(trials, "table")
    exists = trials["exists"].values
    rows = trials["row"].values[exists]
    order = np.argsort(rows)
    table = {}
    for name, column in record["columns"].items():
        values = _by_trial(trials, column["variable"])[exists][order]
        cells = pd.Series(values[:, column["part"]] if "part" in column else values, index=rows[order])
        table[name] = restore(column, cells, record["missing"]).reset_index(drop=True)
    for name in _by_subject_and_trial(trials):
        if name not in record["variables"]:
            table |= _columns(name, trials[name].values[exists][order], {})
    return pd.DataFrame(table)


def _as_made(trials: xr.Dataset) -> pd.DataFrame:
    """Write trials that never were a table."""
    exists = trials["exists"].values
    number = "trial_number" if "trial_number" in trials else "trial"
    table: dict[str, Any] = {
        "subject": _by_trial(trials, "subject")[exists],
        "trial": _by_trial(trials, number)[exists],
    }
    labels = attribute(trials, "labels")
    names = [name for name in _by_subject_and_trial(trials) if name not in {*MASKS, "row", "trial_number"}]
    for name in [*sorted(names, key=lambda name: trials[name].ndim), *MASKS[1:]]:
        table |= _columns(name, trials[name].values[exists], labels)
    return pd.DataFrame(table)


def _by_subject_and_trial(trials: xr.Dataset) -> list[str]:
    return [str(name) for name, variable in trials.variables.items() if variable.dims[:2] == ("subject", "trial")]


def _columns(name: str, cells: np.ndarray, labels: dict[str, list[Any]]) -> dict[str, Any]:
    """A variable's cells (row, ...) as a column, or one for each entry; actions and indices that are none are empty."""
    if name in labels and cells.ndim == 1 and cells.dtype.kind == "i":
        return {name: pd.Series(cells).map(dict(enumerate(labels[name])))}
    if cells.ndim > 1:
        return {f"{name}_{k}": part for k, part in enumerate(cells.reshape(len(cells), -1).T)}
    if (means_action(name) or name in INDEX_FACTS) and cells.dtype.kind == "i" and (cells < 0).any():
        return {name: pd.Series(cells, dtype="Int64").mask(cells < 0)}
    return {name: cells}


def _by_trial(trials: xr.Dataset, name: str) -> np.ndarray:
    """Return a variable or coordinate for each subject and trial."""
    return np.asarray(trials[name].broadcast_like(trials["exists"]).transpose("subject", "trial", ...).values)
