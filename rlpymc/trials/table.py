"""A table as its owner has it: read from a file, under our column names, with errors that say where a cell is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rlpymc.checks import unknown

SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
# Our names of another library's columns (compared in lower case, without "_"), and its number of the first action.
PRESETS = {
    "hbayesdm": (
        {
            "subjid": "subject",
            "trial": "trial",
            "block": "block",
            "choice": "action",
            "level1choice": "action1",
            "level2choice": "action2",
            "outcome": "reward",
        },
        1,
    )
}
RESERVED = ("exists", "row", "trial_number")
LARGEST = 2**53  # up to here floats hold every whole number


@dataclass(frozen=True, eq=False)
class Table:
    """A table under our column names.

    Parameters
    ----------
    frame : pd.DataFrame
        The cells. Columns that `arrays` names keep the table's names; rows are numbered from 0.
    theirs : dict of str
        What the table calls each column.
    arrays : dict of list of str
        The columns that make up each array-valued one.
    subject : (row,) int
        Whose row it is: position in `labels`.
    labels : list
        The subjects, in the order in which they first appear.
    position : (row,) int
        The row's place among the rows of its subject.
    """

    frame: pd.DataFrame
    theirs: dict[str, str]
    arrays: dict[str, list[str]]
    subject: np.ndarray
    labels: list[Any]
    position: np.ndarray

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the table's order."""
        return [str(name) for name in self.frame.columns]

    def our_name(self, name: str) -> str:
        """Return our name of a column, given that or the table's."""
        named = [ours for ours in self.columns if self.theirs[ours] == name]
        return name if name in self.columns or not named else named[0]

    def error(self, column: str, wrong: np.ndarray, expected: str, cure: str = "") -> ValueError:
        """Return an error about the first wrong cell: where it stands, what it holds, what was expected, the cure."""
        row = int(np.argmax(wrong))
        name = repr(column) if self.theirs[column] == column else f"{column!r} ({self.theirs[column]!r} in the table)"
        trial = _shown(self.frame["trial"].iloc[row] if "trial" in self.frame else self.position[row])
        where = f"subject {self.labels[self.subject[row]]!r}, trial {trial}, row {row}"
        found = _shown(self.frame[column].iloc[row])
        return ValueError(f"column {name}: {where}: found {found}, expected {expected}. {cure}".rstrip())

    def numbers(self, column: str, cure: str = "", missing: float | str | None = None) -> np.ndarray:
        """Return a column as floats, NaN where the cell is empty or holds the code `missing`."""
        cells = self.frame[column]
        blank = cells.isna()
        if missing is not None:
            blank |= (cells == missing).fillna(False).astype(bool)
        if not pd.api.types.is_numeric_dtype(cells):
            cells = cells.astype(object)
            text = ~blank & ~cells.map(lambda cell: isinstance(cell, Real | np.bool))
            if text.any():
                raise self.error(column, text.to_numpy(), "a number", cure)
            cells = cells.where(~blank, np.nan)
        numbers = cells.to_numpy(dtype=float, na_value=np.nan)
        return np.where(blank, np.nan, numbers)

    def whole(
        self, column: str, start: int, count: int | None, cure: str, missing: float | str | None = None
    ) -> np.ndarray:
        """Return a column of whole numbers, counted from 0 where the table counts from `start`; -1 for none."""
        numbers = self.numbers(column, cure, missing) - start
        wrong = ~np.isnan(numbers) & ~((numbers >= 0) & (numbers < (count or LARGEST)) & (np.floor(numbers) == numbers))
        if wrong.any():
            expected = f"an integer from {start} to {start + count - 1}" if count else f"an integer, {start} or more"
            raise self.error(column, wrong, expected, cure)
        return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)

    def words(self, column: str) -> list[str]:
        """The texts in a column that are no numbers, in order."""
        cells = self.frame[column].dropna()
        if pd.api.types.is_numeric_dtype(cells):
            return []
        numbers = pd.to_numeric(cells, errors="coerce")
        return sorted({str(cell) for cell in cells[numbers.isna()] if isinstance(cell, str)})

    def flags(self, column: str) -> np.ndarray:
        """Return a column of True and False (or 1 and 0)."""
        numbers = self.numbers(column)
        if (wrong := ~np.isin(numbers, (0.0, 1.0))).any():
            raise self.error(column, wrong, "True or False (or 1 or 0)")
        return np.asarray(numbers == 1)

    def is_boolean(self, column: str) -> bool:
        """Whether a column holds True and False, and perhaps empty cells."""
        cells = self.frame[column]
        if cells.dtype != object:
            return pd.api.types.is_bool_dtype(cells)
        cells = cells.dropna()
        return len(cells) > 0 and bool(cells.map(lambda cell: isinstance(cell, bool | np.bool)).all())

    def is_numeric(self, column: str) -> bool:
        """Whether a column holds numbers, or True and False."""
        return self.is_boolean(column) or pd.api.types.is_numeric_dtype(self.frame[column])

    def changed(self, column: str) -> np.ndarray:
        """Whether a cell differs from the one in the subject's row before; True in a subject's first row."""
        codes = pd.Series(pd.factorize(self.frame[column])[0])
        return np.asarray(codes != codes.groupby(self.subject).shift())

    def plain(self, column: str) -> np.ndarray:
        """Return a column as a NumPy array."""
        return np.asarray(self.frame[column].to_numpy())


def make_table(source: Any, columns: Mapping[str, str | Sequence[str]] | str | None) -> Table:
    """Read a table, give its columns our names, and find its subjects.

    Parameters
    ----------
    source : path or dataframe
        As in `read_trials`.
    columns : dict, str or None
        As in `read_trials`.

    Returns
    -------
    Table
        The table.

    Raises
    ------
    TypeError
        If the source is not a table.
    ValueError
        If the file's kind, a column or a subject's label is not as expected.
    """
    if not isinstance(columns, str | Mapping | None):
        raise TypeError(f"columns: found {columns!r}, expected a dict of our names and the table's, or a preset's name")
    if isinstance(columns, str) and columns not in PRESETS:
        raise unknown("preset of columns", columns, PRESETS)
    text = ("subject", "subjID") if isinstance(columns, str) else ((columns or {}).get("subject", "subject"),)
    frame = _load(source, [name for name in text if isinstance(name, str)])
    if odd := [name for name in frame.columns if not isinstance(name, str)]:
        raise ValueError(f"the table's column {odd[0]!r}: column names must be text")
    if len(frame) == 0:
        raise ValueError("the table has no rows")
    single, arrays = _mapping(list(frame.columns), columns)
    theirs = {name: name for name in frame.columns} | single
    frame = frame.rename(columns={name: ours for ours, name in single.items()})
    for name in frame.columns.intersection([*RESERVED, "available"]):
        why = "a name that trials keep for themselves" if name in RESERVED else "made of several columns"
        raise ValueError(
            f"column {name!r} is {why}: give yours another name, columns={{'my_{name}': {theirs[name]!r}}}"
        )
    if "subject" not in frame:
        hint = unknown("column", "subject", frame.columns)
        raise ValueError(
            f"no column 'subject': say which it is, columns={{'subject': <name in your table>}}; if all rows are one "
            "person's, add it, table.assign(subject='one'). A row is a trial: a table of one row a person is made "
            f"longer by pandas.wide_to_long. ({hint})"
        )
    labels = _labels(frame["subject"])
    codes, first_seen = pd.factorize(labels)
    position = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return Table(frame, theirs, arrays, codes, list(first_seen), position)


def _load(source: Any, subject_names: list[str]) -> pd.DataFrame:
    if not isinstance(source, str | Path):
        try:
            frame = nw.from_native(source)
        except TypeError:
            raise TypeError(
                f"found a table of type {type(source).__name__}, expected a path (.csv, .tsv, .csv.gz, .tsv.gz, "
                f".parquet), a dataframe (pandas, polars, pyarrow, ...), or trials from read_trials or simulate"
            ) from None
        eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        return eager.to_pandas().reset_index(drop=True)
    path = Path(source)
    if path.name.lower().endswith(".parquet"):
        return pd.read_parquet(path).reset_index(drop=True)
    separator = next((s for ending, s in SEPARATORS.items() if path.name.lower().endswith(ending)), None)
    if separator is None:
        raise ValueError(f"{str(path)!r}: found {path.suffix!r}, expected a file {', '.join(SEPARATORS)} or .parquet")
    # Labels are read as text first, so that "01" and "1" stay two subjects.
    frame = pd.read_csv(path, sep=separator, dtype=dict.fromkeys(subject_names, str), low_memory=False)
    for name in frame.columns.intersection(subject_names):
        if frame[name].map(lambda label: re.fullmatch("0|-?[1-9][0-9]{0,17}", str(label)) is not None).all():
            frame[name] = frame[name].astype("int64")
    return frame


def _mapping(
    header: list[str], columns: Mapping[str, str | Sequence[str]] | str | None
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the table's name of each of our columns, and its names of the parts of our array-valued ones."""
    single: dict[str, str] = {}
    arrays: dict[str, list[str]] = {}
    if isinstance(columns, str):
        for name in header:
            ours = PRESETS[columns][0].get(name.lower().replace("_", ""))
            if ours in single:
                raise ValueError(f"columns {single[ours]!r} and {name!r} would both be {ours!r}: drop or rename one")
            if ours is not None:
                single[ours] = name
        columns = None
    for ours, named in (columns or {}).items():
        parts = [named] if isinstance(named, str) else list(named)
        for part in parts:
            if part not in header:
                raise ValueError(f"columns[{ours!r}]: {unknown('column', part, header)}")
        if isinstance(named, str):
            single[ours] = named
        else:
            arrays[ours] = parts
    for ours in ("available", "scored"):  # what to_table writes is read again without being told
        parts = [name for name in header if re.fullmatch(rf"{ours}_\d+", name)]
        if parts and ours not in arrays:
            expected = [f"{ours}_{i}" for i in range(len(parts))]
            if missing := sorted(set(expected) - set(parts)):
                raise ValueError(f"found columns {', '.join(parts)} without {missing[0]!r}: they must count from 0")
            arrays[ours] = expected
    taken = [*single.values(), *(part for parts in arrays.values() for part in parts)]
    if twice := [name for name in taken if taken.count(name) > 1]:
        raise ValueError(
            f"columns: the table's {twice[0]!r} is used twice; copy it in the table if it means two things"
        )
    if clash := [ours for ours in [*single, *arrays] if ours in header and ours not in taken]:
        raise ValueError(
            f"columns[{clash[0]!r}]: the table has another column of this name already; "
            f"give that one a new name, columns={{'my_{clash[0]}': {clash[0]!r}}}"
        )
    return single, arrays


def _labels(labels: pd.Series) -> np.ndarray:
    """Return the subjects' labels, none empty, all of one type."""
    labels = labels.astype(object)
    if (blank := labels.isna() | (labels.astype(str).str.strip() == "")).any():
        raise ValueError(
            f"column 'subject': row {int(np.argmax(blank))}: found an empty cell, expected a subject's label"
        )
    text = labels.map(lambda label: isinstance(label, str))
    if (other := text != text.iloc[0]).any():
        row = int(np.argmax(other))
        raise ValueError(
            f"column 'subject': row {row}: found {labels.iloc[row]!r}, expected labels of one type, "
            f"as {labels.iloc[0]!r} in row 0. Write all of them as text or all as numbers."
        )
    return labels.to_numpy()


def _shown(cell: Any) -> str:
    """Return a cell as its owner would write it."""
    if not isinstance(cell, str) and pd.isna(cell) is True:
        return "an empty cell"
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return repr(int(cell)) if isinstance(cell, float) and cell.is_integer() and abs(cell) < LARGEST else repr(cell)
