"""Which model how many people use: random-effects Bayesian model selection for a group.

    r ~ Dirichlet(1, ..., 1)            frequencies of the models among people
    m_n ~ Categorical(r)                the model of person n
    log p(y_n | m_n)                    given: the log evidences

Stephan et al. (2009), NeuroImage 46, 1004-1017; Rigoux et al. (2014), NeuroImage 84, 971-985.
Not `compare`, which asks how well one model predicts all: there, a few people may decide for a whole group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats
from scipy.integrate import quad
from scipy.special import digamma, expit, gammaln, logsumexp, softmax, xlogy

CONVERGED = 1e-10  # change of the counts in an iteration
MOST_ITERATIONS = 10_000


@dataclass(frozen=True, repr=False)
class GroupBMS:
    """What a group says about models.

    Parameters
    ----------
    alpha : pd.Series
        Counts of the Dirichlet distribution of the models' frequencies, by model.
    frequencies : pd.Series
        How frequent each model is expected to be among people.
    frequencies_sd : pd.Series
        Standard deviations of the frequencies.
    exceedance : pd.Series
        Probability that a model is more frequent than all others, if frequencies differ at all.
    protected_exceedance : pd.Series
        The same, allowing for the case that all models are equally frequent.
    bor : float
        Bayesian omnibus risk: the probability that all models are equally frequent.
    assignment : pd.DataFrame
        Probability of each model for each person, given the group.
    """

    alpha: pd.Series
    frequencies: pd.Series
    frequencies_sd: pd.Series
    exceedance: pd.Series
    protected_exceedance: pd.Series
    bor: float
    assignment: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a model."""
        columns = ("frequencies", "frequencies_sd", "exceedance", "protected_exceedance")
        return pd.DataFrame({name: getattr(self, name) for name in columns})

    def __repr__(self) -> str:
        head = f"{len(self.assignment)} subjects, probability that all models are equally frequent {self.bor:.3f}"
        return f"{head}\n{self.to_dataframe().to_string(float_format=lambda v: f'{v:.3f}')}"


def group_bms(log_evidences: pd.DataFrame | Mapping[str, Any]) -> GroupBMS:
    """Frequencies of models in a group, from each person's log evidence for each model.

    Parameters
    ----------
    log_evidences : DataFrame or mapping
        A row for each subject and a column for each model; or, by model, an array (subject,), a Series, or a
        DataArray with the dim subject.  In nats, higher is better: ``rl.loo(fit, "subject").elpd_i`` after
        `marginal_log_likelihood`, or ``rl.fit_em(...).log_evidence``; ``-mle.bic / 2`` is a rule of thumb, see Notes.
        Those with labels are lined up by label.

    Returns
    -------
    GroupBMS
        Frequencies, exceedance probabilities and their protected form, computed by variational Bayes.  Exceedance
        probabilities are integrals over Gamma variables of which the frequencies are the shares; nothing is drawn.

    Raises
    ------
    ValueError
        If there are fewer than two models, subjects differ between models, or an evidence is not a number.

    Notes
    -----
    Between nested models, ``-mle.bic / 2`` makes this sure of the wrong one.  Of 20 simulated groups of people who all
    had two learning rates it was sure that one rate is the more frequent (protected exceedance above 0.95) in 19; from
    integrated evidence two rates were the more frequent in all 20.  The notes of `fit_mle` say more.
    """
    table = _table(log_evidences)
    evidence = table.values - table.values.max(axis=1, keepdims=True)
    alpha, assignment = _variational(evidence)
    frequencies, total = alpha / alpha.sum(), alpha.sum()
    exceedance = _exceedance(alpha)
    # the free energies of "frequencies differ" and "all are equal" (Rigoux et al. 2014, eqs A.20 and A.17)
    equal = float((logsumexp(evidence, axis=1) - np.log(table.shape[1])).sum())
    bor = float(expit(equal - _free_energy(evidence, alpha, assignment)))

    def by_model(values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=table.columns, name=name)

    return GroupBMS(
        alpha=by_model(alpha, "alpha"),
        frequencies=by_model(frequencies, "frequencies"),
        frequencies_sd=by_model(np.sqrt(frequencies * (1 - frequencies) / (total + 1)), "frequencies_sd"),
        exceedance=by_model(exceedance, "exceedance"),
        protected_exceedance=by_model((1 - bor) * exceedance + bor / len(alpha), "protected_exceedance"),
        bor=bor,
        assignment=pd.DataFrame(assignment, index=table.index, columns=table.columns),
    )


def _table(given: Any) -> pd.DataFrame:
    """Return log evidences (subject, model), checked."""
    if not isinstance(given, pd.DataFrame):
        if not isinstance(given, Mapping):
            raise TypeError(
                f"log evidences come by model, {{'name': values}}, or as a table, not {type(given).__name__}"
            )
        names = [str(name) for name in given]
        if len(set(names)) < len(names):
            raise ValueError(f"log evidences: a model is there twice, of {', '.join(names)}")
        given = _aligned({name: _series(name, v) for name, v in zip(names, given.values(), strict=True)})
    if given.shape[1] < 2:
        raise ValueError(f"group_bms needs at least two models, found {given.shape[1]}")
    if not len(given):
        raise ValueError("group_bms needs at least one subject, found none")
    if not given.columns.is_unique or not given.index.is_unique:
        raise ValueError("log evidences: a model or a subject is there twice")
    for name in given:
        if not pd.api.types.is_numeric_dtype(given[name]):
            raise TypeError(f"log evidences of {name!r}: found {given[name].iloc[0]!r} among them, expected numbers")
    table = given.astype(float)
    wrong = ~np.isfinite(table.values)
    if wrong.any():
        i, k = np.argwhere(wrong)[0]
        raise ValueError(
            f"log evidence of model {table.columns[k]!r}, subject {table.index[i]!r}: found {table.values[i, k]}, "
            "expected a number; leave the subject out of all models, or fit again"
        )
    return table


def _series(name: str, values: Any) -> pd.Series:
    if isinstance(values, xr.DataArray):
        if values.dims != ("subject",):
            raise ValueError(f"log evidences of {name!r}: found dims {values.dims}, expected one by subject")
        values = values.to_series() if "subject" in values.coords else values.values
    if isinstance(values, pd.Series):
        return values
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"log evidences of {name!r}: found shape {array.shape}, expected (subject,)")
    return pd.Series(array)


def _aligned(columns: dict[str, pd.Series]) -> pd.DataFrame:
    """Return the columns of the same subjects side by side."""
    (first, one), *others = columns.items() or [("", pd.Series(dtype=float))]
    for name, other in others:
        if absent := [*one.index.difference(other.index, sort=False), *other.index.difference(one.index, sort=False)]:
            lacking = name if absent[0] in one.index else first
            raise ValueError(
                f"models {first!r} and {name!r} are of different subjects ({len(one)} and {len(other)}): {lacking!r} "
                f"has no subject {absent[0]!r}; give all models the same subjects"
            )
    return pd.DataFrame(columns) if not others else pd.DataFrame({k: v.reindex(one.index) for k, v in columns.items()})


def _variational(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (model,) and assignments (subject, model): Stephan et al. (2009)."""
    alpha = 1 + np.full(evidence.shape[1], len(evidence) / evidence.shape[1])
    for _ in range(MOST_ITERATIONS):
        assignment = softmax(evidence + digamma(alpha) - digamma(alpha.sum()), axis=1)
        before, alpha = alpha, 1 + assignment.sum(axis=0)
        if np.abs(alpha - before).max() < CONVERGED:
            return alpha, assignment
    raise RuntimeError("group_bms did not converge; look for subjects whose evidences are far from all others'")


def _free_energy(evidence: np.ndarray, alpha: np.ndarray, assignment: np.ndarray) -> float:
    """Return the lower bound of the log evidence of the group, where frequencies are Dirichlet(1, ..., 1)."""
    log_r = digamma(alpha) - digamma(alpha.sum())
    log_joint = gammaln(len(alpha)) + (assignment * (evidence + log_r)).sum()
    entropy_of_r = gammaln(alpha).sum() - gammaln(alpha.sum()) - ((alpha - 1) * log_r).sum()
    return float(log_joint + entropy_of_r - xlogy(assignment, assignment).sum())


def _exceedance(alpha: np.ndarray) -> np.ndarray:
    """Return the probability of each model to be the most frequent one.

    Frequencies are shares of independent Gamma variables, and the largest share belongs to the largest of these.
    """
    laws = [stats.gamma(a) for a in alpha]

    def largest(k: int) -> float:
        others = [law for j, law in enumerate(laws) if j != k]
        return float(quad(lambda p: np.prod([law.cdf(laws[k].ppf(p)) for law in others]), 0, 1, epsabs=1e-9)[0])

    return np.array([largest(k) for k in range(len(laws))])
