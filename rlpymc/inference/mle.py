"""Maximum likelihood, one subject at a time, with SciPy and the exact gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.progress import track
from scipy.optimize import OptimizeResult, minimize
from threadpoolctl import threadpool_limits

from rlpymc.errors import unknown
from rlpymc.inference.coupled import check_coupled
from rlpymc.inference.objective import IMPOSSIBLE, Objective
from rlpymc.likelihood import check_backend
from rlpymc.model import Model
from rlpymc.parameters import Index
from rlpymc.population import Population
from rlpymc.registry import get_model
from rlpymc.sequences import Sequences, require_scored, sequences

METHODS = ("L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYQA")  # those that keep to bounds
DERIVATIVE_FREE = ("Nelder-Mead", "Powell", "COBYQA")
AT_BOUND = 1e-6  # distance from a bound, in units of the prior's width, that counts as on it
DRAWN = 100  # points looked at for each from which a search starts
APART = 0.3  # how far these are from each other, in diagonals of the cube of prior probabilities
POLISHED = 3  # different optima found roughly that are then found precisely
MOVED = 8  # points from which another one is looked for, where one parameter of the best is moved
GAIN = 1e-2  # by which optima differ, in nats
ROUGH = {"ftol": 1e-6, "gtol": 1e-4, "maxiter": 60}  # options of L-BFGS-B
PRECISE = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000}
FLAT = 1e-3  # curvature, in nats over the squared width of the prior, below which a direction is flat


@dataclass(frozen=True, repr=False)
class MLE:
    """Maximum-likelihood estimates, subject by subject.

    Parameters
    ----------
    params : xr.Dataset (subject, *shape)
        Every parameter, constants included.
    se : xr.Dataset (subject, *shape)
        Standard errors on the natural scale, of the parameters that were estimated; NaN at a bound, where there is
        none, and for all that a flat direction leaves open.
    cov : xr.DataArray (subject, estimate, estimate_)
        Covariances of the estimates, the inverse Hessian of the negative log likelihood.
    log_lik, aic, bic, pseudo_r2 : xr.DataArray (subject,)
        Log likelihood, information criteria, and McFadden's pseudo-R2: 1 - log_lik / (log likelihood of chance).
    status : xr.DataArray (subject,) of str
        "converged", "at a bound", "flat direction" (the data do not tell), or "failed".
    note : xr.DataArray (subject,) of str
        Which parameters the status is about.
    """

    params: xr.Dataset
    se: xr.Dataset
    cov: xr.DataArray
    log_lik: xr.DataArray
    aic: xr.DataArray
    bic: xr.DataArray
    pseudo_r2: xr.DataArray
    status: xr.DataArray
    note: xr.DataArray

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a subject: estimates, standard errors, log likelihood, criteria, status."""
        columns: dict[str, Any] = {}
        for name in self.params:
            for label, values in _entries(self.params[name]):
                columns[label] = values
            if name in self.se:
                for label, values in _entries(self.se[name]):
                    columns[f"{label}_se"] = values
        for name in ("log_lik", "aic", "bic", "pseudo_r2", "status", "note"):
            columns[name] = getattr(self, name).values
        return pd.DataFrame(columns, index=pd.Index(self.params["subject"].values, name="subject"))

    def __repr__(self) -> str:
        return self.to_dataframe().to_string(float_format=lambda v: f"{v:.4g}")

    def _repr_html_(self) -> str:
        return self.to_dataframe().to_html(float_format=lambda v: f"{v:.4g}")


def _entries(values: xr.DataArray) -> list[tuple[str, np.ndarray]]:
    """Return a column for each entry of a parameter, with its index where it is an array."""
    shape = values.shape[1:]
    return [
        (f"{values.name}[{','.join(map(str, k))}]" if shape else str(values.name), values.values[(slice(None), *k)])
        for k in np.ndindex(*shape)
    ]


def fit_mle(
    model: Model | str,
    trials: xr.Dataset,
    *,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    coupled: Sequence[Sequence[str]] = (),
    starts: int = 10,
    method: str | None = None,
    seed: int | None = 0,
    backend: str = "fused",
    mode: str = "NUMBA",
    progress: bool = True,
) -> MLE:
    """Fit each subject by maximum likelihood.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    fixed : mapping, optional
        Parameters to hold at a value: numbers, or arrays (subject, *shape).
    free : sequence of str
        Parameters to estimate that the model holds constant.
    coupled : sequence of sequences of str
        Groups of parameters that are equal, such as ``[("bias_wm", "bias_rl")]``: estimated as one.
    starts : int
        Number of starting points of each subject: the best of a hundred times as many, which fill the priors evenly,
        bounds included.
    method : str, optional
        A method of `scipy.optimize.minimize` that takes bounds.  Unless told, L-BFGS-B with the exact gradient; for
        choice rules that make the likelihood a staircase (epsilon_greedy), Nelder-Mead.
    seed : int, optional
        For the starting points.
    backend : {"fused", "scan"}
        What computes the likelihood.
    mode : {"NUMBA", "JAX", "quick", ...}
        How a scan is compiled; see `log_prob`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    MLE
        Estimates on the natural scale, within the supports' bounds, standard errors, criteria, and a status.
        Parameters that are whole numbers are profiled: each value is tried, and the best is kept.

    Raises
    ------
    ValueError
        If trials or parameters do not fit the model, or a subject has no scored trial.
    """
    check_backend(backend)
    data = sequences(get_model(model), trials)
    require_scored(data)
    if starts < 1:
        raise ValueError(f"starts: found {starts}, expected at least 1")
    if method is not None and method not in METHODS:
        raise unknown("method", method, METHODS)
    population = Population("none", fixed=fixed or {}, free=free)
    population.check(data)
    check_coupled(data, population, coupled)
    problem = Objective(data, population, backend, mode, coupled)
    method = method or ("L-BFGS-B" if all(rule.smooth for rule in data.model.rules) else "Nelder-Mead")
    cube, points = problem.spread_points(DRAWN * starts, np.random.default_rng(seed))
    label = f"{data.model.name}: maximum likelihood"
    with threadpool_limits(1):  # the optimiser's matrices are too small to be shared out
        fits = [
            _fit_subject(problem, i, starts, cube, points, method)
            for i in track(range(data.shape[0]), label, disable=not progress, transient=True)
        ]
    return _collect(problem, fits)


@dataclass(frozen=True)
class _Fit:
    """One subject's optimum, as a flat vector of what is estimated, and the whole numbers beside it."""

    x: np.ndarray
    whole: Mapping[str, np.ndarray]
    log_lik: float
    cov: np.ndarray
    status: str
    note: str


def _fit_subject(problem: Objective, i: int, starts: int, cube: np.ndarray, points: np.ndarray, method: str) -> _Fit:
    """Return the best optimum over whole numbers and starting points, with what can be said of it."""
    numbers = problem.whole_numbers()
    found = []

    def search(x: np.ndarray, k: int, options: dict[str, Any]) -> OptimizeResult:
        result = _search(problem.of_subject(i, numbers[k]), problem, x, method, options)
        result.whole = k
        return result

    for k, whole in enumerate(numbers):
        chosen = _apart(cube, problem.values(i, whole, points), starts if problem.estimated else 1)
        found += [search(points[j], k, ROUGH) for j in chosen]
    # what is best for one whole number may lead to what is best for another
    found = [search(r.x, k, PRECISE) for r in _different(found) for k in range(len(numbers))]
    best = min(found, key=lambda r: r.fun)
    while problem.estimated:  # as long as another value of a single parameter leads further
        moved = problem.moved(best.x)
        values = [(v, j, k) for k, whole in enumerate(numbers) for j, v in enumerate(problem.values(i, whole, moved))]
        other = min((search(moved[j], k, ROUGH) for _, j, k in sorted(values)[:MOVED]), key=lambda r: r.fun)
        if not other.fun < best.fun - GAIN:
            break
        best = min((search(other.x, k, PRECISE) for k in range(len(numbers))), key=lambda r: r.fun)
    whole = numbers[best.whole]
    function = problem.of_subject(i, whole)
    if best.fun >= IMPOSSIBLE:
        return _Fit(best.x, whole, -np.inf, np.full((best.x.size,) * 2, np.nan), "failed", "the data are impossible")
    if not problem.estimated:
        return _Fit(best.x, whole, -best.fun, np.zeros((0, 0)), "converged", "")
    cov, status, note = _describe(problem, function, best, method)
    return _Fit(best.x, whole, -best.fun, cov, status, note)


def _apart(cube: np.ndarray, values: np.ndarray, n: int) -> list[int]:
    """Return the n best points, each some way from those better than it as long as there are such."""
    order, chosen = np.argsort(values, kind="stable"), list[int]()
    nearest = np.full(len(cube), np.inf)  # distance of each point from those chosen
    for distance in (APART * np.sqrt(cube.shape[1]), 0.0):
        for k in order:
            if len(chosen) < n and nearest[k] > distance:
                chosen.append(int(k))
                nearest = np.minimum(nearest, np.linalg.norm(cube - cube[k], axis=1))
    return chosen


def _different(optima: list[OptimizeResult]) -> list[OptimizeResult]:
    """Return the best few optima that are not the same one found again."""
    found: list[OptimizeResult] = []
    for new in sorted(optima, key=lambda r: r.fun):
        if len(found) < POLISHED and all(abs(new.fun - old.fun) > GAIN for old in found):
            found.append(new)
    return found


def _search(function: Any, problem: Objective, x: np.ndarray, method: str, options: dict[str, Any]) -> OptimizeResult:
    """Return the optimum that a search from one point finds."""
    if not problem.estimated:
        return OptimizeResult(x=x, fun=function(x)[0])
    with_gradient = method not in DERIVATIVE_FREE
    return minimize(
        function if with_gradient else lambda x: function(x)[0],
        x,
        jac=True if with_gradient else None,
        method=method,
        bounds=problem.bounds,
        options=options if method == "L-BFGS-B" else {},
    )


def _describe(problem: Objective, function: Any, best: OptimizeResult, method: str) -> tuple[np.ndarray, str, str]:
    """Return the covariances of an optimum, its status, and which parameters that is about."""
    inside = (best.x - problem.bounds[:, 0] > AT_BOUND * problem.width) & (
        problem.bounds[:, 1] - best.x > AT_BOUND * problem.width
    )
    hessian = problem.hessian(function, best.x, inside)
    width = problem.width[inside]
    curvature, directions = np.linalg.eigh(hessian * np.outer(width, width))
    cov = np.full((best.x.size,) * 2, np.nan)
    if curvature.size and curvature[0] < FLAT:
        open_ = np.abs(directions[:, curvature < FLAT]).max(axis=1) > 0.1
        bound = f"; at a bound: {problem.names(np.flatnonzero(~inside))}" if not inside.all() else ""
        return cov, "flat direction", problem.names(np.flatnonzero(inside)[open_]) + bound
    cov[np.ix_(inside, inside)] = np.linalg.inv(hessian)
    if not inside.all():
        return cov, "at a bound", problem.names(np.flatnonzero(~inside))
    slope = np.abs(function(best.x)[1] * problem.width).max()
    if method not in DERIVATIVE_FREE and slope > 1e-3 * max(1.0, abs(best.fun)):
        return cov, "failed", f"gradient {slope:.2g} at the end: {best.message}"
    return cov, "converged", ""


def _collect(problem: Objective, fits: list[_Fit]) -> MLE:
    data = problem.data
    subject = {"subject": data.subjects}

    def dataset(names: list[str], value: Callable[[str, int], np.ndarray]) -> xr.Dataset:
        own = {k: tuple(f"{k}_dim_{d}" for d in range(len(problem.shapes[k]))) for k in names}
        stacked = {k: (("subject", *own[k]), np.stack([value(k, i) for i in range(len(fits))])) for k in names}
        return xr.Dataset(stacked, coords=subject)

    def by_subject(values: Any) -> xr.DataArray:
        return xr.DataArray(np.asarray(values), coords=subject, dims="subject")

    estimated = [p.name for p in problem.estimated]
    best = [problem.unflatten(f.x) | dict(f.whole) for f in fits]
    errors = [problem.unflatten(np.sqrt(np.diag(f.cov))) for f in fits]
    everything = [p.name for p in data.model.parameters]
    log_lik = np.array([f.log_lik for f in fits])
    k = len(problem.labels) + sum(int(np.prod(problem.shapes[p.name])) for p in problem.profiled)
    n = data.masks["scored"].reshape(data.shape[0], -1).sum(axis=1)
    return MLE(
        params=dataset(everything, lambda name, i: best[i][name] if name in best[i] else problem.constant(name, i)),
        se=dataset(estimated, lambda name, i: errors[i][name]),
        cov=xr.DataArray(
            np.stack([f.cov for f in fits]),
            coords={**subject, "estimate": problem.labels, "estimate_": problem.labels},
            dims=("subject", "estimate", "estimate_"),
        ),
        log_lik=by_subject(log_lik),
        aic=by_subject(2 * k - 2 * log_lik),
        bic=by_subject(k * np.log(n) - 2 * log_lik),
        pseudo_r2=by_subject(1 - log_lik / _chance(data)),
        status=by_subject([f.status for f in fits]),
        note=by_subject([f.note for f in fits]),
    )


def _chance(data: Sequences) -> np.ndarray:
    """Return each subject's log likelihood under uniform choices among what is on offer; NaN for other responses."""
    offered = []
    for response in data.model.responses:
        if not isinstance(response.kind, Index):
            return np.full(data.shape[0], np.nan)
        everything = np.full(data.shape, getattr(data.facts, response.kind.fact))
        offered.append(data.inputs["available"].sum(axis=2) if "available" in data.inputs else everything)
    scored = data.masks["scored"].reshape((*data.shape, -1))
    return -np.where(scored, np.log(np.stack(offered, axis=2)), 0.0).sum(axis=(1, 2))
