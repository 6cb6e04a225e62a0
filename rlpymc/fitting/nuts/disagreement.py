"""Where chains disagree most, about whom, and how: in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from rlpymc.fitting.nuts import advice
from rlpymc.fitting.nuts.advice import Making
from rlpymc.fitting.nuts.entries import SAMPLES, Entry, is_part
from rlpymc.fitting.nuts.modes import TIED, Gap, gap, stay_apart, stuck, tie

MOST = 30  # numbers that are looked at, the worst ones
NEARLY = 0.5  # of how far the worst is off; what is off by less may follow from it
FEWEST = 100  # draws that tell how chains disagree


@dataclass(frozen=True)
class Disagreement:
    """How chains disagree.

    Parameters
    ----------
    kind : {"stuck", "modes", "flat", "slow"}
        As in modes.py.
    entry : Entry
        The number where it shows.
    draws : (chain, draw)
        Its draws.
    gap : Gap, optional
        Between two modes, unless they overlap.
    other : str
        In a flat direction, the variable that trades off against it.
    """

    kind: str
    entry: Entry
    draws: np.ndarray
    gap: Gap | None = None
    other: str = ""

    def words(self, measure: str, making: Making, times: float) -> str:
        """Return what is wrong and what to do about it.

        Parameters
        ----------
        measure : str
            By what it was found.
        making : Making
            How the fit was made.
        times : float
            How many times as many draws chains need that are only slow.
        """
        if self.kind == "stuck":
            return (
                f"{_chains(stuck(self.draws))} hardly moved (in {self.entry}, {measure}), and gave no draws of the "
                f"posterior. {advice.of_stuck_chains(making)}"
            )
        if self.kind == "modes":
            head = f"{self.entry} has two modes" if self.gap else f"chains differ in {self.entry}"
            where = _places(self.gap) if self.gap else _ranges(self.draws)
            return f"{head} ({measure}): {where} {advice.of_two_modes(making, self.entry)}"
        if self.kind == "flat":
            other = replace(self.entry, variable=self.other)
            return (
                f"{self.entry} and {other} trade off ({measure}): along a line the data hardly tell one point from "
                f"another. {advice.of_a_flat_direction(making, self.entry, self.other)}"
            )
        return (
            f"chains disagree in {self.entry} ({measure}): they move too slowly to have been everywhere often enough. "
            f"{advice.of_few_draws(making, times, self.entry.variable)}"
        )


def find(posterior: xr.Dataset, entries: Sequence[Entry], off: Callable[[Entry], float]) -> Disagreement:
    """Return how chains disagree that do so.

    Parameters
    ----------
    posterior : xr.Dataset
        The draws.
    entries : sequence of Entry
        The numbers in which they do, the worst first.
    off : callable
        Returns how far off one is.
    """
    near = [(e, e.draws(posterior)) for e in entries[:MOST] if off(e) >= NEARLY * off(entries[0])]
    if posterior.sizes["draw"] < FEWEST:
        return Disagreement("slow", *near[0])
    for e, draws in near:
        if stuck(draws):
            return Disagreement("stuck", e, draws)
    for e, draws in near:
        if between := gap(draws):
            return Disagreement("modes", e, draws, between)
    for e, draws in near:
        if stay_apart(draws):
            return Disagreement("modes", e, draws)
    for e, draws in near:
        if other := _other(posterior, e, draws):
            return Disagreement("flat", e, draws, other=other)
    return Disagreement("slow", *near[0])


def _other(posterior: xr.Dataset, entry: Entry, draws: np.ndarray) -> str:
    """Return the parameter that trades off against another one, at its place, or ""."""
    if is_part(entry.variable, posterior):
        return ""
    alike = [str(name) for name, v in posterior.data_vars.items() if {*v.dims} == {*SAMPLES, *entry.at}]
    others = [name for name in alike if name != entry.variable and not is_part(name, posterior)]
    ties = {name: abs(tie(draws, entry.draws(posterior, name))) for name in others}
    found = max(others, key=lambda name: ties[name], default="")
    return found if ties.get(found, 0.0) >= TIED else ""


def _chains(which: Sequence[int]) -> str:
    return f"chain{'s' * (len(which) > 1)} {', '.join(map(str, which))}"


def _places(between: Gap) -> str:
    """Return in words where chains are, and what it takes to know how likely each place is."""
    low, high = map(_short, between.places)
    below, above, both = between.chains
    parts = [f"{_chains(which)} at {at}" for which, at in ((below, low), (above, high)) if which]
    parts += [f"{_chains(both)} now at {low}, now at {high}"] * bool(both)
    if not between.changes:
        return f"{', '.join(parts)}. No chain changed, so that nothing tells how likely each is, nor would longer ones."
    return (
        f"{', '.join(parts)}. They changed {between.changes} times in {between.above.size} draws; chains "
        f"{np.ceil(between.longer):.0f} times as long would tell how likely each is."
    )


def _ranges(draws: np.ndarray) -> str:
    """Return in words where each chain moves."""
    parts = [f"chain {k} from {_short(low)} to {_short(high)}" for k, (low, high) in enumerate(_middle(draws))]
    return f"90 % of each lie elsewhere, {', '.join(parts)}, though each is well mixed by itself: modes that overlap."


def _middle(draws: np.ndarray) -> np.ndarray:
    return np.quantile(draws, [0.05, 0.95], axis=1).T


def _short(number: float) -> str:
    return f"{number:.0f}" if 100 <= abs(number) < 1e6 else f"{number:.2g}"
