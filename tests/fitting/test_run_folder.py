"""Folders of runs: what is not a run's is named and never read as one."""

from pathlib import Path

import pytest

from rlpymc.fitting.run_folder import RunFolder

MADE_FROM = {"model": "delta", "options": {"seed": 1, "l2": 0.0}}


def test_the_same_run_finds_its_files_again(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "a" / "b", MADE_FROM, "the rounds").read("one", Path.read_text) is None
    RunFolder(tmp_path / "a" / "b", MADE_FROM, "the rounds").write("one", lambda file: file.write_text("x"))
    assert RunFolder(tmp_path / "a" / "b", MADE_FROM, "the rounds").read("one", Path.read_text) == "x"


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    RunFolder(tmp_path, MADE_FROM, "the rounds")
    with pytest.raises(ValueError, match="holds the rounds of another run, which differs in seed; give another folder"):
        RunFolder(tmp_path, {**MADE_FROM, "options": {"seed": 2, "l2": 0.0}}, "the rounds")


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_file_is_no_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="there is a file of this name; give another folder"):
        RunFolder(tmp_path / place, MADE_FROM, "the rounds")


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]"])
def test_a_record_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is not what a run has written"):
        RunFolder(tmp_path, MADE_FROM, "the rounds")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, MADE_FROM, "the rounds")
    (tmp_path / "one").write_text("half")
    with pytest.raises(ValueError, match=r"one is not what a run has written .*; give another folder, or delete"):
        folder.read("one", lambda file: int(file.read_text()))
