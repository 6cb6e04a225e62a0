"""Files as they come: any usual separator, encoding and decimal mark, comments and spaces; the rest is named."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import rlpymc as rl
from tests.helpers.messages import assert_says, refusal

ROWS = [["subject", "action", "reward", "word"], ["zoë", "0", "0.5", "a b"], ["zoë", "1", "1.0", "c"]]
READ = pd.DataFrame({"subject": ["zoë", "zoë"], "action": [0, 1], "reward": [0.5, 1.0], "word": ["a b", "c"]})


def text(separator: str, rows: list[list[str]] = ROWS) -> str:
    return "\n".join(separator.join(row) for row in rows) + "\n"


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "CSV", "csv.gz", "tsv.gz", "txt.gz"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator_in_a_file_of_any_ending(tmp_path: Path, ending: str, separator: str) -> None:
    path = tmp_path / f"choices.{ending}"
    data = text(separator).encode()
    path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    for options in ({}, {"separator": separator}):
        pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path, **options)), READ)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_usual_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "choices.csv"
    path.write_bytes(text(",").encode(encoding))
    for options in ({}, {"encoding": encoding}):
        pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path, **options)), READ)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_lines(tmp_path: Path, end: str) -> None:
    path = tmp_path / "choices.csv"
    path.write_bytes(text(",").replace("\n", end).encode())
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path)), READ)


def test_characters_that_end_lines_elsewhere_stay_in_their_cells(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    words = ["a\x85b", "c\u2028d", "e\x0cf", '"two\nlines"']
    path.write_text("\n".join(["subject,action,word", *(f"1,{k % 2},{word}" for k, word in enumerate(words))]))
    trials = rl.read_trials(path)
    assert trials["word"].values[0].tolist() == [word.strip('"') for word in words]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_bytes(text(",").encode("utf-8-sig"))
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path, encoding="utf-8")), READ)


def test_an_encoding_that_is_not_the_file_s_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_bytes(text(",").encode("latin-1"))
    assert_says(refusal(rl.read_trials, path, encoding="utf-8"), "choices.csv", "utf-8", "encoding")
    assert_says(refusal(rl.read_trials, path, encoding="utf8x"), "encoding", "'utf8x'")


def test_spaces_between_columns(tmp_path: Path) -> None:
    path = tmp_path / "choices.txt"
    path.write_text("subject action  reward\n1 0  0.5\n1 1  1.0\n")
    expected = pd.DataFrame({"subject": 1, "action": [0, 1], "reward": [0.5, 1.0]})
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path)), expected)


def test_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject;action;reward\n1;0;0,5\n1;1;1,0\n")
    trials = rl.read_trials(path, decimal=",")
    assert trials["reward"].values[0].tolist() == [0.5, 1.0]
    message = refusal(rl.log_prob, "delta", rl.read_trials(path), {"alpha": 0.4, "beta": 2.5})
    assert_says(message, "'reward'", "subject 1, trial 0", "'0,5'", "decimal=','")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    for data in ("", "\n \n"):
        path.write_text(data)
        assert_says(refusal(rl.read_trials, path), "choices.csv", "empty", "column names")
    path.write_text("subject,action\n")
    assert_says(refusal(rl.read_trials, path), "no rows")


def test_comments_above_the_column_names_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("# made in 2024, by hand\n#\n" + text(","))
    pd.testing.assert_frame_equal(rl.to_table(rl.read_trials(path)), READ)
    path.write_text("#" + text(","))
    assert_says(refusal(rl.read_trials, path), "no column 'subject'", "Did you mean '#subject'?")
    assert rl.read_trials(path, {"subject": "#subject"}).sizes["subject"] == 1


def test_a_comment_among_the_trials_is_named(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject,action\n1,0\n# a pause\n1,1\n")
    assert_says(refusal(rl.read_trials, path), "'subject'", "row 1", "'# a pause'", "comment")


@pytest.mark.parametrize("names", ["subject,action,action", "subject,action, action"])
def test_two_columns_of_one_name_are_named(tmp_path: Path, names: str) -> None:
    path = tmp_path / "choices.csv"
    path.write_text(f"{names}\n1,0,1\n")
    assert_says(refusal(rl.read_trials, path), "two columns", "'action'", "another name")
    frame = pd.DataFrame([[1, 0, 1]], columns=names.split(","))
    if " " in names:
        assert_says(refusal(rl.read_trials, frame), "two columns", "'action'", "another name")


def test_rows_longer_than_the_header_are_named(tmp_path: Path) -> None:
    path = tmp_path / "choices.csv"
    path.write_text("subject,action\n1,0\n1,1,0.5\n")
    assert_says(refusal(rl.read_trials, path), "choices.csv", "separator")
    path.write_text("subject,action\n1,0,3\n1,1,0.5\n")
    assert_says(refusal(rl.read_trials, path), "choices.csv", "separator")


def test_spaces_around_names_and_cells_are_taken_off_and_given_back(tmp_path: Path) -> None:
    data = pd.DataFrame({" subject": ["s0", "s0"], "action ": [0, 1], "word": [" a", "b"]})
    trials = rl.read_trials(data)
    assert trials["action"].values.tolist() == [[0, 1]]
    assert trials["word"].values.tolist() == [["a", "b"]]
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    named = rl.read_trials(data.rename(columns={"action ": " choice "}), {"action": "choice"})
    assert named["action"].values.tolist() == [[0, 1]]


def test_people_whose_labels_differ_by_spaces_are_one_and_it_is_said() -> None:
    data = pd.DataFrame({"subject": ["s0", "s0 ", "s1"], "action": [0, 1, 1]})
    with pytest.warns(rl.TrialsWarning) as said:
        trials = rl.read_trials(data)
    assert_says(str(said[0].message), "'subject'", "row 1", "'s0 '", "'s0'", "table['subject'].str.strip()")
    assert trials["subject"].values.tolist() == ["s0", "s1"]
    pd.testing.assert_frame_equal(rl.to_table(trials), data)
    rl.read_trials(data.assign(subject=data["subject"].str.strip()))


@pytest.mark.parametrize("options", [{"separator": ";"}, {"encoding": "utf-8"}, {"decimal": ","}])
def test_options_of_files_are_not_for_dataframes(options: Any) -> None:
    assert_says(refusal(rl.read_trials, READ, **options), "separator, encoding and decimal", "path")
