"""A table as its owner has it, under our column names, with errors that say where a cell is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from rlpymc.checks import unknown
from rlpymc.trials.files import ENDINGS, read_file
from rlpymc.trials.header import PRESETS, STIMULUS, SUBJECTS, check_header, match_columns, wide_table_cure

RESERVED = ("exists", "row", "trial_number")
LARGEST = 2**53  # up to here floats hold every whole number


@dataclass(frozen=True, eq=False)
class Table:
    """A table under our column names.

    Parameters
    ----------
    frame : pd.DataFrame
        The cells, without spaces around text, and columns made of others. Columns that `arrays` names keep the
        table's names; rows are numbered from 0.
    raw : pd.DataFrame
        The cells and columns as they were found.
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
    missing : number or str, optional
        The code of what is not there: a text in any column, a number in those of actions.
    doubts : list of str
        What the table leaves open, in words: added to while it is read.
    """

    frame: pd.DataFrame
    raw: pd.DataFrame
    theirs: dict[str, str]
    arrays: dict[str, list[str]]
    subject: np.ndarray
    labels: list[Any]
    position: np.ndarray
    missing: float | str | None = None
    doubts: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the table's order."""
        return [str(name) for name in self.frame.columns]

    def our_name(self, name: str) -> str:
        """Return our name of a column, given that or the table's."""
        named = [ours for ours in self.columns if self.theirs[ours] == name]
        return name if name in self.columns or not named else named[0]

    def unknown(self, name: str) -> ValueError:
        """Return an error that names a column that is not there, and those that the table has."""
        return unknown("column", name, dict.fromkeys(self.theirs[ours] for ours in self.columns))

    def error(self, column: str, wrong: np.ndarray, expected: str, cure: str = "") -> ValueError:
        """Return an error about the first wrong cell: where it stands, what it holds, what was expected, the cure."""
        row = int(np.argmax(wrong))
        name = repr(column) if self.theirs[column] == column else f"{column!r} ({self.theirs[column]!r} in the table)"
        number = self.frame["trial"].iloc[row] if "trial" in self.frame else None
        trial = shown(number if isinstance(number, Real) and number == number else self.position[row])
        where = f"subject {self.labels[self.subject[row]]!r}, trial {trial}, row {row}"
        found = shown(self.frame[column].iloc[row])
        return ValueError(f"column {name}: {where}: found {found}, expected {expected}. {cure}".rstrip())

    def blank(self, column: str, action: bool = False) -> np.ndarray:
        """Whether a cell is empty or holds the code of what is missing (one that is a number: in actions only)."""
        cells = self.frame[column]
        blank = cells.isna()
        if self.missing is not None and (action or isinstance(self.missing, str)):
            blank = blank | (cells == self.missing).fillna(False).astype(bool)
            if not isinstance(self.missing, str) and not pd.api.types.is_numeric_dtype(cells):
                texts = cells.astype(object).map(lambda cell: cell if isinstance(cell, str) else np.nan)
                blank = blank | (pd.to_numeric(texts, errors="coerce") == self.missing)  # beside labels, in a file
        return np.asarray(blank, dtype=bool)

    def numbers(self, column: str, cure: str = "", action: bool = False) -> np.ndarray:
        """Return a column as floats, NaN where there is nothing; texts that are numbers are taken as such."""
        cells, blank = self.frame[column], self.blank(column, action)
        if pd.api.types.is_complex_dtype(cells):
            raise self.error(column, ~blank, "a real number", cure)
        if not pd.api.types.is_numeric_dtype(cells):
            cells = cells.astype(object).where(~blank, np.nan)
            text = ~blank & ~cells.map(lambda cell: isinstance(cell, Real | np.bool)).to_numpy(dtype=bool)
            found = pd.to_numeric(cells.where(text, np.nan), errors="coerce")
            if (wrong := text & found.isna().to_numpy()).any():
                raise self.error(column, wrong, "a number", _text_cure(cells.iloc[int(np.argmax(wrong))]) or cure)
            cells = cells.where(~text, found)
        return np.where(blank, np.nan, cells.to_numpy(dtype=float, na_value=np.nan))

    def whole(self, column: str, start: int, count: int | None, cure: str, action: bool = False) -> np.ndarray:
        """Return a column of whole numbers, counted from 0 where the table counts from `start`; -1 for none."""
        numbers = self.numbers(column, cure, action) - start
        wrong = ~np.isnan(numbers) & ~((numbers >= 0) & (numbers < (count or LARGEST)) & (np.floor(numbers) == numbers))
        if wrong.any():
            expected = f"an integer from {start} to {start + count - 1}" if count else f"an integer, {start} or more"
            raise self.error(column, wrong, expected, cure)
        return np.where(np.isnan(numbers), -1, numbers).astype(np.int64)

    def flags(self, column: str) -> np.ndarray:
        """Return a column of True and False (or 1 and 0)."""
        numbers = self.numbers(column)
        if (wrong := ~np.isin(numbers, (0.0, 1.0))).any():
            name = self.theirs[column]
            cure = f"Write one of them in each cell; if it means something else, columns={{'my_{name}': {name!r}}}."
            raise self.error(column, wrong, "True or False (or 1 or 0)", cure)
        return np.asarray(numbers == 1)

    def is_boolean(self, column: str) -> bool:
        """Whether a column holds True and False, and perhaps empty cells."""
        cells = self.frame[column]
        if cells.dtype != object:
            return pd.api.types.is_bool_dtype(cells)
        cells = cells[~self.blank(column)]
        return len(cells) > 0 and bool(cells.map(lambda cell: isinstance(cell, bool | np.bool)).all())

    def is_numeric(self, column: str) -> bool:
        """Whether a column holds nothing but numbers, or True and False, and cells with nothing in them."""
        cells = self.frame[column]
        if pd.api.types.is_numeric_dtype(cells):  # which booleans are, too
            return not pd.api.types.is_complex_dtype(cells)
        if isinstance(cells.dtype, pd.CategoricalDtype):  # which polars makes of strings that pandas takes for text
            return False
        if not (pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)):
            return False
        blank = self.blank(column)
        cells = cells[~blank]
        if not len(cells):  # nothing says that these are texts
            return True
        if cells.map(lambda cell: isinstance(cell, Real | np.bool)).all():
            return True
        coded = bool((blank & ~self.frame[column].isna().to_numpy()).any())  # text for want of a number
        return coded and bool(pd.to_numeric(cells, errors="coerce").notna().all())

    def changed(self, columns: Sequence[str]) -> np.ndarray:
        """Whether any of some cells differs from the subject's row before; True in a subject's first row."""
        changed = np.asarray(self.position == 0)
        for column in columns:
            codes = pd.Series(pd.factorize(self.frame[column])[0])
            changed |= np.asarray(codes != codes.groupby(self.subject).shift())
        return changed

    def plain(self, column: str) -> np.ndarray:
        """Return a column as a NumPy array: numbers, True and False, times, or text ("" for none)."""
        cells = self.frame[column]
        if pd.api.types.is_complex_dtype(cells):
            return np.asarray(cells.to_numpy())
        if self.is_numeric(column):
            if self.blank(column).any():
                return self.numbers(column)
            if self.is_boolean(column):
                return self.flags(column)
            own_type = isinstance(cells.dtype, np.dtype) and cells.dtype != object
            return np.asarray(cells.to_numpy()) if own_type else self.numbers(column)
        if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "mM":
            return np.asarray(cells.to_numpy())
        return np.asarray(["" if none else str(cell) for cell, none in zip(cells, cells.isna(), strict=True)])


def make_table(
    source: Any,
    columns: Mapping[str, str | Sequence[str]] | str | None,
    missing: float | str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    decimal: str = ".",
) -> Table:
    """Read a table, give its columns our names, and find its subjects.

    Parameters
    ----------
    source : path or dataframe
        As in `read_trials`.
    columns : dict, str or None
        As in `read_trials`.
    missing : number or str, optional
        As in `read_trials`.
    separator, encoding, decimal : str, optional
        As in `read_file`, for a path.

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
    text = SUBJECTS if isinstance(columns, str) else ((columns or {}).get("subject", "subject"),)
    if isinstance(source, str | Path):
        raw = read_file(Path(source), [t for t in text if isinstance(t, str)], separator, encoding, decimal, missing)
    elif separator or encoding or decimal != ".":
        raise ValueError("separator, encoding and decimal are of a file's text: give a path, or leave them out")
    else:
        raw = _load(source)
    found = [*raw.columns]
    raw = check_header(raw)
    if len(raw) == 0:
        raise ValueError("the table has no rows")
    header = [*raw.columns]
    single, arrays = match_columns(header, columns)
    theirs = dict(zip(header, found, strict=True))
    reserved = _reserved([name for name in header if name not in single.values()] + [*single], arrays)
    names = {name: f"{name}_column" for name in reserved} | {name: ours for ours, name in single.items()}
    if kept := next((ours for ours in single if ours in reserved), None):
        raise ValueError(f"columns[{kept!r}]: a name that trials keep for themselves; give yours another name")
    raw = raw.rename(columns=names)
    theirs |= {ours: theirs[name] for name, ours in names.items() if name in theirs}
    if "available" in raw:
        raise ValueError(
            f"column 'available' is made of several columns: give yours another name, "
            f"columns={{'my_available': {theirs['available']!r}}}"
        )
    if "subject" not in raw:
        raise ValueError(_no_subject(header))
    frame = raw.apply(_stripped)
    labels = _labels(frame)
    codes, first_seen = pd.factorize(labels)
    position = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    table = Table(frame, raw, theirs, arrays, codes, list(first_seen), position, missing)
    if len(first_seen) < len(pd.unique(raw["subject"].astype(object))):
        wide = raw["subject"].ne(frame["subject"])
        table.doubts.append(
            f"column 'subject': row {int(np.argmax(wide))}: {raw['subject'][wide].iloc[0]!r} is taken as "
            f"{frame['subject'][wide].iloc[0]!r}, one person; take the spaces away in the table, "
            f"table[{theirs['subject']!r}].str.strip(), or give them labels of their own"
        )
    if isinstance(columns, str) and STIMULUS in frame:
        _split_stimulus(table)
    parts = {part for named in arrays.values() for part in named}  # these are no trials that stand side by side
    side_by_side = [name for name in header if name not in parts]
    if not position.any() and (cure := wide_table_cure(side_by_side, theirs["subject"])):
        table.doubts.append(
            f"columns {', '.join(map(repr, header[:4]))}, ...: found one row for each subject, expected one row for "
            f"each trial; if trials stand side by side, make the table longer: {cure}"
        )
    return table


def _reserved(names: list[str], arrays: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names that trials keep for themselves; one is that of the responses, where there are several."""
    several = len([name for name in names if re.fullmatch(r"action\d+", name) or name == STIMULUS]) > 1
    return (*RESERVED, "response") if several or "scored" in arrays else RESERVED


def _split_stimulus(table: Table) -> None:
    """Add the second state and the action in it to a table that numbers the four stimuli of the second stage."""
    for name in ("state2", "action2"):
        if name in table.frame:
            raise ValueError(f"column {name!r} is made of {table.theirs[STIMULUS]!r}: drop one, or rename one")
    stimulus = table.whole(
        STIMULUS, 1, 4, "If the trial was missed, leave the cell empty or pass missing=<code>.", True
    )
    none = stimulus < 0
    table.frame["state2"] = np.where(none, np.nan, stimulus // 2)
    table.frame["action2"] = np.where(none, np.nan, stimulus % 2 + 1)
    table.theirs.update(dict.fromkeys(("state2", "action2"), table.theirs[STIMULUS]))


def _load(source: Any) -> pd.DataFrame:
    try:
        frame = nw.from_native(source)
    except TypeError:
        raise TypeError(
            f"found a table of type {type(source).__name__}, expected a path ({', '.join(ENDINGS)}), a dataframe "
            f"(pandas, polars, pyarrow, ...), or trials from read_trials or simulate"
        ) from None
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    return eager.to_pandas().reset_index(drop=True)


def _no_subject(header: list[str]) -> str:
    text = (
        "no column 'subject': say which it is, columns={'subject': <name in your table>}; if all rows are one "
        "person's, add it, table.assign(subject='one') (of a file: pandas.read_csv(path).assign(subject='one'))."
    )
    if cure := wide_table_cure(header):
        text += f" A row is a trial: if trials stand side by side, make the table longer: {cure}."
    return f"{text} ({unknown('column', 'subject', header)})"


def _stripped(cells: pd.Series) -> pd.Series:
    """Return a column without spaces around its texts."""
    if not (pd.api.types.is_object_dtype(cells) or pd.api.types.is_string_dtype(cells)):
        return cells
    return cells.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)


def _labels(frame: pd.DataFrame) -> np.ndarray:
    """Return the subjects' labels, none empty, all of one type."""
    labels = frame["subject"].astype(object)
    if (blank := labels.isna() | (labels.astype(str) == "")).any():
        raise ValueError(
            f"column 'subject': row {int(np.argmax(blank))}: found an empty cell, expected a subject's label; "
            "write whose trial it is, or leave the row out"
        )
    note = labels.map(lambda label: isinstance(label, str) and label.startswith("#"))
    if (note := note & frame.drop(columns="subject").isna().all(axis=1)).any():
        row = int(np.argmax(note))
        raise ValueError(
            f"column 'subject': row {row}: found {labels.iloc[row]!r} and nothing else, expected a trial; take the "
            "comment out of the table"
        )
    text = labels.map(lambda label: isinstance(label, str))
    if (other := text != text.iloc[0]).any():
        row = int(np.argmax(other))
        raise ValueError(
            f"column 'subject': row {row}: found {labels.iloc[row]!r}, expected labels of one type, "
            f"as {labels.iloc[0]!r} in row 0. Write all of them as text or all as numbers."
        )
    return labels.to_numpy()


def _text_cure(cell: Any) -> str:
    """Return what mends a text that would be a number in another notation, or nothing."""
    comma = isinstance(cell, str) and cell.count(",") == 1 and cell.replace(",", "").lstrip("+-").isdigit()
    return "If the comma is a decimal mark, pass decimal=',' (of a file), or replace it in the table." if comma else ""


def shown(cell: Any) -> str:
    """Return a cell as its owner would write it."""
    if not isinstance(cell, str) and pd.isna(cell) is True:
        return "an empty cell"
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return repr(int(cell)) if isinstance(cell, float) and cell.is_integer() and abs(cell) < LARGEST else repr(cell)
