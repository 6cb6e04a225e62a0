"""The coordinates in which a population is sampled: an exact change of variables of subjects' deviations.

A subject's numbers theta, all those on the unbounded scale that are normal around the group's, are mu + A e, with A =
sigma, a standard deviation of each number, or, where they are correlated, sigma times the Cholesky factor of the
correlations.  The posterior's density is a function of mu, A and the deviations e ("noncentred").  What a sampler moves
in is z:

    informed   e = D^-T (D^-1 w + z),  D D' = I + A' H A,  w = A' (b - G phi - H mu)
    centred    e = (z - mu) / sigma

with phi the numbers that all subjects have in common.  If the subject's likelihood is exp(-theta' H theta / 2 +
(b - G phi)' theta), its site, z is standard normal whatever mu, sigma and phi are; with any other H, b and G the
posterior is the same, for the volume of the map is counted.  Without a site, when all are 0, z is e; for H without end
it is theta, shifted and scaled.

A subject's number that has a prior of its own, and no group, goes along in informed coordinates: mu and sigma are those
of a normal distribution like the prior, and constants, so that the map is affine.

References
----------
Papaspiliopoulos, Roberts & Skoeld (2007). A general framework for the parametrization of hierarchical models.
Statistical Science 22, 59-73: between centred and non-centred, number by number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from rlpymc import math
from rlpymc.model.record import Record
from rlpymc.population.effects import Effect, Pooled
from rlpymc.population.points import Points
from rlpymc.population.sites import Sites, common_effects, is_normal, like_prior, own_effects

type Scale = Mapping[int, Any]

COORDINATES = ("informed", "noncentred", "centred")
# So many numbers of a subject are taken together; where there are more, each is mapped alone.
MOST_TOGETHER = 12


def informed(
    z: Sequence[Any], mu: Sequence[Any], scale: Sequence[Scale], phi: Sequence[Any], site: Sequence[Any]
) -> tuple[list[Any], Any]:
    """Return a subject's deviations, and the log of the map's volume.

    Parameters
    ----------
    z, mu : sequence of k
        The subject's coordinates and the group's means: arrays, or formulas.
    scale : sequence of k mappings
        A, row by row: entries that are not 0 by the number of the column.
    phi : sequence of m
        The numbers in common.
    site : sequence of k (k + 1) / 2 + k + k m
        H, row by row as far as the diagonal, b, and G row by row.
    """
    k = len(z)
    rows = [[site[j * (j + 1) // 2 + m] if m <= j else site[m * (m + 1) // 2 + j] for m in range(k)] for j in range(k)]
    b, G = site[k * (k + 1) // 2 :][:k], site[k * (k + 1) // 2 + k :]
    below = [[p for p in range(k) if j in scale[p]] for j in range(k)]
    pulls = []
    for j in range(k):
        pull = b[j]
        for m in range(k):
            pull = pull - rows[j][m] * mu[m]
        for m, common in enumerate(phi):
            pull = pull - G[j * len(phi) + m] * common
        pulls.append(pull)
    low: list[list[Any]] = [[None] * k for _ in range(k)]
    inverse: list[Any] = []  # of the diagonal of D
    half: list[Any] = []  # D^-1 w
    for j in range(k):
        for m in range(j + 1):
            entry = _sum(scale[p][j] * rows[p][q] * scale[q][m] for p in below[j] for q in below[m])
            for n in range(m):
                entry = entry - low[j][n] * low[m][n]
            if m < j:
                low[j][m] = entry * inverse[m]
            else:
                inverse.append(1.0 / math.sqrt(entry + 1.0))
        pull = _sum(scale[p][j] * pulls[p] for p in below[j])
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


def _sum(terms: Iterable[Any]) -> Any:
    """Return a sum of at least one term."""
    first, *others = terms
    for term in others:
        first = first + term
    return first


def centred(
    z: Sequence[Any], mu: Sequence[Any], scale: Sequence[Scale], phi: Sequence[Any], site: Sequence[Any]
) -> tuple[list[Any], Any]:
    """Return the same where z are the subject's numbers themselves."""
    del phi, site
    sigma = [row[j] for j, row in enumerate(scale)]
    found = [(own - m) / s for own, m, s in zip(z, mu, sigma, strict=True)]
    volume = -math.log(sigma[0])
    for s in sigma[1:]:
        volume = volume - math.log(s)
    return found, volume


def scale_of(effects: Sequence[Effect], entries: Sequence[Any], rows: Sequence[Sequence[Any]]) -> list[Scale]:
    """Return A for some numbers, row by row.

    Parameters
    ----------
    effects, entries : sequence of k
        The effect of each number, and which of its entries it is.
    rows : sequence of k
        Its row of A: an entry for each effect that it is correlated with, then its own.
    """
    found = list[dict[int, Any]]()
    for j, (effect, row) in enumerate(zip(effects, rows, strict=True)):
        found.append({j: row[-1]})
        for name, value in zip(getattr(effect, "earlier", ()), row, strict=False):
            places = [m for m in range(j) if effects[m].name == name and entries[m] == entries[j]]
            found[j] |= dict.fromkeys(places, value)
    return list(found)


MAPS = {"informed": informed, "centred": centred}


@dataclass(frozen=True)
class Form:
    """Which map there is, of what: all that its machine code depends on.

    Parameters
    ----------
    kind : str
        Of `COORDINATES`.
    effects : tuple of Effect
        Those of which the map gives subjects' deviations, or the numbers themselves where they have a prior of their
        own.
    common : tuple of Effect
        Those that all subjects have in common, and that the map depends on.
    together : bool
        Whether all numbers of a subject are mapped together, or each alone.
    """

    kind: str
    effects: tuple[Effect, ...]
    common: tuple[Effect, ...]
    together: bool

    @classmethod
    def of(cls, kind: str, effects: Sequence[Effect]) -> "Form":
        """Return the form for the parameters that are estimated."""
        chosen = {"informed": own_effects(effects), "centred": tuple(filter(is_normal, effects))}.get(kind, ())
        if not chosen:
            return cls("noncentred", (), (), False)
        informed = kind == "informed"
        together = informed and sum(prod(e.shape) for e in chosen) <= MOST_TOGETHER
        return cls(kind, chosen, common_effects(effects) if informed else (), together)

    @property
    def sizes(self) -> list[int]:
        """Numbers of each effect."""
        return [prod(e.shape) for e in self.effects]

    @property
    def n_common(self) -> int:
        """Numbers in common."""
        return sum(prod(e.shape) for e in self.common)

    @property
    def rows(self) -> int:
        """Numbers of the site of a subject."""
        k = sum(self.sizes)
        curvatures = k * (k + 1) // 2 if self.together else k
        return curvatures + k + k * self.n_common if self.kind == "informed" else 0

    def rows_of(self, j: Any) -> list[Any]:
        """Return which rows of the table are the site of a number that is mapped alone."""
        k, m = sum(self.sizes), self.n_common
        return [j, k + j, *(2 * k + j * m + q for q in range(m))] if self.rows else []

    def map(
        self,
        effects: Sequence[Effect],
        z: Sequence[Any],
        mu: Sequence[Any],
        scale: Sequence[Scale],
        *site: Sequence[Any],
    ) -> tuple[list[Any], Any]:
        """Return what the density takes for coordinates of these effects' numbers, and the log of the volume.

        To the volume belongs `log_scale`, once.  The other arguments are those of `informed`.
        """
        found, log_volume = MAPS[self.kind](z, mu, scale, *site)
        whole = [
            v if is_normal(e) else mu[j] + scale[j][j] * v for j, (e, v) in enumerate(zip(effects, found, strict=True))
        ]
        return whole, log_volume

    @property
    def log_scale(self) -> float:
        """The log volume of scaling a subject's numbers that have no group."""
        alone = [(e, size) for e, size in zip(self.effects, self.sizes, strict=True) if not is_normal(e)]
        return float(sum(size * np.log(like_prior(e)[1]) for e, size in alone))


def subjects_variable(effect: Effect) -> str:
    """Return the name of the variable in whose place a map's coordinates stand."""
    return next(name for name, v in effect.named.items() if v.level == "subject")


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
            links = sites.G.reshape((points.n_subjects, -1))
            self.table = np.vstack([sites.H[:, *lower].T, sites.b.T, links.T])

    def start(self, seed: int | None) -> np.ndarray:
        """Return a random point where a chain can start: a draw of what the sites say, if there are any."""
        start = self.points.start(seed)
        if self._sites is not None:
            drawn = self._sites.centre + self._sites.spread * np.random.default_rng(seed).standard_normal(len(start))
            start = np.where(np.isnan(drawn), start, drawn)
        if self.form.kind == "centred":
            for effect in self.form.effects:
                z, mu, row = self._natural(effect, start[None])
                start[self.points.places[f"{effect.name}_z"]] = (mu + row[-1] * z).ravel()
        return start

    def _natural(self, effect: Effect, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return coordinates, means and a row of A, each (draw, subject, entry), or (draw, 1, entry) for all."""
        shape = len(points), -1, prod(effect.shape)
        unbounded = {v.key: points[:, self.points.places[name]] for name, v in effect.named.items()}
        repeats = prod(effect.shape) // prod(effect.group_shape)
        for v in effect.variables:
            own = unbounded[v.key] if v.level == "subject" else np.tile(unbounded[v.key], repeats)
            unbounded[v.key] = own.reshape(shape)
        if not is_normal(effect):
            mean, sd = (np.full((len(points), 1, shape[2]), value) for value in like_prior(effect))
            return unbounded["own"], mean, [sd]
        assert isinstance(effect, Pooled)
        natural = {v.key: v.prior.unbounded(unbounded[v.key])[0] for v in effect.variables}
        record = Record(**natural, **{key: value[None] for key, value in effect.known(2).items()})
        row = [record.sigma * factor for factor in effect.row(record)]
        return record.z, effect.mean(record) + 0.0 * record.sigma, row

    def noncentred(self, points: np.ndarray) -> np.ndarray:
        """Return points of the density, (draw, number), for points of the sampler."""
        form = self.form
        if form.kind == "noncentred":
            return points
        parts = [self._natural(effect, points) for effect in form.effects]
        z, mu = [own for part in parts for own in part[0].T], [own for part in parts for own in part[1].T]
        rows = [
            [factor.T[e] for factor in row]
            for (*_, row), size in zip(parts, form.sizes, strict=True)
            for e in range(size)
        ]
        numbers = [(effect, e) for effect, size in zip(form.effects, form.sizes, strict=True) for e in range(size)]
        phi = [row for e in form.common for row in points[:, self.points.places[e.name]].T]
        k, values = len(numbers), list[np.ndarray]()
        for block in [range(k)] if form.together else [range(j, j + 1) for j in range(k)]:
            site = self.table if form.together else self.table[form.rows_of(block.start)]
            here = slice(block.start, block.stop)
            effects, entries = zip(*numbers[here], strict=True)
            scale = scale_of(effects, entries, rows[here])
            values += form.map(effects, z[here], mu[here], scale, phi, [row[:, None] for row in site])[0]
        found, first = points.copy(), 0
        for effect, size in zip(form.effects, form.sizes, strict=True):
            own = np.stack(values[first : first + size]).T  # (draw, subject, entry)
            found[:, self.points.places[subjects_variable(effect)]] = own.reshape((len(points), -1))
            first += size
        return found
