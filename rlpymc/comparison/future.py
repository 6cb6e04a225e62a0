"""Leave the future out: what comes next, given what came before.

Buerkner, Gabry & Vehtari (2020), Journal of Statistical Computation and Simulation 90, 2499-2523: a posterior of the
past is carried on by importance sampling, and fitted anew where that is not reliable any more.
"""

from dataclasses import dataclass
from pathlib import Path

import arviz_stats  # noqa: F401  (gives arrays the accessor azstats)
import numpy as np
import xarray as xr
from rich.progress import track
from scipy.special import logsumexp

from rlpymc.checks import check_seed, check_type, check_whole, is_number, unknown
from rlpymc.comparison.elpd import Elpd
from rlpymc.comparison.leave_one_out import ROUNDING, check_draws, relative_efficiency
from rlpymc.comparison.refits import Refits
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.nuts.sampling import TARGET_ACCEPT
from rlpymc.fitting.posterior import flat, parameter_draws
from rlpymc.likelihood.draws import log_prob_draws
from rlpymc.trials.fingerprints import response_hash
from rlpymc.trials.model_data import ModelData

TIMES = ("trial", "session", "block")
DRAWS = 100  # looked at together
K_THRESHOLD = 0.7  # of Buerkner, Gabry & Vehtari (2020)


def leave_future_out(
    rl_model: RLModel,
    first: int,
    *,
    ahead: int = 1,
    by: str = "trial",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    target_accept: float = TARGET_ACCEPT,
    k_threshold: float = K_THRESHOLD,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Elpd:
    """Log probability of each person's next responses given everybody's responses before.

    The first posterior is of the first trials of all people.  It predicts what comes next, and goes on to the next
    cut by importance sampling with what was seen since; where Pareto k is above the threshold, the model is fitted to
    all that came before.  Other than in leave-one-out, a model cannot look back from later trials on earlier ones.

    Parameters
    ----------
    rl_model : RLModel
        From `build`, of all data.
    first : int
        How many trials (sessions, blocks) of each person the first posterior is of; at least 1.
    ahead : int
        How many are predicted at a time.  Windows lie side by side, so that each response is predicted once; within a
        window each is predicted given the observed ones before, with parameters that were estimated before it.
    by : {"trial", "session", "block"}
        What time is counted in: trials, or a column of the trials, whose values count in the order in which they come
        in a person.
    draws, tune, chains, seed, target_accept
        As for `sample`, for each fit.
    k_threshold : float
        Pareto k above which the model is fitted anew; -inf: at each cut, which is exact.
    folder : path, optional
        Where fits are kept; calling again with the same arguments takes up the missing ones.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Elpd
        A unit is a person's window: ``elpd_i`` has the coordinates subject and ``cut``, the time at which it begins.
        `compare` takes such results of several models.

    Raises
    ------
    ValueError
        If nothing comes after `first`, a person has no scored response before, or the trials have no such column.
    """
    check_type(rl_model, RLModel, "a model from rlpymc.build")
    check_whole(1, first=first, ahead=ahead)
    check_seed(seed)
    check_whole(4, draws=draws)
    check_whole(1, chains=chains)
    check_draws(draws * chains, "leave_future_out")
    if not is_number(k_threshold):
        raise ValueError(f"k_threshold: found {k_threshold!r}, expected a number, or -inf to fit anew at each cut")
    data = rl_model.data
    window, n_windows = _windows(data, by, first, ahead)
    settings = {"draws": draws, "tune": tune, "chains": chains, "seed": seed, "target_accept": target_accept}
    refits, cuts = Refits(rl_model, settings, folder), first + ahead * np.arange(n_windows)
    elpd, k = np.zeros((n_windows, data.shape[0])), np.full(n_windows, -np.inf)
    past = _Past.fitted(refits, window, 0, f"{by}s from {first} on", first)
    for w in track(range(n_windows), "leave the future out", disable=not progress, transient=True):
        log_weights, k[w] = past.weights(w)
        if not k[w] <= k_threshold:
            past = _Past.fitted(refits, window, w, f"{by}s from {cuts[w]} on", int(cuts[w]))
            log_weights, _ = past.weights(w)
        elpd[w] = logsumexp(log_weights.values[..., None] + past.log_lik[..., w], axis=(0, 1))
    refits.warn(stacklevel=2)
    seen = np.stack([(data.scored_trials & (window == w)).any(axis=1) for w in range(n_windows)])
    which, who = np.nonzero(seen)
    dims, coords = ("unit",), {"subject": ("unit", data.subjects[who]), "cut": ("unit", cuts[which])}
    return Elpd(
        elpd_i=xr.DataArray(elpd[seen], dims=dims, coords=coords),
        pareto_k=xr.DataArray(k[which], dims=dims, coords=coords),
        refitted=xr.DataArray(~(k[which] <= k_threshold), dims=dims, coords=coords),
        p=float("nan"),
        good_k=k_threshold,
        unit=f"{ahead} {by}{'s' if ahead > 1 else ''} ahead, from {first} on",
        responses=response_hash(data),
    )


@dataclass(frozen=True)
class _Past:
    """What a posterior of the past says of all that comes after.

    Parameters
    ----------
    since : int
        The first window that it has not seen.
    log_lik : (chain, draw, subject, window)
        Log likelihoods of the windows.
    """

    since: int
    log_lik: np.ndarray

    @classmethod
    def fitted(cls, refits: Refits, window: np.ndarray, since: int, name: str, cut: int) -> "_Past":
        """Fit the model to all windows before one."""
        data = refits.data
        seen = (window < since)[..., None] & data.masks["scored"].reshape((*data.shape, -1))
        if (none := ~seen.any(axis=(1, 2))).any():
            raise ValueError(
                f"subject {data.subjects[none][0].item()!r} has no scored response before {cut}, from which on the "
                "future is left out: let first be larger, or leave the subject out of the trials"
            )
        model, fit = refits.fit(name, seen.reshape(data.masks["scored"].shape), f"before_{cut}", cut)
        posterior = fit["posterior"].to_dataset()
        draws, n = flat(posterior), int(window.max()) + 1
        indicator = (window[..., None] == np.arange(n)).astype(float)  # (subject, trial, window)
        found = []
        for begin in range(0, draws.sizes["sample"], DRAWS):
            params = parameter_draws(model, draws.isel(sample=slice(begin, begin + DRAWS)), data)
            terms = log_prob_draws(data, params, model.spec.backend)
            terms = terms.reshape((*terms.shape[:3], -1)).sum(axis=3)
            found.append((terms.swapaxes(0, 1) @ indicator).swapaxes(0, 1))
        shape = (posterior.sizes["chain"], posterior.sizes["draw"], data.shape[0], n)
        return cls(since, np.concatenate(found).reshape(shape))

    def weights(self, w: int) -> tuple[xr.DataArray, float]:
        """Return log weights (chain, draw) of the draws after all windows before w were seen, and Pareto k."""
        ratio = xr.DataArray(self.log_lik[..., self.since : w].sum(axis=(2, 3)), dims=("chain", "draw"))
        if np.ptp(ratio.values) <= ROUNDING:
            return xr.full_like(ratio, -np.log(ratio.size)), -np.inf  # it has seen all of them, or they say nothing
        efficiency = relative_efficiency(ratio.expand_dims("unit", axis=2))
        log_weights, k = (-ratio).azstats.psislw(dim=["chain", "draw"], r_eff=efficiency)
        return log_weights, float(k)


def _windows(data: ModelData, by: str, first: int, ahead: int) -> tuple[np.ndarray, int]:
    """Window of each trial, (subject, trial), -1 before the first and in padding, and the number of windows."""
    exists = data.masks["exists"]
    time = np.broadcast_to(np.arange(data.shape[1]), data.shape)
    if by not in TIMES:
        raise unknown("time to count in", by, TIMES)
    if by != "trial":
        if by not in data.trials:
            raise ValueError(f"the trials have no column {by!r}: name it in read_trials(..., columns={{'{by}': ...}})")
        values = data.trials[by].transpose("subject", "trial").values
        change = (values[:, 1:] != values[:, :-1]) & exists[:, 1:]
        time = np.concatenate([np.zeros((data.shape[0], 1), dtype=int), change.cumsum(axis=1)], axis=1)
        for i, label in enumerate(data.subjects.tolist()):
            if len(np.unique(values[i][exists[i]])) <= time[i].max():
                raise ValueError(
                    f"subject {label!r}: a {by} comes back after another one; give each a value of its own"
                )
    window = np.where(exists & (time >= first), (time - first) // ahead, -1)
    if window.max() < 0:
        raise ValueError(
            f"first={first}: nothing comes after, the longest subject has {int(time[exists].max()) + 1} {by}s"
        )
    return window, int(window.max()) + 1
