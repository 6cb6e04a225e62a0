"""Figures of model comparison: differences, which units prefer which model, reliability, groups, and the future."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlpymc.checks import check_type
from rlpymc.comparison.elpd import Elpd
from rlpymc.comparison.group_selection import GroupBMS
from rlpymc.comparison.table import check_same_data
from rlpymc.plots.look import COLOURS

MOST_NAMES = 40  # units with a name of their own on an axis


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
        best with the error of the difference; beside them the weights.
    """
    check_type(table, pd.DataFrame, "a table from rlpymc.compare")
    if absent := [name for name in ("elpd", "se", "elpd_diff", "dse", "weight") if name not in table]:
        raise ValueError(f"the table has no column {absent[0]!r}; expected one from rlpymc.compare")
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


def elpd_by_unit(results: Mapping[str, Elpd], ax: Axes | None = None) -> Figure:
    """Draw which units, such as subjects, prefer which of two models.

    Parameters
    ----------
    results : mapping
        Two results of `loo` or `leave_future_out`, by name.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        A dot for each unit, sorted: the log predictive density under the first model less that under the second.
        The title says how many prefer each.

    Raises
    ------
    ValueError
        If there are not two results, or they are of different units.
    """
    check_type(results, Mapping, "results by name, {'name': result}")
    if len(results) != 2:
        raise ValueError(f"elpd_by_unit compares two results, found {len(results)}")
    check_same_data(results)
    (first, one), (second, other) = results.items()
    difference = one.elpd_i.values - other.elpd_i.values
    order, rows = np.argsort(difference, kind="stable"), np.arange(one.n)
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 1 + min(max(2.0, 0.2 * one.n), 7)), layout="constrained")
    colours = [COLOURS[0] if d > 0 else COLOURS[1] for d in difference[order]]
    ax.hlines(rows, 0, difference[order], colors=colours, lw=1)
    ax.scatter(difference[order], rows, c=colours, s=18, zorder=3)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    if one.n <= MOST_NAMES:
        ax.set_yticks(rows, _names(one)[order].tolist(), fontsize="small")
    else:
        ax.set_yticks([])
    ax.set_xlabel(f"elpd of {first} - elpd of {second} (nats)")
    ax.set_ylabel(f"{one.unit.split(',')[0]}, sorted")
    ax.set_title(f"{first}: {(difference > 0).sum()}, {second}: {(difference < 0).sum()} of {one.n}", fontsize="medium")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _names(elpd: Elpd) -> np.ndarray:
    """The units' names."""
    columns = [
        elpd.elpd_i[c].values for c in ("subject", "session", "block", "cut", "trial") if c in elpd.elpd_i.coords
    ]
    names = [", ".join(map(str, labels)) for labels in zip(*columns, strict=True)]
    return np.array(names or [str(k) for k in range(elpd.n)])


def pareto_k(result: Elpd, ax: Axes | None = None) -> Figure:
    """Draw how far importance sampling can be trusted, unit by unit.

    Parameters
    ----------
    result : Elpd
        From `loo` or `leave_future_out`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Pareto k of each unit, in order, and the threshold as a dashed line; units above it are named, and hollow where
        they were refitted.  Units that needed no importance sampling have no dot.
    """
    check_type(result, Elpd, "a result of rlpymc.loo or leave_future_out")
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    k, at, bad, mended = result.pareto_k.values, np.arange(result.n), result.bad, result.refitted.values
    shown = np.isfinite(k)
    for label, which, colour, face in (
        ("reliable", shown & ~bad, COLOURS[0], COLOURS[0]),
        ("not reliable", shown & bad & ~mended, COLOURS[1], COLOURS[1]),
        ("refitted", shown & bad & mended, COLOURS[1], "white"),
    ):
        if which.any():
            ax.scatter(at[which], k[which], s=16, c=face, edgecolors=colour, lw=0.9, label=f"{label}: {which.sum()}")
    names = _names(result)
    for i in np.flatnonzero(shown & bad) if (shown & bad).sum() <= MOST_NAMES else ():
        ax.annotate(names[i], (at[i], k[i]), xytext=(4, 2), textcoords="offset points", fontsize="small")
    ax.axhline(result.good_k, color="0.4", lw=0.8, ls="--")
    ax.set(xlabel=f"left out, in order: {result.unit}", ylabel="Pareto k")
    ax.legend(frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def group_bms(result: GroupBMS, ax: Axes | None = None) -> Figure:
    """Draw how frequent models are in a group.

    Parameters
    ----------
    result : GroupBMS
        From `rlpymc.group_bms`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Bars: the expected frequencies with their standard deviations.  Diamonds: exceedance probabilities, hollow, and
        protected ones, filled.  The dotted line is where frequencies are equal.
    """
    check_type(result, GroupBMS, "a result of rlpymc.group_bms")
    names = [str(name) for name in result.frequencies.index]
    at = np.arange(len(names))
    if ax is None:
        _, ax = plt.subplots(figsize=(1.8 + 0.9 * len(names), 3.4), layout="constrained")
    ax.bar(at, result.frequencies, 0.6, yerr=result.frequencies_sd, color=COLOURS[5], capsize=3, label="frequency ± SD")
    ax.plot(at, result.exceedance, "D", c=COLOURS[1], mfc="white", ms=6, label="exceedance")
    ax.plot(at, result.protected_exceedance, "D", c=COLOURS[1], ms=6, label="protected exceedance")
    ax.axhline(1 / len(names), color="0.4", lw=0.8, ls=":")
    ax.set_xticks(at, names)
    ax.set(ylim=(-0.03, 1.03), ylabel="probability")
    ax.set_title(f"P(all equally frequent) = {result.bor:.2f}", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def future(results: Mapping[str, Elpd], ax: Axes | None = None) -> Figure:
    """Draw how well models predict what comes next as more and more of the past is known.

    Parameters
    ----------
    results : mapping
        Results of `leave_future_out`, by name.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        A curve for each model: the mean over people of the log predictive density of what comes next, with its
        standard error as a band, against the time from which on the future was left out.  Dots: where the model was
        fitted anew.

    Raises
    ------
    ValueError
        If a result is not of `leave_future_out`, or they are of different windows.
    """
    check_same_data(results)
    for name, result in results.items():
        if "cut" not in result.elpd_i.coords:
            raise ValueError(f"{name!r} is by {result.unit!r}, expected a result of leave_future_out")
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for k, (name, result) in enumerate(results.items()):
        by_cut = result.to_dataframe().groupby("cut")
        mean, error = by_cut["elpd"].mean(), by_cut["elpd"].sem().fillna(0.0)
        colour, anew = COLOURS[k % len(COLOURS)], by_cut["refitted"].any()
        ax.fill_between(mean.index, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        ax.plot(mean.index, mean, c=colour, lw=1.5, label=f"{name}, {result.elpd:.1f} in all")
        ax.plot(mean.index[anew], mean[anew], "o", c=colour, ms=4)
    unit = next(iter(results.values())).unit
    ax.set(xlabel="known before", ylabel="elpd of what comes next\n(nats, mean over people)")
    ax.set_title(unit, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax.get_figure(root=True)  # type: ignore[return-value]
