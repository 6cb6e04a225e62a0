"""The header of a table: which of our columns each of its columns is."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from rlpymc.checks import unknown

STIMULUS = "level2_choice"  # one of the four stimuli of a two-step task, two in each second state
# Our names of another library's columns (compared in lower case, without "_"), and its number of the first action.
PRESETS = {
    "hbayesdm": (
        {
            "subjid": "subject",
            "trial": "trial",
            "block": "block",
            "choice": "action",
            "level1choice": "action1",
            "level2choice": STIMULUS,
            "outcome": "reward",
        },
        1,
    )
}
SUBJECTS = ("subject", "subjID")  # what a file's column of labels may be called, ours and the preset's
FEWEST_TRIALS = 3  # numbered columns of one name that speak for trials side by side
MASKS_OF_PARTS = ("available", "scored")  # written by `to_table` as available_0, available_1, ...


def check_header(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose column names are text without spaces around them; two of one name are refused."""
    if odd := [name for name in frame.columns if not isinstance(name, str)]:
        raise ValueError(f"the table's column {odd[0]!r}: column names must be text")
    names = frame.columns.str.strip()
    if names.duplicated().any():
        name = names[names.duplicated()][0]
        raise ValueError(f"two columns of the table are named {name!r}: give one of them another name")
    return frame.set_axis(names, axis=1)


def match_columns(
    header: list[str], columns: Mapping[str, str | Sequence[str]] | str | None
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the table's name of each of our columns, and its names of the parts of our array-valued ones.

    Raises
    ------
    ValueError
        If a column is not there, is used twice, or takes the name of another.
    """
    if isinstance(columns, str):
        columns = _by_preset(header, columns)
    single, arrays = _by_name(header, columns or {})
    for ours in MASKS_OF_PARTS:  # what to_table writes is read again without being told
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


def _by_preset(header: list[str], preset: str) -> dict[str, str]:
    single: dict[str, str] = {}
    for name in header:
        ours = PRESETS[preset][0].get(name.lower().replace("_", ""))
        if ours in single:
            raise ValueError(f"columns {single[ours]!r} and {name!r} would both be {ours!r}: drop or rename one")
        if ours is not None:
            single[ours] = name
    return single


def _by_name(
    header: list[str], columns: Mapping[str, str | Sequence[str]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    single: dict[str, str] = {}
    arrays: dict[str, list[str]] = {}
    for ours, named in columns.items():
        parts = [name.strip() for name in ([named] if isinstance(named, str) else named)]
        for part in parts:
            if part not in header:
                raise ValueError(f"columns[{ours!r}]: {unknown('column', part, header)}")
        if isinstance(named, str):
            single[ours] = parts[0]
        else:
            arrays[ours] = parts
    return single, arrays


def wide_table_cure(header: list[str], person: str | None = None) -> str:
    """Return the call that makes a table of one row a person longer; "" if it holds no trials side by side."""
    numbered = {name: found for name in header if (found := re.fullmatch(r"(.*\D)(\d+)", name))}
    stems = [found[1] for found in numbered.values()]
    wide = [stem for stem in dict.fromkeys(stems) if stems.count(stem) >= FEWEST_TRIALS]
    if not wide:
        return ""
    person = person or next((name for name in header if name not in numbered), None)
    table = "table" if person else "table.assign(person=table.index)"
    names = {stem: stem.rstrip("_. ") for stem in wide if stem != stem.rstrip("_. ")}
    return f"pandas.wide_to_long({table}, {wide}, i={person or 'person'!r}, j='trial').reset_index()" + (
        f".rename(columns={names})" if names else ""
    )
