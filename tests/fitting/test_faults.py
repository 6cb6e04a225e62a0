"""Nothing is lost: processes are killed at random moments, two work in one folder, disks fill at every stage.

The environment's RLPYMC_FAULTS says how many times as many there shall be: 4 is thirty kills and twenty processes.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import rlpymc as rl

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed, and files limited, in another way there"),
]
SECONDS = 300  # for one process, which takes some ten
TIMES = int(os.environ.get("RLPYMC_FAULTS", "1"))

WORK = """
import resource, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import rlpymc as rl

kind, folder, out, limit = sys.argv[1:]
trials = rl.simulate("delta", rl.tasks.Bandit(probs=(0.2, 0.8)), {"alpha": 0.3, "beta": 3.0}, 4, 50, seed=1)

def work():
    if kind == "em":
        fit = rl.fit_em("delta", trials, iterations=40, tol=None, folder=folder, seed=1, progress=False)
        text = fit.mu.to_pandas().to_csv() + fit.params.to_pandas().to_csv() + repr(fit.log_evidence.values.tolist())
        open(out, "w").write(text)
        return
    model = rl.build("delta", trials)
    if kind == "save":
        fit = rl.sample(model, draws=200, tune=100, chains=2, seed=1, progress=False)
        for _ in range(200):
            rl.save(fit, out)
        return
    short = {"draws": 300, "tune": 200, "chains": 4, "seed": 1, "progress": False}
    if kind == "sample":
        rl.save(rl.sample(model, folder=folder, **short), out)
        return
    fit = rl.sample(model, **short)
    few = {"draws": 100, "tune": 100, "chains": 2, "seed": 1, "folder": folder, "progress": False}
    found = rl.leave_future_out(model, first=30, ahead=10, k_threshold=-1.0, **few)
    open(out, "w").write(repr(found.elpd_i.values.tolist()))

try:
    if int(limit):
        rl.build("delta", trials).logp()  # what is loaded and compiled late may write files, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    work()
except OSError as problem:
    print("told", problem.errno)
except RuntimeError as problem:
    print("told", problem)
"""


def start(kind: str, folder: Path, out: Path, limit: int = 0) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", WORK, kind, str(folder), str(out), str(limit)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return said


def assert_same(one: Path, other: Path) -> None:
    if one.suffix == ".txt":
        assert one.read_text() == other.read_text()
        return
    found, wanted = (rl.load(path) for path in (one, other))
    for tree in (found, wanted):  # all but the time of day and how long it took
        del tree["posterior"].attrs["sampling_time"]
        del tree["sample_stats"].attrs["created_at"]
    xr.testing.assert_identical(found, wanted)


ENDS = {"sample": "nc", "em": "txt", "refits": "txt", "save": "nc"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, float]]:
    """Return what a run that nothing happens to leaves, and how long it takes, made once for each kind."""

    @cache
    def made(kind: str) -> tuple[Path, float]:
        began, place = time.monotonic(), tmp_path_factory.mktemp(kind)
        finish(start(kind, place / "run", place / f"whole.{ENDS[kind]}"))
        return place / f"whole.{ENDS[kind]}", time.monotonic() - began

    return made


@pytest.mark.parametrize(("kind", "kills"), [("sample", 2), ("em", 2), ("refits", 2), ("save", 2)])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(
    tmp_path: Path, whole: Any, kind: str, kills: int
) -> None:
    (wanted, took), rng, out = whole(kind), random.Random(1), tmp_path / f"broken.{ENDS[kind]}"
    if kind == "save":
        out.write_bytes(wanted.read_bytes())
    for _ in range(kills * TIMES):
        process = start(kind, tmp_path / "broken", out)
        try:
            process.communicate(timeout=rng.uniform(0.3, 1.0) * took)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if kind == "save":  # the file is one or the other, and these are the same
            assert_same(out, wanted)
    finish(start(kind, tmp_path / "broken", out))
    assert_same(out, wanted)


def test_of_two_processes_in_one_folder_one_is_told_and_nothing_is_torn(tmp_path: Path, whole: Any) -> None:
    told = 0
    for k in range(2 * TIMES):
        folder, outs = tmp_path / f"shared_{k}", [tmp_path / f"{k}_{name}.nc" for name in "ab"]
        said = [finish(process) for process in [start("sample", folder, out) for out in outs]]
        told += sum("another process works in it" in text for text in said)
        for out, text in zip(outs, said, strict=True):
            assert out.exists() != text.startswith("told")
            if out.exists():
                assert_same(out, whole("sample")[0])
    assert told  # they did meet


@pytest.mark.parametrize(("kind", "limit"), [("sample", 300), ("sample", 60_000), ("em", 1), ("em", 2_000)])
def test_a_disk_that_fills_is_told_and_the_run_goes_on_later(tmp_path: Path, whole: Any, kind: str, limit: int) -> None:
    """A file may have no more bytes than the limit: the record of the run, a chain or a round is the first beyond."""
    out = tmp_path / f"broken.{ENDS[kind]}"
    assert finish(start(kind, tmp_path / "broken", out, limit)).startswith("told 27")
    assert not out.exists()
    finish(start(kind, tmp_path / "broken", out))
    assert_same(out, whole(kind)[0])
