"""Sites: Gaussians that stand for what each subject's data say, found before sampling.

The likelihood of a subject's numbers theta, all those on the unbounded scale that are normal around the group's, is
taken for exp(-theta' H theta / 2 + b' theta).  With N(mu, S) of the group this is N(mean, L^-1), L = H + S^-1, and the
best such Gaussian (of all, the nearest to the posterior in Kullback-Leibler divergence) is a fixed point:

    H = -E[second derivative of the log likelihood],  b = E[its slope] + H mean,  under the Gaussian itself

Second derivatives come of slopes by Stein's identity.  The group's mu and sigma, and parameters of other kinds, are
estimated in the same rounds.  Sites shape the coordinates of a sampler, and not the posterior: where none can be found,
0 does.

References
----------
Opper & Archambeau (2009). The variational Gaussian approximation revisited. Neural Computation 21, 786-792.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.special import ndtri

from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.model.record import Record
from rlpymc.model.priors import Normal
from rlpymc.population.effects import Effect, Pooled, Single, Variable
from rlpymc.population.points import Points
from rlpymc.population.whole_numbers import WholeNumber, combinations

POINTS = 64  # at which slopes are averaged, if that is enough for as many numbers
ROUNDS = 30
SETTLED = 0.01  # change of a round, in standard deviations
STEP = 1e-4  # of differences of priors, which are smooth, on the real line
SHARPEST = 1e8  # curvature of a likelihood in units of the group's


@dataclass(frozen=True)
class Sites:
    """What is found.

    Parameters
    ----------
    H : (subject, k, k)
        Precisions.
    b : (subject, k)
        Precisions times places.
    centre, spread : (number,)
        About where the posterior is, in the order of points, and standard deviations; for subjects' deviations 0 and 1,
        the site's own; NaN where nothing is known.
    """

    H: np.ndarray
    b: np.ndarray
    centre: np.ndarray
    spread: np.ndarray


def normal_effects(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return the effects that sites are of: subjects' numbers are normal around the group's."""
    usual = {"mu", "sigma", "z"}
    return tuple(
        e
        for e in effects
        if isinstance(e, Pooled)
        and {v.key for v in e.variables} == usual
        and e.named[f"{e.name}_z"].prior == Normal()
    )


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
        Whether a subject's numbers have one site, or each one of its own.
    """
    return _Search(likelihood, points, constants, together).run()


def quadrature(d: int) -> np.ndarray:
    """Return points, (point, d), whose mean is 0 and whose covariance is the identity, like a normal distribution's.

    Half of them are a scrambled Sobol sequence (seeded, so that these are constants), and half its mirror image.
    """
    from scipy.stats import qmc  # slow to import

    n = max(POINTS // 2, 1 << int(2 * d).bit_length())
    half = ndtri(qmc.Sobol(d, seed=0).random(n)) if d else np.zeros((n, 0))
    half = np.linalg.solve(np.linalg.cholesky(half.T @ half / n), half.T).T
    return np.concatenate([half, -half])


class _Number:
    """A number on the real line that is estimated: its place, precision, and what belongs to it by its prior."""

    def __init__(self, variable: Variable, shape: tuple[int, ...]) -> None:
        self.prior, self.place = variable.prior, np.full(shape, variable.prior.middle())
        self.precision = np.maximum(-self.prior_slopes()[1], 1e-3)

    def natural(self, at: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the value on the natural scale, and its derivative."""
        at = self.place if at is None else at
        below, here, above = (self.prior.unbounded(at + step)[0] for step in (-STEP, 0.0, STEP))
        return here, (above - below) / (2 * STEP)

    def prior_slopes(self, at: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the first two derivatives of the log prior."""
        at = self.place if at is None else at
        below, here, above = (self.prior.unbounded(at + step)[1] for step in (-STEP, 0.0, STEP))
        return (above - below) / (2 * STEP), (above - 2 * here + below) / STEP**2

    def move(self, slope: np.ndarray, precision: np.ndarray, share: float) -> None:
        """Go part of the way to where a quadratic approximation has its maximum."""
        precision = np.where(np.isfinite(precision) & (precision > 1e-6), precision, self.precision)
        self.precision = (1 - share) * self.precision + share * precision
        step = np.clip(np.nan_to_num(slope / self.precision), -1.0, 1.0)
        self.place = self.place + share * step


class _Search:
    """The rounds."""

    def __init__(
        self, likelihood: Likelihood, points: Points, constants: Mapping[str, np.ndarray], together: bool
    ) -> None:
        self.likelihood, self.points, self.together, self.n = likelihood, points, together, points.n_subjects
        self.constants = dict(constants)
        self.own = normal_effects(points.effects)
        ends = np.cumsum([0, *(prod(e.shape) for e in self.own)]).tolist()
        self.entries = {e.name: slice(a, b) for e, a, b in zip(self.own, ends[:-1], ends[1:], strict=True)}
        self.group = {
            name: _Number(v, e.shape) for e in self.own for name, v in e.named.items() if v.level == "group"
        }
        self.whole = [e for e in points.effects if isinstance(e, WholeNumber)]
        self.weights = {e.name: np.array(e.weights) for e in self.whole}
        self.besides: dict[str, _Number] = {}
        for effect in points.effects:
            if isinstance(effect, Single):
                outer = (self.n,) if effect.by_subject else ()
                self.besides[effect.name] = _Number(effect.variables[0], (*outer, *effect.shape))
            elif effect not in self.own and not isinstance(effect, WholeNumber):  # at the middle of its priors
                middles = {v.key: v.prior.unbounded(np.array(v.prior.middle()))[0] for v in effect.variables}
                self.constants[effect.name] = np.broadcast_to(
                    effect.value(Record(**middles)), (self.n, *effect.shape)
                ).astype(float)
        k = ends[-1]
        self.H, self.b = np.zeros((self.n, k, k)), np.zeros((self.n, k))
        own_sizes = [prod(e.shape) for e in points.effects if e.name in self.besides]
        normal = quadrature(k + sum(own_sizes))
        self.normal, rest = normal[:, :k], normal[:, k:]
        parts = np.split(rest, np.cumsum(own_sizes)[:-1], axis=1) if own_sizes else []
        self.normal_besides = dict(zip(self.besides, parts, strict=True))

    # ------------------------------------------------------------------------------------------ the likelihood
    def _slopes(self, params: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the slopes of the log likelihood, 0 where it has none, and probabilities of the whole numbers."""
        active = [*self.entries, *self.besides]
        chosen = combinations(self.points.effects)
        totals, found = [], []
        for values in chosen:
            whole = {name: np.full(self.n, float(value)) for name, value in values.items()}
            total, slopes = self.likelihood.gradient({**params, **whole}, active)
            prior = [self.weights[e.name][e.values.index(values[e.name])] for e in self.whole]
            totals.append(np.where(np.isnan(total), -np.inf, total) + np.log(prod(prior)))
            found.append(slopes)
        top = np.max(totals, axis=0)
        shares = np.exp(np.array(totals) - np.where(np.isfinite(top), top, 0.0))
        with np.errstate(invalid="ignore"):
            shares = np.nan_to_num(shares / shares.sum(axis=0))
        joined = {}
        for name in active:
            value = sum(s.reshape((-1,) + (1,) * (f[name].ndim - 1)) * np.nan_to_num(f[name], posinf=0.0, neginf=0.0) for s, f in zip(shares, found, strict=True))
            joined[name] = value
        of_values = {
            e.name: np.array(
                [sum(s for s, c in zip(shares, chosen, strict=True) if c[e.name] == value) for value in e.values]
            )
            for e in self.whole
        }
        return joined, of_values

    # ------------------------------------------------------------------------------------------------ a round
    def _moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return mu and sigma, (k,), and of each subject the mean and a factor F of the covariance F F'."""
        flat = {key: [self.group[f"{e.name}_{key}"].natural()[0].ravel() for e in self.own] for key in ("mu", "sigma")}
        mu, sigma = np.concatenate(flat["mu"]), np.concatenate(flat["sigma"])
        scaled = np.eye(len(mu)) + sigma[:, None] * self.H * sigma
        inverse = np.linalg.inv(np.linalg.cholesky(scaled))  # of D
        factor = sigma[:, None] * inverse.transpose(0, 2, 1)
        mean = mu + np.einsum("iab,icb,ic->ia", factor, factor, self.b - self.H @ mu)
        return mu, sigma, mean, factor

    def run(self) -> Sites:
        """Return what the rounds come to."""
        before = self._moments()
        for _ in range(ROUNDS):
            self._round(*before)
            now = self._moments()
            sd = np.sqrt((now[3] ** 2).sum(axis=2))
            old = np.sqrt((before[3] ** 2).sum(axis=2))
            change = max(np.abs((now[2] - before[2]) / sd).max(), np.abs(np.log(sd / old)).max())
            before = now
            if change < SETTLED:
                break
        return self._result(*before)

    def _round(self, mu: np.ndarray, sigma: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> None:
        k = len(mu)
        sums, by_normal = np.zeros_like(self.b), np.zeros_like(self.H)
        besides = {name: [np.zeros_like(v.place), np.zeros_like(v.place)] for name, v in self.besides.items()}
        seen = {e.name: np.zeros(len(e.values)) for e in self.whole}
        for p, normal in enumerate(self.normal):
            theta, params, chain = mean + factor @ normal, dict(self.constants), {}
            for effect in self.own:
                own = theta[:, self.entries[effect.name]].reshape((self.n, *effect.shape))
                params[effect.name] = effect.support.constrain(own)
                chain[effect.name] = np.exp(effect.support.log_slope(own))
            for name, number in self.besides.items():
                eps = self.normal_besides[name][p].reshape(self.points_shape(name))
                at = number.place + eps / np.sqrt(number.precision)
                value, slope = number.natural(at)
                params[name] = np.broadcast_to(value, (self.n, *np.shape(value)[number.place.ndim - eps.ndim :]))
                chain[name] = slope
            slopes, probs = self._slopes(params)
            own = np.concatenate([(slopes[e.name] * chain[e.name]).reshape((self.n, -1)) for e in self.own], axis=1)
            own = np.where(np.isfinite(own), own, 0.0)
            sums += own
            by_normal += own[:, :, None] * normal
            for name, number in self.besides.items():
                eps = self.normal_besides[name][p].reshape(self.points_shape(name))
                slope = slopes[name] if number.place.ndim == slopes[name].ndim else slopes[name].sum(axis=0)
                slope = np.nan_to_num(slope * chain[name])
                besides[name][0] += slope
                besides[name][1] += slope * eps
            for name, found in probs.items():
                seen[name] += found.mean(axis=1)
        n = len(self.normal)
        self._move_sites(sums / n, by_normal / n, sigma, mean, factor)
        for name, (slope, curvature) in besides.items():
            number = self.besides[name]
            first, second = number.prior_slopes()
            number.move(slope / n + first, -curvature / n * np.sqrt(number.precision) - second, 0.5)
        for effect in self.whole:
            if effect.variables:
                self.weights[effect.name] = 0.5 * (self.weights[effect.name] + seen[effect.name] / n)
        self._move_group()

    def points_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a parameter beside."""
        return next(e.shape for e in self.points.effects if e.name == name)

    def _move_sites(
        self, slope: np.ndarray, by_normal: np.ndarray, sigma: np.ndarray, mean: np.ndarray, factor: np.ndarray
    ) -> None:
        """Go half of the way to the sites that averages of slopes speak for."""
        # in units of sigma: E[second derivative] = E[slope normal'] F^-1, and F = sigma D^-T
        back = np.linalg.inv(factor / sigma[:, None])
        curvature = -(sigma[:, None] * by_normal) @ back
        curvature = (curvature + curvature.transpose(0, 2, 1)) / 2
        if not self.together:
            curvature = curvature * np.eye(len(sigma))
        good = np.isfinite(curvature).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
        values, vectors = np.linalg.eigh(np.where(good[:, None, None], curvature, 0.0))
        values = np.clip(values, 0.0, SHARPEST)
        curvature = (vectors * values[:, None, :]) @ vectors.transpose(0, 2, 1)
        H = curvature / (sigma[:, None] * sigma)
        b = slope + np.einsum("iab,ib->ia", H, mean)
        self.H[good] = (self.H[good] + H[good]) / 2
        self.b[good] = (self.b[good] + b[good]) / 2

    def _move_group(self) -> None:
        """Take the group's means and standard deviations towards the posterior's mode."""
        _, _, mean, factor = self._moments()
        variance = (factor**2).sum(axis=2)
        for effect in self.own:
            own = self.entries[effect.name]
            means, variances = (a[:, own].reshape((self.n, *effect.shape)) for a in (mean, variance))
            mu, sigma = (self.group[f"{effect.name}_{key}"] for key in ("mu", "sigma"))
            (m, dm), (s, ds) = mu.natural(), sigma.natural()
            first, second = mu.prior_slopes()
            mu.move(((means - m) / s**2).sum(axis=0) * dm + first, self.n / s**2 * dm**2 - second, 1.0)
            m = mu.natural()[0]
            squares = ((means - m) ** 2 + variances).sum(axis=0) / s**2  # by the log of sigma: n - squares, 2 squares
            first, second = sigma.prior_slopes()
            sigma.move((squares - self.n) * ds / s + first, 2 * squares * (ds / s) ** 2 - second, 1.0)

    # ------------------------------------------------------------------------------------------------- result
    def _result(self, mu: np.ndarray, sigma: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> Sites:
        del mu, mean
        centre, spread = (np.full(len(self.points), np.nan) for _ in range(2))
        # what the data tell of each subject, as a share of what there is to know
        told = np.maximum(1 - (factor**2).sum(axis=2) / sigma**2, 0.0)
        for effect in self.own:
            own = self.entries[effect.name]
            s = sigma[own].reshape(effect.shape)
            known = told[:, own].reshape((self.n, *effect.shape))
            slopes = {"mu": known.sum(axis=0) / s**2, "sigma": 2 * (known**2).sum(axis=0) / s**2}
            for name, v in effect.named.items():
                place = self.points.places[name]
                if v.level == "subject":
                    centre[place], spread[place] = 0.0, 1.0
                else:
                    number = self.group[name]
                    precision = slopes[v.key] * number.natural()[1] ** 2 + np.maximum(-number.prior_slopes()[1], 0.0)
                    centre[place] = number.place.ravel()
                    spread[place] = np.minimum(1 / np.sqrt(np.maximum(precision, 1e-6)), 1.0).ravel()
        for name, number in self.besides.items():
            place = self.points.places[name]
            centre[place] = number.place.ravel()
            spread[place] = np.minimum(1 / np.sqrt(number.precision), 1.0).ravel()
        return Sites(self.H, self.b, centre, spread)
