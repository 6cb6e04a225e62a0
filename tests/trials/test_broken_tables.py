"""Faults in names of columns, in files and in the shape of a table: each is named, and the mend that is said works."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings

import rlpymc as rl
from tests.helpers.broken import PARAMS, Case, Kind, assert_refused_and_mended, cases, do, drop, follow
from tests.helpers.messages import assert_says, refusal

pytestmark = pytest.mark.slow


def named(*parts: str, **columns: Any) -> Any:
    """Name columns of a table that has one more, of another content."""

    def breaks(case: Case) -> list[str]:
        case.put(points=case.table["reward"])
        case.name(**columns)
        return list(parts)

    return breaks


def told(columns: Any, *parts: str, **added: Any) -> Any:
    """Say in another way which column is which."""

    def breaks(case: Case) -> list[str]:
        case.put(**added)
        case.options["columns"] = columns
        return list(parts)

    return breaks


def preset_of_two(case: Case) -> list[str]:
    case.table = case.table.rename(columns={"who": "subjID", "reward": "outcome"}).assign(Subj_ID=1)
    case.options["columns"] = "hbayesdm"
    case.tell(action_base=0)
    return ["'subjID'", "'Subj_ID'", "'subject'"]


def one_person(case: Case) -> list[str]:
    case.table = case.table.drop(columns="who")
    case.options["columns"] = {"action": "choice"}
    return ["no column 'subject'", "There is: choice, reward"]


def assigned(case: Case, text: str) -> None:
    found = re.search(r"table\.assign\(subject='one'\)", text)
    assert found, text
    case.table = eval(found[0], {"table": case.table})


def twice_named(case: Case) -> list[str]:
    case.table = case.table.assign(other=1).rename(columns={"other": " reward"})
    return ["two columns", "'reward'", "another name"]


def numbers_for_names(case: Case) -> list[str]:
    case.table = case.table.assign(other=1).rename(columns={"other": 3})
    return ["column 3", "text"]


def as_dict(case: Case) -> None:
    case.options["columns"] = {"subject": "who", "action": "choice"}


KINDS = {
    "a column that is not there": Kind(
        named("columns['reward']", "'point'", "There is: who, choice", reward="point"),
        do("Did you mean 'points'", lambda case: case.name(reward="points", old="reward")),
    ),
    "a column used twice": Kind(
        named("'points'", "used twice", gain="points", loss="points"),
        do("copy it", lambda case: (case.put(copied=case.table["points"]), case.name(loss="copied"))),
    ),
    "two columns of one of our names": Kind(named("columns['reward']", reward="points"), follow("columns")),
    "a name that trials keep": Kind(
        named("columns['row']", row="points"),
        do("another name", lambda case: (case.options["columns"].pop("row"), case.name(my_row="points"))),
    ),
    "an unknown preset": Kind(
        told("hbayes", "'hbayes'", "Did you mean 'hbayesdm'?"),
        do(
            "hbayesdm",
            lambda case: (
                setattr(case, "table", case.table.rename(columns={"who": "subjID", "reward": "outcome"})),
                case.tell(columns="hbayesdm", action_base=0),
            ),
        ),
    ),
    "two columns for a preset's one": Kind(preset_of_two, drop("Subj_ID", word="drop or rename one")),
    "columns in a list": Kind(told(["who", "choice"], "['who', 'choice']"), do("a dict", as_dict), TypeError),
    "no column of people": Kind(
        told({"action": "choice"}, "no column 'subject'", "There is: who, choice, reward"),
        do("columns={'subject': <name in your table>}", as_dict),
    ),
    "no column of people, as there is one": Kind(one_person, assigned),
    "two columns of one name": Kind(
        twice_named,
        do("another name", lambda case: setattr(case, "table", case.table.rename(columns={" reward": "other"}))),
    ),
    "numbers for names": Kind(
        numbers_for_names,
        do("text", lambda case: setattr(case, "table", case.table.rename(columns={3: "3"}))),
    ),
    "an option of files": Kind(
        lambda case: case.tell(decimal=",") or ["separator, encoding and decimal"],
        drop("decimal", word="leave them out"),
    ),
}


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_a_fault_of_names_is_said_and_its_mend_works(name: str, case: Case) -> None:
    assert_refused_and_mended(KINDS[name], case)


@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_things_without_trials_are_said(case: Case) -> None:
    assert_says(refusal(rl.read_trials, case.table.iloc[:0], **case.options), "no rows")
    assert_says(refusal(rl.read_trials, case.table["reward"], error=TypeError), "Series", "a dataframe", "a path")


# ---------------------------------------------------------------- files

ROWS = "subject,action,reward\nzoë,0,1\nzoë,1,0\nann,1,1\n"


def reads(path: Path, **options: Any) -> None:
    trials = rl.read_trials(path, **options)
    assert trials.sizes == {"subject": 2, "trial": 2}
    assert rl.log_prob("delta", trials, PARAMS["delta"]).notnull().all()


FILES = {  # ending, bytes, options, what is said, how options change, bytes that are mended
    "an unknown ending": ("xlsx", ROWS.encode(), {}, ["'.xlsx'", ".csv", ".parquet"], {}, "csv"),
    "an empty file": ("csv", b"", {}, ["the file is empty", "column names"], {}, ROWS.encode()),
    "a header alone": ("csv", b"subject,action,reward\n", {}, ["no rows"], {}, ROWS.encode()),
    "two columns of one name": (
        "csv",
        ROWS.replace("reward", "action").encode(),
        {},
        ["two columns are named 'action'", "another name"],
        {},
        ROWS.encode(),
    ),
    "another encoding": (
        "csv",
        ROWS.encode("latin-1"),
        {"encoding": "utf-8"},
        ["byte 24 cannot be read as utf-8", "pass the encoding"],
        {"encoding": "latin-1"},
        None,
    ),
    "an unknown encoding": (
        "csv",
        ROWS.encode(),
        {"encoding": "utf8x"},
        ["encoding", "'utf8x'", "'utf-8'"],
        {"encoding": "utf-8"},
        None,
    ),
    "a row longer than the header": (
        "csv",
        ROWS.replace("1,0", "1,0,5").encode(),
        {},
        ["line 3", "mend the line"],
        {},
        ROWS.encode(),
    ),
    "another separator": (
        "csv",
        ROWS.encode(),
        {"separator": ";"},
        ["no column 'subject'", "'subject,action,reward'"],
        {"separator": ","},
        None,
    ),
    "a comment among the rows": (
        "csv",
        ROWS.replace("ann", "# a pause\nann").encode(),
        {},
        ["'subject'", "row 2", "'# a pause'", "comment"],
        {},
        ROWS.encode(),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_fault_of_a_file_is_said_and_its_mend_works(name: str, tmp_path: Path) -> None:
    ending, data, options, parts, mended, better = FILES[name]
    path = tmp_path / f"choices.{ending}"
    path.write_bytes(data)
    text = refusal(rl.read_trials, path, **options)
    assert_says(text, *parts)
    if isinstance(better, str):
        path = path.rename(path.with_suffix(f".{better}"))
    elif better is not None:
        path.write_bytes(better)
    reads(path, **(options | mended))


@pytest.mark.parametrize("people", [None, "who"])
def test_a_wide_table_is_made_longer_by_the_call_that_is_said(people: str | None) -> None:
    wide = pd.DataFrame({"age": [30, 30], "choice_1": [0, 1], "choice_2": [1, 1], "choice_3": [0, 0]})
    if people is None:
        text = refusal(rl.read_trials, wide.drop(columns="age"))
        wide, person = wide.drop(columns="age"), "person"
    else:
        wide, person = wide.assign(who=["ann", "bob"]), "who"  # people of one age are not one
        with pytest.warns(rl.TrialsWarning) as doubts:
            rl.read_trials(wide, {"subject": "who"})
        text = str(doubts[0].message)
    start = text.index("pandas.wide_to_long")
    end = text.find(". (", start)
    longer = eval(text[start : end if end > 0 else None], {"pandas": pd, "table": wide})
    trials = rl.read_trials(longer, {"subject": person, "action": "choice"})
    assert trials["action"].values.tolist() == [[0, 1, 0], [1, 1, 0]]
