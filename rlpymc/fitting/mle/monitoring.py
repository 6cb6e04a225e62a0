"""What is seen of a fit while it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Progress:
    """Where a fit stands after an iteration of the optimiser.

    Parameters
    ----------
    subject
        Label of the subject who is fitted; None where parameters are shared and all are fitted at once.
    search : int
        Which of the subject's searches this is; there is one from each starting point, and further ones from the best.
    iteration : int
        Of this search, from 1 on.
    log_lik : float
        Log likelihood of the trials; summed over subjects where all are fitted at once.
    test_log_lik : float or None
        The same of the trials given as `test`.
    params : dict of ndarray
        The parameters that are estimated as numbers, (*shape), or (subject, *shape) where all are fitted at once.
    """

    subject: Any
    search: int
    iteration: int
    log_lik: float
    test_log_lik: float | None
    params: dict[str, np.ndarray]


class Stopped(Exception):
    """A callback has stopped the fit at a point."""

    def __init__(self, x: np.ndarray) -> None:
        super().__init__("stopped by the callback")
        self.x = x


type Callback = Callable[[Progress], Any]
type LogLik = Callable[[np.ndarray, Mapping[str, np.ndarray]], float]


class Watch:
    """Tells a callback how a fit goes, and keeps what it told.

    Parameters
    ----------
    callback : callable, optional
        Is given a `Progress`; stops the fit by returning True.
    labels : sequence of str
        Of what is estimated of a subject.
    """

    def __init__(self, callback: Callback | None, labels: Sequence[str]) -> None:
        self._callback, self._labels = callback, list(labels)
        self._rows: list[list[Any]] = []

    def follow(
        self,
        subject: Any,
        log_lik: LogLik,
        test_log_lik: LogLik | None,
        params: Callable[[np.ndarray], dict[str, np.ndarray]],
        estimates: Callable[[np.ndarray], np.ndarray],
    ) -> "Follower":
        """Follower of the searches of one subject, or of all at once.

        Parameters
        ----------
        subject
            Label of the subject, or None.
        log_lik, test_log_lik : callable
            Take a point and the whole numbers.
        params, estimates : callable
            Return the parameters at a point, and the mean over subjects of what is estimated.
        """

        def report(search: int, iteration: int, x: np.ndarray, whole: Mapping[str, np.ndarray]) -> bool:
            test = None if test_log_lik is None else test_log_lik(x, whole)
            now = Progress(subject, search, iteration, log_lik(x, whole), test, params(x))
            self._rows.append([subject, search, iteration, now.log_lik, test, *estimates(x)])
            return self._callback is not None and self._callback(now) is True

        return Follower(report)

    def history(self) -> pd.DataFrame:
        """Return a row for each iteration."""
        columns = ["subject", "search", "iteration", "log_lik", "test_log_lik", *self._labels]
        return pd.DataFrame(self._rows, columns=columns)


class Follower:
    """Follows searches, one after the other."""

    def __init__(self, report: Callable[[int, int, np.ndarray, Mapping[str, np.ndarray]], bool]) -> None:
        self._report, self._search = report, 0

    def next_search(self, whole: Mapping[str, np.ndarray], scale: np.ndarray | float = 1.0) -> Callable[..., None]:
        """The function that an optimiser calls after each iteration of its next search.

        Raises
        ------
        Stopped
            When called, if the fit is to stop.
        """
        number, self._search, iteration = self._search, self._search + 1, 0

        def after(x: np.ndarray, *_: Any) -> None:
            nonlocal iteration
            iteration += 1
            if self._report(number, iteration, np.array(x), whole):
                raise Stopped(np.array(x))

        return after
