"""The search for sites: Gaussians that stand for what each subject's data say, found before sampling.

The likelihood of a subject's numbers theta, on the unbounded scale, is taken for

    exp(-theta' H theta / 2 + (b - G phi)' theta),  phi the numbers that all subjects have in common.

With N(mu, S) of the group this makes N(mean, L^-1), L = H + S^-1; the Gaussian nearest to the posterior, in
Kullback-Leibler divergence, is a fixed point of

    H = -E[second derivative of the log likelihood],  b = E[slope of the same] + H mean,  under the Gaussian itself,

to which rounds lead, half of the way at first.  Second derivatives come of slopes alone, by Stein's identity, and G of
differences of slopes.  The group's mu and sigma, and parameters of other kinds, are estimated in the same rounds.
Where a subject's number has a prior of its own and no group, a normal distribution stands for that prior, and what the
two differ by counts as likelihood.  Sites shape a sampler's coordinates, and not the posterior: what cannot be found is
left at 0, as if the data said nothing.

The nearest Gaussian is narrower than a posterior with a long tail, in which a chain would then stick.  In the end each
subject whose numbers are few enough gets the site whose Gaussian has the mean and covariance of the posterior instead,
given the group: by importance sampling from a distribution with longer tails.

References
----------
Opper & Archambeau (2009). The variational Gaussian approximation revisited. Neural Computation 21, 786-792.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from scipy.special import logsumexp, ndtri, softmax

from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.record import Record
from rlpymc.population.effects import Effect, Pooled
from rlpymc.population.estimates import Estimate
from rlpymc.population.points import Points
from rlpymc.population.sites import Sites, common_effects, own_effects
from rlpymc.population.whole_numbers import WholeNumber, combinations

type Arrays = dict[str, np.ndarray]

POINTS = 64  # over which slopes are averaged, if these are enough for as many numbers
ROUNDS = 30
SETTLED, NEAR = 0.01, 0.1  # change of a round, in standard deviations: when to end, and to take whole steps
LOST = 1.0  # change of the last round beyond which a subject's site is not used
FARTHEST, SHORTER = 2.0, 6  # where a likelihood is flat, a round would go far beyond: it is halved so many times
MATCHING, FREEDOM, WIDER = 512, 5, 1.2  # points of which moments are taken: how many, and how long their tails are
EFFECTIVE = 50  # so many of them must count
IMPOSSIBLE = -1e300  # stands for the log likelihood of what cannot be
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
    for _ in range(ROUNDS):
        change = search.round(1.0 if change.max() < NEAR else 0.5)
        if change.max() < SETTLED:
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


def with_long_tails(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points, (point, d), that are a multivariate t distribution, and their log densities but for a constant."""
    from scipy.stats import chi2, qmc  # slow to import

    uniform = qmc.Sobol(d + 1, seed=0).random(MATCHING)
    points = ndtri(uniform[:, :d]) * np.sqrt(FREEDOM / chi2.ppf(uniform[:, [d]], FREEDOM))
    return points, -(FREEDOM + d) / 2 * np.log1p((points**2).sum(axis=1) / FREEDOM)


def _moments(theta: np.ndarray, log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means, covariances, and how many points count, of weighted points (point, subject, entry)."""
    weights = softmax(log_weights, axis=0)
    centre = np.einsum("pi,pia->ia", weights, theta)
    away = theta - centre
    return centre, np.einsum("pi,pia,pib->iab", weights, away, away), 1 / (weights**2).sum(axis=0)


class _Search:
    """The rounds."""

    def __init__(
        self, likelihood: Likelihood, points: Points, constants: Mapping[str, np.ndarray], together: bool
    ) -> None:
        self.likelihood, self.points, self.together, self.n = likelihood, points, together, points.n_subjects
        self.constants, self.effects = dict(constants), {e.name: e for e in points.effects}
        self.own, common = own_effects(points.effects), common_effects(points.effects)
        # correlations shape coordinates, but are not looked for here: sites are those of what is uncorrelated
        self.group = {
            f"{e.name}_{key}": Estimate(e.named[f"{e.name}_{key}"], e.group_shape)
            for e in self.own
            if isinstance(e, Pooled)
            for key in (*e.of_mean, "sigma")
        }
        self.alone = {e.name: Estimate(e.variables[0], ()) for e in self.own if not e.pooled}
        self.columns = {e.name: self._columns(e) for e in self.own if isinstance(e, Pooled)}
        self.besides = {e.name: Estimate(e.variables[0], e.shape) for e in common}
        self.whole = [e for e in points.effects if isinstance(e, WholeNumber)]
        self.weights = {e.name: np.array(e.weights) for e in self.whole}
        for effect in points.effects:
            if effect not in (*self.own, *common, *self.whole):  # of a kind that is not known here: stays in the middle
                middles = {v.key: v.prior.unbounded(np.array(v.prior.middle()))[0] for v in effect.variables}
                value = np.asarray(effect.value(Record(**middles)), dtype=float)
                value = np.broadcast_to(value, (self.n, *effect.shape))
                self.constants |= dict.fromkeys((effect.name, *effect.copies), value)
        names = [*(e.name for e in self.own), *self.besides]
        ends = np.cumsum([0, *(prod(self.effects[name].shape) for name in names)]).tolist()
        self.places = {name: slice(a, b) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)}
        self.k = ends[len(self.own)]
        self.normal = quadrature(ends[-1])
        self.H, self.b = np.zeros((self.n, self.k, self.k)), np.zeros((self.n, self.k))
        self.lost = np.zeros(self.n, dtype=bool)

    def _columns(self, effect: Pooled) -> np.ndarray:
        """Return what a mean, which is linear, multiplies the group's variables by, (subject, variable)."""
        keys = effect.of_mean
        known = effect.known(1)
        rows = [effect.mean(Record(**{k: float(k == key) for k in keys}, **known)) for key in keys]
        return np.array([np.broadcast_to(row, self.n) for row in rows]).reshape((len(keys), self.n)).T

    def _entry(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return what belongs to a parameter, (..., *shape), of what belongs to all entries, (..., entry)."""
        return array[..., self.places[name]].reshape((*array.shape[:-1], *self.effects[name].shape))

    def gaussians(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return mu, (subject, k), sigma, (k,), and of each the mean and a factor F of the covariance F F'."""
        mu, sigma = (np.concatenate(parts, axis=-1) for parts in zip(*map(self._normal, self.own), strict=True))
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
            away[name] = self._entry(name, self.normal) / np.sqrt(estimate.precision)
        slopes, beside, _ = self._unbounded_slopes(theta, away)
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
                up, down = (self._unbounded_slopes(theta, {name: sign * away})[0].mean(axis=0) for sign in (1, -1))
                found.append((down - up) / (2 * step[entry]))
        return np.stack(found, axis=-1) if found else np.zeros((self.n, self.k, 0))

    def _around(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return subjects' numbers, (point, subject, entry), spread as their Gaussians are."""
        return np.asarray(mean + np.einsum("iab,pb->pia", factor, self.normal[:, : self.k]))

    def match(self) -> None:
        """Give subjects the sites that have the mean and covariance of their posterior, where points tell these."""
        mu, sigma, mean, factor = self.gaussians()
        points, log_density = with_long_tails(self.k)
        away = WIDER * np.einsum("iab,pb->pia", factor, points)
        shift = self._shift(mu, factor)
        common = {name: (self.seen[name] - estimate.place)[None] for name, estimate in self.besides.items()}
        _, _, log_likelihood = self._unbounded_slopes(mean + away, common)
        log_prior = -0.5 * (((away + shift) / sigma) ** 2).sum(axis=2)
        log_gaussian = -0.5 * WIDER**2 * (points**2).sum(axis=1)[:, None]
        centre, cov, effective = _moments(away, log_likelihood + log_prior - log_density[:, None])
        # what these points say of the Gaussian itself is known otherwise: where it is the posterior, nothing changes
        nearest, around, _ = _moments(away, np.broadcast_to(log_gaussian - log_density[:, None], log_prior.shape))
        shift = shift + centre - nearest
        cov = (factor @ factor.transpose(0, 2, 1) + cov - around) / (sigma[:, None] * sigma)
        told = np.isfinite(cov).all(axis=(1, 2)) & (effective > EFFECTIVE) & (log_likelihood.max(axis=0) > IMPOSSIBLE)
        values, vectors = np.linalg.eigh(np.where(told[:, None, None], cov, np.eye(self.k)))
        # the prior's precision is 1 in these units; what is less precise is told nothing of
        curvature = np.clip(1 / np.maximum(values, 1 / SHARPEST) - 1, 0.0, SHARPEST)
        H = (vectors * curvature[:, None, :]) @ vectors.transpose(0, 2, 1) / (sigma[:, None] * sigma)
        b = (H @ (mu + shift)[:, :, None])[:, :, 0] + shift / sigma**2
        used = told & ~self.lost
        self.H[used], self.b[used] = H[used], b[used]

    def _unbounded_slopes(self, theta: np.ndarray, away: Arrays) -> tuple[np.ndarray, Arrays, np.ndarray]:
        """Return slopes of the log likelihood on the unbounded scale, and itself.

        Parameters
        ----------
        theta : (point, subject, entry)
            Subjects' numbers.
        away : dict of (point or 1, *shape)
            How far the numbers in common are from where they are estimated to be.

        Returns
        -------
        tuple
            By subjects' numbers, (point, subject, entry); by those in common, (point, subject, *shape) by name; the
            log likelihood, (point, subject).
        """
        params, chain = {}, {}
        for effect in self.own:
            own = self._entry(effect.name, theta)
            if effect.name in self.alone:
                params[effect.name], chain[effect.name] = self.alone[effect.name].natural(own)
            else:
                params[effect.name] = effect.support.constrain(own)
                chain[effect.name] = np.exp(effect.support.log_slope(own))
        for name, estimate in self.besides.items():
            value, slope = estimate.natural(estimate.place + away.get(name, np.zeros((1, *estimate.place.shape))))
            shape = (len(theta), self.n, *self.effects[name].shape)
            params[name], chain[name] = np.broadcast_to(value[:, None], shape), slope[:, None]
        slopes, log_likelihood = self._slopes(params)
        found = {name: _finite(slope * chain[name]) for name, slope in slopes.items()}
        for name, estimate in self.alone.items():  # what the prior has besides the normal distribution like it
            own, (mean, sd) = self._entry(name, theta), estimate.normal
            found[name] = found[name] + _finite(estimate.prior_slopes(own)[0] + (own - mean) / sd**2)
            besides = estimate.prior.unbounded(own)[1] + 0.5 * ((own - mean) / sd) ** 2
            log_likelihood = log_likelihood + besides.reshape((*log_likelihood.shape, -1)).sum(axis=-1)
        entries = [found[e.name].reshape((*theta.shape[:2], -1)) for e in self.own]
        return np.concatenate(entries, axis=-1), found, log_likelihood

    def _slopes(self, params: Arrays) -> tuple[Arrays, np.ndarray]:
        """Return slopes of the log likelihood at parameters (point, subject, *shape), and itself, (point, subject).

        It is summed over whole numbers, and what these are is learned on the way.  Slopes are 0 where there are none.
        """
        choices, equal = combinations(self.points.effects), {e.name: (e.name, *e.copies) for e in self.points.effects}
        active = [name for first in self.places for name in equal[first]]
        found = {name: np.empty(params[name].shape) for name in self.places}
        n_points = len(next(iter(params.values())))
        seen, logs = np.zeros(len(choices)), np.empty((n_points, self.n))
        prior = np.log([prod(self.weights[e.name][e.values.index(c[e.name])] for e in self.whole) for c in choices])
        for p in range(n_points):
            given = self.constants | {name: value[p] for first, value in params.items() for name in equal[first]}
            totals, slopes = [], []
            for chosen in choices:
                whole = {name: np.full(self.n, float(value)) for name, value in chosen.items()}
                total, slope = self.likelihood.gradient(given | whole, active)
                totals.append(np.nan_to_num(total, nan=IMPOSSIBLE, posinf=IMPOSSIBLE, neginf=IMPOSSIBLE))
                slopes.append(slope)
            logs[p] = logsumexp(np.array(totals) + prior[:, None], axis=0)
            shares = softmax(np.array(totals) + prior[:, None], axis=0)
            seen += shares.mean(axis=1) / n_points
            for name in self.places:
                sums = (sum(s[k] for k in equal[name]) for s in slopes)
                parts = (np.nan_to_num(s, posinf=0.0, neginf=0.0) for s in sums)
                found[name][p] = sum((share * part.T).T for share, part in zip(shares, parts, strict=True))
        for effect in self.whole:
            if effect.variables:
                now = [sum(s for s, c in zip(seen, choices, strict=True) if c[effect.name] == v) for v in effect.values]
                self.weights[effect.name] = (self.weights[effect.name] + now) / 2
        return found, logs

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


def _finite(slope: np.ndarray) -> np.ndarray:
    """Return slopes, with 0 where there are none."""
    return np.nan_to_num(slope, posinf=0.0, neginf=0.0)


def _sd(precision: np.ndarray) -> np.ndarray:
    """Return standard deviations, at most 1, in one row."""
    return 1 / np.sqrt(np.maximum(precision, 1.0)).ravel()
