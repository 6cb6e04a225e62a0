"""Folders of runs: pieces say whose they are, and what is another run's, was changed or is at work is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlpymc import storage
from rlpymc.fitting.run_folder import RunFolder

MADE_FROM = {"model": "delta", "options": {"seed": 1, "l2": 0.0}}
OTHER = {**MADE_FROM, "options": {"seed": 2, "l2": 0.0}}


def folder(path: Path, made_from: dict[str, Any] = MADE_FROM) -> RunFolder:
    return RunFolder(path, made_from, "the rounds")


def read(path: Path, made_from: dict[str, Any] = MADE_FROM, name: str = "one", **about: Any) -> bytes | None:
    with folder(path, made_from) as run:
        return run.read(name, bytes, **about)


def write(
    path: Path, content: bytes = b"x", made_from: dict[str, Any] = MADE_FROM, name: str = "one", **a: Any
) -> None:
    with folder(path, made_from) as run:
        run.write(name, content, **a)


def test_the_same_run_finds_its_files_again(tmp_path: Path) -> None:
    assert read(tmp_path / "a" / "b") is None
    write(tmp_path / "a" / "b")
    assert read(tmp_path / "a" / "b") == b"x"
    reordered = {"options": {"l2": 0.0, "seed": 1}, "model": "delta"}
    assert read(tmp_path / "a" / "b", reordered) == b"x"


def test_another_run_is_refused_with_what_differs(tmp_path: Path) -> None:
    write(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="holds the rounds of another run, which differs in seed; give another folder"):
        read(tmp_path, OTHER)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_pieces_of_another_run_are_refused_without_a_record(tmp_path: Path) -> None:
    write(tmp_path, made_from=OTHER)
    (tmp_path / "run.json").unlink()
    with pytest.raises(ValueError, match=r"one is of another run: of other data, another model or other settings"):
        read(tmp_path)
    (tmp_path / "run.json").unlink()
    assert read(tmp_path, OTHER) == b"x"


def test_another_piece_of_the_same_run_is_refused(tmp_path: Path) -> None:
    write(tmp_path, name="chain_0", chain=0, seed=7)
    (tmp_path / "chain_1").write_bytes((tmp_path / "chain_0").read_bytes())
    assert read(tmp_path, name="chain_0", chain=0, seed=7) == b"x"
    for about in ({"chain": 1, "seed": 7}, {"chain": 0, "seed": 8}):
        with pytest.raises(ValueError, match=r"chain_1 is another piece of this run: found .*'chain': 0.*, expected"):
            read(tmp_path, name="chain_1", **about)


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_file_is_no_folder(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="there is a file of this name; give another folder"):
        folder(tmp_path / place)


@pytest.mark.parametrize("name", ["", " ", Path()])
def test_no_folder_is_not_the_one_that_one_is_in(name: str | Path) -> None:
    with pytest.raises(ValueError, match="expected a folder of its own for this run"):
        RunFolder(name, MADE_FROM, "the rounds")


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", "\x00"])
def test_a_record_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json is not what a run has written .* delete this file"):
        read(tmp_path)
    (tmp_path / "run.json").unlink()  # as it says
    assert read(tmp_path) == b"x"


def test_every_flipped_bit_of_a_piece_is_found(tmp_path: Path) -> None:
    write(tmp_path, b"some content", number=3)
    file = tmp_path / "one"
    good = file.read_bytes()
    for place in range(len(good)):
        for bit in range(8):
            bad = bytearray(good)
            bad[place] ^= 1 << bit
            file.write_bytes(bytes(bad))
            with pytest.raises(ValueError, match="one is "):
                read(tmp_path, number=3)
    for bad in (b"", good[:-1], good + b" ", good[1:], b"\n", b"half"):
        file.write_bytes(bytes(bad))
        with pytest.raises(ValueError, match=r"one is not what a run has written .*; give another folder, or delete"):
            read(tmp_path, number=3)


def test_a_piece_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, b"no number")
    with (
        folder(tmp_path) as run,
        pytest.raises(ValueError, match=r"one is not what a run has written .*; give another folder, or delete"),
    ):
        run.read("one", lambda content: int(content))


# ---------------------------------------------------------------- one process at a time

HOLD = """
import sys, time
from pathlib import Path
from rlpymc.fitting.run_folder import RunFolder
with RunFolder(Path(sys.argv[1]), {made_from!r}, "the rounds") as run:
    print("in", flush=True)
    sys.stdin.readline()
    run.write("one", b"theirs")
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """Return another process that is in the folder until it is written to."""
    program = [sys.executable, "-c", HOLD.format(made_from=MADE_FROM), str(path)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_second_process_is_told_of_the_first(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with pytest.raises(RuntimeError, match="another process works in it; wait until it has ended"):
        read(tmp_path)
    process.communicate("go on\n", timeout=60)
    assert process.returncode == 0
    assert read(tmp_path) == b"theirs"


def test_a_killed_process_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.kill()
    process.communicate()
    write(tmp_path)
    assert read(tmp_path) == b"x"


def test_what_a_killed_process_left_half_done_is_taken_away(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "one.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"kept")
    assert read(tmp_path) == b"x"
    assert sorted(file.name for file in tmp_path.glob("*.part")) == ["mine.part"]


# ---------------------------------------------------------------- files that are there whole or not at all


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    storage.write_whole(file, b"before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(storage.os, "fsync", full) if name == "fsync" else broken.setattr(Path, "replace", full)
            with pytest.raises(OSError, match="No space left"):
                storage.write_whole(file, b"after")
        assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("file", b"before")]
    storage.write_whole(file, b"after")
    assert file.read_bytes() == b"after"


def test_a_seal_is_of_what_it_seals() -> None:
    sealed = storage.seal(b"a\nb", {"chain": 1})
    assert storage.unseal(sealed) == (b"a\nb", {"chain": 1})
    for other in (sealed.replace(b"a", b"c", 1), sealed.replace(b'"chain": 1', b'"chain": 2'), b"a\nb", b""):
        with pytest.raises(ValueError, match="digest"):
            storage.unseal(other)


def test_a_fingerprint_is_of_content() -> None:
    assert storage.fingerprint({"a": 1, "b": [1.5]}) == storage.fingerprint(json.loads('{"b": [1.5], "a": 1}'))
    assert storage.fingerprint({"a": 1}) != storage.fingerprint({"a": 2})
