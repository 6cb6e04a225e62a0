"""Behaviour in numbers that need no model: how often the best was chosen, and what people did after wins and losses."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

SITUATIONS = ("stimulus", "state")  # columns that say which earlier choice a choice repeats


@dataclass(frozen=True)
class Behaviour:
    """What people did in a task.

    Parameters
    ----------
    by_subject : dict of (subject,)
        By measure: a share of choices, or a mean; NaN for somebody to whom it does not apply.
    by_trial : dict of (subject, trial)
        What measures are means of, by the number of trials since the last reset, NaN where a subject has none.
    """

    by_subject: dict[str, np.ndarray]
    by_trial: dict[str, np.ndarray]


def behaviour(trials: xr.Dataset, response: str, win_above: float) -> Behaviour:
    """Measure behaviour.

    Parameters
    ----------
    trials : xr.Dataset
        Trials, with the column ``best`` if it is known which choices were best.
    response : str
        The choices, numbered.
    win_above : float
        A reward above this is a win, any other a loss.

    Returns
    -------
    Behaviour
        ``stay``: the share of choices that repeat the one before, and where there are rewards ``reward``, the mean,
        ``win_stay``, the share of wins after which the choice was repeated, and ``lose_shift``, that of losses after
        which it was not; where there is a column ``best``, ``accuracy``, the share of choices that were best.  The
        choice before is that of the last trial with the same stimulus or state since the last reset.  Only scored
        trials count.
    """
    chosen = trials[response].values
    scored = trials["scored"].isel(response=0, missing_dims="ignore").values & (chosen >= 0)
    before = _before(trials, chosen >= 0)
    again = scored & (before >= 0)
    stays = np.take_along_axis(chosen, np.maximum(before, 0), axis=1) == chosen
    by_subject, courses = {"stay": _share(stays, again)}, {}
    if "reward" in trials:
        reward = trials["reward"].values
        last = np.take_along_axis(reward, np.maximum(before, 0), axis=1)
        by_subject["win_stay"] = _share(stays, again & (last > win_above))
        by_subject["lose_shift"] = _share(~stays, again & (last <= win_above))
        courses["reward"] = reward, scored & np.isfinite(reward)
    if "best" in trials:
        courses["accuracy"] = trials["best"].values, scored
    since = since_reset(trials["reset"].values)
    by_subject |= {name: _share(*course) for name, course in courses.items()}
    return Behaviour(by_subject, {name: _by_position(*course, since) for name, course in courses.items()})


def since_reset(reset: np.ndarray) -> np.ndarray:
    """Return the number of trials since the last reset, (subject, trial)."""
    trial = np.arange(reset.shape[1])
    return np.asarray(trial - np.maximum.accumulate(np.where(reset, trial, 0), axis=1))


def _before(trials: xr.Dataset, made: np.ndarray) -> np.ndarray:
    """Return the last trial of the same situation with a choice since the reset, (subject, trial), -1 for none."""
    shown = [trials[name].values for name in SITUATIONS if name in trials and trials[name].ndim == 2]
    situation = np.maximum(shown[0].astype(int), 0) if shown else np.zeros(made.shape, dtype=int)
    everybody, reset = np.arange(len(made)), trials["reset"].values
    last, found = np.full((len(made), int(situation.max()) + 1), -1), np.empty(made.shape, dtype=int)
    for t in range(made.shape[1]):
        last[reset[:, t]] = -1
        here = situation[:, t]
        found[:, t] = last[everybody, here]
        last[everybody, here] = np.where(made[:, t], t, found[:, t])
    return found


def _share(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return each subject's mean of the values that count, NaN of none."""
    n = counted.sum(axis=1)
    return np.asarray(np.where(counted, values, 0).sum(axis=1) / np.where(n > 0, n, np.nan))


def _by_position(values: np.ndarray, counted: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Return each subject's mean at each number of trials since the reset, (subject, trial), NaN of none."""
    length = int(since.max()) + 1
    place = (np.arange(len(since))[:, None] * length + since).ravel()
    sums, n = (
        np.bincount(place, weights.ravel(), length * len(since)).reshape((len(since), length))
        for weights in (np.where(counted, values, 0).astype(float), counted.astype(float))
    )
    return np.asarray(sums / np.where(n > 0, n, np.nan))
