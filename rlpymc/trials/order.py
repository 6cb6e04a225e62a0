"""The order of a table's rows: trial numbers, and where the state starts again."""

import logging
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rlpymc.trials.table import Table

logger = logging.getLogger("rlpymc")

PARTS = ("session", "block")  # of an experiment, the larger first; within each, trial numbers may start again
LIKE_TRIAL = r"trials?(num|nums|number|numbers|no|nr|n|index|idx|id|count|counter)?|n?trials?"


def check_trial_numbers(table: Table, reset: np.ndarray) -> None:
    """Check that trial numbers increase within a subject; they may start again with a block, session or reset.

    Gaps are logged; numbers that start again while the state goes on are a doubt.

    Parameters
    ----------
    table : Table
        The table.
    reset : (row,) bool
        Whether the state starts again before a trial.

    Raises
    ------
    ValueError
        If a number is none, or not more than the one before.
    """
    if "trial" not in table.columns:
        _doubt_numbers_of_another_name(table)
        return
    cure = "If it is not the trial's number, give it another name: columns={'my_trial': 'trial'}."
    numbers = table.numbers("trial", cure)
    if (wrong := ~np.isfinite(numbers)).any():
        raise table.error("trial", wrong, "a number", cure)
    before = pd.Series(numbers).groupby(table.subject).shift().to_numpy()
    later = table.position > 0
    parts = [name for name in PARTS if name in table.columns]
    same = later & ~(table.changed(parts) | reset)
    if (wrong := same & (numbers <= before)).any():
        expected = f"more than {before[wrong][0]:g}, the subject's trial before"
        by = [table.theirs[name] for name in ("subject", *parts, "trial")]
        cure = (
            f"Sort the table, table.sort_values({by}, kind='stable'), and give each person a label of their own; if "
            "the numbers start again with a block or session, name the column that changes there block or session "
            "(columns=)."
        )
        raise table.error("trial", wrong, expected, cure)
    if (gaps := same & (numbers > before + 1)).any():
        row = int(np.argmax(gaps))
        first = f"subject {table.labels[table.subject[row]]!r}, row {row}: {numbers[row]:g} follows {before[row]:g}"
        logger.info("gaps in the trial numbers are kept: %d; the first: %s", gaps.sum(), first)


def doubt_numbers_that_start_again(table: Table, reset: np.ndarray) -> None:
    """Take up a doubt if trial numbers start again with a block or session, and the state does not."""
    if "trial" not in table.columns:
        return
    numbers = table.numbers("trial")
    before = pd.Series(numbers).groupby(table.subject).shift().to_numpy()
    again = (table.position > 0) & (numbers <= before) & ~reset
    parts = [name for name in PARTS if name in table.columns and (again & table.changed([name])).any()]
    if parts:
        row = int(np.argmax(again))
        named: str | list[str] = parts[0] if len(parts) == 1 else parts
        table.doubts.append(
            f"column {table.theirs['trial']!r}: subject {table.labels[table.subject[row]]!r}, row {row}: found "
            f"{numbers[row]:g} after {before[row]:g}, as {' and '.join(parts)} changes, and what was learned is kept; "
            f"if learning starts again there, pass reset={named!r}, if it goes on, reset=False"
        )


def _doubt_numbers_of_another_name(table: Table) -> None:
    """Take up a doubt if a column that looks like the trial's number orders the rows in another way."""
    for name in table.columns:
        plain = re.sub(r"[\s._-]", "", re.sub(r"_column$", "", name).lower())
        if not re.fullmatch(LIKE_TRIAL, plain) or not table.is_numeric(name):
            continue
        numbers = table.numbers(name)
        before = pd.Series(numbers).groupby(table.subject).shift().to_numpy()
        parts = [part for part in PARTS if part in table.columns]
        if (wrong := ~table.changed(parts) & (numbers <= before)).any():
            row, theirs = int(np.argmax(wrong)), table.theirs[name]
            table.doubts.append(
                f"column {theirs!r} looks like the trial's number, and is not read as such: subject "
                f"{table.labels[table.subject[row]]!r}, row {row}: found {numbers[row]:g} after {before[row]:g}, and "
                "rows are taken in the order in which they stand; if it is the number, pass "
                f"columns={{'trial': {theirs!r}}}, and sort the table; if not, columns={{'order': {theirs!r}}}"
            )
            return


def find_resets(table: Table, reset: str | Sequence[str] | bool | None, preset: bool = False) -> np.ndarray:
    """Find before which rows the state starts again; always before a subject's first.

    Parameters
    ----------
    table : Table
        The table; it takes up doubts about columns that return to earlier values.
    reset : str, list of str, False or None
        As in `read_trials`.
    preset : bool
        Whether the columns are those of a library that starts again with each block.

    Returns
    -------
    (row,) bool
        Whether the state starts again.

    Raises
    ------
    ValueError
        If a column is not there, or a cell says neither yes nor no.
    """
    first = np.asarray(table.position == 0)
    if reset is True or not (reset is None or isinstance(reset, bool | str) or np.iterable(reset)):
        raise ValueError(f"reset: found {reset!r}, expected a column, several of them, or False")
    if reset is False or reset is None:
        if reset is None and "reset" in table.columns:
            return table.flags("reset") | first
        return table.changed(["block"]) if reset is None and preset and "block" in table.columns else first
    columns = [table.our_name(name) for name in ([reset] if isinstance(reset, str) else reset)]
    for given, column in zip([reset] if isinstance(reset, str) else reset, columns, strict=True):
        if column not in table.columns:
            raise ValueError(f"reset={given!r}: {table.unknown(given)}")
    if "reset" in table.columns and columns != ["reset"]:
        raise ValueError(f"reset={reset!r}: the table has a column 'reset' too; use that, or give it another name")
    flags = [column for column in columns if column == "reset" or table.is_boolean(column)]
    changing = [column for column in columns if column not in flags]
    for column in changing:
        if (blank := table.frame[column].isna().to_numpy()).any():
            raise table.error(column, blank, "a value, as the state starts again where it changes", "Fill the cell.")
    starts = np.logical_or.reduce([first, *(table.flags(column) for column in flags)])
    return starts | _changes(table, changing) if changing else starts


def _changes(table: Table, columns: list[str]) -> np.ndarray:
    """Whether any of some columns changes before a row; a block is another one in another session."""
    changes = table.changed(columns)
    if columns == ["block"] and "session" in table.columns:
        if (more := table.changed(["session"]) & ~changes).any():
            row = int(np.argmax(more))
            table.doubts.append(
                f"column {table.theirs['block']!r}: subject {table.labels[table.subject[row]]!r}, row {row}: it stays "
                "the same while session changes; the state starts again there, too: say so by "
                "reset=['session', 'block']"
            )
        columns, changes = ["session", "block"], changes | more
    _doubt_values_that_return(table, columns, changes)
    return changes


def _doubt_values_that_return(table: Table, columns: list[str], changes: np.ndarray) -> None:
    """Take up a doubt if a subject comes back to a value: conditions that alternate, perhaps, and no blocks."""
    values = table.frame[columns].apply(lambda cells: pd.factorize(cells)[0])
    begun = values.assign(subject=table.subject)[changes]
    if not (back := begun.duplicated()).any():
        return
    row, names = int(np.flatnonzero(changes)[np.argmax(back)]), [table.theirs[name] for name in columns]
    by = [table.theirs["subject"], *names]
    more = int((changes & (table.position > 0)).sum())
    table.doubts.append(
        f"column {' and '.join(map(repr, names))}: subject {table.labels[table.subject[row]]!r}, row {row}: a value "
        f"returns that was there before, and the state starts again at each of {more} changes; if conditions alternate "
        f"and each is learned by itself, sort by them, table.sort_values({by}, kind='stable'); if each change does "
        "start anew, say so in a column of True and False and pass its name to reset="
    )
