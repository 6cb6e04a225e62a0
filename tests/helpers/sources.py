"""The same table as dataframes of other libraries, and as files of many kinds."""

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

ENCODINGS = ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"]


@st.composite
def manners(draw: st.DrawFn) -> dict[str, Any]:
    """Draw how a file is written."""
    separator = draw(st.sampled_from([",", ";", "\t"]))
    return {
        "ending": draw(st.sampled_from(["csv", "tsv", "txt", "csv.gz", "txt.gz"])),
        "separator": separator,
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "decimal": "." if separator == "," else draw(st.sampled_from([".", ","])),
        "yes": draw(st.sampled_from([("True", "False"), ("TRUE", "FALSE")])),
        "line": draw(st.sampled_from(["\n", "\r\n"])),
        "told": draw(st.booleans()),
    }


def write(table: pd.DataFrame, folder: Path, manner: dict[str, Any]) -> tuple[Path, dict[str, Any], list[list[str]]]:
    """The file, what `read_trials` is to be told of it, and the cells by row as they were written."""

    def cell(value: Any) -> str:
        if value is None or value is pd.NA or value is pd.NaT or value != value:
            return ""
        if isinstance(value, bool):
            return str(manner["yes"][0 if value else 1])
        return repr(value).replace(".", manner["decimal"]) if isinstance(value, float) else str(value)

    cells = [[cell(value) for value in row] for row in table.astype(object).itertuples(index=False, name=None)]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=manner["separator"], lineterminator=manner["line"])
    writer.writerows([list(table), *cells])
    data = text.getvalue().encode(manner["encoding"])
    path = folder / f"choices.{manner['ending']}"
    path.write_bytes(gzip.compress(data) if manner["ending"].endswith("gz") else data)
    options = {"decimal": manner["decimal"]}
    if manner["told"]:
        options |= {"separator": manner["separator"], "encoding": manner["encoding"]}
    return path, options, cells


def in_library(table: pd.DataFrame, name: str) -> Any:
    """The table in polars or pyarrow; None where a column has cells of several types, which these do not hold."""
    try:
        return pl.from_pandas(table) if name == "polars" else pa.Table.from_pandas(table)
    except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError):
        return None


def plain(value: Any, decimal: str = ".") -> Any:
    """A cell apart from the types that a library or a file gives it."""
    if value is None or value is pd.NA or value is pd.NaT or value != value or value == "NA":
        return None
    if isinstance(value, str) and value.upper() in ("TRUE", "FALSE"):
        return value.upper() == "TRUE"
    if not isinstance(value, str):
        return value
    try:
        return float(value.replace(decimal, "."))
    except ValueError:
        return value.strip() or None
