"""Maximum likelihood, one subject at a time, with SciPy and the exact gradient."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import xarray as xr
from rich.progress import track
from scipy.optimize import minimize

from rlpymc.errors import unknown
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.scan import Forward, core
from rlpymc.model import Facts, Model
from rlpymc.parameters import Parameter
from rlpymc.population import Population
from rlpymc.registry import get_model
from rlpymc.sequences import Segments, Sequences, require_scored, sequences

METHODS = ("L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYQA")  # those that keep to bounds
IMPOSSIBLE = 1e10  # stands for an infinite objective, with which a line search cannot work
AT_BOUND = 1e-6  # distance from a bound, in units of the prior's width, that counts as on it
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
    starts: int = 10,
    method: str | None = None,
    seed: int | None = 0,
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
    starts : int
        Number of starting points of each subject: the prior's median, and draws from the prior.
    method : str, optional
        A method of `scipy.optimize.minimize` that takes bounds.  Unless told, L-BFGS-B with the exact gradient; for
        choice rules that make the likelihood a staircase (epsilon_greedy), Nelder-Mead.
    seed : int, optional
        For the starting points.
    mode : {"NUMBA", "JAX", "quick", ...}
        How to compile; see `log_prob`.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    MLE
        Estimates on the natural scale, within the supports' bounds, standard errors, criteria, and a status.

    Raises
    ------
    ValueError
        If trials or parameters do not fit the model, or a subject has no scored trial.
    """
    data = sequences(get_model(model), trials)
    require_scored(data)
    if starts < 1:
        raise ValueError(f"starts: found {starts}, expected at least 1")
    if method is not None and method not in METHODS:
        raise unknown("method", method, METHODS)
    population = Population("none", fixed=fixed or {}, free=free)
    population.check(data)
    problem = _Problem(data, population, mode)
    method = method or ("L-BFGS-B" if all(rule.smooth for rule in data.model.rules) else "Nelder-Mead")
    rng = np.random.default_rng(seed)
    fits = [
        problem.fit(i, problem.starting_points(starts, rng), method)
        for i in track(
            range(data.shape[0]), f"{data.model.name}: maximum likelihood", disable=not progress, transient=True
        )
    ]
    return _collect(problem, fits)


@dataclass(frozen=True)
class _Fit:
    """One subject's optimum, as a flat vector of what is estimated."""

    x: np.ndarray
    log_lik: float
    cov: np.ndarray
    status: str
    note: str


class _Problem:
    """The negative log likelihood of one subject as a function of a flat vector."""

    def __init__(self, data: Sequences, population: Population, mode: str) -> None:
        self.data = data
        self.estimated = [p for p in data.model.parameters if population.is_free(p)]
        self.shapes = {p.name: data.parameter_shape(p.name) for p in data.model.parameters}
        self.sizes = [int(np.prod(self.shapes[p.name])) for p in self.estimated]
        self.priors = {p.name: population.prior(p) for p in self.estimated}
        self.constants = {
            p.name: population.constant(p, data) for p in data.model.parameters if p not in self.estimated
        }
        self.labels = [
            f"{p.name}[{','.join(map(str, k))}]" if self.shapes[p.name] else p.name
            for p in self.estimated
            for k in np.ndindex(*self.shapes[p.name])
        ]
        self.bounds = np.array([(p.support.lower, p.support.upper) for p in self._by_entry()]).reshape(-1, 2)
        quantiles = [self.priors[p.name].quantile([0.16, 0.5, 0.84]) for p in self._by_entry()]  # type: ignore[union-attr]
        self.median = np.array([q[1] for q in quantiles])
        self.width = np.array([(q[2] - q[0]) / 2 for q in quantiles])
        self._layout, self._rows = _padded_segments(data.segments, data.shape[0])
        names = tuple(p.name for p in self.estimated)
        self._function = _compiled_total(data.model, data.facts, self._layout, names, mode)

    def _by_entry(self) -> list[Parameter]:
        return [p for p, size in zip(self.estimated, self.sizes, strict=True) for _ in range(size)]

    def unflatten(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the estimated parameters by name."""
        parts = np.split(x, np.cumsum(self.sizes)[:-1]) if self.sizes else []
        return {p.name: part.reshape(self.shapes[p.name]) for p, part in zip(self.estimated, parts, strict=True)}

    def constant(self, name: str, i: int) -> np.ndarray:
        """Return a parameter that is not estimated, for one subject."""
        return self.constants[name][i]

    def starting_points(self, n: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the prior's median and draws from it."""
        drawn = [
            np.concatenate([np.ravel(self.priors[p.name].sample(rng, self.shapes[p.name])) for p in self.estimated])  # type: ignore[union-attr]
            for _ in range(n - 1 if self.estimated else 0)
        ]
        return [self.median, *drawn]

    def objective(self, i: int) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """Return the function of a flat vector that gives subject i's negative log likelihood and its gradient."""
        rows, used = self._rows[i]

        def pick(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(values.reshape((-1, *values.shape[2:]))[rows])

        model = self.data.model
        inputs = [pick(self.data.inputs[entry.name]) for entry in model.inputs]
        masks = [pick(self.data.masks[name]) & used for name in ("scored", "learned", "responded")]
        fixed = {name: np.array(self.constant(name, i)) for name in self.constants}

        def function(x: np.ndarray) -> tuple[float, np.ndarray]:
            values = {**fixed, **self.unflatten(x)}
            value, *slopes = self._function(*(values[p.name] for p in model.parameters), *inputs, *masks)
            gradient = -np.concatenate([np.ravel(s) for s in slopes]) if slopes else np.zeros(0)
            return (-float(value) if np.isfinite(value) else IMPOSSIBLE), gradient

        return function

    def fit(self, i: int, points: list[np.ndarray], method: str) -> _Fit:
        """Return the best optimum over starting points, with what can be said of it."""
        function = self.objective(i)
        if not self.estimated:
            value, _ = function(np.zeros(0))
            possible = value < IMPOSSIBLE
            status, note = ("converged", "") if possible else ("failed", "the data are impossible")
            return _Fit(np.zeros(0), -value if possible else -np.inf, np.zeros((0, 0)), status, note)
        options = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000} if method == "L-BFGS-B" else {}
        with_gradient = method not in ("Nelder-Mead", "Powell", "COBYQA")
        objective = function if with_gradient else lambda x: function(x)[0]
        jac = True if with_gradient else None
        results = [minimize(objective, x, jac=jac, method=method, bounds=self.bounds, options=options) for x in points]
        best = min(results, key=lambda r: r.fun)
        if best.fun >= IMPOSSIBLE:
            return _Fit(best.x, -np.inf, np.full((best.x.size,) * 2, np.nan), "failed", "the data are impossible")
        inside = (best.x - self.bounds[:, 0] > AT_BOUND * self.width) & (
            self.bounds[:, 1] - best.x > AT_BOUND * self.width
        )
        hessian = self._hessian(function, best.x, inside)
        width = self.width[inside]
        curvature, directions = np.linalg.eigh(hessian * np.outer(width, width))
        cov = np.full((best.x.size,) * 2, np.nan)
        if curvature.size and curvature[0] < FLAT:
            open_ = np.abs(directions[:, curvature < FLAT]).max(axis=1) > 0.1
            bound = f"; at a bound: {self._names(np.flatnonzero(~inside))}" if not inside.all() else ""
            note = self._names(np.flatnonzero(inside)[open_]) + bound
            return _Fit(best.x, -best.fun, cov, "flat direction", note)
        cov[np.ix_(inside, inside)] = np.linalg.inv(hessian)
        if not inside.all():
            return _Fit(best.x, -best.fun, cov, "at a bound", self._names(np.flatnonzero(~inside)))
        slope = np.abs(function(best.x)[1] * self.width).max()
        if with_gradient and slope > 1e-3 * max(1.0, abs(best.fun)):
            return _Fit(best.x, -best.fun, cov, "failed", f"gradient {slope:.2g} at the end: {best.message}")
        return _Fit(best.x, -best.fun, cov, "converged", "")

    def _names(self, which: np.ndarray) -> str:
        return ", ".join(self.labels[k] for k in which)

    def _hessian(
        self, function: Callable[..., tuple[float, np.ndarray]], x: np.ndarray, inside: np.ndarray
    ) -> np.ndarray:
        """Return central differences of the exact gradient, for what is not at a bound."""
        room = np.minimum(x - self.bounds[:, 0], self.bounds[:, 1] - x)
        columns = []
        for k in np.flatnonzero(inside):
            step = np.zeros_like(x)
            step[k] = min(1e-4 * self.width[k], room[k] / 2)
            columns.append((function(x + step)[1] - function(x - step)[1])[inside] / (2 * step[k]))
        hessian = np.array(columns).reshape(inside.sum(), inside.sum())
        return (hessian + hessian.T) / 2


def _padded_segments(
    segments: Segments, n_subjects: int
) -> tuple[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]]:
    """Return one layout that holds any one subject's segments, and each subject's rows and mask in it."""
    numbers = [np.flatnonzero(segments.subject == i) for i in range(n_subjects)]
    most = max(len(k) for k in numbers)
    found = []
    for own in numbers:
        repeated = np.concatenate([own, np.repeat(own[:1], most - len(own))])
        used = segments.exists[repeated] & (np.arange(most) < len(own))[:, None]
        found.append((segments.row[repeated], used))
    return (most, segments.row.shape[1]), found


@lru_cache(maxsize=16)
def _compiled_total(
    model: Model,
    facts: Facts,
    layout: tuple[int, int],
    estimated: tuple[str, ...],
    mode: str,
) -> Callable[..., list[np.ndarray]]:
    """Return the compiled sum of log probabilities over one subject's segments, and its gradient."""
    graph, everywhere = core(model, facts), np.ones(layout, dtype=bool)
    starts = np.zeros(layout, dtype=bool)
    starts[:, 0] = True
    params = {k: pt.tensor(k, shape=v.type.shape, dtype="float64") for k, v in graph.p.items()}
    inputs = {k: pt.tensor(k, shape=(*layout, *v.type.shape), dtype=v.type.dtype) for k, v in graph.x.items()}
    scored, learned, responded = (pt.tensor(m, shape=layout, dtype="bool") for m in ("scored", "learned", "responded"))
    segments = Segments.from_masks(everywhere, starts)
    forward = Forward(model, facts, segments, params, inputs, learned, responded)
    total = forward.log_prob(scored).sum()
    slopes = pt.grad(total, [params[k] for k in estimated], disconnected_inputs="ignore") if estimated else []
    arguments = [*params.values(), *inputs.values(), scored, learned, responded]
    return pytensor.function(
        arguments, [total, *slopes], mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
    )


def _collect(problem: _Problem, fits: list[_Fit]) -> MLE:
    data = problem.data
    subject = {"subject": data.subjects}

    def dataset(names: list[str], value: Callable[[str, int], np.ndarray]) -> xr.Dataset:
        own = {k: tuple(f"{k}_dim_{d}" for d in range(len(problem.shapes[k]))) for k in names}
        stacked = {k: (("subject", *own[k]), np.stack([value(k, i) for i in range(len(fits))])) for k in names}
        return xr.Dataset(stacked, coords=subject)

    def by_subject(values: Any) -> xr.DataArray:
        return xr.DataArray(np.asarray(values), coords=subject, dims="subject")

    estimated = [p.name for p in problem.estimated]
    best = [problem.unflatten(f.x) for f in fits]
    errors = [problem.unflatten(np.sqrt(np.diag(f.cov))) for f in fits]
    everything = [p.name for p in data.model.parameters]
    log_lik = np.array([f.log_lik for f in fits])
    k, n = len(problem.labels), data.masks["scored"].sum(axis=1)
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
    response = data.model.responses[0]
    if response.dtype != "int64" or len(data.model.responses) > 1:
        return np.full(data.shape[0], np.nan)
    offered = (
        data.inputs["available"].sum(axis=2) if "available" in data.inputs else getattr(data.facts, "n_actions", np.nan)
    )
    return -np.where(data.masks["scored"], np.log(offered), 0.0).sum(axis=1)
