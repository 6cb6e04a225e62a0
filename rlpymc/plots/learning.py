"""Figures of learning: one person's values along the trials, and how choices change with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rlpymc.checks import check_whole, unknown
from rlpymc.likelihood.by_trial import latents_of
from rlpymc.model import Model
from rlpymc.model.registry import get_model
from rlpymc.plots.look import COLOURS, mean_and_range
from rlpymc.plots.targets import action_name, target_actions
from rlpymc.simulation.behaviour import since_reset
from rlpymc.trials.attributes import attribute


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
        raise ValueError(
            f"trial_values is for models with one choice in a trial, and {model.name} responds with "
            f"{', '.join(r.name for r in model.responses)}; rlpymc.latents gives the values, to be drawn as you like"
        )
    if subject is not None and subject not in labels:
        raise unknown("subject", subject, labels)
    i = 0 if subject is None else labels.index(subject)
    there = {"subject": i, "trial": trials["exists"].values[i]}
    seen, found = trials.isel(there), latents_of(model, trials, params).isel(there)
    response = model.responses[0].name
    action, probs, x = seen[response].values, found[f"{response}_probs"].values, seen["trial"].values
    name, values = _value_of_actions(model, found, probs)
    made = np.flatnonzero(action >= 0)
    chosen = action[made].astype(int)

    figure, (upper, lower) = plt.subplots(2, sharex=True, figsize=(9, 4.5), height_ratios=(3, 1), layout="constrained")
    in_rows = values.shape[1] == 2 if centred is None else centred
    called = [action_name(trials, k, response) for k in range(values.shape[1])]
    heights = _in_rows(upper, name, values, called) if in_rows else values
    dots = chosen.astype(float) if in_rows else values[made, chosen]
    colours = np.array([COLOURS[k % len(COLOURS)] for k in range(values.shape[1])])
    key = [upper.plot(x, heights[:, k], c=c, lw=1.2, label=called[k])[0] for k, c in enumerate(colours)]
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
    """A learner's values of the actions, (trial, n_actions), and their name."""
    for name in found if model.start is not Model.start else ():  # without a start, only choice rules have a state
        if f"{name}_final" in found and found[name].shape == probs.shape:
            return f"{name}, before the choice", found[name].values
    return "probability of the action", probs


def _in_rows(ax: Axes, name: str, values: np.ndarray, called: Sequence[str]) -> np.ndarray:
    """Return the values as heights around rows 0, 1, ..., with the rows' names and scales on the axes."""
    rows, middle = np.arange(values.shape[1]), float(values[0].mean())
    reach = float(np.abs(values - middle).max()) or 1.0
    ax.set_yticks(rows, called)
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
    """Draw how often an action is chosen as trials go by, as observed and as predicted, or the mean of numbers.

    Parameters
    ----------
    prediction : xr.Dataset
        From `predict`, of the kind "one_step" or "yoked".
    target : int or str, optional
        An action, or the column (subject, trial) that says which action is meant in each trial, such as
        "better_option"; one curve for each action unless told.  None for responses that are numbers.
    bins : int
        At most how many points a curve has; each is the mean over neighbouring trials.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Over the trials since the last reset: the observed share of choices, mean over subjects with its standard
        error, and the predicted one, mean over subjects with its mean and 94 % interval over the draws.  The same of
        the response itself, one curve, where it is a number.  Of several responses the first is drawn.  Only scored
        trials count.

    Raises
    ------
    ValueError
        If the prediction has nothing observed beside it or no such column or action, the column does not mean an
        action, there is a target for numbers, or `bins` is below 1.
    """
    check_whole(1, bins=bins)
    response = prediction.attrs["response"]
    seen = "observed" if "observed" in prediction else f"observed_{response}"
    if seen not in prediction:
        raise ValueError(
            f"found a prediction of the kind {prediction.attrs.get('kind')!r}, beside which nothing was observed; "
            "take predict(..., kind='one_step') or kind='yoked'"
        )
    observed, drawn = prediction[seen].values, prediction[response].values
    numbers = observed.dtype.kind == "f"
    if numbers and target is not None:
        raise ValueError(f"target {target!r}: it means an action, and {response!r} is a number; leave it out")
    first = prediction["scored"].isel(response=0, missing_dims="ignore")
    scored, since = first.values, since_reset(prediction["reset"].values)
    curves = {"": None} if numbers else _targets(prediction, observed, target)
    width = -(-int(since[scored].max() + 1) // bins)
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    lines: list[Line2D] = []
    for k, wanted in enumerate(curves.values()):
        counted, colour = scored if wanted is None else scored & (wanted >= 0), COLOURS[k % len(COLOURS)]
        values, predicted = (v if wanted is None else v == wanted for v in (observed, drawn))
        x, shares = _by_bin(values, counted, since, width)  # (subject, bin)
        _, of_draws = _by_bin(predicted, counted, since, width)  # (sample, subject, bin)
        (mean, _, above), (middle, low, high) = mean_and_range(shares), mean_and_range(of_draws)
        ax.fill_between(x, low, high, color=colour, alpha=0.25, lw=0)
        lines += ax.plot(x, middle, c=colour, lw=1.5)
        ax.errorbar(x, mean, above - mean, c=colour, fmt="o", ms=4, capsize=2, lw=1)
    ax.set(xlabel="trials since the last reset", ylabel=f"mean {response}" if numbers else "share of choices")
    if not numbers:
        ax.set_ylim(-0.03, 1.03)
    shade = "0.4" if len(lines) > 1 else COLOURS[0]
    dot = Line2D([], [], c=shade, marker="o", ms=4, lw=0)
    band = (Patch(color=shade, alpha=0.25, lw=0), Line2D([], [], c=shade))
    several = len(observed) > 1  # subjects; of one there is no standard error
    key: dict[str, Any] = {f"observed{', mean ± standard error' if several else ''}": dot}
    key["predicted, mean and 94 % interval"] = band
    if len(lines) > 1:
        key |= dict(zip(curves, lines, strict=True))
    elif not numbers:
        ax.set_ylabel(f"share of choices of {next(iter(curves))}")
    ax.legend(list(key.values()), list(key), frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _targets(prediction: xr.Dataset, observed: np.ndarray, target: int | str | None) -> dict[str, np.ndarray]:
    """Return by label which action is meant in each trial, (subject, trial)."""
    actions = range(attribute(prediction, "facts").get("n_actions", int(observed.max()) + 1))
    if isinstance(target, str):
        return {target: target_actions(prediction, target)}
    if target is not None and target not in actions:
        raise unknown("action", target, actions)
    asked = actions if target is None else [target]
    return {action_name(prediction, k, prediction.attrs["response"]): np.full(observed.shape, k) for k in asked}


def _by_bin(values: np.ndarray, counted: np.ndarray, since: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean place (bin,) and each subject's mean value (..., subject, bin) in bins of trials.

    NaN where a subject has no trial that counts; bins without any are left out.
    """
    x, means = [], []
    for number in np.unique(since[counted] // width):
        here = counted & (since // width == number)
        n = here.sum(axis=1)
        x.append(since[here].mean())
        means.append(np.where(here, values, 0).sum(axis=-1) / np.where(n > 0, n, np.nan))
    return np.array(x), np.stack(means, axis=-1)
