"""A design: the columns that terms of a formula make of a table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Column:
    """A column of a model matrix.

    Parameters
    ----------
    term : str
        The term of the formula that it belongs to: "age", "drug:age".
    label : str
        Which of the term's columns, by its level; "" where the term is one number.
    indicator : bool
        Whether it says by 0 and 1 which level of a factor a row has.
    """

    term: str
    label: str
    indicator: bool

    @property
    def name(self) -> str:
        """The term, with the label in brackets."""
        return f"{self.term}[{self.label}]" if self.label else self.term


class Design:
    """Terms that were learned from a table: how factors are coded, and what numbers are scaled by.

    Parameters
    ----------
    what : str
        What it is of, for messages.
    text : str
        The terms.
    table : pandas.DataFrame
        What they are learned from.
    """

    def __init__(self, what: str, text: str, table: pd.DataFrame) -> None:
        from formulae import design_matrices  # slow to import

        self.what = what
        rows = table if len(table.columns) else table.assign(one=1.0)  # which takes no table without columns
        try:
            made = design_matrices(text, rows, na_action="error", extra_namespace={"np": np}).common
        except Exception as problem:
            raise ValueError(f"{what}, cannot be read: {problem}") from None
        if made is None:
            raise ValueError(f"{what}: there is nothing in it; expected '1' at least")
        self._made, self.has_intercept = made, INTERCEPT in made.terms
        self.columns = tuple(
            Column(term.name, label, term.kind == "categoric")
            for term in made.terms.values()
            if term.kind != "intercept"
            for label in _labels(term)
        )

    def matrix(self, table: pd.DataFrame) -> np.ndarray:
        """Return the model matrix of a table, (row, coefficient), the intercept first if there is one."""
        try:
            found = self._made.evaluate_new_data(table).design_matrix
        except ValueError as problem:
            raise ValueError(f"{self.what}: {problem}") from None
        return np.asarray(found, dtype=float).reshape((len(table), -1))

    def values(self, table: pd.DataFrame) -> np.ndarray:
        """Return the same without the intercept, (row, column)."""
        return self.matrix(table)[:, int(self.has_intercept) :]


def _labels(term: Any) -> list[str]:
    """Return the labels of a term's columns."""
    if (levels := getattr(term, "levels", None)) is not None:
        return [str(level) for level in levels]
    if len(term.labels) == 1:
        return [""]
    return [label.rpartition("[")[2].removesuffix("]") for label in term.labels]
