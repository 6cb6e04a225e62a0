"""How a kernel takes segments: in blocks of as many as it has lanes."""

from dataclasses import dataclass

import numpy as np

from rlpymc.trials.segments import Segments


@dataclass(frozen=True)
class Blocks:
    """Segments in the order in which a kernel takes them: the longest first, as many side by side as it has lanes.

    Parameters
    ----------
    width : int
        Number of lanes.
    subject, first, end : (lane,) int
        Each segment's subject, first trial and end; the last block is filled up with segments without trials.
    offset : (block + 1,) int
        The first row of each block, where rows stand one after the other; the last one is their number.
    """

    width: int
    subject: np.ndarray
    first: np.ndarray
    end: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, segments: Segments, width: int | None = None) -> "Blocks":
        """Return the blocks of some segments, for so many lanes or as many as suit them."""
        first = segments.row[:, 0] % segments.place.shape[1]
        length = segments.exists.sum(axis=1)
        order = np.argsort(-length, kind="stable")
        width = width or suitable_width(length[order])
        n_spare = -len(order) % width
        lanes = np.concatenate([order, np.repeat(order[-1:], n_spare)])
        length = np.concatenate([length[order], np.zeros(n_spare, dtype=np.int64)])
        subject, first = segments.subject[lanes].astype(np.int64), first[lanes].astype(np.int64)
        end = first + length
        offset = np.concatenate([[0], np.cumsum((end - first)[::width])])
        return cls(width, subject, first, end, offset.astype(np.int64))

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.offset) - 1

    @property
    def longest(self) -> int:
        """Trials of the longest segment."""
        return int((self.end - self.first).max())

    @property
    def layout(self) -> list[np.ndarray]:
        """The arrays of `rlpymc.compiler.signature.LAYOUT`."""
        return [self.subject, self.first, self.end]


# What a row of so many lanes costs, in rows of one: between the values measured for delta and for rlwm.
COST = {1: 1.0, 2: 1.15, 4: 1.3, 8: 2.1}


def suitable_width(lengths: np.ndarray) -> int:
    """Number of lanes with which segments of these lengths, the longest first, cost least."""
    return min(COST, key=lambda width: COST[width] * int(lengths[::width].sum()))
