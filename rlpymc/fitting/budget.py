"""How much time a piece of work may take: it stops by itself, between two evaluations of a function."""

import time
from collections.abc import Callable


class OutOfTime(Exception):
    """There was not enough time to finish a piece of work."""


class Budget:
    """Time that runs out.

    Parameters
    ----------
    seconds : float
        How much there is, from now on.
    clock : callable
        Returns the time, in seconds.
    """

    def __init__(self, seconds: float = float("inf"), clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._end = clock, clock() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; below 0 if it took longer."""
        return self._end - self._clock()

    def within[**P, T](self, function: Callable[P, T]) -> Callable[P, T]:
        """Return a function that raises `OutOfTime` where it is called when no time is left."""

        def checked(*arguments: P.args, **options: P.kwargs) -> T:
            if self.left <= 0:
                raise OutOfTime
            return function(*arguments, **options)

        return checked
