"""The likelihood of a person's responses given the group alone: integrated over the person's own parameters."""

import warnings
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from rlpymc.checks import check_seed, check_whole
from rlpymc.comparison.own_parameters import OwnParameters, near_points
from rlpymc.comparison.refits import check_fit_of
from rlpymc.comparison.terms import INTEGRATED
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.posterior import flat
from rlpymc.trials.model_data import ModelData

SHARED = 10  # points near a person's posterior that all draws share, for each that a draw has to itself
CHUNK = 1_000_000  # points of all subjects at a time
ROUGH = 0.1  # Monte-Carlo error of a person's log likelihood, in nats, that is warned of


def marginal_log_likelihood(
    rl_model: RLModel, fit: xr.DataTree, *, draws: int = 1000, n_samples: int = 100, seed: int | None = 0
) -> xr.Dataset:
    """Integrate each person's likelihood over their own parameters, for draws of the group's, and keep it in the fit.

    For each draw of what all people share (means and spreads of the population, parameters that are one for all) the
    likelihood of all responses of a person is averaged over the person's parameters as the population has them, by
    importance sampling.  Points drawn from the population alone would miss a person whom the data pin down, and points
    near the person's posterior alone a population narrower than it, so they come from both (a defensive mixture, Owen
    & Zhou 2000), on the unbounded scale.  Parameters that are whole numbers are summed over.

    Parameters
    ----------
    rl_model : RLModel
        From `build`.
    fit : xr.DataTree
        Its fit, from `sample`.
    draws : int
        Number of draws of the group, spread evenly over the chains' draws; all of them if there are fewer.
    n_samples : int
        Number of points drawn from the population for each of these; ten times as many near the person's posterior
        are shared by all draws (as many, where parameters that are one for all are estimated).
    seed : int, optional
        The same seed gives the same numbers.

    Returns
    -------
    xr.Dataset
        ``choice`` (chain, draw, subject), the log likelihoods; ``error`` (subject,), their Monte-Carlo standard
        error, the mean over draws.  The same is added to the fit as its group ``marginal_log_likelihood``, which
        ``loo(..., unit="subject")`` and ``compare`` read.  Without pooling the population is the prior, and the result
        is each person's log evidence.

    Raises
    ------
    ValueError
        If the fit is not of this model, or no parameter is estimated by subject.
    """
    check_fit_of(rl_model, fit)
    check_whole(4, draws=draws)
    check_whole(2, n_samples=n_samples)
    check_seed(seed)
    posterior = fit["posterior"].to_dataset()
    group = thinned(posterior, draws)
    values, error = integrated(
        rl_model, flat(group), rl_model.data, flat(posterior), n_samples, np.random.default_rng(seed)
    )
    dims: dict[str, Any] = {d: group[d].values for d in ("chain", "draw")} | {"subject": rl_model.data.subjects}
    by_chain = values.reshape([len(v) for v in dims.values()])
    out = xr.Dataset({"choice": (tuple(dims), by_chain), "error": ("subject", error)}, coords=dims)
    fit[INTEGRATED] = xr.DataTree(out)
    if (rough := error > ROUGH).any():
        worst = rl_model.data.subjects[error.argmax()].item()
        warnings.warn(
            f"the integrated log likelihood is rough for {rough.sum()} of {error.size} subjects (subject {worst!r}: "
            f"Monte-Carlo error {error.max():.2f}); take more points, n_samples={4 * n_samples}",
            UserWarning,
            stacklevel=2,
        )
    return out


def thinned(posterior: xr.Dataset, draws: int = 1000) -> xr.Dataset:
    """Return so many draws of a posterior, spread evenly over its chains, or all if there are fewer."""
    length = posterior.sizes["draw"]
    kept = np.linspace(0, length - 1, max(1, min(length, draws // posterior.sizes["chain"])))
    return posterior.isel(draw=kept.round().astype(int))


def integrated(
    rl_model: RLModel,
    group: xr.Dataset,
    data: ModelData,
    near: xr.Dataset,
    n_samples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return log likelihoods integrated over each subject's own parameters, and their Monte-Carlo errors.

    Parameters
    ----------
    rl_model : RLModel
        The model that `group` is a posterior of.
    group : xr.Dataset
        With the dim ``sample``; the population and what all share is taken from here.
    data : ModelData
        Whose responses; the subjects need not be those of the model.
    near : xr.Dataset
        A posterior, with the dim ``sample``, in which these subjects are: it says where their parameters lie.
    n_samples, rng
        As for `marginal_log_likelihood`.

    Returns
    -------
    (sample, subject), (subject,)
    """
    own = OwnParameters(rl_model, data)
    pooled = any(effect.pooled for effect in rl_model.spec.population.effects(data))
    n_draws = group.sizes["sample"]
    if not pooled and not own.common:
        group = group.isel(sample=[0])  # nothing differs between draws
    n_near = n_samples if own.common else SHARED * n_samples
    shared = near_points(own, near, n_near, rng)
    at_shared = None if own.common else own.log_lik(shared.points[None], group)  # the same for all draws
    log_n = np.log([n_near, n_samples, n_near + n_samples])
    size = max(1, CHUNK // (data.shape[0] * max(n_samples, n_near)))
    values, errors = [], []
    for first in range(0, group.sizes["sample"], size):
        some = group.isel(sample=slice(first, first + size))
        fresh = own.from_population(some, n_samples, rng)
        at_near = own.log_lik(shared.points[None], some) if at_shared is None else at_shared
        log_weights = []
        for u, log_near, log_lik in (
            (shared.points[None], shared.log_density[None], at_near),
            (fresh, shared.log_prob(fresh), own.log_lik(fresh, some)),
        ):
            log_prior = own.log_prior(u, some)
            mixture = np.logaddexp(log_n[0] + log_near, log_n[1] + log_prior) - log_n[2]
            log_weights.append(np.logaddexp.reduce(log_lik + own.log_shares(some), axis=0) + log_prior - mixture)
        weights = np.concatenate(log_weights, axis=1)  # (sample, point, subject)
        value = logsumexp(weights, axis=1) - log_n[2]
        values.append(value)
        errors.append(np.exp(weights - value[:, None]).std(axis=1, ddof=1) / np.sqrt(n_near + n_samples))
    found = np.concatenate(values)
    return np.broadcast_to(found, (n_draws, data.shape[0])), np.concatenate(errors).mean(axis=0)
