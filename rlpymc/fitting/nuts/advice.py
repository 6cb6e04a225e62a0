"""What to do about a posterior's problems: what has helped in fits that had them, and nothing else.

Largest r_hat without and with what is advised, three seeds each:

- Two modes.  ``delta(rates=sign)+stickiness+lapse`` of 27 people (Fontanesi et al. 2019), whose start is held at 0:
  1.20, 1.37, 1.14, and 1.01 with ``shared=["q0"]``.  ``counterfactual`` with starts by person: 1.03, 1.24, 1.09, and
  1.00 to 1.01 with one for all.  Where the parameter is no start, one value for all gives 1.03 to 1.07, since others
  have two modes then.  One person alone: up to 1.45, and 1.01 with the parameter fixed or a prior that leaves one
  mode out.  Of no use for the second were twice the chains, tuning and draws, ``target_accept=0.95``,
  priors="small_samples" and narrower priors of the start (1.02 to 1.50); for the first, a prior of `alpha_neg` around
  the middle, and leaving out lapse or stickiness (1.07 to 1.42).
- A flat direction, in ``delta`` of four people without a population, with ``target_accept=0.8``: 1.01, 1.01, 1.01, 194
  to 284 effective draws of 4000, and 5 to 11 divergences; 1.00, 1825 to 2833 and none with one value for all, or a
  fixed one.  With 0.9: 1.01 at most, 224 to 678, and 0 to 4.
- Slow chains, in 20 simulated people under priors="wide": 1.01, 1.01, 1.02, and below 1.01 with three times the
  draws.
- Divergences, in five simulated people under priors="wide": 8, 23, 14 with ``target_accept=0.8``, and none with 0.95.
  In coordinates="centred" 537 to 686, and a BFMI of 0.13 to 0.18; none and 0.85 to 0.90 without; no better, or worse,
  with ``target_accept=0.95`` or priors of less spread.  In twenty people with parameters drawn from the weak priors of
  ``two_step_hybrid``, with inverse temperatures that may be in the hundreds: 2, 29, 14 with 0.8; 0, 6, 5 with 0.9;
  0, 1, 5 with 0.95.
- Low BFMI in a centred PyMC model of one's own (eight schools): 0.22 to 0.30; 0.15 to 0.33 with
  ``target_accept=0.95`` or priors of less spread, 0.91 to 1.01 when it is non-centred.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Self

import xarray as xr

from rlpymc.fitting.held_constants import CONSTANTS, telling
from rlpymc.fitting.nuts.entries import Entry
from rlpymc.population.population import OF_ONE_SUBJECT

NONCENTRED = "Write what differs between subjects as mean + sd * z, with z standard normal"

OF_PYMC = 0.8  # target_accept of pm.sample, unless told
MANY = 10  # times as many draws are no longer worth it


@dataclass(frozen=True)
class Making:
    """How a fit was made, as far as advice depends on it.

    Parameters
    ----------
    chains, draws : int
        How many there are.
    own : bool
        Whether it is of a PyMC model of one's own.
    n_subjects : int
        How many subjects the fit knows; 0 if it knows of none.
    alone : bool
        Whether there is a population, of one subject.
    chosen : str
        The coordinates, where they were asked for instead of the usual ones.
    target_accept : float
        The acceptance rate that was aimed at.
    free : tuple of str
        Constants of the model that were estimated by subject.
    constants : mapping of str, optional
        A sentence about each constant that matters; None if they were not tried.
    """

    chains: int
    draws: int
    own: bool
    n_subjects: int
    alone: bool
    chosen: str
    target_accept: float
    free: tuple[str, ...]
    constants: Mapping[str, str] | None

    @classmethod
    def of(cls, fit: xr.DataTree) -> Self:
        """Return what a fit says of its making."""
        posterior = fit["posterior"].to_dataset()
        record: dict[str, Any] = json.loads(fit.attrs.get("rlpymc", "{}"))
        n_subjects, coordinates = int(posterior.sizes.get("subject", 0)), str(fit.attrs.get("sampled_in", ""))
        return cls(
            chains=int(posterior.sizes["chain"]),
            draws=int(posterior.sizes["draw"]),
            own=not record,
            n_subjects=n_subjects,
            alone=n_subjects == 1 and any(f"{name}_sigma" in posterior for name in posterior.data_vars),
            chosen=coordinates if coordinates in ("centred", "noncentred") and not fit.attrs.get("why") else "",
            target_accept=float(record.get("sampler", {}).get("target_accept", OF_PYMC)),
            free=tuple(record.get("spec", {}).get("free", ())),
            constants=telling(fit.attrs[CONSTANTS]) if CONSTANTS in fit.attrs else None,
        )


def of_divergences(making: Making) -> str:
    """Return what to do about divergent transitions."""
    if making.alone:
        return f"{OF_ONE_SUBJECT}."
    if making.chosen == "centred":
        return _usual(making)
    nearer = 0.95 if making.target_accept < 0.95 else 0.99
    if making.own:
        return f"{NONCENTRED}, and take pm.sample(..., target_accept={nearer})."
    return f"Take sample(..., target_accept={nearer}); if some stay, fix what the data cannot tell."


def of_low_bfmi(making: Making) -> str:
    """Return what to do about energies that change too little from draw to draw."""
    if making.alone:
        return f"{OF_ONE_SUBJECT}."
    if making.own:
        return f"{NONCENTRED}; tighter priors of the sd and target_accept do not mend it."
    if making.chosen:
        return _usual(making)
    return "No setting is known to mend it; see whether another seed says the same of the *_sigma parameters."


def of_few_draws(making: Making, times: float, variable: str) -> str:
    """Return how many draws to take, of which so many times as many are needed because of a variable."""
    if making.chosen:
        return _usual(making)
    if times > MANY:
        return f"It would take {ceil(times)} times as many draws: fix {variable}, or give it a narrower prior."
    draws = ceil(times) * making.draws
    call = f"draws={draws}" if making.own else f"sample(..., draws={draws})"
    return f"Take {ceil(times)} times as many draws: {call}."


def of_stuck_chains(making: Making) -> str:
    """Return what to do about chains that hardly move."""
    return _usual(making) if making.chosen else "Sample again, with another seed; this fit is of no use."


def of_a_flat_direction(making: Making, entry: Entry, other: str) -> str:
    """Return what to do about a number and another variable at its place, of which data know a combination."""
    if making.own:
        return "Fix one of them, or give it one value for all."
    fixed = f"build(..., fixed={{{other!r}: ...}})"
    if "subject" not in entry.coords or making.n_subjects == 1:
        return f"Fix one of them: {fixed}."
    shared = f"build(..., pooling={{{other!r}: 'complete'}})"
    return f"Give one of them a single value for all, {shared}, or fix it; more draws and target_accept=0.95 help less."


def of_two_modes(making: Making, entry: Entry) -> str:
    """Return what to do about draws that gather in two places."""
    name = entry.variable
    for constant, sentence in (making.constants or {}).items():
        if constant != name:
            return (
                f"A constant that is wrong can make two of one: {sentence}. Estimate it, with one value for all: "
                f"build(..., shared=[{constant!r}])."
            )
    if making.own:
        return f"Give {name} a prior that leaves one of them out, or say the same in a model that has but one."
    if "subject" not in entry.coords or making.n_subjects == 1:
        return f"Fix {name}, or give it a prior that leaves one of them out: build(..., priors={{{name!r}: ...}})."
    if name in making.free:
        return f"Give {name} one value for all: build(..., shared=[{name!r}]), without free."
    look = "See whether something that the model holds constant makes them: rlpymc.constants(model, trials). "
    return (
        f"{look if making.constants is None else ''}With one value of {name} for all, build(..., shared=[{name!r}]), "
        "they are gone, but other parameters may have two instead; look at what this subject did."
    )


def _usual(making: Making) -> str:
    return f"Leave out coordinates={making.chosen!r}: those that sample chooses mend this."
