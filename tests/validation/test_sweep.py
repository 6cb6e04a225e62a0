"""Sweeps: many runs of a function, side by side and resumed."""

from pathlib import Path

import numpy as np
import pytest

from rlpymc.validation.sweep import sweep
from tests.helpers.messages import assert_says, refusal

NOISE = "tests.helpers.sweeping:noise"
UNITS = [{"seed": seed} for seed in range(5)]


def test_results_are_the_same_whatever_the_number_of_workers(tmp_path: Path) -> None:
    wanted = [{"seed": k, "noise": float(np.random.default_rng(k).normal())} for k in range(5)]
    for workers in (1, 3):
        found = sweep(NOISE, UNITS, tmp_path / str(workers), workers=workers, progress=False)
        assert found == wanted


def test_a_broken_sweep_does_what_is_left(tmp_path: Path) -> None:
    whole = sweep(NOISE, UNITS, tmp_path, workers=1, progress=False)
    files = sorted(tmp_path.glob("0*.json"))
    before = {path: path.stat().st_mtime_ns for path in files}
    files[2].unlink()
    assert sweep(NOISE, UNITS, tmp_path, workers=1, progress=False) == whole
    assert [path.stat().st_mtime_ns == before[path] for path in files] == [True, True, False, True, True]


def test_a_run_that_fails_is_named_and_the_finished_ones_are_kept(tmp_path: Path) -> None:
    units = [{"seed": 1}, {"seed": 2, "broken": True}]
    message = refusal(sweep, NOISE, units, tmp_path, workers=1, progress=False, error=RuntimeError)
    assert_says(message, NOISE, "no noise for seed 2")
    assert len(list(tmp_path.glob("0*.json"))) == 1


def test_what_is_not_of_the_sweep_is_refused(tmp_path: Path) -> None:
    sweep(NOISE, UNITS[:1], tmp_path, workers=1, progress=False)
    assert_says(refusal(sweep, NOISE, UNITS[:2], tmp_path, progress=False), str(tmp_path), "another sweep", "empty")
    (file,) = tmp_path.glob("0*.json")
    file.write_bytes(file.read_bytes().replace(b'"seed": 0', b'"seed": 7'))
    assert_says(refusal(sweep, NOISE, UNITS[:1], tmp_path, progress=False), str(file), "digest", "delete it")


@pytest.mark.parametrize("function", ["tests.helpers.sweeping:nothing", "no.such.module:f", "noise"])
def test_a_function_that_is_not_found_is_refused(tmp_path: Path, function: str) -> None:
    assert_says(refusal(sweep, function, UNITS, tmp_path, progress=False), f"'{function}'", "module:name")
