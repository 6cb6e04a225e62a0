"""What a fit of a population found: the group, the subjects, and marginal likelihoods."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from rlpymc.checks import check_seed, check_whole
from rlpymc.fitting.em import evidence
from rlpymc.fitting.em.e_step import Modes
from rlpymc.fitting.em.group import Designs, Group
from rlpymc.fitting.em.standard_errors import standard_errors
from rlpymc.fitting.em.statuses import statuses
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.fitting.values import by_subject, labelled
from rlpymc.model.parameter_vector import columns, dataset, entry_labels
from rlpymc.population.design import INTERCEPT


@dataclass(frozen=True)
class Made:
    """What a result was made of, for what is computed from it later on."""

    problem: Unbounded
    group: Group
    modes: Modes
    l2: float
    n_numbers: int
    n_scored: int


@dataclass(frozen=True, repr=False)
class EM:
    """A population model: the group that makes the data most probable, and each subject's parameters under it.

    Parameters
    ----------
    mu, sigma : xr.Dataset (*shape)
        Mean over subjects and standard deviation of each parameter that differs between them, on the unbounded scale.
    group : xr.Dataset (*shape)
        The parameters of a subject at `mu`, on the natural scale.
    cov : xr.DataArray (estimate, estimate_)
        Covariances over subjects, on the unbounded scale.
    coefficients : xr.Dataset (*shape, <name>_coefficient)
        What means are made of: an intercept, and what a formula has besides.
    se : xr.Dataset
        Standard errors, computed when they are first asked for: ``<name>_mu``, ``<name>_sigma`` and
        ``<name>_coefficients`` on the unbounded scale, with ``covariance="full"`` those of `cov`, and ``<name>`` of
        shared parameters on the natural scale.  They are from the curvature of the sum of `log_evidence` at the group
        that was found; see Notes.  NaN where there are none, and ``se.attrs["note"]`` says why: no sigma that the data
        do not tell from 0 (it is no larger than its standard error) has one, and nothing has where the prior is flat,
        the E step failed, or the log evidence does not fall off in all directions.
    params : xr.Dataset (subject, *shape)
        Every parameter at the subjects' modes, on the natural scale; those that are constant or shared, too.
    params_unbounded : xr.Dataset (subject, *shape)
        Those that were estimated, on the unbounded scale.
    hessian : xr.DataArray (subject, estimate, estimate_)
        Second derivatives of each subject's log joint density at the mode, on the unbounded scale.
    log_lik : xr.DataArray (subject,)
        Log likelihood at the modes.
    log_evidence : xr.DataArray (subject,)
        Laplace's approximation of each subject's log marginal likelihood; their sum is the population's.  NaN under a
        flat prior, and the log likelihood where no parameter differs between subjects.
    log_joint : float
        Log density of data and modes together, penalty included: what the E step maximises.
    bic_int : float
        -2 log p + k ln n, with log p the sum of `log_evidence`, n the number of scored responses, and k the numbers
        that describe the population: means or coefficients, standard deviations or covariances, entries of shared
        parameters.  Under a flat prior log p is the log likelihood and k is `n_free`.
    n_free : int
        How many numbers were estimated: those of all subjects, and the shared ones once.
    status : xr.DataArray (subject,) of str
        Of the last E step: "converged", "at a kink" (the gradient jumps next to the mode, as where a prediction error
        changes its sign, and `hessian` and what is made of it are not to be trusted), "flat direction" (the data do not
        tell, without a prior: the log likelihood falls by less than 0.05 over ten widths of the prior along the
        flattest direction, on one side or both), or "failed".
    converged : bool or None
        Whether the last round changed less than `tol`, and the last E step converged for everybody; None with
        ``tol=None`` or no rounds.
    history : pd.DataFrame (round,)
        Mean and standard deviation of the group after each round, the shared numbers, the sum of the log evidence
        before its M step (`objective`), the largest change of what describes the population (`change`), and for how
        many subjects the E step did not converge (`n_failed`).

    Notes
    -----
    Standard errors are from minus the second derivatives of the log evidence with respect to coefficients, logarithms
    of sigmas, correlations and what is shared, the modes of the subjects moving along.  The group that was found is
    close to the maximum of the log evidence (in groups of 30 subjects with 100 trials, 0.2 to 0.3 standard errors away
    on average) and not at it: they say how certain it is, and nothing of what Laplace's approximation makes too small,
    see `fit_em`.  An interval of a sigma is sigma exp(±1.96 se / sigma).  A subject whose log likelihood has a kink
    near the mode, or is so far from a parabola that third and fourth derivatives are no small correction, is taken to
    be normal around the mode, and named in the note.

    The source of the method's implementation takes log p from Monte Carlo, as `mc_marginal_logp` does, and counts
    names of shared parameters instead of their entries, and fixed parameters as well.
    """

    mu: xr.Dataset
    sigma: xr.Dataset
    group: xr.Dataset
    cov: xr.DataArray
    coefficients: xr.Dataset
    params: xr.Dataset
    params_unbounded: xr.Dataset
    hessian: xr.DataArray
    log_lik: xr.DataArray
    log_evidence: xr.DataArray
    log_joint: float
    bic_int: float
    n_free: int
    status: xr.DataArray
    converged: bool | None
    history: pd.DataFrame
    _made: Made = field(repr=False)

    @cached_property
    def se(self) -> xr.Dataset:
        """Standard errors of what describes the population: see `EM`."""
        made = self._made
        found = standard_errors(made.problem, made.group, made.modes, made.l2, self.status.values == "failed")
        entries, own, shared = made.problem.entries, list(map(str, self.mu)), [p.name for p in made.problem.shared]
        parts: dict[str, xr.DataArray] = {}
        for part, values in (("mu", found.mu), ("sigma", found.sigma)):
            parts |= {f"{name}_{part}": self.mu[name].copy(data=entries.pick(values, name)) for name in own}
        for name in map(str, self.coefficients):
            of_mean = np.reshape(found.coefficients[entries.places[name]], self.coefficients[name].shape)
            parts[f"{name}_coefficients"] = self.coefficients[name].copy(data=of_mean)
        row = np.concatenate([found.sigma, found.shared])  # laid out as rows of subjects are
        parts |= {str(k): v for k, v in dataset({name: entries.pick(row, name) for name in shared}).items()}
        if not made.group.diagonal:
            parts["cov"] = self.cov.copy(data=found.cov)
        return xr.Dataset(parts, attrs={"note": found.note})

    @property
    def coefficient_table(self) -> pd.DataFrame:
        """A row for each coefficient of parameters with formulas: estimate, se, z and p (normal, both sides)."""
        rows = {}
        for name, values in self.coefficients.items():
            labels = self.coefficients[f"{name}_coefficient"].values.tolist()
            if labels == [INTERCEPT] and not self._within(str(name)):
                continue
            errors = self.se[f"{name}_coefficients"].values
            for place in np.ndindex(values.shape):
                label = entry_labels(f"{name}_{labels[place[-1]]}", values.shape[:-1])
                entry = label[np.ravel_multi_index(place[:-1], values.shape[:-1]) if place[:-1] else 0]
                rows[entry] = {"estimate": float(values.values[place]), "se": float(errors[place])}
            for number in self._within(str(name)):
                estimate = self._made.modes.rows[0, self._made.problem.entries.places[number]]
                rows[number] = {"estimate": float(estimate[0]), "se": float(self.se[number])}
        found = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "se"]).rename_axis("coefficient")
        z = found["estimate"] / found["se"]
        return found.assign(z=z, p=2 * ndtr(-z.abs()))

    def _within(self, name: str) -> list[str]:
        """Return the coefficients of a parameter that are multiplied by what varies within subjects."""
        predictor = self._made.problem.predictors.get(name)
        common = [p.name for p in self._made.problem.shared]
        return [e.name for e in predictor.effects if e.name in common] if predictor else []

    def mc_marginal_logp(self, repetitions: int = 20, n_samples: int = 10_000, seed: int | None = 0) -> xr.Dataset:
        """Estimate the log marginal likelihood by Monte Carlo.

        Each subject's is the log of the mean likelihood over draws of that subject's parameters from the group.  At
        other means and standard deviations than those that were found: ``fit_em(..., start={"alpha_mu": ...,
        "alpha_sigma": ...}, iterations=0)``.

        Parameters
        ----------
        repetitions : int
            Number of independent estimates.
        n_samples : int
            Number of draws for each subject and estimate.
        seed : int, optional
            The same seed gives the same estimates.

        Returns
        -------
        xr.Dataset
            ``total`` (repetition,), the population's, in ascending order; ``by_subject`` (repetition, subject) in the
            same order; and ``bic_int`` (repetition,).  Estimates of a subject's are too low on average, the more so
            the less the group resembles the subject.

        Raises
        ------
        ValueError
            If the prior is flat, or there are less than one repetition or draw.
        """
        made = self._made
        check_whole(1, repetitions=repetitions, n_samples=n_samples)
        check_seed(seed)
        if made.group.flat and made.problem.n_own:
            raise ValueError("a flat prior is no distribution to draw from: there is no marginal likelihood")
        if not made.problem.n_own:  # nothing is drawn
            n_samples = 1
        found = evidence.monte_carlo(made.problem, made.group, made.modes.rows, made.l2, repetitions, n_samples, seed)
        return evidence.sorted_estimates(found, made.problem.data.subjects, made.n_numbers, made.n_scored)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a subject: parameters, log likelihood, log evidence, status."""
        found: dict[str, Any] = columns(by_subject(self.params))
        for name in ("log_lik", "log_evidence", "status"):
            found[name] = getattr(self, name).values
        return pd.DataFrame(found, index=pd.Index(self.params["subject"].values, name="subject"))

    def __repr__(self) -> str:
        return f"{self._title()}\n{self._table().to_string(float_format=lambda v: f'{v:.4g}', na_rep='')}"

    def _repr_html_(self) -> str:
        return f"<p>{self._title()}</p>" + self._table().to_html(float_format=lambda v: f"{v:.4g}", na_rep="")

    def _title(self) -> str:
        data, n_rounds = self._made.problem.data, len(self.history)
        n_failed, n_kinked = (int((self.status == status).sum()) for status in ("failed", "at a kink"))
        parts = [f"{data.model.name}, {data.shape[0]} subjects, {n_rounds} round{'' if n_rounds == 1 else 's'}"]
        parts += ["converged"] if self.converged else ["not converged"] if self.converged is False else []
        parts += [f"E step failed for {n_failed}"] if n_failed else []
        parts += [f"{n_kinked} at a kink"] if n_kinked else []
        flat = self._made.group.flat and self._made.problem.n_own
        value = (
            f"log likelihood {float(self.log_lik.sum()):.2f}"
            if flat
            else (f"log evidence {float(self.log_evidence.sum()):.2f}")
        )
        return f"{', '.join(parts)}; {value}, BIC_int {self.bic_int:.2f}"

    def _table(self) -> pd.DataFrame:
        """Return a row for each number that describes the population."""
        problem, group = self._made.problem, self._made.group
        row = np.concatenate([group.mu, self._made.modes.rows[0, problem.n_own :]])
        sigma = np.concatenate([group.sigma, np.full(problem.n_shared, np.nan)])
        natural = [problem.support(p).constrain(row[problem.entries.places[p.name]]) for p in problem.parameters]
        table = pd.DataFrame({"mu": row, "sigma": sigma, "group": np.concatenate([*natural, []])}, problem.labels)
        for name, values in self.coefficients.items():
            labels = values[f"{name}_coefficient"].values
            entries = entry_labels(str(name), values.shape[:-1]) if len(labels) > 1 else []
            for label, parts in zip(entries, values.values.reshape((-1, len(labels))), strict=False):
                for covariate, value in zip(labels, parts, strict=True):
                    table.loc[f"{label}: {covariate}"] = [value, np.nan, np.nan]
        return table


def collect(
    problem: Unbounded,
    group: Group,
    modes: Modes,
    designs: Designs,
    l2: float,
    history: pd.DataFrame,
    settled: bool | None,
) -> EM:
    """The result, by the names of parameters and subjects."""
    subjects, n, d = {"subject": problem.data.subjects}, problem.data.shape[0], problem.n_own
    own, labels, entries = [p.name for p in problem.own], problem.labels[: problem.n_own], problem.entries
    flat = group.flat and d > 0
    whole = np.concatenate([group.mu, modes.rows[0, d:]])
    shared = modes.rows[0, d:]
    n_group = sum(b.size for b in group.coefficients) + (d if group.diagonal else d * (d + 1) // 2)
    n_free = n * d + problem.n_shared
    n_numbers = n_free if flat else n_group + problem.n_shared
    n_scored = int(problem.data.masks["scored"].sum())
    log_evidence = evidence.laplace(modes, group)
    log_p = float(modes.log_lik.sum() if flat else log_evidence.sum())
    status = statuses(problem, modes, flat)

    def by_subject(values: np.ndarray) -> xr.DataArray:
        return xr.DataArray(values, coords=subjects, dims="subject")

    def of_group(row: np.ndarray) -> xr.Dataset:
        return dataset({name: entries.pick(row, name) for name in own})

    mu = of_group(whole)
    coefficients = {
        name: (
            (*mu[name].dims, f"{name}_coefficient"),
            np.reshape(group.coefficients[entries.places[name]], (*entries.shapes[name], -1)),
        )
        for name in own
        if designs.names[name]  # slopes have no mean of their own
    }
    return EM(
        mu=mu,
        sigma=of_group(group.sigma),
        group=dataset({p.name: np.asarray(problem.support(p).constrain(mu[p.name].values)) for p in problem.own}),
        cov=xr.DataArray(group.cov, coords={"estimate": labels, "estimate_": labels}, dims=("estimate", "estimate_")),
        coefficients=xr.Dataset(
            coefficients, coords={**mu.coords, **{f"{k}_coefficient": v for k, v in designs.names.items() if v}}
        ),
        params=labelled(problem.data, problem.parameters_at(modes.rows)),
        params_unbounded=dataset(
            {p.name: entries.pick(modes.rows, p.name) for p in problem.parameters}, problem.data.subjects
        ),
        hessian=xr.DataArray(
            modes.hessian,
            coords={**subjects, "estimate": labels, "estimate_": labels},
            dims=("subject", "estimate", "estimate_"),
        ),
        log_lik=by_subject(modes.log_lik),
        log_evidence=by_subject(log_evidence),
        log_joint=float(modes.log_joint.sum() - 0.5 * l2 * (shared**2).sum()),
        bic_int=float(evidence.bic_int(np.array(log_p), n_numbers, n_scored)),
        n_free=n_free,
        status=by_subject(status),
        converged=None if settled is None else bool(settled and (status != "failed").all() and modes.shared_converged),
        history=history,
        _made=Made(problem, group, modes, l2, n_numbers, n_scored),
    )
