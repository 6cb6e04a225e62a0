"""Whether a posterior can be trusted, in plain words."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

from rlpymc.fitting.nuts import advice
from rlpymc.fitting.nuts.advice import Making
from rlpymc.fitting.nuts.disagreement import Disagreement, find
from rlpymc.fitting.nuts.entries import NAMED, Entry, listed, ranked, subjects, without_doubles
from rlpymc.model import Model
from rlpymc.population.population import OF_ONE_SUBJECT, Population
from rlpymc.trials.model_data import ModelData

AGREED = 1.01  # r_hat up to here (Vehtari et al. 2021)
ENOUGH = 100  # effective draws, for each chain


class SamplingWarning(UserWarning):
    """Something about a posterior, or a model before sampling, that its user should know."""


@dataclass(frozen=True)
class Diagnostics:
    """What the checks of a posterior found.

    Parameters
    ----------
    divergences : int
        Number of divergent transitions.
    r_hat : tuple of float and str
        The largest, and of what: ``(1.21, "alpha_neg of subject 7")``.
    ess : tuple of float and str
        The smallest effective sample size (bulk or tail), and of what.
    bfmi : float
        The smallest Bayesian fraction of missing information of a chain.
    problems : list of str
        What is wrong and what to do; empty if nothing is.
    kind : {"", "stuck", "modes", "flat", "slow"}
        How chains disagree, or fail to give enough effective draws, where they do; "" where they do not.  "stuck": a
        chain takes less than a tenth of the steps that others take.  "modes": draws gather in places between which
        chains go less than a tenth as often as they move about within them, or chains that are well mixed by themselves
        differ in where they are.  "flat": a number is all but a function of another one (a rank correlation of at least
        0.9 over all draws, or over a quarter at either end), of which data know a combination.  "slow": none of these;
        chains wander over one range, and more draws help.
    variable : str
        Where that shows: the variable, "" where chains agree,
    coords : mapping
        and its labels, such as ``{"subject": 7}``.
    subjects : tuple
        Whom it concerns: all subjects with a number whose r_hat is above 1.01, or whose effective draws are too few
        where r_hat is fine; the worst first.
    """

    divergences: int
    r_hat: tuple[float, str]
    ess: tuple[float, str]
    bfmi: float
    problems: list[str] = field(default_factory=list)
    kind: str = ""
    variable: str = ""
    coords: Mapping[str, Any] = field(default_factory=dict)
    subjects: tuple[Any, ...] = ()

    def __str__(self) -> str:
        head = (
            f"divergences {self.divergences}, largest r_hat {self.r_hat[0]:.3f} ({self.r_hat[1]}), "
            f"smallest ESS {self.ess[0]:.0f} ({self.ess[1]}), smallest BFMI {self.bfmi:.2f}"
        )
        return "\n".join([head, *(f"- {p}" for p in self.problems)])


def diagnose(fit: xr.DataTree) -> Diagnostics:
    """Check a posterior.

    Where chains disagree, the draws themselves tell how: each in a place of its own, or slowly over one range (see
    `Diagnostics`).  What is said to do about a problem has helped in fits that had it.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample` or `load`, or of a PyMC model of one's own, with or without subjects.

    Returns
    -------
    Diagnostics
        Divergences, r_hat, effective sample sizes, BFMI, and what to do about them.
    """
    posterior, making = fit["posterior"].to_dataset(), Making.of(fit)
    stats = fit["sample_stats"].to_dataset() if "sample_stats" in fit else xr.Dataset()
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    with warnings.catch_warnings():  # about variables that are constant, which do not count
        warnings.simplefilter("ignore", RuntimeWarning)
        r_hat = ranked(az.rhat(posterior))[::-1] if making.chains > 1 else []
        bulk, tail = (az.ess(posterior, method=method) for method in ("bulk", "tail"))
        ess = ranked(np.minimum(bulk, tail))
    bfmi = float(np.min(az.bfmi(fit)["energy"].values)) if "energy" in stats and making.draws > 3 else float("nan")
    problems = []
    if making.draws < 4:
        problems.append(f"too few draws to judge anything ({making.draws} in each chain); take at least some hundred.")
    if divergences:
        problems.append(
            f"{divergences} of {making.chains * making.draws} transitions diverged: parts of the posterior may be "
            f"missing. {advice.of_divergences(making)}"
        )
    if making.chains == 1:
        problems.append("one chain cannot show whether chains agree; use at least 4.")
    found, concerned, said = _disagreement(posterior, making, r_hat, ess)
    problems += said
    if bfmi < 0.3:
        problems.append(
            f"low BFMI ({bfmi:.2f}, should be above 0.3): the sampler moves slowly through the population's spread. "
            f"{advice.of_low_bfmi(making)}"
        )
    return Diagnostics(
        divergences,
        _named(r_hat, "all constant" if making.chains > 1 else "one chain only"),
        _named(ess, "all constant"),
        bfmi,
        problems,
        found.kind if found else "",
        found.entry.variable if found else "",
        found.entry.coords if found else {},
        tuple(subjects(concerned)),
    )


def _named(entries: Sequence[Entry], otherwise: str) -> tuple[float, str]:
    return (entries[0].value, str(entries[0])) if entries else (float("nan"), otherwise)


def _disagreement(
    posterior: xr.Dataset, making: Making, r_hat: Sequence[Entry], ess: Sequence[Entry]
) -> tuple[Disagreement | None, list[Entry], list[str]]:
    """Return how chains disagree, which numbers it concerns, and what to say of that and of few effective draws."""
    enough = ENOUGH * making.chains
    apart = [e for e in r_hat if e.value > AGREED]
    few = [e for e in ess if e.value < enough]
    if not apart and not few:
        return None, [], []
    concerned = without_doubles(apart or few, posterior)
    times = max([enough / e.value for e in few[:1]] + [(e.value - 1) / (AGREED - 1) * 1.5 for e in apart[:1]])
    found = find(posterior, concerned, (lambda e: e.value - 1) if apart else (lambda e: 1 / e.value))
    said = []
    if apart or found.kind != "slow":
        about = f"r_hat {found.entry.value:.3f}" if apart else f"{found.entry.value:.0f} effective draws"
        limit = f"below {AGREED}" if apart else f"above {enough}"
        where = _where(concerned, making, f"Above {AGREED}" if apart else f"Below {enough}")
        said.append(found.words(f"{about}, should be {limit}", making, times) + where)
    if few:
        said.append(
            f"few effective draws ({few[0].value:.0f} for {few[0]}, should be above {enough}): intervals and LOO are "
            f"noisy.{'' if said else ' ' + advice.of_few_draws(making, times, few[0].variable)}"
        )
    return found, concerned, said


def _where(concerned: Sequence[Entry], making: Making, how: str) -> str:
    """Return in words what else a disagreement concerns, if it is more than one number."""
    whom = subjects(concerned)
    parts = [f"{len(whom)} of {making.n_subjects} subjects ({listed(whom)})"] * (bool(whom) and making.n_subjects > 1)
    group = [str(e) for e in concerned if "subject" not in e.coords]
    parts += [", ".join(group[:NAMED]) + ", ..." * (len(group) > NAMED)] * bool(group)
    return f" {how}: {'; '.join(parts)}." if len(concerned) > 1 and parts else ""


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
