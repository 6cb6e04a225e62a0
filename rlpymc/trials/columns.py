"""What the columns of a table mean, and whether every cell fits: trial numbers, actions, indices, options.

All functions work row by row, before the rows find their place on the grid of subjects and trials.
"""

import logging
import re
from typing import Any

import numpy as np
import pandas as pd

from rlpymc.trials.table import Table

logger = logging.getLogger("rlpymc")

# Columns that hold a number from 0 on, and the fact that says how many there are.
INDEX_FACTS = {
    "stimulus": "n_stimuli",
    "cue": "n_cues",
    "state": "n_states",
    "state2": "n_states",
    "next_state": "n_states",
}


def is_action(name: str) -> bool:
    """Whether a column of this name holds actions: action, action1, action2, ..."""
    return re.fullmatch(r"action\d*", name) is not None


def means_action(name: str) -> bool:
    """Whether a column of this name is coded as the actions are: these, and correct_action, better_option, ..."""
    return is_action(name) or name.endswith(("_action", "_option"))


def option_columns(table: Table) -> list[str]:
    """Return the columns that name the options on offer by their numbers; none if each is True or False."""
    parts = table.arrays.get("available", [])
    flags = all(table.is_boolean(part) or re.fullmatch(r"available_\d+", part) for part in parts)
    return [] if flags else parts


def plain_columns(table: Table) -> list[str]:
    """Return the columns that become variables of their own."""
    inside = {part for parts in table.arrays.values() for part in parts} - set(option_columns(table))
    return [name for name in table.columns if name not in {"subject", "exists", "scored", "learned", "reset", *inside}]


def check_trial_numbers(table: Table) -> None:
    """Trial numbers increase within a subject; they may start again with a block or session. Gaps are logged."""
    if "trial" not in table.columns:
        return
    cure = "If it is not the trial's number, give it another name: columns={'my_trial': ...}."
    numbers = table.numbers("trial", cure)
    if (wrong := ~np.isfinite(numbers)).any():
        raise table.error("trial", wrong, "a number", cure)
    before = pd.Series(numbers).groupby(table.subject).shift().to_numpy()
    same = table.position > 0
    for name in ("block", "session"):
        if name in table.columns:
            same &= ~table.changed(name)
    if (wrong := same & (numbers <= before)).any():
        expected = f"more than {before[wrong][0]:g}, the subject's trial before"
        cure = (
            "Sort the table and give each person a label of their own; if the numbers start again with a block or "
            "session, name the column that changes there block or session (columns=)."
        )
        raise table.error("trial", wrong, expected, cure)
    if (gaps := same & (numbers > before + 1)).any():
        row = int(np.argmax(gaps))
        first = f"subject {table.labels[table.subject[row]]!r}, row {row}: {numbers[row]:g} follows {before[row]:g}"
        logger.info("gaps in the trial numbers are kept: %d; the first: %s", gaps.sum(), first)


def count_from_zero(
    table: Table, facts: dict[str, Any], base: int, missing: float | str | None
) -> tuple[dict[str, np.ndarray], np.ndarray | None, dict[str, Any]]:
    """Return actions and indices counted from 0 (-1: none), the options on offer (row, option), and all facts."""
    for fact in sorted(facts.keys() & {"n_actions", *INDEX_FACTS.values()}):
        if not isinstance(facts[fact], int | np.integer) or facts[fact] < 1:
            raise ValueError(f"facts[{fact!r}]: found {facts[fact]!r}, expected a whole number from 1")
    indices: dict[str, np.ndarray] = {}
    known: dict[str, Any] = {}
    for name, fact in INDEX_FACTS.items():
        if name in table.columns:
            cure = f"Count from 0; if there are more than you said, give facts={{{fact!r}: ...}} as many."
            indices[name] = table.whole(name, 0, facts.get(fact), cure)
            known[fact] = max(known.get(fact, 1), int(indices[name].max()) + 1)

    flags = [] if option_columns(table) else table.arrays.get("available", [])
    count = facts.get("n_actions", len(flags) or None)
    if flags and count != len(flags):
        raise ValueError(f"available: found {len(flags)} True/False columns, expected one for each of {count} actions")
    actions: dict[str, np.ndarray] = {}
    for name in filter(is_action, table.columns):
        start = 0 if table.is_boolean(name) else base
        words = [word for word in table.words(name) if word != missing]
        cure = _labels_cure(table.theirs[name], words, start) if len(words) > 1 else _action_cure(start, count)
        actions[name] = table.whole(name, start, count, cure, missing)
    for name in plain_columns(table):
        if means_action(name) and not is_action(name) and table.is_numeric(name):
            start = 0 if table.is_boolean(name) else base
            cure = f"Columns of such names are coded as actions are; else rename it: columns={{'my_column': {name!r}}}."
            actions[name] = table.whole(name, start, count, cure, missing)
    options = [table.whole(part, base, count, _action_cure(base, count)) for part in option_columns(table)]
    numbers = np.concatenate([*actions.values(), *options]) if actions or options else np.zeros(0, int)
    if len(numbers) or flags:
        known["n_actions"] = count or max(2, int(numbers.max()) + 1)
    if base == 0 and not count and numbers.max(initial=0) > 1 and not (numbers == 0).any():
        logger.warning("action 0 does not occur: if your actions are counted from 1, pass action_base=1")
    available = np.stack([table.flags(part) for part in flags], axis=1) if flags else None
    if options:
        available = _on_offer(table, options, known["n_actions"])
    if available is not None and "action" in actions:
        _check_offered(table, actions["action"], available, 0 if table.is_boolean("action") else base)
    return actions | indices, available, known | facts


def _action_cure(base: int, count: int | None) -> str:
    other = 0 if base else 1
    coded = f"coded {other}..{other + count - 1}" if count else f"counted from {other}"
    return (
        f"If your actions are {coded}, pass action_base={other}; "
        "if the trial was missed, leave the cell empty or pass missing=<code>."
    )


def _labels_cure(name: str, words: list[str], start: int) -> str:
    numbers = ", ".join(f"{word!r}: {k}" for k, word in enumerate(words[:5], start))
    more = ", ..." if len(words) > 5 else ""
    return f"Number the options: table[{name!r}] = table[{name!r}].map({{{numbers}{more}}})."


def _on_offer(table: Table, options: list[np.ndarray], n_actions: int) -> np.ndarray:
    """Turn the numbers of the options on offer into True and False for each option."""
    rows = np.arange(len(table.frame))
    available = np.zeros((len(rows), n_actions + 1), dtype=bool)  # one more, for empty cells (-1)
    for part, option in zip(option_columns(table), options, strict=True):
        if (twice := (option >= 0) & available[rows, option]).any():
            cure = "If 1 and 0 say whether an option is on offer, write True and False instead."
            raise table.error(part, twice, "another option than the columns before it name", cure)
        available[rows, option] = True
    return available[:, :-1]


def _check_offered(table: Table, action: np.ndarray, available: np.ndarray, base: int) -> None:
    if (wrong := (action >= 0) & ~available[np.arange(len(action)), action]).any():
        offer = (np.flatnonzero(available[np.argmax(wrong)]) + base).tolist()
        cure = "Mend the action, or the columns that say which options are available."
        raise table.error("action", wrong, f"one of the options on offer in this trial, {offer}", cure)
