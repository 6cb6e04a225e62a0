"""Tables of choices <-> trials: an xarray Dataset with dims (subject, trial), checked, padded, with its masks.

    exists     a real trial (False: padding at the end of a shorter subject)
    scored     the response enters the likelihood
    learned    the learner's update runs
    reset      the state starts again before this trial

All four are always there. A missed response is -1, neither scored nor learned unless the table says otherwise.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.model.facts import plain
from rlpymc.trials.columns import (
    check_trial_numbers,
    count_from_zero,
    is_action,
    means_action,
    option_columns,
    plain_columns,
)
from rlpymc.trials.grid import ARRAY_DIMS, check_masks, column_dims, padding
from rlpymc.trials.masks import check_used, make_masks
from rlpymc.trials.table import PRESETS, Table, make_table

logger = logging.getLogger("rlpymc")


def read_trials(
    table: Any,
    columns: Mapping[str, str | Sequence[str]] | str | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    action_base: int | None = None,
    missing: float | str | None = None,
    reset: str | None = None,
) -> xr.Dataset:
    """Read a table of choices, one row a trial, into checked trials with dims (subject, trial).

    Nothing is dropped, clipped or recoded in silence: what does not fit is an error that says where and how to mend
    it, what was inferred is logged (logger "rlpymc"), and `to_table` gives the table back.

    Parameters
    ----------
    table : path, dataframe or xr.Dataset
        A file (.csv, .tsv, both also .gz, or .parquet), any dataframe (pandas, polars, pyarrow, ...), or trials from
        `read_trials` or `simulate`, which are checked and returned. Rows of one subject need not stand together.
    columns : dict or str, optional
        Our names and the table's, {"subject": "id", "action": "choice"}, or a preset, "hbayesdm". A list of columns
        makes one with an array for each trial: {"available": ["left", "right"]} are the options on offer, either as
        option numbers (counted as actions are) or as one True/False column for each action; columns available_0,
        available_1, ... are read so without being told. What is not named keeps its name. ("hbayesdm" makes action2 of
        level2_choice as it stands: one of four stimuli.)
    facts : dict, optional
        What is known before the data. n_actions, n_stimuli, n_cues and n_states are inferred over all subjects (the
        largest number + 1; at least 2 actions) unless they are given here; any others are added.
    action_base : int, optional
        The table's number of the first action; 0 unless the preset says otherwise ("hbayesdm": 1). It holds for all
        columns that mean an action: action, action1, ..., and names that end in _action or _option.
    missing : number or str, optional
        The action columns' code of "no response". An empty cell always means that.
    reset : str, optional
        A column before whose changes within a subject the state starts again ("block"); a column of True and False
        marks such trials itself, and so does a column named reset. The first trial always starts.

    Returns
    -------
    xr.Dataset
        The table's columns and the masks, (subject, trial); `available` is (subject, trial, option). The table's
        trial number is `trial_number`, its row `row`; `trial` is the position from 0. attrs["facts"] are the facts,
        attrs["table"] is what `to_table` needs. Padding is 0, NaN, False or ""; -1 in actions and `row`.

    Raises
    ------
    TypeError
        If `table` is not a table.
    ValueError
        If a column is missing or a cell is not what its column needs.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["a", "a", "b"], "choice": [1, 2, 2], "reward": [0.0, 1.0, 1.0]})
    >>> trials = read_trials(table, {"subject": "id", "action": "choice"}, action_base=1)
    >>> trials["action"].values
    array([[ 0,  1],
           [ 1, -1]])
    >>> trials["exists"].values
    array([[ True,  True],
           [ True, False]])
    """
    if isinstance(table, xr.Dataset):
        if any(option is not None for option in (columns, facts, action_base, missing, reset)):
            raise ValueError(
                "these trials were read before: columns, facts and the rest belong to the reading of a table"
            )
        return check_masks(table)
    rows = make_table(table, columns)
    if action_base is None:
        action_base = PRESETS[columns][1] if isinstance(columns, str) else 0
    check_trial_numbers(rows)
    numbered, available, known = count_from_zero(rows, dict(facts or {}), action_base, missing)
    masks = make_masks(rows, numbered, reset)
    check_used(rows, numbered, masks)

    values = {name: rows.plain(name) for name in plain_columns(rows)} | numbered
    values = {"trial_number" if name == "trial" else name: cells for name, cells in values.items()}
    for name, parts in rows.arrays.items():
        if name not in ARRAY_DIMS:
            values[name] = np.stack([rows.plain(part) for part in parts], axis=1)
    values |= {} if available is None else {"available": available}
    values |= masks | {"row": np.arange(len(rows.frame))}
    trials = xr.Dataset(
        {name: _on_grid(rows, name, cells) for name, cells in values.items()},
        coords={
            "subject": np.asarray(rows.labels),
            "trial": np.arange(rows.position.max() + 1),
            **({"response": [name for name in rows.columns if is_action(name)]} if masks["scored"].ndim == 2 else {}),
        },
        attrs={
            "facts": plain(known),
            "table": _record(rows, numbered, masks, action_base, missing) | {"variables": [*values]},
        },
    )
    shown = {fact: np.shape(value) if np.ndim(value) else value for fact, value in known.items()}
    listed = [f"{fact}={value} ({'given' if fact in (facts or {}) else 'found'})" for fact, value in shown.items()]
    logger.info("%d subjects, %d trials; facts: %s", len(rows.labels), len(rows.frame), ", ".join(listed) or "none")
    return trials


def _on_grid(rows: Table, name: str, cells: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Put each row's cell at its subject and trial, and padding elsewhere."""
    fill = padding(name, cells.dtype)
    shape = (len(rows.labels), int(rows.position.max()) + 1, *cells.shape[1:])
    grid = np.full(shape, fill, dtype=cells.dtype)
    grid[rows.subject, rows.position] = cells
    return column_dims(name, grid.ndim), grid


def _record(
    rows: Table, numbered: dict[str, np.ndarray], masks: dict[str, np.ndarray], base: int, missing: float | str | None
) -> dict[str, Any]:
    """The notes from which `to_table` gives the table back, in types that JSON knows."""
    part_of = {part: (name, k) for name, parts in rows.arrays.items() for k, part in enumerate(parts)}
    columns: dict[str, dict[str, Any]] = {}
    for name in rows.columns:
        column: dict[str, Any] = {"variable": "trial_number" if name == "trial" else name}
        if name in part_of and name not in option_columns(rows):
            column["variable"], column["part"] = part_of[name]
        column["dtype"] = str(rows.frame[name].dtype)
        # Cells that the coding alone would not give back: what stood in the empty ones, resets that trial 0 implies.
        special = np.zeros(len(rows.frame), dtype=bool)
        if name in numbered:
            counted = base if means_action(name) else 0
            column["base"] = None if rows.is_boolean(name) else counted  # None: True and False
            special = rows.frame[name].isna().to_numpy()
        elif name == "reset":
            special = masks["reset"] & ~rows.flags("reset")
        cells = rows.frame[name][special].astype(object)
        column["cells"] = [[row, None if cell is pd.NA else cell] for row, cell in cells.items()]
        columns[rows.theirs[name]] = column
    return {"columns": columns, "action_base": base, "missing": missing}
