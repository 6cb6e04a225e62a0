"""Which trials of a table exist, are scored, learned from, and start anew.

All functions work row by row, before the rows find their place on the grid of subjects and trials.
"""

import itertools
import logging
from collections.abc import Sequence

import numpy as np

from rlpymc.checks import ordered
from rlpymc.trials.columns import response_columns
from rlpymc.trials.table import Table

logger = logging.getLogger("rlpymc")

MASKS = ("exists", "scored", "learned", "reset")


def make_masks(
    table: Table, numbered: dict[str, np.ndarray], reset: np.ndarray, rt_limits: Sequence[float] | None
) -> dict[str, np.ndarray]:
    """Return the four masks; those that the table does not hold follow from whether a response was made."""
    everywhere = np.full(len(table.frame), True)
    made = {name: numbered[name] >= 0 for name in response_columns(numbered)}
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
            raise ValueError(
                f"scored: found {len(parts)} columns ({', '.join(parts)}), expected one for each action column, "
                f"{list(made)}, or a single one named scored"
            )
        scored = np.stack([table.flags(part) for part in parts], axis=1)
        for part, marked, response in zip(parts, scored.T, made.values(), strict=True):
            _check_scored(table, part, marked & ~response)
    if rt_limits is not None:
        inside = _within(table, rt_limits)
        scored = scored & (inside if scored.ndim == 1 else inside[:, None])
    return {"exists": everywhere, "scored": scored, "learned": learned, "reset": reset}


def _check_order(table: Table, made: dict[str, np.ndarray]) -> None:
    """Check that no response is there without the one that comes before it (action2 without action1)."""
    numbered = [name for name in made if name != "action"]
    for before, name in itertools.pairwise(numbered):
        if (wrong := made[name] & ~made[before]).any():
            cure = f"{before} comes before it: give both, or leave both empty."
            raise table.error(name, wrong, f"nothing, as {before} is missing", cure)


def _check_scored(table: Table, column: str, wrong: np.ndarray) -> None:
    if wrong.any():
        raise table.error(column, wrong, "False, as no response was made", "Give the response, or do not score it.")


def _within(table: Table, limits: Sequence[float]) -> np.ndarray:
    """Return where a response time is not outside of its limits, and log how many are."""
    low, high = ordered("rt_limits", limits)
    if "rt" not in table.columns:
        raise ValueError(f"rt_limits={tuple(limits)}: {table.unknown('rt')}")
    rt = table.numbers("rt", "Write a number, or leave the cell empty.")
    outside = (rt < low) | (rt > high)
    if outside.any() and not (~outside & ~np.isnan(rt)).any():
        raise table.error("rt", outside, f"a time from {low:g} to {high:g}, in the table's own unit", "Mend rt_limits.")
    logger.info("rt_limits: %d of %d trials lie outside: learned from, not scored", outside.sum(), len(rt))
    return ~outside
