"""Whether a posterior can be trusted, in plain words."""

import warnings
from dataclasses import dataclass, field

import arviz as az
import numpy as np
import xarray as xr

from rlpymc.model import Model
from rlpymc.population.population import OF_ONE_SUBJECT, Population
from rlpymc.trials.model_data import ModelData


class SamplingWarning(UserWarning):
    """Something about a posterior, or a model before sampling, that its user should know."""


@dataclass(frozen=True)
class Diagnostics:
    """What the checks of a posterior found.

    Parameters
    ----------
    divergences : int
        Number of divergent transitions.
    r_hat : float
        The largest, and of which variable.
    ess : float
        The smallest effective sample size (bulk or tail), and of which variable.
    bfmi : float
        The smallest Bayesian fraction of missing information of a chain.
    problems : list of str
        What is wrong and what to do; empty if nothing is.
    """

    divergences: int
    r_hat: tuple[float, str]
    ess: tuple[float, str]
    bfmi: float
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = (
            f"divergences {self.divergences}, largest r_hat {self.r_hat[0]:.3f} ({self.r_hat[1]}), "
            f"smallest ESS {self.ess[0]:.0f} ({self.ess[1]}), smallest BFMI {self.bfmi:.2f}"
        )
        return "\n".join([head, *(f"- {p}" for p in self.problems)])


def diagnose(fit: xr.DataTree) -> Diagnostics:
    """Check a posterior.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.

    Returns
    -------
    Diagnostics
        Divergences, r_hat, effective sample sizes, BFMI, and what to do about them.
    """
    posterior, stats = fit["posterior"].to_dataset(), fit["sample_stats"].to_dataset()
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    with warnings.catch_warnings():  # about variables that are constant, which do not count
        warnings.simplefilter("ignore", RuntimeWarning)
        r_hat = _extreme(az.rhat(posterior), np.nanmax) if chains > 1 else (float("nan"), "one chain only")
        ess = min(_extreme(az.ess(posterior, method=m), np.nanmin) for m in ("bulk", "tail"))
    bfmi = float(np.min(az.bfmi(fit)["energy"].values)) if "energy" in stats and draws > 3 else float("nan")
    alone = posterior.sizes.get("subject") == 1 and any(f"{name}_sigma" in posterior for name in posterior.data_vars)
    problems = []
    if draws < 4:
        problems.append(f"too few draws to judge anything ({draws} in each chain); take at least some hundred.")
    if divergences:
        usual = "Give tighter priors, fix what the data cannot tell, or sample(..., target_accept=0.95)"
        problems.append(
            f"{divergences} of {chains * draws} transitions diverged: parts of the posterior may be missing. "
            f"{OF_ONE_SUBJECT if alone else usual}."
        )
    if chains == 1:
        problems.append("one chain cannot show whether chains agree; use at least 4.")
    elif r_hat[0] > 1.01:
        problems.append(
            f"chains disagree (r_hat {r_hat[0]:.3f} for {r_hat[1]}, should be below 1.01): sample longer "
            "(tune=2000, draws=2000); if it stays, the model has several solutions or a flat direction."
        )
    if ess[0] < 100 * chains:
        problems.append(
            f"few effective draws ({ess[0]:.0f} for {ess[1]}, should be above {100 * chains}): intervals and LOO are "
            "noisy. Take more draws."
        )
    if bfmi < 0.3:
        usual = "Give the *_sigma parameters tighter priors, or pool completely what hardly varies"
        problems.append(
            f"low BFMI ({bfmi:.2f}, should be above 0.3): the sampler moves slowly through the population's spread. "
            f"{OF_ONE_SUBJECT if alone else usual}."
        )
    return Diagnostics(divergences, r_hat, ess, bfmi, problems)


def _extreme(values: xr.Dataset, reduce: object) -> tuple[float, str]:
    """Return the extreme over all variables, and the variable's name; constants (NaN) do not count."""
    found = {str(k): float(reduce(v.values)) for k, v in values.data_vars.items() if np.isfinite(v.values).any()}  # type: ignore[operator]
    if not found:
        return float("nan"), "all constant"
    name = (max if reduce is np.nanmax else min)(found, key=lambda k: found[k])
    return found[name], name


def problems_before_sampling(data: ModelData, population: Population) -> list[str]:
    """Features of data and priors that make a posterior hard to get or to read."""
    return [*_group_problems(data, population), *_smoothness_problems(data.model)]


def _group_problems(data: ModelData, population: Population) -> list[str]:
    if data.shape[0] > 1 or not (pooled := [e.name for e in population.effects(data) if e.pooled]):
        return []
    return [
        f"one subject, {data.subjects[0].item()!r}, says nothing of how people differ: under partial pooling the "
        f"spread of {', '.join(pooled)} is as its prior has it, and slow to sample. {OF_ONE_SUBJECT}."
    ]


def _smoothness_problems(model: Model) -> list[str]:
    return [
        f"{rule.name} makes the likelihood a staircase in the learning parameters: its gradient is 0, and NUTS cannot "
        "see the steps. Use fit_mle to look at it, or softmax+lapse, the smooth alternative."
        for rule in model.rules
        if not rule.smooth
    ]
