"""Maximum-likelihood estimates and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.fitting.mle.coefficients import (
    by_parameter,
    errors_of_values,
    of_values,
    reported_cov,
    reported_intervals,
    table,
)
from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.uncertainty import Uncertainty
from rlpymc.fitting.values import by_subject, labelled
from rlpymc.model.parameter_vector import columns, dataset
from rlpymc.model.parameters import Index
from rlpymc.trials.model_data import ModelData

BOUNDS = ("lower", "upper")  # of an interval


@dataclass(frozen=True, repr=False)
class MLE:
    """Maximum-likelihood estimates, subject by subject; with priors, the posterior's mode.

    Each parameter is charged for the trials that it is estimated from.  A subject with k parameters of its own and n
    scored trials, one of N who share m further parameters or coefficients, has the criteria

        aic = 2 (k + m / N) - 2 log_lik
        bic = k log(n) + m / N log(n of all) - 2 log_lik

    so that their sums over subjects, in `totals`, are those of the whole fit, with shared parameters counted once.

    Parameters
    ----------
    params : xr.Dataset (subject, *shape)
        Every parameter, constants included; (subject, trial) of one whose formula varies within subjects.
    se : xr.Dataset (subject, *shape)
        Standard errors on the natural scale, of the parameters that were estimated; NaN at a bound, where there is
        none, and for all that a kink or a flat direction leaves open.  Of a parameter with a formula, those that follow
        from its coefficients' by the slope of the link.
    cov : xr.DataArray (subject, estimate, estimate_)
        Covariances of the estimates, the inverse Hessian of the negative log likelihood, less log prior or penalty.
        Where parameters are shared, of all subjects' estimates together: a subject's part of it.  In the place of a
        parameter with a formula stand its coefficients, on the unbounded scale.
    interval : xr.Dataset (subject, *shape, bound)
        Of estimates that have no standard error because of a kink, a plateau or a flat direction, the 95 % interval of
        the profile likelihood; NaN for others.  At its ends, "lower" and "upper", the log likelihood is 1.92 below the
        maximum, with all other estimates as good as they can be there.  Where it falls by less up to the end of the
        range (see `note`), this is the parameter's bound, which may be infinite.  With priors or a penalty, the same of
        their sum with the log likelihood.  NaN, too, where parameters are shared and more than 30 intervals, or those
        of more than 12 estimates with nothing but shared ones, would have to be searched for; the note says so.  Of a
        parameter with a formula, NaN: see `coefficient_table`.
    log_lik, aic, bic, pseudo_r2 : xr.DataArray (subject,)
        Log likelihood, information criteria, and McFadden's pseudo-R2: 1 - log_lik / (log likelihood of chance).
        Between nested models, BIC misses parameters that all people have, see the notes of `fit_mle`.
    status : xr.DataArray (subject,) of str
        "converged", "at a bound", "at a kink" (a sharp maximum, where the gradient jumps: a prediction error changes
        its sign, for example), "flat direction" (the data do not tell), "stopped" (by the callback), or "failed".  A
        maximum may also be a plateau, as where choice rules make the likelihood a staircase: that has converged, is
        noted, and has an interval.
    note : xr.DataArray (subject,) of str
        Which parameters the status is about, and which methods failed before another took over.  Of a flat direction,
        the values between which the profile log likelihood falls by less than 0.05 from its maximum; they reach to at
        least one end of the parameter's range.  Where there is no bound, the range ends where the farthest starting
        points are, or ten times as far from the estimate as the prior is wide, whichever is farther.  In notes
        ``alpha_centre`` is the intercept of the formula of ``alpha`` where columns are at their means.
    totals : pd.Series
        Of the whole fit: log_lik, n_params, n_trials, aic, bic; with priors log_posterior, those of shared parameters
        counted once.
    log_posterior : xr.DataArray (subject,) or None
        With priors, the log likelihood plus the log density of the priors of the subject's own parameters, on the
        natural scale.
    test_log_lik : xr.DataArray (subject,) or None
        Log likelihood of the trials given as `test`.
    history : pd.DataFrame or None
        With `test` or a callback, a row for each iteration of the optimiser: subject, search, iteration, log_lik,
        test_log_lik, and the estimates, see `rlpymc.fitting.mle.monitoring.Progress`; means over subjects where all are
        fitted at once.
    coefficients : xr.Dataset (*shape, <name>_coefficient)
        With formulas, what parameters depend on, on the unbounded scale: ``Intercept``, where all columns are 0, and
        the columns, named as in `build`.
    coefficients_se : xr.Dataset (*shape, <name>_coefficient)
        Their standard errors, from the observed information; NaN as those of shared parameters are.
    coefficient_table : pd.DataFrame
        A row for each of them: estimate, standard error, z and p value of Wald's test against 0 (NaN with a penalty),
        and the ends of an interval of 95 %: 1.96 standard errors around the estimate, or, where a kink, a plateau or a
        flat direction leaves none, of the profile likelihood, see `interval`; it is NaN for an intercept beside
        columns, which does not move alone.
    """

    params: xr.Dataset
    se: xr.Dataset
    cov: xr.DataArray
    interval: xr.Dataset
    log_lik: xr.DataArray
    aic: xr.DataArray
    bic: xr.DataArray
    pseudo_r2: xr.DataArray
    status: xr.DataArray
    note: xr.DataArray
    totals: pd.Series
    log_posterior: xr.DataArray | None = None
    test_log_lik: xr.DataArray | None = None
    history: pd.DataFrame | None = None
    coefficients: xr.Dataset = field(default_factory=xr.Dataset)
    coefficients_se: xr.Dataset = field(default_factory=xr.Dataset)
    coefficient_table: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a subject: estimates, standard errors, log likelihood, criteria, status.

        Where an interval takes the place of somebody's standard error, it stands behind the standard errors.
        Coefficients, the same in each row, stand behind all parameters.
        """
        return self._by_subject(with_coefficients=True)

    def _by_subject(self, with_coefficients: bool) -> pd.DataFrame:
        found: dict[str, Any] = {}
        for name in by_subject(self.params):
            found |= columns(self.params[[name]])
            if name in self.se:
                found |= columns(self.se[[name]], "_se")
            if name in self.interval and self.interval[name].notnull().any():
                for bound in BOUNDS:
                    found |= columns(self.interval[[name]].sel(bound=bound), f"_{bound}")
        for label, row in self.coefficient_table.iterrows() if with_coefficients else ():
            found |= {str(label): row["estimate"], f"{label}_se": row["se"]}
        for name in ("log_lik", "log_posterior", "test_log_lik", "aic", "bic", "pseudo_r2", "status", "note"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name).values
        return pd.DataFrame(found, index=pd.Index(self.params["subject"].values, name="subject"))

    def __repr__(self) -> str:
        return "\n\n".join(table.to_string(float_format=lambda v: f"{v:.4g}") for table in self._tables())

    def _repr_html_(self) -> str:
        return "".join(table.to_html(float_format=lambda v: f"{v:.4g}") for table in self._tables())

    def _tables(self) -> list[pd.DataFrame]:
        found = [] if self.coefficient_table.empty else [self.coefficient_table]
        return [*found, self._by_subject(with_coefficients=False)]


@dataclass(frozen=True)
class Fit:
    """Everybody's optimum.

    Parameters
    ----------
    points : (subject, entry)
        What is estimated, as flat vectors.
    params : dict of (subject, *shape)
        Every parameter.
    log_lik : (subject,)
        Log likelihoods.
    weight : (subject,)
        Log probability of everybody's whole numbers.
    uncertainties : sequence of Uncertainty
        What can be said of each.
    shared : (entry,) bool
        Which entries are the same for all.
    n_whole : int
        How many whole numbers a subject has.
    """

    points: np.ndarray
    params: dict[str, np.ndarray]
    log_lik: np.ndarray
    weight: np.ndarray
    uncertainties: Sequence[Uncertainty]
    shared: np.ndarray
    n_whole: int


def criteria(log_lik: np.ndarray, n_own: int, n_shared: int, n_trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's AIC and BIC, see `MLE`, given how many parameters are whose and scored trials are there."""
    part = n_shared / len(n_trials)
    aic = 2 * (n_own + part) - 2 * log_lik
    return aic, n_own * np.log(n_trials) + part * np.log(n_trials.sum()) - 2 * log_lik


def estimates(
    data: ModelData,
    coordinates: Coordinates,
    fit: Fit,
    with_priors: bool,
    test_log_lik: np.ndarray | None,
    history: pd.DataFrame | None,
) -> MLE:
    """Return the estimates that a fit has found.

    Parameters
    ----------
    data : ModelData
        The data.
    coordinates : Coordinates
        What is estimated.
    fit : Fit
        The optimum.
    with_priors : bool
        Whether it is the posterior's mode.
    test_log_lik, history
        See `MLE`.
    """
    labels = coordinates.labels
    subject, n_subjects = {"subject": data.subjects}, data.shape[0]

    def by_subject(values: Any) -> xr.DataArray:
        return xr.DataArray(np.asarray(values), coords=subject, dims="subject")

    cov = np.stack([u.cov for u in fit.uncertainties])
    errors, cov = errors_of_values(coordinates, fit.points, cov), reported_cov(coordinates, cov)
    ends = np.stack([u.interval for u in fit.uncertainties])
    intervals = [dataset(of_values(coordinates, end), data.subjects) for end in np.moveaxis(ends, 2, 0)]
    n = data.masks["scored"].reshape(n_subjects, -1).sum(axis=1)
    n_shared = int(fit.shared.sum())
    n_own = coordinates.size - n_shared + fit.n_whole
    aic, bic = criteria(fit.log_lik, n_own, n_shared, n)
    totals = {"log_lik": fit.log_lik.sum(), "n_params": n_own * n_subjects + n_shared, "n_trials": n.sum()}
    log_posterior = None
    if with_priors:
        added = coordinates.added(fit.points)[0]
        log_posterior = fit.log_lik + fit.weight + added[:, ~fit.shared].sum(axis=1)
        totals["log_posterior"] = log_posterior.sum() + added[0, fit.shared].sum()
    reported, of_reported = coordinates.reported @ fit.points[0], np.sqrt(np.diag(cov[0]))
    limits = reported_intervals(coordinates, ends[0])
    return MLE(
        params=labelled(data, {p.name: fit.params[p.name] for p in data.model.parameters}),
        se=labelled(data, errors),
        cov=xr.DataArray(
            cov,
            coords={**subject, "estimate": labels, "estimate_": labels},
            dims=("subject", "estimate", "estimate_"),
        ),
        interval=xr.concat(intervals, pd.Index(BOUNDS, name="bound")).transpose(..., "bound"),
        log_lik=by_subject(fit.log_lik),
        aic=by_subject(aic),
        bic=by_subject(bic),
        pseudo_r2=by_subject(1 - fit.log_lik / _chance(data)),
        status=by_subject([u.status for u in fit.uncertainties]),
        note=by_subject([u.note for u in fit.uncertainties]),
        totals=pd.Series({**totals, "aic": aic.sum(), "bic": bic.sum()}, name="total"),
        log_posterior=None if log_posterior is None else by_subject(log_posterior),
        test_log_lik=None if test_log_lik is None else by_subject(test_log_lik),
        history=history,
        coefficients=by_parameter(coordinates, reported),
        coefficients_se=by_parameter(coordinates, of_reported),
        coefficient_table=table(coordinates, reported, of_reported, limits, tested=not coordinates.penalised),
    )


def _chance(data: ModelData) -> np.ndarray:
    """Return each subject's log likelihood under uniform choices among what is on offer; NaN for other responses."""
    offered = []
    for response in data.model.responses:
        if not isinstance(response.kind, Index):
            return np.full(data.shape[0], np.nan)
        everything = np.full(data.shape, getattr(data.facts, response.kind.fact))
        offered.append(data.inputs["available"].sum(axis=2) if "available" in data.inputs else everything)
    scored = data.masks["scored"].reshape((*data.shape, -1))
    return -np.where(scored, np.log(np.stack(offered, axis=2)), 0.0).sum(axis=(1, 2))
