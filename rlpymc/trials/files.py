"""Files with a table of trials: text with any usual separator and encoding, or parquet."""

import csv
import gzip
import io
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

logger = logging.getLogger("rlpymc")

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # where the header holds none or several as often
CANDIDATES = ",;\t|"
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
ENDINGS = [*SEPARATORS, *(f"{ending}.gz" for ending in SEPARATORS), ".parquet"]


def read_file(
    path: Path,
    text_columns: list[str],
    separator: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
    missing: float | str | None = None,
) -> pd.DataFrame:
    """Read a table from a file.

    Parameters
    ----------
    path : Path
        The file.
    text_columns : list of str
        Columns of labels: they are read as text, so that "01" and "1" stay two, and are numbers only if all are.
    separator, encoding : str, optional
        What stands between columns, and how characters are written; found in the file unless given.
    decimal : str
        The decimal mark of numbers.
    missing : number or str, optional
        The code of what is missing: if it is a text, the other cells of its column are read as if it were not there.

    Returns
    -------
    pd.DataFrame
        The table, its names as they stand in the file.

    Raises
    ------
    ValueError
        If the file's kind is unknown, it is empty, two columns share a name, or it cannot be read as told.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        return pd.read_parquet(path).reset_index(drop=True)
    ending = next((ending for ending in SEPARATORS if name.removesuffix(".gz").endswith(ending)), None)
    if ending is None:
        raise ValueError(f"{str(path)!r}: found {path.suffix!r}, expected a file {', '.join(ENDINGS)}")
    text = _decoded(path, encoding)
    # Not splitlines, which would also split cells, at characters of other kinds.
    lines = text.split("\n" if "\n" in text else "\r")
    first = next((k for k, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise ValueError(f"{str(path)!r}: the file is empty, expected a line of column names and one line a trial")
    first += _comments(lines[first:], separator)
    separator = separator or _separator(lines[first], SEPARATORS[ending])
    header = next(csv.reader([lines[first]], delimiter=separator)) if len(separator) == 1 else lines[first].split()
    names = [column.strip() for column in header]
    if twice := next((column for column in names if column and names.count(column) > 1), None):
        raise ValueError(f"{str(path)!r}: two columns are named {twice!r}: give one of them another name in the file")
    if first:
        logger.info("%s: %d lines above the column names are left out", path, first)
    labels = {column: str for column, name in zip(header, names, strict=True) if name in text_columns}
    told = {"sep": separator, "decimal": decimal, "dtype": labels}
    try:
        with warnings.catch_warnings():  # without an index, cells beyond the last name would go with but a warning
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = _read_text(lines[first:], **told)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as problem:
        raise ValueError(
            f"{str(path)!r}: read with separator={separator!r}: {str(problem).strip()}; mend the line, or pass the "
            "separator that the file has"
        ) from problem
    if isinstance(missing, str):
        without = _read_text(lines[first:], **told, na_values=[missing])
        for column in frame.columns.drop([*labels]):
            coded = frame[column].map(lambda cell: isinstance(cell, str) and cell == missing).astype(bool)
            if coded.any():
                frame[column] = without[column].astype(object).mask(coded, missing)
    for column in labels:
        if frame[column].map(lambda label: re.fullmatch("0|-?[1-9][0-9]{0,17}", str(label)) is not None).all():
            frame[column] = frame[column].astype("int64")
    return frame


def _read_text(lines: list[str], **told: Any) -> pd.DataFrame:
    return pd.read_csv(io.StringIO("\n".join(lines)), low_memory=False, index_col=False, **told)


def _decoded(path: Path, encoding: str | None) -> str:
    """Return a file's text, in the encoding given, or the one that its first bytes and characters speak for."""
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        data = gzip.decompress(data)
    marked = next((code for mark, code in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    half = "utf-16-le" if data[1:200:2].count(0) > data[:200:2].count(0) else "utf-16-be"
    likely = encoding or marked or (half if 0 in data[:200] else "utf-8")
    try:
        return data.decode(likely).removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        if encoding or marked:
            raise ValueError(
                f"{str(path)!r}: byte {problem.start} cannot be read as {likely}: pass the encoding that the file has"
            ) from problem
    except LookupError as problem:
        raise ValueError(f"encoding: found {encoding!r}, expected one that Python knows, such as 'utf-8'") from problem
    logger.info("%s: read as latin-1, as it is no UTF-8; encoding= says another", path)
    return data.decode("latin-1")


def _comments(lines: list[str], separator: str | None) -> int:
    """Return how many lines that start with # stand above the column names (which may start with it themselves)."""
    count = next((k for k, line in enumerate(lines) if not line.startswith("#")), 0)
    if count:
        mark = separator or _separator(lines[count], "")
        if mark and lines[count - 1].count(mark) == lines[count].count(mark):
            return count - 1
    return count


def _separator(header: str, usual: str) -> str:
    """Return what stands between the column names: the candidate that occurs most often outside of quotes.

    pandas finds a separator, too (sep=None), but takes letters for one if the names share them.
    """
    plain = re.sub('"[^"]*"', "", header)
    counts = {mark: plain.count(mark) for mark in CANDIDATES}
    best = max(counts, key=lambda mark: (counts[mark], mark == usual))
    if counts[best]:
        return best
    return r"\s+" if len(plain.split()) > 1 else usual
