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
            with np.errstate(all="ignore"):  # what is no number is said in `matrix`
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
            with np.errstate(all="ignore"):
                found = self._made.evaluate_new_data(table).design_matrix
        except ValueError as problem:
            raise ValueError(f"{self.what}: {problem}") from None
        found = np.asarray(found, dtype=float).reshape((len(table), -1))
        if not (known := np.isfinite(found)).all():
            row, k = np.argwhere(~known)[0]
            name, where = self.columns[k - int(self.has_intercept)].name, whose(table.index[row])
            raise ValueError(f"{self.what}: {name} is {found[row, k]:g} for {where}; give it a number")
        return found

    def values(self, table: pd.DataFrame) -> np.ndarray:
        """Return the same without the intercept, (row, column)."""
        return self.matrix(table)[:, int(self.has_intercept) :]


def whose(row: Any) -> str:
    """Return, in words, whose row it is that a table has under a subject's label, or a subject's and a trial's."""
    subject, *trial = [
        v.item() if isinstance(v, np.generic) else v for v in (row if isinstance(row, tuple) else (row,))
    ]
    return f"subject {subject!r}" + "".join(f", trial {t}" for t in trial)


def rank(values: np.ndarray) -> int:
    """Return how many columns do not follow from others, whatever their scales."""
    size = np.abs(values).max(axis=0, initial=0.0)
    return int(np.linalg.matrix_rank(values / np.where(size > 0, size, 1.0), rtol=1e-10)) if values.size else 0


def _labels(term: Any) -> list[str]:
    """Return the labels of a term's columns."""
    if (levels := getattr(term, "levels", None)) is not None:
        return [str(level) for level in levels]
    if len(term.labels) == 1:
        return [""]
    return [label.rpartition("[")[2].removesuffix("]") for label in term.labels]
