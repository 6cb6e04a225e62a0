"""The search for sites: Gaussians that stand for what each subject's data say, found before sampling.

The likelihood of a subject's numbers theta, on the unbounded scale, is taken for

    exp(-theta' H theta / 2 + (b - G phi)' theta),  phi the numbers that all subjects have in common.

With N(mu, S) of the group this makes N(mean, L^-1), L = H + S^-1; the Gaussian nearest to the posterior, in
Kullback-Leibler divergence, is a fixed point of

    H = -E[second derivative of the log likelihood],  b = E[slope of the same] + H mean,  under the Gaussian itself,

to which rounds lead, half of the way each, and the last one all of it.  Second derivatives come of slopes alone, by
Stein's identity, and G of differences of slopes.  The group's mu and sigma, and parameters of other kinds, are
estimated in the same rounds.  Where a subject's number has a prior of its own and no group, a normal distribution
stands for that prior, and what the two differ by counts as likelihood.  Sites shape a sampler's coordinates, and not
the posterior: what cannot be found is left at 0, as if the data said nothing.

Where a likelihood has several solutions, rounds end in the one that is nearest.  A sum over whole numbers has several
as a rule: then rounds begin from the posteriors given a group as the priors have it, by importance sampling, which
finds the best.  Where a subject's likelihood is flat on one side that is a worse place to begin: the delta rule of
Fontanesi et al. had a third to two thirds of the effective draws.  And the nearest Gaussian is narrower than a
posterior with a long tail, in which a chain would then stick: in the end each subject gets the site whose Gaussian has
the mean and covariance of the posterior instead, given the group as it is estimated now, a little wider.  Both are
only for numbers that are mapped together, which are few enough.

References
----------
Opper & Archambeau (2009). The variational Gaussian approximation revisited. Neural Computation 21, 786-792.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from scipy.special import ndtri

from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.record import Record
from rlpymc.population.effects import Effect, Pooled
from rlpymc.population.estimates import Estimate
from rlpymc.population.moments import moments
from rlpymc.population.points import Points
from rlpymc.population.sites import Sites
from rlpymc.population.subjects_likelihood import Arrays, SubjectsLikelihood

POINTS = 64  # over which slopes are averaged, if these are enough for as many numbers
ROUNDS = 20
NEAR = 0.05  # change of a round, in standard deviations, after which a whole step is the last
WIDER = 1.2  # sigma under which sites are matched: the modes that are estimated lie below most of their posteriors
LOST = 1.0  # change of the last round beyond which a subject's site is not used
FARTHEST, SHORTER = 2.0, 6  # where a likelihood is flat, a round would go far beyond: it is halved so many times
SHARPEST = 1e8  # curvature of a likelihood, in units of the group's


def find_sites(likelihood: Likelihood, points: Points, constants: Mapping[str, np.ndarray], together: bool) -> Sites:
    """Return the sites of a posterior; the same arguments give the same.

    Parameters
    ----------
    likelihood : Likelihood
        Of the data.
    points : Points
        With the parameters that are estimated.
    constants : dict of (subject, *shape)
        All other parameters.
    together : bool
        Whether a subject's numbers have one site, or each one of its own (H is diagonal then).
    """
    search, change = _Search(likelihood, points, constants, together), np.full(points.n_subjects, np.inf)
    if together and search.likelihood.whole:
        search.begin()
    for _ in range(ROUNDS):
        last = change.max() < NEAR
        change = search.round(1.0 if last else 0.5)
        if last:
            break
    search.forget(change > LOST)
    if together:
        search.match()
    return search.result()


def quadrature(d: int) -> np.ndarray:
    """Return points, (point, d), spread like a normal distribution, with its mean and covariance to the last digit.

    Half of them are a scrambled Sobol sequence, always the same, and half its mirror image.
    """
    from scipy.stats import qmc  # slow to import

    n = max(POINTS // 2, 1 << (2 * d - 1).bit_length())
    half = ndtri(qmc.Sobol(d, seed=0).random(n))
    half = np.linalg.solve(np.linalg.cholesky(half.T @ half / n), half.T).T
    return np.concatenate([half, -half])


class _Search:
    """The rounds."""

    def __init__(
        self, likelihood: Likelihood, points: Points, constants: Mapping[str, np.ndarray], together: bool
    ) -> None:
        self.points, self.together, self.n = points, together, points.n_subjects
        self.likelihood = SubjectsLikelihood(likelihood, points, constants)
        self.own, self.alone, self.besides = self.likelihood.own, self.likelihood.alone, self.likelihood.besides
        self.places, self.k = self.likelihood.places, self.likelihood.k
        # correlations shape coordinates, but are not looked for here: sites are those of what is uncorrelated
        self.group = {
            f"{e.name}_{key}": Estimate(e.named[f"{e.name}_{key}"], e.group_shape)
            for e in self.own
            if isinstance(e, Pooled)
            for key in (*e.of_mean, "sigma")
        }
        self.columns = {e.name: self._columns(e) for e in self.own if isinstance(e, Pooled)}
        self.normal = quadrature(sum(place.stop - place.start for place in self.places.values()))
        self.H, self.b = np.zeros((self.n, self.k, self.k)), np.zeros((self.n, self.k))
        self.lost = np.zeros(self.n, dtype=bool)

    def _columns(self, effect: Pooled) -> np.ndarray:
        """Return what a mean, which is linear, multiplies the group's variables by, (subject, variable)."""
        keys = effect.of_mean
        known = effect.known(1)
        rows = [effect.mean(Record(**{k: float(k == key) for k in keys}, **known)) for key in keys]
        return np.array([np.broadcast_to(row, self.n) for row in rows]).reshape((len(keys), self.n)).T

    def gaussians(self, wider: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return mu, (subject, k), sigma, (k,), and of each the mean and a factor F of the covariance F F'.

        The group's standard deviations are taken so many times as large as they are estimated.
        """
        mu, sigma = (np.concatenate(parts, axis=-1) for parts in zip(*map(self._normal, self.own), strict=True))
        sigma = sigma * np.concatenate([np.full(prod(e.shape), wider if e.pooled else 1.0) for e in self.own])
        lower = np.linalg.cholesky(np.eye(self.k) + sigma[:, None] * self.H * sigma)
        factor = sigma[:, None] * np.linalg.inv(lower).transpose(0, 2, 1)
        return mu, sigma, mu + self._shift(mu, factor), factor

    def _shift(self, mu: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return how far the Gaussians' means are from mu, (subject, k)."""
        towards = factor.transpose(0, 2, 1) @ (self.b[:, :, None] - self.H @ mu[:, :, None])
        return np.asarray((factor @ towards)[:, :, 0])

    def forget(self, lost: np.ndarray) -> None:
        """Take the sites of some subjects for unknown."""
        self.H[lost], self.b[lost], self.lost = 0.0, 0.0, lost

    def _normal(self, effect: Effect) -> tuple[np.ndarray, np.ndarray]:
        """Return means (subject, entry) and standard deviations (entry,) of the group's, or the prior's."""
        size = prod(effect.shape)
        if effect.name in self.alone:
            mean, sd = self.alone[effect.name].normal
            return np.full((self.n, size), mean), np.full(size, sd)
        v = {name: self.group[name].natural()[0].ravel() for name in effect.named if name in self.group}
        of_mean, sigma = [v[name] for name in self._of_mean(effect)], v[f"{effect.name}_sigma"]
        mean = self.columns[effect.name] @ np.array(of_mean).reshape((len(of_mean), -1 if of_mean else size))
        return mean, np.tile(sigma, size // len(sigma))

    def _of_mean(self, effect: Effect) -> list[str]:
        """Return the names of the group's variables that a mean is made of."""
        assert isinstance(effect, Pooled)
        return [f"{effect.name}_{key}" for key in effect.of_mean]

    def round(self, share: float) -> np.ndarray:
        """Take everything some of the way; return how far that was for each subject, in standard deviations."""
        _, sigma, mean, factor = self.gaussians()
        theta, away = self._around(mean, factor), {}
        self.seen = {name: estimate.place for name, estimate in self.besides.items()}
        for name, estimate in self.besides.items():
            away[name] = self.likelihood.entry(name, self.normal) / np.sqrt(estimate.precision)
        slopes, beside, shares = self.likelihood.slopes(theta, away)
        self.likelihood.learn_whole_numbers(shares)
        self._move_sites(slopes, sigma, mean, factor, share)
        for name, estimate in self.besides.items():
            slope = beside[name].sum(axis=1)
            curvature = (slope * away[name]).mean(axis=0) * estimate.precision
            estimate.move(slope.mean(axis=0), curvature, share)
        self._move_group()
        _, _, new_mean, new_factor = self.gaussians()
        before, sd = (np.sqrt((f**2).sum(axis=2)) for f in (factor, new_factor))
        return np.maximum(np.abs((new_mean - mean) / sd), np.abs(np.log(sd / before))).max(axis=1)

    def links(self) -> np.ndarray:
        """Return how subjects' slopes fall with the numbers in common, (subject, k, m)."""
        _, _, mean, factor = self.gaussians()
        theta, found = self._around(mean, factor), list[np.ndarray]()
        for name, estimate in self.besides.items():
            step = 1 / np.sqrt(estimate.precision)
            for entry in np.ndindex(estimate.place.shape):
                away = np.zeros((1, *estimate.place.shape))
                away[(0, *entry)] = step[entry]
                up, down = (self.likelihood.slopes(theta, {name: sign * away})[0].mean(axis=0) for sign in (1, -1))
                found.append((down - up) / (2 * step[entry]))
        return np.stack(found, axis=-1) if found else np.zeros((self.n, self.k, 0))

    def _around(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return subjects' numbers, (point, subject, entry), spread as their Gaussians are."""
        return np.asarray(mean + np.einsum("iab,pb->pia", factor, self.normal[:, : self.k]))

    def begin(self) -> None:
        """Give subjects sites to begin with, where points that are spread like the group tell of them."""
        mu, sigma, _, _ = self.gaussians()
        spread = np.broadcast_to(np.eye(self.k), self.H.shape)
        self._take(mu, sigma, *moments(self._log_posterior(mu, sigma, {}), np.zeros_like(mu), spread))

    def match(self) -> None:
        """Give subjects the sites that have the mean and covariance of their posterior, where points tell these."""
        mu, sigma, _, factor = self.gaussians(WIDER)
        common = {name: (self.seen[name] - estimate.place)[None] for name, estimate in self.besides.items()}
        found = self._shift(mu, factor) / sigma, factor / sigma[:, None]
        mean, cov, told = moments(self._log_posterior(mu, sigma, common), *found)
        self._take(mu, sigma, mean, cov, told & ~self.lost)

    def _log_posterior(self, mu: np.ndarray, sigma: np.ndarray, common: Arrays) -> Callable[[np.ndarray], np.ndarray]:
        """Return subjects' log posterior given the group, of their deviations from its mean in units of sigma."""
        return lambda e: self.likelihood.total(mu + sigma * e, common) - 0.5 * (e**2).sum(axis=2)

    def _take(self, mu: np.ndarray, sigma: np.ndarray, mean: np.ndarray, cov: np.ndarray, used: np.ndarray) -> None:
        """Give some subjects the sites that make deviations with these means and covariances, in the same units."""
        values, vectors = np.linalg.eigh(cov)
        # the prior's precision is 1; what is less precise is told nothing of
        curvature = np.clip(1 / np.maximum(values, 1 / SHARPEST) - 1, 0.0, SHARPEST)
        H = (vectors * curvature[:, None, :]) @ vectors.transpose(0, 2, 1) / (sigma[:, None] * sigma)
        b = (H @ (mu + sigma * mean)[:, :, None])[:, :, 0] + mean / sigma
        self.H[used], self.b[used] = H[used], b[used]

    def _move_sites(
        self, slopes: np.ndarray, sigma: np.ndarray, mean: np.ndarray, factor: np.ndarray, share: Any
    ) -> None:
        """Go some of the way to the sites that slopes, (point, subject, entry), speak for."""
        by_normal = np.einsum("pia,pb->iab", slopes, self.normal[:, : self.k]) / len(slopes)
        slope = slopes.mean(axis=0)
        # E[slope normal'] = E[second derivative] F; in units of sigma, so that eigenvalues can be compared
        curvature = -sigma[:, None] * by_normal @ np.linalg.inv(factor / sigma[:, None])
        curvature = (curvature + curvature.transpose(0, 2, 1)) / 2
        if not self.together:
            curvature = curvature * np.eye(self.k)
        good = np.isfinite(curvature).all(axis=(1, 2))
        values, vectors = np.linalg.eigh(np.where(good[:, None, None], curvature, 0.0))
        curvature = (vectors * np.clip(values, 0.0, SHARPEST)[:, None, :]) @ vectors.transpose(0, 2, 1)
        H = curvature / (sigma[:, None] * sigma)
        b = slope + (H @ mean[:, :, None])[:, :, 0]
        before, sd = (self.H, self.b), np.sqrt((factor**2).sum(axis=2))
        share = np.where(good, share, 0.0)
        H, b = np.where(good[:, None, None], H, 0.0), np.where(good[:, None], b, 0.0)
        for _ in range(SHORTER):
            self.H = before[0] + share[:, None, None] * (H - before[0])
            self.b = before[1] + share[:, None] * (b - before[1])
            far = (np.abs(self.gaussians()[2] - mean) > FARTHEST * sd).any(axis=1)
            if not far.any():
                break
            share = np.where(far, share / 2, share)

    def _move_group(self) -> None:
        """Take the group's means and standard deviations towards the posterior's mode."""
        _, _, mean, factor = self.gaussians()
        variance = (factor**2).sum(axis=2)
        for effect in self.own:
            if effect.name in self.alone:
                continue
            means, variances = (v[:, self.places[effect.name]] for v in (mean, variance))
            sigma = self.group[f"{effect.name}_sigma"]
            s, ds = (v.ravel() for v in sigma.natural())
            if self._of_mean(effect):
                self._move_mean(effect, means, s)
            squares = _of_group(((means - self._normal(effect)[0]) ** 2 + variances).sum(axis=0), len(s)) / s**2
            n = self.n * means.shape[1] // len(s)
            slope, curvature = (squares - n) * ds / s, -2 * squares * (ds / s) ** 2
            sigma.move(slope.reshape(effect.group_shape), curvature.reshape(effect.group_shape), 1.0)

    def _move_mean(self, effect: Effect, means: np.ndarray, sigma: np.ndarray) -> None:
        """Take what a mean is made of to the posterior's mode, all of it together, for each entry."""
        columns, estimates = self.columns[effect.name], [self.group[name] for name in self._of_mean(effect)]
        slopes = np.stack([e.natural()[1].ravel() for e in estimates])  # (variable, entry)
        first, second = (np.stack([e.prior_slopes()[k].ravel() for e in estimates]) for k in (0, 1))
        away, steps, known = means - self._normal(effect)[0], np.zeros_like(slopes), np.zeros_like(slopes)
        for entry, s in enumerate(sigma):
            scaled = columns * slopes[:, entry] / s
            precision = scaled.T @ scaled + np.diag(np.nan_to_num(np.maximum(-second[:, entry], 1e-6), nan=1e-6))
            steps[:, entry] = np.linalg.solve(precision, scaled.T @ away[:, entry] / s + first[:, entry])
            known[:, entry] = np.diag(precision)
        for estimate, step, precision in zip(estimates, steps, known, strict=True):
            estimate.place = estimate.place + np.clip(np.nan_to_num(step), -1.0, 1.0).reshape(effect.shape)
            estimate.precision = precision.reshape(effect.shape)

    def result(self) -> Sites:
        """Return what the rounds have come to."""
        _, sigma, _, factor = self.gaussians()
        centre, spread = np.full((2, len(self.points)), np.nan)
        # how much of what there is to know of a subject the data tell: the group's numbers follow from so many subjects
        told = np.maximum(1 - (factor**2).sum(axis=2) / sigma**2, 0.0)
        for effect in self.own:
            own = self.places[effect.name]
            for name, v in effect.named.items():
                place = self.points.places[name]
                if v.level == "subject":
                    centre[place], spread[place] = 0.0, 1.0
                elif name in self.group:
                    estimate, known = self.group[name], told[:, own]
                    if v.key == "sigma":
                        information = _of_group(2 * (known**2).sum(axis=0) / sigma[own] ** 2, estimate.place.size)
                    else:
                        column = self.columns[effect.name][:, [self._of_mean(effect).index(name)]]
                        information = (known * column**2).sum(axis=0) / sigma[own] ** 2
                    slope, curvature = estimate.natural()[1].ravel(), estimate.prior_slopes()[1].ravel()
                    centre[place], spread[place] = estimate.place.ravel(), _sd(information * slope**2 - curvature)
        G = self.links()
        G[self.lost] = 0.0
        b = self.b + G @ np.concatenate([np.empty(0), *(place.ravel() for place in self.seen.values())])
        # what is known less of the numbers in common, as subjects' numbers go along with them
        along = np.einsum("iam,iab,icb,icm->m", G, factor, factor, G)
        first = 0
        for name, estimate in self.besides.items():
            place = self.points.places[name]
            precision = estimate.precision.ravel()
            precision = np.maximum(precision - along[first : first + len(precision)], precision / 10)
            centre[place], spread[place] = estimate.place.ravel(), _sd(precision)
            first += len(precision)
        return Sites(self.H, b, G, centre, spread)


def _of_group(values: np.ndarray, n: int) -> np.ndarray:
    """Return sums over the entries that have one of n entries of the group in common."""
    return np.asarray(values.reshape((-1, n)).sum(axis=0))


def _sd(precision: np.ndarray) -> np.ndarray:
    """Return standard deviations, at most 1, in one row."""
    return 1 / np.sqrt(np.maximum(precision, 1.0)).ravel()
