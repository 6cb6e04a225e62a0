"""A number of a source, and how this library comes by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Golden:
    """What a source says a result should be.

    Parameters
    ----------
    id : str
        Which number it is in the source.
    what : str
        In words.
    wanted : array-like
        The number or numbers.
    got : callable
        Computes them with this library.
    atol : float
        How far they may be apart: the digits that the source gives, or its statistical error.
    """

    id: str
    what: str
    wanted: Any
    got: Callable[[], Any]
    atol: float = 1e-9
