"""Doubts about a table: what it leaves open, and what changes the result if it is taken the wrong way."""

import warnings
from collections.abc import Iterable


class TrialsWarning(UserWarning):
    """Trials leave something open that matters for the result; the message names the call that answers it."""


def say(doubts: Iterable[str], stacklevel: int = 2) -> None:
    """Warn of each doubt, at the line of whoever called the function that calls this one."""
    for doubt in doubts:
        warnings.warn(doubt, TrialsWarning, stacklevel=stacklevel + 1)
