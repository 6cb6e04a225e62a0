"""Figures: values along the trials, learning curves, two-step and set-size plots, posteriors, comparison of models.

Every function returns a matplotlib figure and shows nothing; in a notebook, end the line with a semicolon.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rlpymc.errors import unknown
from rlpymc.likelihood import latents
from rlpymc.model import Model
from rlpymc.registry import get_model
from rlpymc.sequences import MASKS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe & Ito (2008)
INTERVAL = (0.03, 0.97)  # quantiles, with 94 % of the probability between them


def trial_values(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    subject: Any = None,
    *,
    centred: bool | None = None,
) -> Figure:
    """Draw one subject's values, choices and outcomes along the trials.

    Parameters
    ----------
    model : Model or str
        A model with one choice in a trial, or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    params : mapping
        Parameters, as for `log_prob`.
    subject : label, optional
        Whose; the first unless told.
    centred : bool, optional
        True: a row for each action, with its choices as dots and its value as a line around the row.  False: all
        values on one scale, with a dot at the value of what was chosen.  Rows for two actions unless told.

    Returns
    -------
    Figure
        Above, the values *before* each choice, those that led to it: the learner's first state with one number for
        each action, or the probabilities of the actions where there is none.  Dots are filled where the reward was
        above 0; missed trials have none; thin lines stand where the state started again.  Below, the probability of
        the choice that was made.

    Raises
    ------
    ValueError
        If there is no such subject, the model's response is not one choice, or trials or parameters do not fit it.
    """
    model, labels = get_model(model), trials["subject"].values.tolist()
    if len(model.responses) != 1 or model.responses[0].dtype != "int64":
        raise ValueError(f"trial_values is for models with one choice in a trial; {model.name} has other responses")
    if subject is not None and subject not in labels:
        raise unknown("subject", subject, labels)
    i = 0 if subject is None else labels.index(subject)
    there = {"subject": i, "trial": trials["exists"].values[i]}
    seen, found = trials.isel(there), latents(model, trials, params).isel(there)
    response = model.responses[0].name
    action, probs, x = seen[response].values, found[f"{response}_probs"].values, seen["trial"].values
    name, values = _value_of_actions(model, found, probs)
    made = np.flatnonzero(action >= 0)
    chosen = action[made].astype(int)

    figure, (upper, lower) = plt.subplots(2, sharex=True, figsize=(9, 4.5), height_ratios=(3, 1), layout="constrained")
    in_rows = values.shape[1] == 2 if centred is None else centred
    heights = _in_rows(upper, name, values) if in_rows else values
    dots = chosen.astype(float) if in_rows else values[made, chosen]
    colours = np.array([COLOURS[k % len(COLOURS)] for k in range(values.shape[1])])
    key = [upper.plot(x, heights[:, k], c=c, lw=1.2, label=f"action {k}")[0] for k, c in enumerate(colours)]
    for label, which in _outcomes(seen, made).items():
        edge, is_open = colours[chosen[which]], label == "not rewarded"
        face = "white" if is_open else edge
        upper.scatter(x[made][which], dots[which], s=18, c=face, edgecolors=edge, lw=0.9, zorder=3, label=label)
        key.append(Line2D([], [], c="0.3", lw=0, marker="o", ms=4.5, mfc="white" if is_open else "0.3", label=label))
    taken = np.full(len(x), np.nan)
    taken[made] = probs[made, chosen]
    lower.plot(x, taken, c="0.3", lw=1, marker=".", ms=4)
    lower.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), ylabel="probability\nof the choice", xlabel="trial")
    upper.set_ylabel("" if in_rows else name)
    for ax in (upper, lower):
        ax.vlines(x[seen["reset"].values][1:] - 0.5, 0, 1, colors="0.6", lw=0.6, transform=ax.get_xaxis_transform())
    figure.legend(handles=key, loc="outside upper center", ncols=len(key), frameon=False)
    return figure


def _value_of_actions(model: Model, found: xr.Dataset, probs: np.ndarray) -> tuple[str, np.ndarray]:
    """Return what a learner holds of each action, (trial, n_actions), and its name."""
    for name in found if model.start is not Model.start else ():  # without a start, only choice rules have a state
        if f"{name}_final" in found and found[name].shape == probs.shape:
            return f"{name}, before the choice", found[name].values
    return "probability of the action", probs


def _in_rows(ax: Axes, name: str, values: np.ndarray) -> np.ndarray:
    """Return the values as heights around rows 0, 1, ..., with the rows' names and scales on the axes."""
    rows, middle = np.arange(values.shape[1]), float(values[0].mean())
    reach = float(np.abs(values - middle).max()) or 1.0
    ax.set_yticks(rows, [f"action {k}" for k in rows])
    ax.hlines(rows, 0, 1, colors="0.8", lw=0.6, zorder=0, transform=ax.get_yaxis_transform())
    ax.set_ylim(-0.55, rows[-1] + 0.55)
    scale, ticks = ax.secondary_yaxis("right"), np.array([-1, 0, 1])
    scale.set_yticks(
        np.add.outer(rows, 0.4 * ticks).ravel(), [f"{middle + k * reach:.2f}" for _ in rows for k in ticks]
    )
    scale.set_ylabel(name)
    return np.asarray(rows + 0.4 * (values - middle) / reach)


def _outcomes(seen: xr.Dataset, made: np.ndarray) -> dict[str, np.ndarray]:
    """Return by label which of the choices made had which outcome."""
    if "reward" not in seen:
        return {"choice": np.ones(len(made), dtype=bool)}
    rewarded = seen["reward"].values[made] > 0
    return {"rewarded": rewarded, "not rewarded": ~rewarded}


def learning_curve(
    prediction: xr.Dataset, target: int | str | None = None, bins: int = 20, ax: Axes | None = None
) -> Figure:
    """Draw how often an action is chosen as trials go by, as observed and as predicted.

    Parameters
    ----------
    prediction : xr.Dataset
        From `predict`.
    target : int or str, optional
        An action, or the column (subject, trial) that says which action is meant in each trial, such as
        "better_option"; one curve for each action unless told.
    bins : int
        At most how many points a curve has; each is the mean over neighbouring trials.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Over the trials since the last reset: the observed share of choices, mean over subjects with its standard
        error, and the predicted one, mean over subjects with its mean and 94 % interval over the draws.  Only scored
        trials count.

    Raises
    ------
    ValueError
        If the prediction has no such column or action, or `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins: found {bins}, expected at least 1")
    observed, drawn = prediction["observed"].values, prediction[prediction.attrs["response"]].values
    first = prediction["scored"].isel(response=0, missing_dims="ignore")
    scored, since = first.values, _since_reset(prediction["reset"].values)
    width = -(-int(since[scored].max() + 1) // bins)
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    curves = _targets(prediction, target)
    lines: list[Line2D] = []
    for k, wanted in enumerate(curves.values()):
        counted, colour = scored & (wanted >= 0), COLOURS[k % len(COLOURS)]
        x, shares = _by_bin(observed == wanted, counted, since, width)  # (subject, bin)
        _, predicted = _by_bin(drawn == wanted, counted, since, width)  # (sample, subject, bin)
        (mean, _, above), (middle, low, high) = _mean_and_range(shares), _mean_and_range(predicted)
        ax.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
        lines += ax.plot(x, middle, c=colour, lw=1.5)
        ax.errorbar(x, mean, above - mean, c=colour, fmt="o", ms=4, capsize=2, lw=1)
    ax.set(ylim=(-0.03, 1.03), xlabel="trials since the last reset", ylabel="share of choices")
    shade = "0.4" if len(lines) > 1 else COLOURS[0]
    dot = Line2D([], [], c=shade, marker="o", ms=4, lw=0)
    band = (Patch(color=shade, alpha=0.25, lw=0), Line2D([], [], c=shade))
    several = len(observed) > 1  # subjects; of one there is no standard error
    key: dict[str, Any] = {f"observed{', mean ± standard error' if several else ''}": dot}
    key["predicted, mean and 94 % interval"] = band
    if len(lines) > 1:
        key |= dict(zip(curves, lines, strict=True))
    else:
        ax.set_ylabel(f"share of choices of {next(iter(curves))}")
    ax.legend(list(key.values()), list(key), frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _since_reset(reset: np.ndarray) -> np.ndarray:
    """Return the number of trials since the last reset, (subject, trial)."""
    trial = np.arange(reset.shape[1])
    return np.asarray(trial - np.maximum.accumulate(np.where(reset, trial, 0), axis=1))


def _targets(prediction: xr.Dataset, target: int | str | None) -> dict[str, np.ndarray]:
    """Return by label which action is meant in each trial, (subject, trial)."""
    shape, facts = prediction["observed"].shape, prediction.attrs["trials_facts"]
    actions = range(facts.get("n_actions", int(prediction["observed"].max()) + 1))
    if isinstance(target, str):
        known = [str(k) for k, v in prediction.data_vars.items() if v.dims == ("subject", "trial") and k not in MASKS]
        if target not in known:
            raise unknown("column of the prediction", target, known)
        return {target: prediction[target].values}
    if target is not None and target not in actions:
        raise unknown("action", target, actions)
    return {f"action {k}": np.full(shape, k) for k in (actions if target is None else [target])}


def _by_bin(hits: np.ndarray, counted: np.ndarray, since: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean place (bin,) and each subject's share of hits (..., subject, bin) in bins of trials.

    NaN where a subject has no trial that counts; bins without any are left out.
    """
    x, shares = [], []
    for number in np.unique(since[counted] // width):
        here = counted & (since // width == number)
        n = here.sum(axis=1)
        x.append(since[here].mean())
        shares.append((hits & here).sum(axis=-1) / np.where(n > 0, n, np.nan))
    return np.array(x), np.stack(shares, axis=-1)


def stay_probabilities(trials: xr.Dataset, ax: Axes | None = None) -> Figure:
    """Draw how often the first action of a two-step task is repeated, by the reward and the transition before.

    Parameters
    ----------
    trials : xr.Dataset
        Trials from `read_trials` or `simulate`, or a prediction from `predict`, with the columns action1, state2 and
        reward.  A transition is common if first action a led to state a.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Bars for common and rare transitions, after reward above 0 and after none: the mean over subjects of their
        shares of repeated first actions.  Of trials with the standard error of the mean; of a prediction with the 94 %
        interval over the draws.  Trials count if their first action is scored and the trial before, after the same
        reset, was completed; one-step predictions are held against the action that was observed before.

    Raises
    ------
    ValueError
        If a column is missing, or the prediction is yoked: its transitions do not follow from its actions.
    """
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
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 3.2), layout="constrained")
    for k, (label, here) in enumerate({"common": common, "rare": ~common}.items()):
        shares = np.stack([_share(stay, counted & here & after) for after in (won, ~won)], axis=-1)
        mean, low, high = _mean_and_range(shares)
        error = np.maximum([mean - low, high - mean], 0)
        ax.bar(np.arange(2) + 0.4 * k - 0.2, mean, 0.38, yerr=error, color=COLOURS[k], capsize=3, label=label)
    ax.set_xticks([0, 1], ["reward", "no reward"])
    ax.set(ylim=(0, 1), ylabel="probability of repeating the first action")
    ax.legend(title="transition", loc="upper right", ncols=2, frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def set_size_curves(
    trials: xr.Dataset, target: str | None = None, presentations: int | None = None, ax: Axes | None = None
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

    Returns
    -------
    Figure
        A curve for each set size: the share of right actions against how often the stimulus has been shown since the
        last reset, this time included; mean over subjects.  Of trials with the standard error of the mean; of a
        prediction with the 94 % interval over the draws.  Only scored trials count.

    Raises
    ------
    ValueError
        If a column is missing, or a target that the prediction needs.
    """
    _require(trials, "stimulus", "set_size", target or "reward")
    kind, response = trials.attrs.get("kind"), trials.attrs.get("response", "action")
    if target is None and kind in ("one_step", "yoked"):
        raise ValueError(f"a {kind} prediction keeps the observed rewards: name the column with the right action")
    made = trials[response].values
    right = trials["reward"].values > 0 if target is None else made == trials[target].values
    shown, size = _times_shown(trials), trials["set_size"].values
    counted = trials["scored"].values & (shown <= (presentations or shown.max()))
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for k, one in enumerate(np.unique(size[counted])):
        x = np.unique(shown[counted & (size == one)])
        shares = np.stack([_share(right, counted & (size == one) & (shown == n)) for n in x], axis=-1)
        mean, low, high = _mean_and_range(shares)
        look: dict[str, Any] = {"c": COLOURS[k % len(COLOURS)], "label": f"{one:g}", "marker": "o", "ms": 3, "lw": 1.2}
        if made.ndim == 3:
            ax.fill_between(x, low, high, color=look["c"], alpha=0.12, lw=0)
            ax.plot(x, mean, **look)
        else:
            ax.errorbar(x, mean, high - mean, capsize=2, **look)
    ax.set(ylim=(-0.03, 1.03), xlabel="times the stimulus was shown", ylabel="share of right actions")
    ax.legend(title="set size", loc="lower right", ncols=2, frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _require(trials: xr.Dataset, *names: str) -> None:
    for name in names:
        if name not in trials:
            raise unknown("column of the trials", name, trials.data_vars)


def _times_shown(trials: xr.Dataset) -> np.ndarray:
    """Return how often a trial's stimulus has been shown since the last reset, this time included."""
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


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    n = np.isfinite(values).sum(axis=axis)
    return np.asarray(np.nansum(values, axis=axis) / np.where(n > 0, n, np.nan))


def _mean_and_range(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, low and high of shares (subject, x), by standard error, or (sample, subject, x), over draws."""
    if shares.ndim == 3:
        by_draw = _mean(shares, axis=1)
        low, high = np.quantile(by_draw, INTERVAL, axis=0)
        return _mean(by_draw, axis=0), low, high
    mean, n = _mean(shares, axis=0), np.isfinite(shares).sum(axis=0)
    error = np.sqrt(np.nansum((shares - mean) ** 2, axis=0) / np.where(n > 1, n - 1, np.nan) / n)
    return mean, mean - error, mean + error


def traces(fit: xr.DataTree, var_names: Sequence[str] | None = None) -> Figure:
    """Draw the posterior and the course of each chain.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    var_names : sequence of str, optional
        Which variables; unless told, all but the deviations ``*_z``, and none by subject where there is a group.

    Returns
    -------
    Figure
        A row for each variable: its density by chain, and its draws in order; ticks at divergent ones.

    Raises
    ------
    ValueError
        If the posterior has no such variable.
    """
    from arviz_plots import plot_trace_dist

    shown = _shown(fit, var_names)
    look = {"figsize": (9, 0.8 + 1.5 * len(shown["posterior"].data_vars)), "layout": "constrained"}
    by_chain = {"aes": {"color": ["chain"]}, "color": list(COLOURS)}
    figure: Figure = plot_trace_dist(shown, backend="matplotlib", figure_kwargs=look, **by_chain).viz["figure"].item()
    return figure


def posterior(
    fit: xr.DataTree, var_names: Sequence[str] | None = None, reference: Mapping[str, Any] | None = None
) -> Figure:
    """Draw the posterior of each variable, with its mean and interval.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    var_names : sequence of str, optional
        As for `traces`.
    reference : mapping, optional
        Values by variable, such as true ones, drawn as dashed lines: a number, or an array of the variable's shape.

    Returns
    -------
    Figure
        A panel for each variable, or each entry of an array.

    Raises
    ------
    ValueError
        If the posterior has no such variable, or a reference is of another shape.
    """
    from arviz_plots import plot_dist

    shown = _shown(fit, var_names)
    values = shown["posterior"].to_dataset()
    for name in reference or {}:
        if name not in values:
            raise unknown("variable", name, values.data_vars)
    n = sum(v.isel(chain=0, draw=0).size for v in values.values())
    look = {"figsize": (2.8 * min(n, 4), 0.4 + 2.2 * -(-n // 4)), "layout": "constrained"}
    drawn = plot_dist(shown, backend="matplotlib", ci_kind="eti", ci_prob=0.94, figure_kwargs=look)
    for name, value in (reference or {}).items():
        panels = drawn.viz["plot"][name].values
        for ax, at in zip(panels.flat, np.broadcast_to(np.squeeze(value), panels.shape).flat, strict=True):
            ax.axvline(at, color=COLOURS[1], ls="--", lw=1.5)
    figure: Figure = drawn.viz["figure"].item()
    return figure


def _shown(fit: xr.DataTree, var_names: Sequence[str] | None) -> xr.DataTree:
    """Return the part of a fit that is drawn; dims of one entry need no label of their own and are dropped."""
    draws = fit["posterior"].to_dataset()
    names = [str(k) for k in draws.data_vars]
    for name in var_names or ():
        if name not in names:
            raise unknown("variable", name, names)
    grouped = any(name.endswith("_group") for name in names)
    usual = [k for k in names if not k.endswith("_z") and not (grouped and "subject" in draws[k].dims)]
    chosen = draws[list(var_names or usual)]
    single = [d for d, n in chosen.sizes.items() if n == 1 and d not in ("chain", "draw")]
    groups = {"posterior": chosen.squeeze(single, drop=True)}
    if "sample_stats" in fit.children:
        groups["sample_stats"] = fit["sample_stats"].to_dataset()
    return xr.DataTree.from_dict(groups)


def population(fit: xr.DataTree) -> Figure:
    """Draw every subject's parameters beside the group's.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`, of a model with parameters by subject.

    Returns
    -------
    Figure
        A panel for each parameter: subjects sorted by their posterior mean, with 94 % intervals, and, where there is
        a group, its value as a line and its 94 % interval as a band.

    Raises
    ------
    ValueError
        If the posterior has no parameter by subject.
    """
    draws = fit["posterior"].to_dataset().stack(sample=("chain", "draw"), create_index=False)
    names = [str(k) for k, v in draws.items() if "subject" in v.dims and not str(k).endswith("_z")]
    panels = [panel for name in names for panel in _entries(draws, name)]
    if not panels:
        raise ValueError(f"the posterior has no parameter by subject; it has {', '.join(map(str, draws.data_vars))}")
    n, subjects = len(panels), draws["subject"].values
    size = (0.6 + 2.6 * min(n, 4), 0.8 + max(2.0, min(0.2 * len(subjects), 7)) * -(-n // 4))
    figure, axes = plt.subplots(-(-n // 4), min(n, 4), figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[n:]:
        ax.set_axis_off()
    for ax, (label, values, group) in zip(axes.flat, panels, strict=False):
        mean, order = values.mean(axis=0), np.argsort(values.mean(axis=0))
        low, high = np.quantile(values, INTERVAL, axis=0)
        rows = np.arange(len(subjects))
        ax.hlines(rows, low[order], high[order], colors=COLOURS[0], lw=1.2)
        ax.plot(mean[order], rows, "o", c=COLOURS[0], ms=4, label="subject, mean and 94 % interval")
        if group is not None:
            ax.axvspan(*np.quantile(group, INTERVAL), color=COLOURS[1], alpha=0.2, lw=0)
            ax.axvline(group.mean(), color=COLOURS[1], lw=1.5, label="group, mean and 94 % interval")
        ax.set_yticks(rows if len(rows) <= 40 else [], subjects[order] if len(rows) <= 40 else [], fontsize="small")
        ax.set_xlabel(label)
    for ax in axes[:, 0]:
        ax.set_ylabel("subject, sorted by mean")
    handles, words = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=1 if n == 1 else 2, frameon=False)
    return figure


def _entries(draws: xr.Dataset, name: str) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """Return label, subjects' draws (sample, subject) and group's draws of each entry of a parameter."""
    values = draws[name].transpose("sample", "subject", ...).values
    group = draws[f"{name}_group"].transpose("sample", ...).values if f"{name}_group" in draws else None
    return [
        (
            f"{name}[{','.join(map(str, k))}]" if k else name,
            values[(slice(None), slice(None), *k)],
            None if group is None else group[(slice(None), *k)],
        )
        for k in np.ndindex(*values.shape[2:])
    ]


def comparison(table: pd.DataFrame) -> Figure:
    """Draw a comparison of models.

    Parameters
    ----------
    table : pandas.DataFrame
        From `compare`.

    Returns
    -------
    Figure
        Best on top.  Left, the expected log predictive density with its standard error; right, its difference to the
        best with the error of the difference; beside them the stacking weights.
    """
    rows, n = np.arange(len(table)), len(table)
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(8, 1.2 + 0.45 * n), layout="constrained")
    left.errorbar(table["elpd"], rows, xerr=table["se"], fmt="o", c=COLOURS[0], capsize=3)
    right.errorbar(table["elpd_diff"], rows, xerr=table["dse"], fmt="o", c=COLOURS[1], capsize=3)
    right.axvline(0, color="0.6", lw=0.8, zorder=0)
    left.set_yticks(rows, [str(name) for name in table.index])
    left.set_ylim(n - 0.5, -0.5)
    left.set_xlabel("elpd ± SE (nats, higher is better)")
    right.set_xlabel("difference to the best ± SE (nats)")
    for ax in (left, right):
        ax.locator_params(axis="x", nbins=5)
    beside = right.get_yaxis_transform()
    right.text(1.04, -0.55, "weight", transform=beside, va="bottom")
    for row, weight in zip(rows, table["weight"], strict=True):
        right.text(1.04, row, f"{weight:.2f}", transform=beside, va="center")
    return figure
