"""The folder of a run: what it was made from, and results that are there whole or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class RunFolder:
    """A folder that belongs to one run.

    Parameters
    ----------
    path : path
        The folder, which need not exist.
    made_from : dict
        What the results follow from; another run, which differs in any of it, is refused the folder.
    holds : str
        What the folder holds, for the message.

    Raises
    ------
    ValueError
        If the folder holds the results of another run, or is none.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], holds: str) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"folder {path}: there is a file of this name; give another folder") from None
        text = json.dumps(made_from, indent=1, sort_keys=True)
        before = self.read("run.json", lambda file: _flat(json.loads(file.read_text())))
        if before is None:
            self.write("run.json", lambda file: file.write_text(text))
        elif before != (now := _flat(json.loads(text))):
            differs = [key for key in {**now, **before} if before.get(key) != now.get(key)]
            raise ValueError(
                f"{path} holds {holds} of another run, which differs in {', '.join(differs)}; give another folder"
            )

    def read[Result](self, name: str, load: Callable[[Path], Result]) -> Result | None:
        """A file's content, or None where there is no file."""
        file = self.path / name
        if not file.exists():
            return None
        try:
            return load(file)
        except Exception as problem:
            raise ValueError(
                f"{file} is not what a run has written ({type(problem).__name__}: {problem}); give another folder, or "
                "delete the file to have it made anew"
            ) from problem

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        """Write a file; one that is half written never has its name."""
        part = self.path / f"{name}.part"
        save(part)
        part.replace(self.path / name)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a nested record without their groups."""
    inner = [v if isinstance(v, dict) else {k: v} for k, v in record.items()]
    return {k: v for part in inner for k, v in part.items()}
