"""What is known before the data: how many actions and states there are, and where they lead."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlpymc.checks import array_of_numbers, check_finite, probabilities
from rlpymc.model.record import Record


class Facts(Record):
    """What is known before the data: numbers, and arrays of them; compares by content."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**{k: v if np.ndim(v) == 0 else np.asarray(v) for k, v in facts.items()})

    @property
    def _content(self) -> tuple[Any, ...]:
        return tuple((k, np.shape(v), np.asarray(v).tobytes()) for k, v in sorted(vars(self).items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and self._content == other._content

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self._content)


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with arrays as lists, which compare as a whole and can be written to a file."""
    return {k: np.asarray(v).tolist() if np.ndim(v) else v for k, v in facts.items()}


@dataclass(frozen=True)
class Fact:
    """An array that a model must know before the data.

    Parameters
    ----------
    name : str
        What it is called among the facts.
    shape : tuple of str or int
        Its axes, in numbers or by the names of other facts, which follow from it if they are not given.
    kind : {"real", "probabilities", "boolean"}
        What it holds: finite numbers, probabilities that sum to one over the last axis, or true and false.
    default : optional
        What each entry is unless it is given.
    """

    name: str
    shape: tuple[str | int, ...]
    kind: str = "real"
    default: float | bool | None = None

    def check(self, value: Any, known: dict[str, Any]) -> np.ndarray:
        """Return the array, and add to the known facts how long its axes are.

        Raises
        ------
        ValueError
            If its shape disagrees with what is known, or it holds something else; the message names the entry.
        """
        name, labels = f"facts[{self.name!r}]", tuple(str(axis).removeprefix("n_").rstrip("s") for axis in self.shape)
        array = array_of_numbers(name, value)
        if array.ndim != len(self.shape):
            raise ValueError(f"{name}: found shape {array.shape}, expected ({', '.join(map(str, self.shape))})")
        for axis, length in zip(self.shape, array.shape, strict=True):
            if isinstance(axis, str):
                known.setdefault(axis, length)
        shape = tuple(known[axis] if isinstance(axis, str) else axis for axis in self.shape)
        if array.shape != shape:
            raise ValueError(
                f"{name}: found shape {array.shape}, expected {shape}, which is ({', '.join(map(str, self.shape))})"
            )
        if self.kind == "probabilities":
            return probabilities(name, array, shape, labels)
        check_finite(name, array, labels)
        if self.kind == "boolean":
            if not np.isin(array, (0, 1)).all():
                raise ValueError(f"{name}: found {array[~np.isin(array, (0, 1))][0]:g}, expected true or false")
            return array.astype(bool)
        return array


def with_arrays(model: str, needed: Iterable[Fact], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with the arrays that a model needs, checked, and what follows from their shapes.

    Raises
    ------
    ValueError
        If one is missing or wrong; the message says how to give it.
    """
    found = dict(known)
    for fact in needed:
        if fact.name in known:
            found[fact.name] = fact.check(known[fact.name], found)
        elif fact.default is None:
            raise ValueError(
                f"{model} needs to know {fact.name}, an array ({', '.join(map(str, fact.shape))}): pass "
                f"read_trials(..., facts={{'{fact.name}': ...}}), or simulate in a task that gives it"
            )
        else:
            found[fact.name] = np.full([found[a] if isinstance(a, str) else a for a in fact.shape], fact.default)
    return found
