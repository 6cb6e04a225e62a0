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
        If the folder holds the results of another run.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], holds: str) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        record, text = path / "run.json", json.dumps(made_from, indent=1, sort_keys=True)
        if not record.exists():
            self.write("run.json", lambda file: file.write_text(text))
        elif record.read_text() != text:
            before, now = _flat(json.loads(record.read_text())), _flat(json.loads(text))
            differs = [key for key in {**now, **before} if before.get(key) != now.get(key)]
            raise ValueError(
                f"{path} holds {holds} of another run, which differs in {', '.join(differs)}; give another folder"
            )

    def write(self, name: str, save: Callable[[Path], Any]) -> None:
        """Write a file; one that is half written never has its name."""
        part = self.path / f"{name}.part"
        save(part)
        part.replace(self.path / name)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a nested record without their groups."""
    inner = [v if isinstance(v, dict) else {k: v} for k, v in record.items()]
    return {k: v for part in inner for k, v in part.items()}
