"""An expectation: what data should show if a model is to mean in them what it means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Expectation:
    """What a model takes for granted about data and cannot see violated by a single trial.

    Parameters
    ----------
    doubt : callable
        ``doubt(x, p, facts) -> str``: what speaks against it, with the call that mends it, or "".  x are the columns of
        all trials that are learned from, (trial, ...), those among them that the model does not read; p the constants.
    constants : tuple of str
        The constant parameters that it is about: where one is estimated, nothing is taken for granted.
    """

    doubt: Callable[[Any, Any, Any], str]
    constants: tuple[str, ...] = ()
