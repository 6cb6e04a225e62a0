"""The search for the best of many optima, from many starting points, with one method or, where it fails, another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, differential_evolution, dual_annealing, minimize

from rlpymc.checks import unknown
from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.monitoring import Follower, Stopped

METHODS = ("L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYQA")  # those that keep to bounds
DERIVATIVE_FREE = ("Nelder-Mead", "Powell", "COBYQA")
GLOBAL = {"differential_evolution": differential_evolution, "dual_annealing": dual_annealing}
IMPOSSIBLE = 1e10  # stands for an infinite objective, with which a line search cannot work
DRAWN = 100  # points looked at for each from which a search starts
APART = 0.3  # how far these are from each other, in diagonals of the cube of prior probabilities
POLISHED = 3  # different optima found roughly that are then found precisely
MOVED = 8  # points from which another one is looked for, where one parameter of the best is moved
GAIN = 1e-2  # by which optima differ, in nats
LEFT = 1e-4  # gradient, in nats over the prior's width, that a search leaves where the likelihood has a kink
FEW = 12  # entries for which a simplex is of use
SIMPLEX = 1e-2  # its size where the search at a kink begins, in units of the prior's width
POLISH = 1e-7  # gain, in nats, with which another simplex is worth a try

type Options = Mapping[str, Mapping[str, Any]]  # of methods by their names

ROUGH: Options = {"L-BFGS-B": {"ftol": 1e-6, "gtol": 1e-4, "maxiter": 60}}
PRECISE: Options = {"L-BFGS-B": {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000}}


@dataclass(frozen=True)
class Target:
    """What is to be minimised.

    Parameters
    ----------
    function : callable
        Takes a point, returns the value and the gradient there.
    values : callable
        Takes points, (point, entry), returns the values.
    bounds : (entry, 2)
        Within which points lie.
    whole : dict of ndarray
        The parameters that are whole numbers, which stay as they are.
    weight : float or (subject,)
        Their log probability, a part of the value.
    """

    function: Callable[[np.ndarray], tuple[float, np.ndarray]]
    values: Callable[[np.ndarray], np.ndarray]
    bounds: np.ndarray
    whole: Mapping[str, np.ndarray]
    weight: Any


@dataclass(frozen=True)
class Optimum:
    """Where a search has ended.

    Parameters
    ----------
    x, value : ndarray, float
        The point and the value there.
    target : Target
        Of what.
    message, note : str
        What the optimiser says, and which others had failed before it.
    stopped : bool
        Whether a callback has ended the search.
    """

    x: np.ndarray
    value: float
    target: Target
    message: str = ""
    note: str = ""
    stopped: bool = False

    @property
    def impossible(self) -> bool:
        """Whether the data are impossible even here."""
        return self.value >= IMPOSSIBLE / 2


class Interrupted(Exception):
    """A callback has stopped a search, at some point."""

    def __init__(self, optimum: Optimum) -> None:
        super().__init__("stopped by the callback")
        self.optimum = optimum


class Search:
    """How optima are searched for.

    Parameters
    ----------
    coordinates : Coordinates
        What a point is.
    method : str, optional
        A local method, or a global one, whose result a local method makes precise.
    smooth : bool
        Whether gradients are of use.
    starts : int
        From how many points local methods start.
    seed : int, optional
        For these points, and for global methods.
    """

    def __init__(
        self, coordinates: Coordinates, method: str | None, smooth: bool, starts: int, seed: int | None
    ) -> None:
        if method is not None and method not in (*METHODS, *GLOBAL):
            raise unknown("method", method, (*METHODS, *GLOBAL))
        self.coordinates, self.starts = coordinates, starts
        self._settings = method, smooth, starts, seed
        self.smooth = smooth
        self.whole_space = method if method in GLOBAL else None
        usable = METHODS if smooth else DERIVATIVE_FREE
        first = usable[:1] if method is None or self.whole_space else (method,)
        self.order = (*first, *(m for m in usable if m not in first))
        self.with_gradient = self.order[0] not in DERIVATIVE_FREE
        self.cube, self.points = coordinates.spread_points(DRAWN * starts, np.random.default_rng(seed))

    def over(self, coordinates: Coordinates) -> "Search":
        """Return a search with the same settings over other coordinates."""
        return Search(coordinates, *self._settings)

    def best(self, targets: Sequence[Target], follower: Follower | None = None) -> Optimum:
        """Return the best optimum of several functions of the same coordinates."""
        if not self.coordinates.size:
            return min((Optimum(self.points[0], t.function(self.points[0])[0], t) for t in targets), key=value_of)
        found: list[Optimum] = []
        try:
            return self._explore(targets, found, follower)
        except Interrupted as stop:
            return replace(min([*found, stop.optimum], key=value_of), stopped=True)

    def _explore(self, targets: Sequence[Target], found: list[Optimum], follower: Follower | None) -> Optimum:
        """Return the best optimum, and add all others to those found."""

        def search(x: np.ndarray, value: float, target: Target, options: Options) -> Optimum:
            found.append(self.local(target, x, value, options, follower))
            return found[-1]

        def polish(rough: Optimum) -> list[Optimum]:
            # what is best for one whole number may lead to what is best for another
            return [search(rough.x, rough.value if t is rough.target else np.inf, t, PRECISE) for t in targets]

        if self.whole_space:
            found += [self._anywhere(target, follower) for target in targets]
        else:
            for target in targets:
                values = target.values(self.points)
                for j in self.apart(values):
                    search(self.points[j], values[j], target, ROUGH)
        best = min((precise for rough in different(found) for precise in polish(rough)), key=value_of)
        while not self.whole_space:  # as long as another value of a single parameter leads further
            moved = self.coordinates.moved(best.x)
            ranked = sorted((v, j, k) for k, target in enumerate(targets) for j, v in enumerate(target.values(moved)))
            other = min((search(moved[j], v, targets[k], ROUGH) for v, j, k in ranked[:MOVED]), key=value_of)
            if not other.value < best.value - GAIN:
                break
            best = min(polish(other), key=value_of)
        found.append(best)
        return self.polished(best, follower)

    def polished(self, best: Optimum, follower: Follower | None = None) -> Optimum:
        """Return an optimum that is precise even at a kink, where searches with gradients end too early.

        Their line searches take the gradient on one side of the kink for that of the other.  A simplex asks for none.
        """
        if not self.smooth or best.x.size > FEW or slope_left(best, self.coordinates.width) <= LEFT:
            return best
        width, (lower, upper) = self.coordinates.width, best.target.bounds.T
        fine = {"xatol": 1e-9 * width.min(), "fatol": 1e-10, "maxfev": 1000 * width.size, "adaptive": True}
        while True:
            corners = best.x + SIMPLEX * np.diag(np.where(best.x + SIMPLEX * width <= upper, width, -width))
            simplex = np.clip(np.vstack([best.x, corners]), lower, upper)
            options = {"Nelder-Mead": {**fine, "initial_simplex": simplex}}
            found = self.local(best.target, best.x, best.value, options, follower, ("Nelder-Mead",))
            gain = best.value - found.value
            if gain > 0:
                best = replace(found, note=best.note)
            if not gain > POLISH:
                return best

    def apart(self, values: np.ndarray) -> list[int]:
        """Return the best points to start from, each some way from those better than it as long as there are such."""
        order, chosen = np.argsort(values, kind="stable"), list[int]()
        nearest = np.full(len(self.cube), np.inf)  # distance of each point from those chosen
        for distance in (APART * np.sqrt(self.cube.shape[1]), 0.0):
            for k in order:
                if len(chosen) < self.starts and nearest[k] > distance:
                    chosen.append(int(k))
                    nearest = np.minimum(nearest, np.linalg.norm(self.cube - self.cube[k], axis=1))
        return chosen

    def local(
        self,
        target: Target,
        x: np.ndarray,
        value: float,
        options: Options,
        follower: Follower | None = None,
        order: Sequence[str] | None = None,
    ) -> Optimum:
        """Return the optimum that a search from a point finds, with the first method that does not fail there.

        A method fails if it raises an exception of its own, or ends where it is worse than at the start.  Exceptions of
        the function and of the callback come through.
        """
        failures: list[str] = []
        order = self.order if order is None else order
        for method in order:
            try:
                result = _minimize(target, x, method, options, follower)
            except Stopped as stop:
                raise Interrupted(Optimum(stop.x, target.function(stop.x)[0], target)) from None
            except _FromOutside as outside:
                raise outside.problem from None
            except Exception as problem:
                if method == order[-1]:
                    raise  # all methods failed: the last one's exception says why
                failures.append(f"{method} failed ({type(problem).__name__}: {problem})")
                continue
            if np.isfinite(result.fun) and result.fun <= value + GAIN:
                note = f"{'; '.join(failures)}; {method} took over" if failures else ""
                return Optimum(result.x, float(result.fun), target, str(result.message), note)
            failures.append(f"{method} failed (ended at {-result.fun:.6g}, which is worse than its start)")
        return Optimum(x, float(value), target, note="; ".join(failures))

    def _anywhere(self, target: Target, follower: Follower | None) -> Optimum:
        """Return the optimum that a global method finds."""
        assert self.whole_space is not None
        own = {"polish": False} if self.whole_space == "differential_evolution" else {"no_local_search": True}
        try:
            result = GLOBAL[self.whole_space](
                lambda x: target.function(x)[0],
                self.coordinates.box(),
                rng=np.random.default_rng(self._settings[-1]),
                callback=follower and follower.next_search(target.whole),
                **own,
            )
        except Stopped as stop:
            raise Interrupted(Optimum(stop.x, target.function(stop.x)[0], target)) from None
        return Optimum(result.x, float(result.fun), target, str(result.message))


class _FromOutside(Exception):
    """An exception that does not come from an optimiser, on its way through one."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


def _marked[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose exceptions, unless they stop a fit, are marked as coming from outside."""

    def marked(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return function(*arguments, **options)
        except Stopped:
            raise
        except Exception as problem:
            raise _FromOutside(problem) from problem

    return marked


def value_of(optimum: Optimum) -> float:
    """Return the value of an optimum."""
    return optimum.value


def different(optima: list[Optimum]) -> list[Optimum]:
    """Return the best few optima that are not the same one found again."""
    found: list[Optimum] = []
    for new in sorted(optima, key=value_of):
        if len(found) < POLISHED and all(abs(new.value - old.value) > GAIN for old in found):
            found.append(new)
    return found


def slope_left(optimum: Optimum, width: np.ndarray) -> float:
    """Return the largest gradient over a width that points to what lies within bounds, in nats."""
    x, (lower, upper) = optimum.x, optimum.target.bounds.T
    step = optimum.target.function(x)[1] * width
    return float(np.abs((x - np.clip(x - step * width, lower, upper)) / width).max(initial=0.0))


def _minimize(
    target: Target, x: np.ndarray, method: str, options: Options, follower: Follower | None
) -> OptimizeResult:
    with_gradient, function = method not in DERIVATIVE_FREE, _marked(target.function)
    return minimize(
        function if with_gradient else lambda x: function(x)[0],
        x,
        jac=True if with_gradient else None,
        method=method,
        bounds=target.bounds,
        options=dict(options.get(method, {})),
        callback=follower and _marked(follower.next_search(target.whole)),
    )
