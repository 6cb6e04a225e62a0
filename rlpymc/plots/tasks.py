"""Figures that belong to a task: stay probabilities of the two-step task, curves by set size, maps of grid worlds."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlpymc.checks import check_type, unknown
from rlpymc.plots.look import COLOURS, mean_and_range
from rlpymc.plots.targets import target_actions
from rlpymc.tasks import GridWorld


def stay_probabilities(trials: xr.Dataset, prediction: xr.Dataset | None = None, ax: Axes | None = None) -> Figure:
    """Draw how often the first action of a two-step task is repeated, by the reward and the transition before.

    Parameters
    ----------
    trials : xr.Dataset
        Trials from `read_trials` or `simulate`, or a prediction from `predict`, with the columns action1, state2 and
        reward.  A transition is common if first action a led to state a.
    prediction : xr.Dataset, optional
        A prediction to draw over the trials.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Bars for common and rare transitions, after reward above 0 and after none: the mean over subjects of their
        shares of repeated first actions.  Of trials with the standard error of the mean; of a prediction with the 94 %
        interval over the draws.  A prediction over trials is drawn as dots on their bars.  Trials count if their first
        action is scored and the trial before, after the same reset, was completed; one-step predictions are held
        against the action that was observed before.

    Raises
    ------
    TypeError
        If `prediction` is none.
    ValueError
        If a column is missing, or a prediction is yoked: its transitions do not follow from its actions; or if trials
        and prediction are given the other way round.
    """
    _check_overlay(trials, prediction)
    bars, dots = _stays(trials), {} if prediction is None else _stays(prediction)
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 3.4), layout="constrained")
    for k, (label, (mean, error)) in enumerate(bars.items()):
        ax.bar(np.arange(2) + 0.4 * k - 0.2, mean, 0.38, yerr=error, color=COLOURS[k], capsize=3, label=label)
    look: dict[str, Any] = {"fmt": "o", "c": "black", "mfc": "white", "ms": 5, "capsize": 3}
    for k, (mean, error) in enumerate(dots.values()):
        ax.errorbar(np.arange(2) + 0.4 * k - 0.1, mean, error, **look, label=None if k else "predicted")
    ax.set_xticks([0, 1], ["reward", "no reward"])
    ax.set_yticks(np.arange(0, 1.1, 0.2))
    ax.set(ylim=(0, 1.22), xlabel="outcome of the trial before", ylabel="probability of repeating the first action")
    ax.set_title(_heading(trials, prediction, ("bars", "dots")), fontsize="small")
    ax.legend(title="transition", loc="upper right", ncols=3, frameon=False, fontsize="small", columnspacing=1)
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _stays(trials: xr.Dataset) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return by transition how often the first action is repeated after reward and after none, and its error bars."""
    _require(trials, "action1", "state2", "reward")
    if trials.attrs.get("kind") == "yoked":
        raise ValueError("transitions of a yoked prediction do not follow from its actions; take one_step or free_run")
    made = trials["action1"].values  # (subject, trial), or (sample, subject, trial)
    known = trials["observed_action1"].values if trials.attrs.get("kind") == "one_step" else made
    state, reward, scored = trials["state2"].values, trials["reward"].values, trials["scored"]
    first = (scored.isel(response=0) if "response" in scored.dims else scored).values
    complete = trials["exists"].values & (known >= 0) & (state >= 0) & np.isfinite(reward)
    counted = complete[..., :-1] & first[..., 1:] & ~trials["reset"].values[..., 1:]
    stay, common, won = made[..., 1:] == known[..., :-1], (state == known)[..., :-1], reward[..., :-1] > 0
    found = {}
    for label, here in {"common": common, "rare": ~common}.items():
        shares = np.stack([_share(stay, counted & here & after) for after in (won, ~won)], axis=-1)
        mean, low, high = mean_and_range(shares)
        found[label] = mean, np.maximum([mean - low, high - mean], 0)
    return found


def set_size_curves(
    trials: xr.Dataset,
    target: str | None = None,
    presentations: int | None = None,
    ax: Axes | None = None,
    *,
    prediction: xr.Dataset | None = None,
) -> Figure:
    """Draw how learning in blocks of stimuli depends on how many there are.

    Parameters
    ----------
    trials : xr.Dataset
        Trials from `read_trials` or `simulate`, or a prediction from `predict`, with the columns stimulus and set_size.
    target : str, optional
        The column with the right action of each trial, such as "correct_action".  Unless told, actions are right if
        they were rewarded (above 0); predictions that keep the observed outcomes need a target.
    presentations : int, optional
        Up to how many presentations of a stimulus are drawn; all unless told.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.
    prediction : xr.Dataset, optional
        A prediction to draw over the trials.

    Returns
    -------
    Figure
        A curve for each set size: the share of right actions against how often the stimulus has been shown since the
        last reset, this time included; mean over subjects.  Of trials with the standard error of the mean; of a
        prediction with the 94 % interval over the draws.  With a prediction over them, trials are dots.  Only scored
        trials count.

    Raises
    ------
    TypeError
        If `prediction` is none.
    ValueError
        If a column is missing, or a target that the prediction needs, or the target does not mean an action, or the
        response is a number; or if trials and prediction are given the other way round.
    """
    _check_overlay(trials, prediction)
    drawn = [_by_set_size(one, target, presentations) for one in (trials, prediction) if one is not None]
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    sizes = sorted({size for curves in drawn for size in curves})
    for curves in drawn:
        for size, (x, shares) in curves.items():
            mean, low, high = mean_and_range(shares)
            look: dict[str, Any] = {"c": COLOURS[sizes.index(size) % len(COLOURS)], "lw": 1.2}
            if curves is drawn[0]:
                look |= {"label": f"{size:g}", "marker": "o", "ms": 3}
            if shares.ndim == 3:
                ax.fill_between(x, low, high, color=look["c"], alpha=0.12, lw=0)
                ax.plot(x, mean, **look)
            else:
                ax.errorbar(x, mean, high - mean, capsize=2, **look, ls="-" if prediction is None else "")
    ax.set(ylim=(-0.03, 1.03), xlabel="times the stimulus was shown", ylabel="share of right actions")
    ax.set_title(_heading(trials, prediction, ("dots", "lines")), fontsize="small")
    ax.legend(title="set size", loc="lower right", ncols=2, frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _by_set_size(
    trials: xr.Dataset, target: str | None, presentations: int | None
) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Return by set size how often a stimulus was shown, (x,), and shares of right actions, (..., subject, x)."""
    _require(trials, "stimulus", "set_size", *([] if target else ["reward"]))
    kind, response = trials.attrs.get("kind"), trials.attrs.get("response", "action")
    if trials[response].dtype.kind == "f":
        raise ValueError(f"set_size_curves counts right actions, and {response!r} is a number; take learning_curve")
    if target is None and kind in ("one_step", "yoked"):
        raise ValueError(f"a {kind} prediction keeps the observed rewards: name the column with the right action")
    made = trials[response].values
    right = trials["reward"].values > 0 if target is None else made == target_actions(trials, target)
    shown, size = _times_shown(trials), trials["set_size"].values
    counted = trials["scored"].values & (shown <= (presentations or shown.max()))
    found = {}
    for one in np.unique(size[counted]):
        x = np.unique(shown[counted & (size == one)])
        found[one] = x, np.stack([_share(right, counted & (size == one) & (shown == n)) for n in x], axis=-1)
    return found


def _check_overlay(trials: xr.Dataset, prediction: xr.Dataset | None) -> None:
    """Raise an error unless these are trials and a prediction that goes over them, or one of both alone."""
    if prediction is None:
        return
    check_type(prediction, xr.Dataset, "a prediction from rlpymc.predict")
    if "sample" in trials.dims or "sample" not in prediction.dims:
        found = ["a prediction" if "sample" in one.dims else "trials" for one in (trials, prediction)]
        raise ValueError(
            f"found {found[0]} and {found[1]}, expected trials, and prediction= from rlpymc.predict to draw over them"
        )


def _heading(trials: xr.Dataset, prediction: xr.Dataset | None, marks: tuple[str, str]) -> str:
    """Return a title that says what is drawn, by which marks, and what the error bars are."""
    if prediction is None:
        return _what(trials)
    return f"{marks[0]}: {_what(trials)}\n{marks[1]}: {_what(prediction)}"


def _what(one: xr.Dataset) -> str:
    if "sample" not in one.dims:
        return "trials, mean ± standard error"
    kind = {"one_step": "one-step ", "yoked": "yoked ", "free_run": "free-running "}.get(one.attrs.get("kind", ""), "")
    return f"{kind}prediction, mean and 94 % interval"


def grid_maps(maps: Mapping[str, Any], task: GridWorld, label: str = "reward") -> Figure:
    """Draw maps of a grid world side by side, in the same colours.

    Parameters
    ----------
    maps : mapping
        By title: a number for each cell, (n_states,) or (height, width).
    task : GridWorld
        Whose cells these are; goals are marked.
    label : str
        What the numbers are.

    Returns
    -------
    Figure
        One panel for each map; colours run from minus to plus the largest number, white for 0.

    Raises
    ------
    ValueError
        If there is no map, or one has not a number for each cell.
    """
    shape = (task.height, task.width)
    if not maps:
        raise ValueError("maps: found none, expected at least one, by title")
    grids = {title: np.asarray(values, dtype=float) for title, values in maps.items()}
    for title, grid in grids.items():
        if grid.shape not in (shape, (shape[0] * shape[1],)) or not np.isfinite(grid).all():
            raise ValueError(
                f"map {title!r}: found shape {grid.shape}, expected a finite number for each cell, {shape}"
            )
    largest = max(float(np.abs(grid).max()) for grid in grids.values()) or 1.0
    figure, axes = plt.subplots(
        1, len(grids), figsize=(2.6 * len(grids) + 0.8, 2.8), layout="constrained", squeeze=False
    )
    for ax, (title, grid) in zip(axes[0], grids.items(), strict=True):
        image = ax.imshow(grid.reshape(shape), cmap="RdBu_r", vmin=-largest, vmax=largest)
        for goal in task.terminal:
            ax.text(goal % task.width, goal // task.width, "G", ha="center", va="center")
        ax.set(title=title, xticks=[], yticks=[])
    figure.colorbar(image, ax=axes[0].tolist(), label=label)
    return figure


def _require(trials: xr.Dataset, *names: str) -> None:
    for name in names:
        if name not in trials:
            raise unknown("column of the trials", name, trials.data_vars)


def _times_shown(trials: xr.Dataset) -> np.ndarray:
    """Count of a trial's stimulus since the last reset, this time included."""
    shape, exists = trials["stimulus"].shape, trials["exists"].values
    stimulus = np.where(exists, trials["stimulus"].values, 0).reshape(-1, shape[-1]).astype(int)
    exists, reset = exists.reshape(stimulus.shape), trials["reset"].values.reshape(stimulus.shape)
    row, shown = np.arange(len(stimulus)), np.zeros(stimulus.shape, dtype=int)
    counts = np.zeros((len(stimulus), stimulus.max() + 1), dtype=int)
    for t in range(shape[-1]):
        counts[reset[:, t]] = 0
        counts[row, stimulus[:, t]] += exists[:, t]
        shown[:, t] = counts[row, stimulus[:, t]]
    return shown.reshape(shape)


def _share(hits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return each subject's share of hits among the trials that count, NaN where there are none."""
    n = counted.sum(axis=-1)
    return np.asarray((hits & counted).sum(axis=-1) / np.where(n > 0, n, np.nan))
