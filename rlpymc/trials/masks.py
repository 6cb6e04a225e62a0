"""Which trials of a table are scored, learned from, and start anew, and whether these hold what that needs.

All functions work row by row, before the rows find their place on the grid of subjects and trials.
"""

import itertools

import numpy as np

from rlpymc.checks import unknown
from rlpymc.trials.columns import INDEX_FACTS, is_action, plain_columns
from rlpymc.trials.table import Table

MASKS = ("exists", "scored", "learned", "reset")


def make_masks(table: Table, numbered: dict[str, np.ndarray], reset: str | None) -> dict[str, np.ndarray]:
    """Return the four masks; those that the table does not hold follow from whether a response was made."""
    everywhere = np.full(len(table.frame), True)
    made = {name: numbers >= 0 for name, numbers in numbered.items() if is_action(name)}
    responded = np.logical_and.reduce([everywhere, *made.values()])
    _check_order(table, made)
    scored = learned = responded
    if any((m != responded).any() for m in made.values()):  # a trial broke off after its first response
        scored = np.stack(list(made.values()), axis=1)
    if "learned" in table.columns:
        learned = table.flags("learned")
    if "scored" in table.columns:
        scored = table.flags("scored")
        _check_scored(table, "scored", scored & ~responded)
    if parts := table.arrays.get("scored"):
        if len(parts) != len(made):
            raise ValueError(f"scored: found {len(parts)} columns, expected one for each action column, {list(made)}")
        scored = np.stack([table.flags(part) for part in parts], axis=1)
        for part, marked, response in zip(parts, scored.T, made.values(), strict=True):
            _check_scored(table, part, marked & ~response)
    return {"exists": everywhere, "scored": scored, "learned": learned, "reset": _resets(table, reset)}


def _check_order(table: Table, made: dict[str, np.ndarray]) -> None:
    """Check that no response is there without the one that comes before it (action2 without action1)."""
    numbered = sorted((name for name in made if name != "action"), key=lambda name: int(name.removeprefix("action")))
    for before, name in itertools.pairwise(numbered):
        if (wrong := made[name] & ~made[before]).any():
            cure = f"{before} comes before it: give both, or leave both empty."
            raise table.error(name, wrong, f"nothing, as {before} is missing", cure)


def _check_scored(table: Table, column: str, wrong: np.ndarray) -> None:
    if wrong.any():
        raise table.error(column, wrong, "False, as no response was made", "Give the response, or do not score it.")


def _resets(table: Table, reset: str | None) -> np.ndarray:
    first = np.asarray(table.position == 0)
    column = "reset" if reset is None else table.our_name(reset)
    if column not in table.columns:
        if reset is None:
            return first
        raise ValueError(f"reset={reset!r}: {unknown('column', reset, table.columns)}")
    if column != "reset" and "reset" in table.columns:
        raise ValueError(f"reset={reset!r}: the table has a column 'reset' too; use that, or give it another name")
    if column == "reset" or table.is_boolean(column):
        return table.flags(column) | first
    if (blank := table.frame[column].isna().to_numpy()).any():
        raise table.error(column, blank, "a value, as the state starts again where it changes", "Fill the cell.")
    return table.changed(column)


def check_used(table: Table, numbered: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> None:
    """Check that rewards are numbers, and that no scored or learned trial lacks what it needs."""
    learned = masks["learned"]
    scored = masks["scored"].reshape(len(learned), -1)
    used = {name: learned | scored.any(axis=1) for name in INDEX_FACTS}
    used |= {"state2": learned | scored[:, -1], "next_state": learned}  # seen after a response
    for name in filter(INDEX_FACTS.__contains__, numbered):
        if (wrong := used[name] & (numbered[name] < 0)).any():
            cure = "Give it, or mark the trial False in columns named scored and learned."
            raise table.error(name, wrong, "a number, as the trial is scored or learned", cure)
    rewards = [[name] for name in plain_columns(table) if name.startswith("reward")]
    rewards += [parts for name, parts in table.arrays.items() if name.startswith("reward")]
    for name in (part for parts in rewards for part in parts):
        cure = "Give the number, or mark the trial False in a column named learned."
        if (wrong := learned & ~np.isfinite(table.numbers(name, cure))).any():
            raise table.error(name, wrong, "a finite number, as the trial is learned", cure)
