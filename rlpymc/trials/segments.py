"""What lies between resets, laid out side by side.

Given the parameters, segments are independent of each other, so likelihoods run them side by side: arrays (subject,
trial) become arrays (segment, position).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Segments:
    """Where each (subject, trial) stands among the segments; compares by content.

    Parameters
    ----------
    row : (segment, position) int
        Position in the flattened (subject, trial) arrays; what is past a segment's end repeats its last row.
    exists : (segment, position) bool
        False past a segment's end.
    subject : (segment,) int
        Whose segment it is.
    place : (subject, trial) int
        Position in the flattened (segment, position) arrays; 0 for padding.
    """

    row: np.ndarray
    exists: np.ndarray
    subject: np.ndarray
    place: np.ndarray

    @classmethod
    def from_masks(cls, exists: np.ndarray, reset: np.ndarray) -> "Segments":
        """Return the segments of trials with these masks, both (subject, trial)."""
        starts = reset & exists
        n, n_trials = exists.shape
        if exists.all() and not starts[:, 1:].any():  # quick where nothing is to be laid out
            row = np.arange(n * n_trials).reshape(exists.shape)
            return cls(row, exists, np.arange(n), row)
        subject, first = np.nonzero(starts)
        number = np.cumsum(starts.ravel()) - 1  # of the segment that each trial lies in; padding: the one before
        length = np.bincount(number[exists.ravel()], minlength=len(subject))
        position = np.arange(length.max())
        row = (subject * n_trials + first)[:, None] + np.minimum(position, length[:, None] - 1)
        inside = position < length[:, None]
        place = np.zeros(exists.size, dtype=np.int64)
        place[row[inside]] = np.flatnonzero(inside)
        return cls(row, inside, subject, place.reshape(exists.shape))

    @cached_property
    def _content(self) -> tuple[Any, ...]:
        arrays = (self.row, self.exists, self.subject, self.place)
        return tuple((a.shape, a.tobytes()) for a in arrays)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segments) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @cached_property
    def trivial(self) -> bool:
        """Whether the layout is that of the trials: one segment for each subject, all as long as the table."""
        return self.row.shape == self.place.shape and bool(
            (self.row == np.arange(self.row.size).reshape(self.row.shape)).all()
        )
