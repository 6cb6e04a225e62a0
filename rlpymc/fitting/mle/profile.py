"""The profile likelihood: how far the log likelihood falls as one estimate moves and all others follow."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri

from rlpymc.fitting.mle.search import DERIVATIVE_FREE, METHODS, PRECISE, Optimum, Options, Search, value_of

FALL = chdtri(1, 0.05) / 2  # nats, at the ends of an interval of 95 %
OPEN = 0.05  # nats, by which the log likelihood falls at least where the data tell something
REACH = 10.0  # how far it is followed where there is no bound, in units of the prior's width
FIRST = 0.01  # the first step, in the same units; each further one is twice as far from the estimate
CLOSE = 1e-3  # falls, in nats, that are as good as the same
FINE = 1e-5  # precision of the ends, in the same units
LED_ON = 5  # how often an end is moved further out because there is a better point elsewhere
SMALL = 30  # entries up to which minima are searched for elsewhere, too: of many subjects at once it takes too long
SPREAD, TRIED = 300, 10  # other points looked at there, and how many of them a minimum is searched for from

ENOUGH: Options = {**PRECISE, "Nelder-Mead": {"fatol": 1e-3, "xatol": 1e-4}}  # falls are known to a thousandth

type Elsewhere = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Reach:
    """How far an estimate can move.

    Parameters
    ----------
    interval : (2,)
        Where the profile log likelihood has fallen by `FALL`, or else the bounds.
    level : (2,)
        Where it has fallen by `OPEN`, or else the bounds.
    open : (2,) bool
        On which sides it falls by less than `OPEN` all the way.
    """

    interval: np.ndarray
    level: np.ndarray
    open: np.ndarray


class Profile:
    """The profile of a function around its minimum.

    Parameters
    ----------
    search : Search
        How minima are searched for.
    best : Optimum
        The minimum.
    width, box : (entry,), (entry, 2)
        The scale of each entry, and how far each is followed at least, within its bounds.
    elsewhere : callable
        Takes an entry and a point, and returns others, (point, entry), near which the profile may be better.
    scale : (entry,)
        What entries are multiplied by on the natural scale.

    Attributes
    ----------
    best : Optimum
        The best point that was met on the way, which may be better than the minimum given.
    """

    def __init__(
        self,
        search: Search,
        best: Optimum,
        width: np.ndarray,
        box: np.ndarray,
        elsewhere: Elsewhere,
        scale: np.ndarray,
    ) -> None:
        self.best, self._start, self._search, self._width = best, best, search, width
        self._others, self._scale, self._known = elsewhere, scale, dict[int, Reach]()
        lower, upper = best.target.bounds.T
        self._ends = np.stack(
            [
                np.clip(np.minimum(box[:, 0], best.x - REACH * width), lower, best.x),
                np.clip(np.maximum(box[:, 1], best.x + REACH * width), best.x, upper),
            ],
            axis=1,
        )

    def reach(self, k: int) -> Reach:
        """Return how far an entry can move."""
        if k not in self._known:
            bounds, found = self._start.target.bounds[k], np.empty((2, 2))
            sides = [self._crossings(k, end) for end in self._ends[k]]
            for side, crossings in enumerate(sides):
                found[:, side] = [*crossings, *[bounds[side]] * (2 - len(crossings))]
            level, interval = found * self._scale[k]
            self._known[k] = Reach(interval, level, open=np.array([not crossings for crossings in sides]))
        return self._known[k]

    def _crossings(self, k: int, end: float) -> list[float]:
        """Return where the profile has fallen by `OPEN` and by `FALL` on the way to an end, as far as it does."""
        start, width = float(self._start.x[k]), self._width[k]
        solved = {start: (0.0, self._start.x)}  # falls, and where the others are then

        def fall(v: float) -> float:
            if v not in solved:
                nearest = min(solved, key=lambda u: abs(u - v))
                optimum = self._at(k, v, solved[nearest][1])
                solved[v] = optimum.value - self._start.value, optimum.x
            return solved[v][0]

        crossings, inner, distance, led_on = list[float](), start, FIRST * width, 0
        while inner != end and len(crossings) < 2:
            outer = end if distance >= abs(end - start) else start + np.sign(end - start) * distance
            for level in (OPEN, FALL)[len(crossings) :]:
                while fall(outer) >= level:
                    crossing = brentq(lambda v: fall(v) - level, inner, outer, xtol=FINE * width)  # noqa: B023
                    other = None
                    if level == FALL and led_on < LED_ON:
                        fall(crossing)
                        other = self._elsewhere(k, crossing, solved[crossing][1])
                    if other is None or other.value - self._start.value > level - CLOSE:
                        crossings.append(crossing)
                        break
                    # from here on the others are better off elsewhere
                    led_on += 1
                    solved = {v: known for v, known in solved.items() if abs(v - start) < abs(crossing - start)}
                    solved[crossing], inner = (other.value - self._start.value, other.x), crossing
            inner, distance = outer, 2 * distance
        return crossings

    def _elsewhere(self, k: int, v: float, x: np.ndarray) -> Optimum | None:
        """Return the best minimum over all other entries that is not searched for near a point, if there is any."""
        if x.size == 1 or x.size > SMALL:
            return None
        points = self._others(k, np.where(np.arange(x.size) == k, v, x))
        points[:, k] = v
        best = np.argsort(self._start.target.values(points), kind="stable")[:TRIED]
        return min((self._at(k, v, points[j]) for j in best), key=value_of, default=None)

    def _at(self, k: int, v: float, x: np.ndarray) -> Optimum:
        """Return the minimum over all other entries, near some point."""
        target = self._start.target
        x, bounds = x.copy(), target.bounds.copy()
        x[k] = bounds[k] = v
        if x.size == 1:
            optimum = Optimum(x, target.function(x)[0], target)
        else:
            order = METHODS if self._search.smooth else DERIVATIVE_FREE
            optimum = self._search.local(replace(target, bounds=bounds), x, np.inf, ENOUGH, None, order)
        if optimum.value < self.best.value:
            self.best = replace(optimum, target=target, note=self._start.note)
        return optimum
