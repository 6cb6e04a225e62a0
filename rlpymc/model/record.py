"""Values that are read by attribute, as model files read them."""

from types import SimpleNamespace
from typing import Any


class Record(SimpleNamespace):
    """What a model reads by attribute: parameters, state, a trial, facts."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no {name!r} here; there is: {', '.join(vars(self))}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name!r} cannot be assigned to; return the new state, as in {{{name!r}: ...}}")

    def replace(self, **values: Any) -> "Record":
        """Return a copy with some entries changed or added."""
        return Record(**{**vars(self), **values})
