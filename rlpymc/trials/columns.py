"""What the columns of a table mean: actions, indices and options on offer, counted from 0.

All functions work row by row, before the rows find their place on the grid of subjects and trials.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlpymc.trials.labels import code, labels_by_column, proposal
from rlpymc.trials.table import Table

# Columns that hold a number from 0 on, and the fact that says how many there are.
INDEX_FACTS = {
    "stimulus": "n_stimuli",
    "cue": "n_cues",
    "state": "n_states",
    "state2": "n_states",
    "next_state": "n_states",
}
SHOWN = 6  # labels in a message


@dataclass(eq=False)
class Counted:
    """Columns counted from 0.

    Parameters
    ----------
    values : dict of (row,) int
        Actions and indices; -1: none.
    available : (row, option) bool or None
        The options on offer.
    facts : dict
        How many there are of each kind, and what was given.
    bases : dict of int
        The table's number of the first one, for columns that hold numbers.
    labels : dict of list
        The labels, for columns that hold these.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    available: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    bases: dict[str, int] = field(default_factory=dict)
    labels: dict[str, list[Any]] = field(default_factory=dict)


def is_action(name: str) -> bool:
    """Whether a column of this name holds actions: action, action1, action2, ..."""
    return re.fullmatch("action[0-9]{0,3}", name) is not None


def response_columns(names: Iterable[str]) -> list[str]:
    """Return those of these columns that are actions, in the order in which they are made in a trial."""
    return sorted(filter(is_action, names), key=lambda name: int(name.removeprefix("action") or -1))


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


def count_from_zero(table: Table, facts: Mapping[str, Any], base: int, actions: Any, states: Any) -> Counted:
    """Count actions, indices and options on offer from 0.

    Parameters
    ----------
    table : Table
        The table; it takes up doubts about gaps in the numbering.
    facts : dict
        What is known before the data.
    base : int
        The table's number of the first action.
    actions, states : list, dict or None
        Labels, as in `read_trials`.

    Returns
    -------
    Counted
        The columns.

    Raises
    ------
    ValueError
        If an action is none, was not on offer, or a fact is contradicted. Indices that do not count from 0 are left
        as they are: a model that reads them says what is wrong.
    """
    for fact in sorted(facts.keys() & {"n_actions", *INDEX_FACTS.values()}):
        if not isinstance(facts[fact], int | np.integer) or facts[fact] < 1:
            raise ValueError(f"facts[{fact!r}]: found {facts[fact]!r}, expected a whole number from 1")
    counted = Counted()
    _count_indices(table, counted, facts, states)
    _count_actions(table, counted, facts, base, actions)
    counted.facts |= facts
    return counted


def _count_indices(table: Table, counted: Counted, facts: Mapping[str, Any], states: Any) -> None:
    columns = [name for name in INDEX_FACTS if name in table.columns]
    of_states = [name for name in columns if INDEX_FACTS[name] == "n_states"]
    counted.labels |= labels_by_column(table, "states", states, of_states, columns)
    for name in columns:
        fact = INDEX_FACTS[name]
        if labels := counted.labels.get(name):
            counted.values[name], n = code(table, name, labels, "states", action=False), len(labels)
        elif fact in facts or _counts(table, name):
            cure = (
                f"Count from 0; if there are more than you said, give facts={{{fact!r}: ...}} as many; if these are "
                f"labels, states={{{name!r}: {proposal(table, name, action=False)}}}, in the order that you want."
            )
            counted.values[name] = table.whole(name, 0, facts.get(fact), cure)
            counted.bases[name], n = 0, int(counted.values[name].max()) + 1
        else:
            continue
        counted.facts[fact] = max(counted.facts.get(fact, 1), n)
    for fact in {INDEX_FACTS[name] for name in counted.bases} - facts.keys():
        of_fact = {name: counted.values[name] for name in counted.bases if INDEX_FACTS[name] == fact}
        _doubt_gaps(table, of_fact, 0, "states", fact)


def _counts(table: Table, name: str) -> bool:
    """Whether a column holds whole numbers from 0 on and empty cells."""
    if not table.is_numeric(name):
        return False
    numbers = table.numbers(name)
    numbers = numbers[~np.isnan(numbers)]
    return bool(((numbers >= 0) & (numbers < 2**31) & (np.floor(numbers) == numbers)).all())


def _count_actions(table: Table, counted: Counted, facts: Mapping[str, Any], base: int, labels: Any) -> None:
    options = option_columns(table)
    columns = [name for name in plain_columns(table) if means_action(name)]
    coded = [*columns, *(name for name in options if name not in columns)]
    of_actions = labels_by_column(table, "actions", labels, coded, coded)
    flags = [] if options else table.arrays.get("available", [])
    listed = max(map(len, of_actions.values()), default=0)
    count = facts.get("n_actions", len(flags) or None)
    if flags and count != len(flags):
        raise ValueError(
            f"available: found {len(flags)} True/False columns ({', '.join(flags)}), expected one for each of {count} "
            f"actions; name the others, too, or pass facts={{'n_actions': {len(flags)}}}"
        )
    if listed > (count or listed):
        raise ValueError(
            f"actions: found {listed} labels, expected one for each of {count} actions; leave out those that are no "
            f"options, or pass facts={{'n_actions': {listed}}}"
        )
    numbers: dict[str, np.ndarray] = {}
    for name in coded:
        if name in of_actions:
            numbers[name] = code(table, name, of_actions[name], "actions", action=True)
        elif is_action(name) or name in options or table.is_numeric(name):
            counted.bases[name] = 0 if table.is_boolean(name) else base
            cure = _cure(table, name, counted.bases[name], count)
            numbers[name] = table.whole(name, counted.bases[name], count, cure, action=True)
    counted.labels |= of_actions
    counted.values |= {name: numbers[name] for name in columns if name in numbers}
    largest = max((int(codes.max()) for codes in numbers.values()), default=-1)
    if numbers or flags:
        counted.facts["n_actions"] = count or max(2, listed, largest + 1)
    numeric = {k: codes for k, codes in numbers.items() if k not in of_actions and not table.is_boolean(k)}
    if not count and largest > 1 and numeric:
        _doubt_gaps(table, numeric, base, "actions", "n_actions")
    if flags:
        counted.available = np.stack([table.flags(part) for part in flags], axis=1)
    if options:
        counted.available = _on_offer(table, [numbers[part] for part in options], counted.facts["n_actions"])
    if counted.available is not None and "action" in numbers:
        _check_offered(table, numbers["action"], counted.available, counted)


def _cure(table: Table, name: str, base: int, count: int | None) -> str:
    """Return what mends a cell that is no action."""
    if not is_action(name) and name not in option_columns(table):
        rename = f"columns={{'my_column': {table.theirs[name]!r}}}"
        return f"Columns of such names are coded as actions are; else rename it: {rename}."
    found = [] if count else proposal(table, name, action=True)
    listed = f"actions=[{', '.join(map(repr, found[:SHOWN]))}{', ...' if len(found) > SHOWN else ''}]"
    missed = "if the trial was missed, leave the cell empty or pass missing=<code>."
    if any(isinstance(label, str) for label in found):
        return f"If these are the options, pass {listed}, in the order that you want; {missed}"
    other = 0 if base else 1
    coded = f"coded {other}..{other + count - 1}" if count else f"counted from {other}"
    labels = f"if these are the options, {listed}; " if 1 < len(found) <= SHOWN else ""
    return f"If your actions are {coded}, pass action_base={other}; {labels}{missed}"


def _doubt_gaps(table: Table, codes: Mapping[str, np.ndarray], base: int, what: str, fact: str) -> None:
    """Take up a doubt if some numbers below the largest, in columns of one coding, never occur."""
    used = np.unique(np.concatenate([numbers[numbers >= 0] for numbers in codes.values()]))
    if not len(used) or len(used) == used[-1] + 1:
        return
    n, found = int(used[-1]) + 1, [int(k) + base for k in used]
    never = sorted(set(range(base, base + n)) - set(found))
    names = ", ".join(repr(table.theirs[name]) for name in codes)
    labels = found if what == "actions" or fact == "n_states" else {next(iter(codes)): found}
    ways = [f"if these are all there are, pass {what}={labels}", f"if there are {n}, facts={{{fact!r}: {n}}}"]
    if what == "actions" and found == [*range(1, n)] and base == 0:
        ways.insert(0, "if they are counted from 1, pass action_base=1")
    table.doubts.append(
        f"column{'s' * (len(codes) > 1)} {names}: found {_few(found)}, and {_few(never)} never: counted from {base} "
        f"these are {fact}={n}; {'; '.join(ways)}"
    )


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")


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


def _check_offered(table: Table, action: np.ndarray, available: np.ndarray, counted: Counted) -> None:
    if (wrong := (action >= 0) & ~available[np.arange(len(action)), action]).any():
        offer = np.flatnonzero(available[np.argmax(wrong)]).tolist()
        labels, base = counted.labels.get("action"), counted.bases.get("action", 0)
        named = [labels[k] if labels and k < len(labels) else k + base for k in offer]
        cure = "Mend the action, or the columns that say which options are available."
        raise table.error("action", wrong, f"one of the options on offer in this trial, {named}", cure)
