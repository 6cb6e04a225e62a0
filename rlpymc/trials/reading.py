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
import xarray as xr

from rlpymc.trials.attributes import as_attributes
from rlpymc.trials.columns import count_from_zero, plain_columns, response_columns
from rlpymc.trials.doubts import say
from rlpymc.trials.grid import ARRAY_DIMS, check_masks, column_dims, padding
from rlpymc.trials.header import PRESETS, STIMULUS
from rlpymc.trials.masks import make_masks
from rlpymc.trials.order import check_trial_numbers, doubt_numbers_that_start_again, find_resets
from rlpymc.trials.record import record_columns
from rlpymc.trials.table import Table, make_table

logger = logging.getLogger("rlpymc")


def read_trials(
    table: Any,
    columns: Mapping[str, str | Sequence[str]] | str | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    actions: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    states: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    action_base: int | None = None,
    missing: float | str | None = None,
    reset: str | Sequence[str] | bool | None = None,
    rt_limits: tuple[float, float] | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
) -> xr.Dataset:
    """Read a table of choices, one row a trial, into checked trials with dims (subject, trial).

    Nothing is dropped, clipped or recoded in silence: what does not fit is an error that says where and how to mend
    it, what the table leaves open is a `TrialsWarning` that names the call that answers it, what was inferred is logged
    (logger "rlpymc"), and `to_table` gives the table back. A column is judged when a model reads it; those that make
    the trials (subject, trial, actions, masks, resets) at once.

    Parameters
    ----------
    table : path, dataframe or xr.Dataset
        A file (.csv, .tsv, .txt, all also .gz, or .parquet), any dataframe (pandas, polars, pyarrow, ...), or trials
        from `read_trials` or `simulate`, which are checked and returned. Rows of one subject need not stand together.
    columns : dict or str, optional
        Our names and the table's, {"subject": "id", "action": "choice"}, or a preset, "hbayesdm". A list of columns
        makes one with an array for each trial: {"available": ["left", "right"]} are the options on offer, either as
        option numbers (coded as actions are) or as one True/False column for each action; columns available_0,
        available_1, ... are read so without being told. What is not named keeps its name; a column named row, exists
        or trial_number is kept as row_column, ..., and so is one named response where a trial has several. The preset
        counts actions from 1, starts again with each block, and makes state2 and action2 of level2_choice (1 and 2 in
        the first second state, 3 and 4 in the other).
    facts : dict, optional
        What is known before the data. n_actions, n_stimuli, n_cues and n_states are inferred over all subjects (the
        largest number + 1; at least 2 actions) unless they are given here; any others are added.
    actions : list or dict, optional
        The options' labels in order, ["left", "right"], [37, 39], [-1, 1]: the first is action 0. A list holds for all
        columns that mean an action (action, action1, ..., names that end in _action or _option, options on offer), a
        dict for those that it names. `to_table` and figures show the labels again.
    states : list or dict, optional
        Labels of the states in order, for state, state2 and next_state; a dict may also name stimulus and cue.
    action_base : int, optional
        The table's number of the first action, where actions are numbered; 0 unless the preset says otherwise
        ("hbayesdm": 1).
    missing : number or str, optional
        The code of what is missing: a number stands for "no response" in columns that mean an action, a text ("miss",
        ".") for an empty cell in any column. An empty action cell always means that no response was made.
    reset : str, list of str or False, optional
        A column before whose changes within a subject the state starts again ("block"), or several of them
        (["session", "block"]); a column of True and False marks such trials itself, and so does a column named reset.
        The first trial always starts; with False, no other. Where conditions alternate and each is learned by itself,
        sort the table by them first: else the state starts again at every change.
    rt_limits : (float, float), optional
        The fastest and slowest response time (column rt, in its own unit) of a response that is scored; outside of
        them trials are learned from and not scored.
    separator, encoding : str, optional
        Of a file: what stands between columns, and how characters are written; found in the file unless given.
    decimal : str
        Of a file: the decimal mark.

    Returns
    -------
    xr.Dataset
        The table's columns and the masks, (subject, trial); `available` is (subject, trial, option). The table's
        trial number is `trial_number`, its row `row`; `trial` is the position from 0. `facts(trials)` are the facts.
        Attributes are text, so that ``trials.to_netcdf(path)`` keeps all of it. Padding is 0, NaN, False or ""; -1 in
        actions and `row`.

    Raises
    ------
    TypeError
        If `table` is not a table.
    ValueError
        If a column is missing or a cell is not what its column needs.

    Warns
    -----
    TrialsWarning
        If numbers of actions or states have gaps, trial numbers start again or stand in a column of another name,
        values of `reset` return, or labels of people differ by spaces.

    Examples
    --------
    >>> import pandas as pd
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
        options = (columns, facts, actions, states, action_base, missing, reset, rt_limits, separator, encoding)
        if any(option is not None for option in options):
            raise ValueError(
                "these trials were read before: columns, facts and the rest belong to the reading of a table"
            )
        return check_masks(table)
    if action_base is not None and actions is not None and not isinstance(actions, Mapping):
        raise ValueError("found actions= and action_base=, expected one of them: labels in order need no base")
    rows = make_table(table, columns, missing, separator, encoding, decimal)
    preset = isinstance(columns, str)
    base = action_base if action_base is not None else PRESETS[columns][1] if isinstance(columns, str) else 0
    known = ({"n_states": 2} if preset and STIMULUS in rows.columns else {}) | dict(facts or {})
    counted = count_from_zero(rows, known, base, actions, states)
    resets = find_resets(rows, reset, preset)
    check_trial_numbers(rows, resets)
    if reset is None and not preset:
        doubt_numbers_that_start_again(rows, resets)
    masks = make_masks(rows, counted.values, resets, rt_limits)

    values = {name: rows.plain(name) for name in plain_columns(rows)} | counted.values
    values = {"trial_number" if name == "trial" else name: cells for name, cells in values.items()}
    for name, parts in rows.arrays.items():
        if name not in ARRAY_DIMS:
            values[name] = np.stack([rows.plain(part) for part in parts], axis=1)
    values |= {} if counted.available is None else {"available": counted.available}
    values |= masks | {"row": np.arange(len(rows.frame))}
    by_row = values | {"subject": np.asarray(rows.labels)[rows.subject]}
    columns_read = record_columns(rows, counted, by_row, missing)
    trials = xr.Dataset(
        {name: _on_grid(rows, name, cells) for name, cells in values.items()},
        coords={
            "subject": np.asarray(rows.labels),
            "trial": np.arange(rows.position.max() + 1),
            **({"response": response_columns(rows.columns)} if masks["scored"].ndim == 2 else {}),
        },
        attrs=as_attributes(
            facts=counted.facts,
            labels=counted.labels,
            table={"columns": columns_read, "missing": missing, "variables": [*values]},
        ),
    )
    if rt_limits is not None:
        trials.attrs |= as_attributes(rt_limits=[float(limit) for limit in rt_limits])
    shown = {fact: np.shape(value) if np.ndim(value) else value for fact, value in counted.facts.items()}
    listed = [f"{fact}={value} ({'given' if fact in (facts or {}) else 'found'})" for fact, value in shown.items()]
    logger.info("%d subjects, %d trials; facts: %s", len(rows.labels), len(rows.frame), ", ".join(listed) or "none")
    say(rows.doubts)
    return trials


def _on_grid(rows: Table, name: str, cells: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Put each row's cell at its subject and trial, and padding elsewhere."""
    fill = padding(name, cells.dtype)
    shape = (len(rows.labels), int(rows.position.max()) + 1, *cells.shape[1:])
    grid = np.full(shape, fill, dtype=cells.dtype)
    grid[rows.subject, rows.position] = cells
    return column_dims(name, grid.ndim), grid
