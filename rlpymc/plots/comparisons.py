"""Figures of model comparison: differences, which units prefer which model, reliability, groups, and the future."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
        best with the error of the difference; beside them the weights.  Models with units on which importance sampling
        is not reliable, and that were not refitted, are hollow diamonds; how many units stands below their names.

    Raises
    ------
    ValueError
        If the table lacks a column.
    """
    check_type(table, pd.DataFrame, "a table from rlpymc.compare")
    if absent := [name for name in ("elpd", "se", "elpd_diff", "dse", "weight") if name not in table]:
        raise ValueError(f"the table has no column {absent[0]!r}; expected one from rlpymc.compare")
    rows, n, unsure = np.arange(len(table)), len(table), _unsure(table)
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(8, 1.2 + 0.45 * n), layout="constrained")
    left.errorbar(table["elpd"], rows, xerr=table["se"], fmt="o", c=COLOURS[0], capsize=3)
    right.errorbar(table["elpd_diff"], rows, xerr=table["dse"], fmt="o", c=COLOURS[1], capsize=3)
    right.axvline(0, color="0.6", lw=0.8, zorder=0)
    names = [str(name) for name in table.index]
    if unsure.any():
        for ax, column, colour in ((left, "elpd", COLOURS[0]), (right, "elpd_diff", COLOURS[1])):
            ax.plot(table[column][unsure > 0], rows[unsure > 0], "D", c=colour, mfc="white", ms=7, zorder=3)
        mark = Line2D([], [], c="0.3", lw=0, marker="D", mfc="white", ms=7)
        words = (
            "not reliable: Pareto k, which says how far importance sampling\ncan be trusted, is too high in some units"
        )
        figure.legend([mark], [words], loc="outside lower center", frameon=False, fontsize="small")
        of = table["n"].to_numpy()
        names = [f"{name}\nk too high: {k} of {m}" if k else name for name, k, m in zip(names, unsure, of, strict=True)]
    left.set_yticks(rows, names)
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


def _unsure(table: pd.DataFrame) -> np.ndarray:
    """Return in how many units each model's elpd is not reliable, (model,); 0 in tables without Pareto k."""
    if not {"k_bad", "k_refitted", "n"} <= set(table):
        return np.zeros(len(table), dtype=int)
    return np.asarray(table["k_bad"] - table["k_refitted"], dtype=int)


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
        The title says how many prefer each.  Hollow diamonds: units on which importance sampling is not reliable under
        one model or both, and that were not refitted; the legend counts them.

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
    unsure = np.any([result.bad & ~result.refitted.values for result in (one, other)], axis=0)[order]
    shades = np.array(colours)
    ax.scatter(difference[order][~unsure], rows[~unsure], c=shades[~unsure], s=18, zorder=3)
    if unsure.any():
        limits = " or ".join(sorted({f"{result.good_k:.2f}" for result in (one, other)}))
        words = f"not reliable, Pareto k above {limits}: {unsure.sum()} of {one.n}"
        look: dict[str, Any] = {
            "c": "white",
            "edgecolors": shades[unsure].tolist(),
            "marker": "D",
            "s": 26,
            "zorder": 3,
        }
        ax.scatter(difference[order][unsure], rows[unsure], **look)
        mark = Line2D([], [], c="0.3", lw=0, marker="D", mfc="white", ms=5)
        ax.legend([mark], [words], fontsize="small")
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
        they were refitted.  A k that is infinite or no number lies at the top, and its value stands beside the name.
        Units that needed no importance sampling have no dot.  The legend counts every unit once.
    """
    check_type(result, Elpd, "a result of rlpymc.loo or leave_future_out")
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    k, at, names = result.pareto_k.values, np.arange(result.n), _names(result)
    exact, mended = np.isneginf(k), result.refitted.values
    bad = result.bad & ~exact
    top = 1.1 * max([0.1, *k[np.isfinite(k)], *([result.good_k] if np.isfinite(result.good_k) else [])])
    height = np.where(np.isfinite(k), k, top)
    for label, which, colour, face in (
        ("reliable", ~bad & ~exact & ~mended, COLOURS[0], COLOURS[0]),
        ("not reliable", bad & ~mended, COLOURS[1], COLOURS[1]),
        ("refitted", mended, COLOURS[1], "white"),
    ):
        if which.any():
            ax.scatter(
                at[which], height[which], s=16, c=face, edgecolors=colour, lw=0.9, label=f"{label}: {which.sum()}"
            )
    if np.isfinite(result.good_k):  # not where all was asked to be fitted anew
        ax.axhline(result.good_k, color="0.4", lw=0.8, ls="--")
    if (untouched := exact & ~mended).any():
        ax.plot([], [], " ", label=f"nothing approximated: {untouched.sum()}")
    for i in np.flatnonzero(bad) if bad.sum() <= MOST_NAMES else ():
        name = names[i] if np.isfinite(k[i]) else f"{names[i]}: k {k[i]}"
        ax.annotate(name, (at[i], height[i]), xytext=(4, 2), textcoords="offset points", fontsize="small")
    ax.set(xlabel=f"left out, in order: {result.unit}", ylabel="Pareto k")
    ax.legend(
        frameon=False,
        fontsize="small",
        title=f"{result.n} units, threshold {result.good_k:.2f}",
        title_fontsize="small",
    )
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
