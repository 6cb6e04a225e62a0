"""The record of how a table was read: from it and the trials, the table is made again, cell by cell."""

from typing import Any

import numpy as np
import pandas as pd

from rlpymc.trials.columns import Counted, means_action, option_columns
from rlpymc.trials.table import Table


def record_columns(
    rows: Table, counted: Counted, values: dict[str, np.ndarray], missing: float | str | None
) -> dict[str, dict[str, Any]]:
    """Note how each column of a table was read, in types that JSON knows.

    Parameters
    ----------
    rows : Table
        The table.
    counted : Counted
        Its columns counted from 0.
    values : dict of (row, ...)
        What was made of all columns.
    missing : number or str, optional
        The code of what is missing.

    Returns
    -------
    dict of dict
        By the table's name of a column: the variable it became (and which part of it), its dtype, how it is coded
        (base, labels, boolean), and under "cells" those cells that this alone would not give back.
    """
    part_of = {part: (name, k) for name, parts in rows.arrays.items() for k, part in enumerate(parts)}
    options, columns = option_columns(rows), dict[str, dict[str, Any]]()
    for name in map(str, rows.raw.columns):
        raw = rows.raw[name]
        column: dict[str, Any] = {"variable": "trial_number" if name == "trial" else name, "dtype": str(raw.dtype)}
        if isinstance(raw.dtype, pd.CategoricalDtype):
            column |= {"categories": raw.dtype.categories.tolist(), "ordered": bool(raw.dtype.ordered)}
        if name in part_of and name not in options:
            column["variable"], column["part"] = part_of[name]
        elif name in counted.labels:
            column["labels"] = counted.labels[name]
        elif name in rows.columns and rows.is_boolean(name):
            column["boolean"] = True
        elif name in counted.bases:
            column["base"] = counted.bases[name]
        cells = values[column["variable"]]
        found = restore(column, pd.Series(cells[:, column["part"]] if "part" in column else cells), missing)
        differs = ~_same(found, raw)
        column["cells"] = [[row, None if cell is pd.NA else cell] for row, cell in raw[differs].astype(object).items()]
        columns[rows.theirs[name]] = column
    return columns


def restore(column: dict[str, Any], values: pd.Series, missing: float | str | None) -> pd.Series:
    """Make a column of a table again.

    Parameters
    ----------
    column : dict
        The note of `record_columns`.
    values : (row,) pd.Series
        What was made of it, by row number.
    missing : number or str, optional
        The code of what is missing.

    Returns
    -------
    pd.Series
        The cells, by row number, in the column's dtype (in one that knows empty cells, where some have become empty).
    """
    cells = values
    if "labels" in column or "base" in column or "boolean" in column:
        none = values < 0 if values.dtype.kind in "iu" else values.isna()
        if "labels" in column:
            cells = values.astype(object).map(dict(enumerate(column["labels"])))
        else:
            cells = values > 0 if "boolean" in column else values + column["base"]
        cells = cells.astype(object)  # a code may be a number among texts, or a text among numbers
        cells[none] = missing if means_action(column["variable"]) else None
    if special := {row: cell for row, cell in column.get("cells", []) if row in cells.index}:
        cells = cells.astype(object)
        cells[list(special)] = list(special.values())
    dtype = pd.api.types.pandas_dtype(column["dtype"])
    if "categories" in column:
        dtype = pd.CategoricalDtype(column["categories"], column["ordered"])
        cells = cells.astype(object).where(cells.isin(column["categories"]), None)  # "" is none of them
    if isinstance(dtype, np.dtype) and cells.isna().any():  # some were taken away since they were read
        dtype = {"i": pd.Int64Dtype(), "u": pd.Int64Dtype(), "b": pd.BooleanDtype()}.get(dtype.kind, dtype)
    try:
        return cells.astype(dtype)
    except (TypeError, ValueError):  # what was changed since no longer fits the column's type
        return cells


def _same(found: pd.Series, raw: pd.Series) -> np.ndarray:
    """Whether cells are the same, in kind and value."""
    none, empty = found.isna().to_numpy(), raw.isna().to_numpy()
    if found.dtype == raw.dtype and raw.dtype != object:
        equal = (found == raw).fillna(False).to_numpy(dtype=bool)
        return np.asarray((none & empty) | equal)
    pairs = zip(found.astype(object), raw.astype(object), strict=True)
    kinds = np.array([type(one) is type(other) and (one is other or one == other) for one, other in pairs], dtype=bool)
    return kinds | (none & empty & np.array([a is b or type(a) is type(b) for a, b in zip(found, raw, strict=True)]))
