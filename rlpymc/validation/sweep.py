"""Many runs of one function, each with arguments of its own: side by side, and resumed where they were broken off.

A folder holds the whole state: a manifest, which says what is to be run, and one file for each run that is finished.
Workers are processes of their own that import the function by its name; whatever their number, the results are the
same.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from rlpymc.checks import check_whole
from rlpymc.storage import fingerprint, seal, unseal, write_whole

MANIFEST = "manifest.json"
POLL = 0.5  # seconds between looks at the folder


def sweep(
    function: str,
    units: Sequence[Mapping[str, Any]],
    folder: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Run a function for each of some sets of arguments.

    Parameters
    ----------
    function : str
        "module:name" of a function that can be imported: it takes arguments by name, and returns a dict.  Both are what
        JSON knows.
    units : sequence of mappings
        The arguments of each run.  What is random takes its seed from here.
    folder : path
        Where results are written as they are finished.  Calling again with the same function and units goes on from
        there.
    workers : int, optional
        How many processes; as many as there are cores unless told.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    list of dict
        The results, in the order of the units.

    Raises
    ------
    ValueError
        If the folder is that of another sweep, or a result in it is not as it was written.
    RuntimeError
        If a run failed; those that are finished are kept.
    """
    _found(function)
    if workers is not None:
        check_whole(1, workers=workers)
    made_from = {"function": function, "units": [dict(unit) for unit in units]}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if (manifest := folder / MANIFEST).exists():
        if json.loads(manifest.read_text()) != json.loads(json.dumps(made_from)):
            raise ValueError(f"{folder} is the folder of another sweep; give an empty one")
    else:
        write_whole(manifest, json.dumps(made_from).encode())
    left = [k for k in range(len(units)) if _result(folder, made_from, k) is None]
    if left:
        _run(folder, made_from, left, min(workers or os.cpu_count() or 1, len(left)), progress)
    found = [_result(folder, made_from, k) for k in range(len(units))]
    return [result for result in found if result is not None]


def _found(function: str) -> Callable[..., dict[str, Any]]:
    """Return a function by its name."""
    module, _, name = function.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ValueError(
            f"function: found {function!r}, expected 'module:name' that can be imported: {problem}"
        ) from None


def _place(folder: Path, made_from: Mapping[str, Any], k: int) -> Path:
    """Return the file of a run."""
    return folder / f"{k:05d}-{fingerprint([made_from['function'], made_from['units'][k]])[:12]}.json"


def _result(folder: Path, made_from: Mapping[str, Any], k: int) -> dict[str, Any] | None:
    """Return the result of a run, or None if there is none yet."""
    path = _place(folder, made_from, k)
    if not path.exists():
        return None
    try:
        content, _ = unseal(path.read_bytes())
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}; delete it, and the run is done again") from None
    return dict(json.loads(content))


def _run(folder: Path, made_from: Mapping[str, Any], left: list[int], workers: int, progress: bool) -> None:
    """Run what is left in so many processes; those of a broken sweep end with it."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "rlpymc.validation.sweep_worker", str(folder)]
    n = len(made_from["units"])
    started = [
        subprocess.Popen([*command, *map(str, left[k::workers])], env=environment, stderr=subprocess.PIPE, text=True)
        for k in range(workers)
    ]
    try:
        with Progress(disable=not progress, transient=True) as bar:
            task = bar.add_task(made_from["function"], total=n)
            waiting = list(started)
            while waiting:
                for process in list(waiting):
                    try:
                        _, errors = process.communicate(timeout=POLL / len(waiting))
                    except subprocess.TimeoutExpired:
                        continue
                    waiting.remove(process)
                    if process.returncode:
                        raise RuntimeError(f"a run of {made_from['function']} failed:\n{errors.strip()}")
                bar.update(task, completed=sum(_place(folder, made_from, k).exists() for k in range(n)))
    finally:
        for process in started:
            if process.poll() is None:
                process.terminate()
                process.wait()


def work(folder: Path, places: Sequence[int]) -> None:
    """Do some runs of a sweep: what a worker does."""
    made_from = json.loads((folder / MANIFEST).read_text())
    function = _found(made_from["function"])
    for k in places:
        unit = made_from["units"][k]
        content = json.dumps(function(**unit)).encode()
        write_whole(_place(folder, made_from, k), seal(content, {"function": made_from["function"], "unit": unit}))
