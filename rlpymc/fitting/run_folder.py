"""The folder of a run: what it was made from, and results that prove whose they are."""

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from rlpymc.storage import fingerprint, seal, unseal, write_whole


def folder_path(folder: str | Path) -> Path:
    """Return a folder's path; a ValueError for an empty one, which would be the folder that one is in."""
    if not str(folder).strip() or folder == Path():
        raise ValueError(f"folder: found {str(folder)!r}, expected a folder of its own for this run, such as 'run_1'")
    return Path(folder)


class RunFolder:
    """A folder that belongs to one run, and to one process at a time (a context).

    Each piece carries the run's fingerprint, what it is a piece of, and a digest: a piece that was changed, or is of
    another run, is refused and not taken for one of this run; nothing is overwritten.

    Parameters
    ----------
    folder : path
        The folder, which need not exist.
    made_from : dict
        What the results follow from; another run, which differs in any of it, is refused the folder.
    holds : str
        What the folder holds, for messages.

    Raises
    ------
    ValueError
        If the folder holds the results of another run, or is none.
    RuntimeError
        If another process works in it.
    """

    def __init__(self, folder: str | Path, made_from: dict[str, Any], holds: str) -> None:
        self.path, self._holds = folder_path(folder), holds
        self._made_from = json.loads(json.dumps(made_from))
        self._run = fingerprint(self._made_from)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"folder {self.path}: there is a file of this name; give another folder") from None
        self._lock = FileLock(self.path / "run.lock", timeout=0)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire()
        except Timeout:
            raise RuntimeError(
                f"folder {self.path}: another process works in it; wait until it has ended, or give another folder"
            ) from None
        try:
            self._claim()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.release()

    def _claim(self) -> None:
        """Compare what the folder was begun with, or write it down; take away what a killed process left half done."""
        for part in self.path.glob(f"*.{'[0-9a-f]' * 16}.part"):
            part.unlink(missing_ok=True)
        file = self.path / "run.json"
        if not file.exists():
            write_whole(file, json.dumps(self._made_from, indent=1, sort_keys=True).encode())
            return
        try:
            before, now = _flat(json.loads(file.read_bytes())), _flat(self._made_from)
        except (ValueError, AttributeError) as problem:
            raise ValueError(
                f"{file} is not what a run has written ({type(problem).__name__}: {problem}); give another folder, or "
                "delete this file: the others say themselves of which run they are"
            ) from problem
        if before != now:
            differs = [key for key in {**now, **before} if before.get(key) != now.get(key)]
            raise ValueError(
                f"{self.path} holds {self._holds} of another run, which differs in {', '.join(differs)}; give another "
                "folder"
            )

    def read[Result](self, name: str, load: Callable[[bytes], Result], **about: Any) -> Result | None:
        """Return a piece, or None where there is none.

        Parameters
        ----------
        name : str
            Its file.
        load : callable
            Makes it of bytes.
        **about
            What it must be about: the number of a chain, its seed.

        Raises
        ------
        ValueError
            If it is of another run, is another piece, or was changed; the message names the file.
        """
        file = self.path / name
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        mend = "give another folder, or delete the file to have it made anew"
        try:
            content, found = unseal(data)
            result = load(content)
        except Exception as problem:
            raise ValueError(
                f"{file} is not what a run has written ({type(problem).__name__}: {problem}); {mend}"
            ) from problem
        if found.pop("run", None) != self._run:
            raise ValueError(f"{file} is of another run: of other data, another model or other settings; {mend}")
        if found != about:
            raise ValueError(f"{file} is another piece of this run: found {found}, expected {about}; {mend}")
        return result

    def write(self, name: str, content: bytes, **about: Any) -> None:
        """Write a piece and what it is about; one that is half written never has its name."""
        write_whole(self.path / name, seal(content, {"run": self._run, **about}))


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a nested record without their groups."""
    inner = [v if isinstance(v, dict) else {k: v} for k, v in record.items()]
    return {k: v for part in inner for k, v in part.items()}
