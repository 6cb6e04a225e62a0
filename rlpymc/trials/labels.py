"""Labels of options and states ("left", 37, -1): numbered from 0 in the order in which they are given."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from rlpymc.trials.table import Table, shown


def labels_by_column(
    table: Table, what: str, given: Any, columns: Sequence[str], allowed: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the labels of each column that has some.

    Parameters
    ----------
    table : Table
        The table.
    what : str
        The argument's name, for messages.
    given : sequence of labels, mapping of columns to them, or None
        Labels in order; a sequence holds for all of `columns`.
    columns, allowed : sequence of str
        The columns that a sequence holds for, and those that a mapping may name.

    Returns
    -------
    dict of list
        Labels as plain numbers, truth values and texts.

    Raises
    ------
    TypeError
        If it is neither a sequence nor a mapping.
    ValueError
        If a column is not there, or a label stands twice.
    """
    if given is None:
        return {}
    by_column = given if isinstance(given, Mapping) else dict.fromkeys(columns, given)
    if not by_column:
        raise ValueError(
            f"{what}: the table has no column that it could hold for, expected one of ours; there is: "
            f"{', '.join(allowed) or 'none'}. Name it, columns={{'{what.removesuffix('s')}': <name in your table>}}"
        )
    found = {}
    for name, labels in by_column.items():
        ours = table.our_name(name)
        if ours not in allowed:
            raise ValueError(f"{what}[{name!r}]: expected one of the columns {', '.join(allowed) or '(none)'}")
        if isinstance(labels, str | Mapping) or not np.iterable(labels):
            raise TypeError(f"{what}: found {labels!r}, expected a list of labels in order, such as ['left', 'right']")
        plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
        if wrong := [label for label in plain if not isinstance(label, str | Real)]:
            raise TypeError(f"{what}: found the label {wrong[0]!r}, expected a text or a number")
        keys = [_key(label) for label in plain]
        if len(set(keys)) < len(keys) or not keys:
            raise ValueError(f"{what}: found {plain}, expected different labels, at least one")
        found[ours] = plain
    return found


def code(table: Table, column: str, labels: Sequence[Any], what: str, action: bool) -> np.ndarray:
    """Return the numbers of a column's labels, from 0; -1 where there is none.

    Raises
    ------
    ValueError
        If a cell is none of the labels; the message says where it stands.
    """
    numbers = {_key(label): k for k, label in enumerate(labels)}
    blank = table.blank(column, action)
    cells = zip(table.frame[column], blank, strict=True)
    codes = np.array([-1 if none else _find(cell, numbers) for cell, none in cells], dtype=np.int64)
    if (wrong := ~blank & (codes < 0)).any():
        cell = shown(table.frame[column].iloc[int(np.argmax(wrong))])
        missed = f"; if it means that there was none, pass missing={cell}" if action else ""
        raise table.error(
            column,
            wrong,
            f"one of {', '.join(map(repr, labels))}",
            f"If it is one, too, add it to {what}=[...]{missed}.",
        )
    return codes


def _find(cell: Any, numbers: Mapping[Any, int]) -> int:
    """Return the number of a cell's label, -1 for none; a text may stand for a number, and a number for its text."""
    key = _key(cell)
    if key in numbers:
        return numbers[key]
    if isinstance(cell, bool | np.bool):
        return -1
    if not isinstance(key, str):  # a file's column of labels that are all numbers
        return numbers.get(str(int(key)) if key.is_integer() else str(key), -1)
    try:
        return numbers.get(float(key), -1)
    except ValueError:
        return -1


def _key(label: Any) -> Any:
    """Return what labels are compared by: numbers and truth values as numbers, all else as text."""
    return float(label) if isinstance(label, Real | np.bool) else str(label).strip()


def proposal(table: Table, column: str, action: bool) -> list[Any]:
    """Return the different cells of a column in order, as labels that could be given; none is infinite."""
    found: dict[Any, Any] = {}
    for cell in table.frame[column][~table.blank(column, action)]:
        label = cell.item() if isinstance(cell, np.generic) else cell
        whole = isinstance(label, float) and label.is_integer()
        if not (isinstance(label, float) and np.isinf(label)):
            found.setdefault(_key(label), int(label) if whole else label)
    return [found[key] for key in sorted(found, key=lambda key: (isinstance(key, str), key))]
