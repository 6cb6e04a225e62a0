"""A table in the making: its cells, the codes of its options, and the types of its columns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

NAN = float("nan")
EMPTY = object()  # a cell that is left empty, until its column has a type


@dataclass
class Sheet:
    """A table in the making: columns of cells, and what `read_trials` is told of them."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    n: int
    cells: dict[str, list[Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    categories: dict[str, list[Any]] = field(default_factory=dict)

    def pick(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def yes(self) -> bool:
        return bool(self.draw(st.booleans()))

    def column(self, values: Any) -> list[Any]:
        cells = values if isinstance(values, st.SearchStrategy) else st.sampled_from(list(values))
        return list(self.draw(st.lists(cells, min_size=self.n, max_size=self.n)))

    def put(self, ours: str, cells: list[Any], *names: str) -> str:
        """A column under our name, or under one of the table's own."""
        name = self.pick(ours, *names)
        if name != ours:
            self.options.setdefault("columns", {})[ours] = name
        self.cells[name] = cells
        return str(name)

    def fact(self, name: str, value: int) -> None:
        self.options.setdefault("facts", {})[name] = value


# ---------------------------------------------------------------- codes of options and states

TEXTS = [["left", "right", "up", "down"], ["A", "a", "b b", "ß"], ["1st", "2nd", "3", "4"]]
KEYS = [[37, 39, 38, 40], [-1, 1, 3, 0], [0.25, 0.5, 0.75, 1.0]]


def coding(sheet: Sheet, n: int) -> tuple[list[Any], str]:
    """The cells that stand for each option, and the kind of code they are."""
    kinds = ["zero", "zero", "one", "text", "keys", "category", "spaces"] + ["boolean", "boolean labels"] * (n == 2)
    kind = sheet.pick(*kinds)
    if kind == "zero":
        return list(range(n)), kind
    if kind == "one":
        sheet.options["action_base"] = 1
        return list(range(1, n + 1)), kind
    if kind == "boolean":
        return [False, True], kind
    if kind == "boolean labels":
        labels = [True, False]
    else:
        labels = sheet.draw(st.permutations(sheet.pick(*(KEYS if kind == "keys" else TEXTS))[:n]))
    sheet.options["actions"] = sheet.pick(list(labels), tuple(labels))
    return list(labels), kind


def missing_code(sheet: Sheet, codes: list[Any]) -> Any:
    """The code of a missed response, or None where such cells are empty."""
    numbers = [code for code in (-9, 0, -1, 99) if code not in codes and not isinstance(codes[0], bool)]
    code = sheet.pick(None, None, *numbers, "miss", ".", "NA")
    if code is not None:
        sheet.options["missing"] = code
    return code


def coded(sheet: Sheet, values: list[int | None], codes: list[Any], kind: str, missing: Any) -> list[Any]:
    """Cells of options, None where there is none."""
    blanks = [EMPTY] if missing is None else [missing, EMPTY]
    cells = []
    for value in values:
        if value is None:
            cells.append(sheet.pick(*blanks))
        elif kind == "spaces":
            cells.append(sheet.pick("", " ") + codes[value] + sheet.pick("", "  "))
        else:
            cells.append(codes[value])
    return cells


def typed(sheet: Sheet, cells: list[Any]) -> Any:
    """Cells as a column of pandas, of one of the types that can hold them."""
    full = [cell for cell in cells if cell is not EMPTY]
    whole = len(full) == len(cells)
    if full and all(isinstance(cell, bool) for cell in full):
        if whole and sheet.yes():
            return np.array(full, bool)
        blank = sheet.pick(None, NAN)
        objects = pd.Series([blank if cell is EMPTY else cell for cell in cells], dtype=object)
        return sheet.pick(objects, pd.array([pd.NA if cell is EMPTY else cell for cell in cells], "boolean"))
    if all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in full):
        floats = np.array([NAN if cell is EMPTY else cell for cell in cells], float)
        if not all(isinstance(cell, int) for cell in full):
            return floats
        nullable = pd.array([pd.NA if cell is EMPTY else cell for cell in cells], "Int64")
        objects = pd.Series([None if cell is EMPTY else cell for cell in cells], dtype=object)
        return sheet.pick(floats, nullable, objects, *([np.array(full)] if whole else []))
    if all(isinstance(cell, str) for cell in full):
        texts = pd.Series([None if cell is EMPTY else cell for cell in cells], dtype="str")
        return sheet.pick(texts, texts.astype(object))
    return pd.Series([None if cell is EMPTY else cell for cell in cells], dtype=object)
