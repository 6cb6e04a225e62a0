"""The coordinates in which a population is sampled: an exact change of variables of subjects' deviations.

A subject's numbers theta, all those on the unbounded scale that are normal around the group's, are mu + sigma e.  The
posterior's density is a function of mu, sigma and the deviations e ("noncentred").  What a sampler moves in is z:

    informed   e = D^-T (D^-1 w + z),  D D' = I + sigma H sigma,  w = sigma (b - H mu)
    centred    e = (z - mu) / sigma

If the subject's likelihood is exp(-theta' H theta / 2 + b' theta), its site, z is standard normal whatever mu and sigma
are; with any other H and b the posterior is the same, for the volume of the map is counted.  Without a site, H = 0 and
b = 0, z is e; for H without end it is theta, shifted and scaled.

References
----------
Papaspiliopoulos, Roberts & Skoeld (2007). A general framework for the parametrization of hierarchical models.
Statistical Science 22, 59-73: between centred and non-centred, number by number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from rlpymc import math
from rlpymc.population.effects import Effect
from rlpymc.population.points import Points
from rlpymc.population.sites import Sites, normal_effects

COORDINATES = ("informed", "noncentred", "centred")
# So many numbers of a subject are taken together; where there are more, each is mapped alone.
MOST_TOGETHER = 12


def informed(z: Sequence[Any], mu: Sequence[Any], sigma: Sequence[Any], site: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return a subject's deviations, and the log of the map's volume.

    Parameters
    ----------
    z, mu, sigma : sequence of k
        The subject's coordinates, the group's means and standard deviations: arrays, or formulas.
    site : sequence of k (k + 1) / 2 + k
        H, row by row as far as the diagonal, and b.
    """
    k = len(z)
    rows = [[site[j * (j + 1) // 2 + m] if m <= j else site[m * (m + 1) // 2 + j] for m in range(k)] for j in range(k)]
    b = site[k * (k + 1) // 2 :]
    low: list[list[Any]] = [[None] * k for _ in range(k)]
    inverse: list[Any] = []  # of the diagonal of D
    half: list[Any] = []  # D^-1 w
    for j in range(k):
        for m in range(j + 1):
            entry = sigma[j] * rows[j][m] * sigma[m]
            for n in range(m):
                entry = entry - low[j][n] * low[m][n]
            if m < j:
                low[j][m] = entry * inverse[m]
            else:
                inverse.append(1.0 / math.sqrt(entry + 1.0))
        pull = b[j]
        for m in range(k):
            pull = pull - rows[j][m] * mu[m]
        pull = sigma[j] * pull
        for m in range(j):
            pull = pull - low[j][m] * half[m]
        half.append(pull * inverse[j])
    found: list[Any] = [None] * k
    for j in reversed(range(k)):
        value = z[j] + half[j]
        for m in range(j + 1, k):
            value = value - low[m][j] * found[m]
        found[j] = value * inverse[j]
    volume = inverse[0]
    for factor in inverse[1:]:
        volume = volume * factor
    return found, math.log(volume)


def centred(z: Sequence[Any], mu: Sequence[Any], sigma: Sequence[Any], site: Sequence[Any]) -> tuple[list[Any], Any]:
    """Return the same where z are the subject's numbers themselves."""
    del site
    found = [(own - m) / s for own, m, s in zip(z, mu, sigma, strict=True)]
    volume = -math.log(sigma[0])
    for s in sigma[1:]:
        volume = volume - math.log(s)
    return found, volume


MAPS = {"informed": informed, "centred": centred}


@dataclass(frozen=True)
class Form:
    """Which map there is, of what: all that its machine code depends on.

    Parameters
    ----------
    kind : str
        Of `COORDINATES`.
    effects : tuple of Effect
        Those whose deviations it gives.
    together : bool
        Whether all numbers of a subject are mapped together, or each alone.
    """

    kind: str
    effects: tuple[Effect, ...]
    together: bool

    @classmethod
    def of(cls, kind: str, effects: Sequence[Effect]) -> "Form":
        """Return the form for the parameters that are estimated."""
        chosen = normal_effects(effects) if kind != "noncentred" else ()
        n = sum(prod(e.shape) for e in chosen)
        return cls(kind if chosen else "noncentred", chosen, kind == "informed" and n <= MOST_TOGETHER)

    @property
    def sizes(self) -> list[int]:
        """Numbers of each effect."""
        return [prod(e.shape) for e in self.effects]

    @property
    def rows(self) -> int:
        """Numbers of the site of a subject."""
        k = sum(self.sizes)
        return 0 if self.kind != "informed" else k * (k + 1) // 2 + k if self.together else 2 * k


class Coordinates:
    """The coordinates of one posterior.

    Parameters
    ----------
    points : Points
        What the density is a function of.
    form : Form
        Which coordinates.
    sites : Sites, optional
        Stand-ins of subjects' likelihoods; without, chains start around the middle of the priors.
    """

    def __init__(self, points: Points, form: Form, sites: Sites | None = None) -> None:
        self.points, self.form, self._sites = points, form, sites
        self.table = np.zeros((form.rows, points.n_subjects))
        if form.kind == "informed" and sites is not None:
            k = sum(form.sizes)
            lower = np.tril_indices(k) if form.together else np.diag_indices(k)
            self.table = np.vstack([sites.H[:, *lower].T, sites.b.T])

    def start(self, seed: int | None) -> np.ndarray:
        """Return a random point where a chain can start: a draw of what the sites say, if there are any."""
        start = self.points.start(seed)
        if self._sites is not None:
            drawn = self._sites.centre + self._sites.spread * np.random.default_rng(seed).standard_normal(len(start))
            start = np.where(np.isnan(drawn), start, drawn)
        if self.form.kind == "centred":
            for effect in self.form.effects:
                v = self._natural(effect, start[None])
                start[self.points.places[f"{effect.name}_z"]] = (v["mu"] + v["sigma"] * v["z"]).ravel()
        return start

    def _natural(self, effect: Effect, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return an effect's variables by key, (draw, subject, entry), or (draw, 1, entry) of the group."""
        shape = len(points), -1, prod(effect.shape)
        parts = {v.key: (v.prior, points[:, self.points.places[name]]) for name, v in effect.named.items()}
        return {key: prior.unbounded(part.reshape(shape))[0] for key, (prior, part) in parts.items()}

    def noncentred(self, points: np.ndarray) -> np.ndarray:
        """Return points of the density, (draw, number), for points of the sampler."""
        if self.form.kind == "noncentred":
            return points
        parts = [self._natural(effect, points) for effect in self.form.effects]
        entries = {key: [*np.concatenate([v[key] for v in parts], axis=2).T] for key in ("z", "mu", "sigma")}
        k, deviations = len(entries["z"]), list[np.ndarray]()
        for block in [range(k)] if self.form.together else [range(j, j + 1) for j in range(k)]:
            site = self.table if self.form.together else self.table[block.start :: k]
            z, mu, sigma = (entries[key][block.start : block.stop] for key in ("z", "mu", "sigma"))
            deviations += MAPS[self.form.kind](z, mu, sigma, [row[:, None] for row in site])[0]
        found, first = points.copy(), 0
        for effect, size in zip(self.form.effects, self.form.sizes, strict=True):
            own = np.stack(deviations[first : first + size]).T  # (draw, subject, entry)
            found[:, self.points.places[f"{effect.name}_z"]] = own.reshape((len(points), -1))
            first += size
        return found
