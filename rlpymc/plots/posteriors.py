"""Figures of posteriors: chains, distributions, and people beside their group."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlpymc.checks import unknown
from rlpymc.model.parameter_vector import entry_labels
from rlpymc.plots.look import COLOURS, INTERVAL

BEYOND = 1.0  # how far from the bulk of people's intervals an axis goes on, in widths of the bulk


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
        a group, its value as a line and its 94 % interval as a band.  The axis fits the bulk of the intervals; those
        that go on beyond it end in arrows, and the panel's title says how many these are, and how far they go.

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
        order = np.argsort(values.mean(axis=0))
        mean, (low, high) = values.mean(axis=0)[order], np.quantile(values, INTERVAL, axis=0)[:, order]
        rows = np.arange(len(subjects))
        ax.hlines(rows, low, high, colors=COLOURS[0], lw=1.2)
        ax.plot(mean, rows, "o", c=COLOURS[0], ms=4, label="subject, mean and 94 % interval")
        if group is not None:
            ax.axvspan(*np.quantile(group, INTERVAL), color=COLOURS[1], alpha=0.2, lw=0)
            ax.axvline(group.mean(), color=COLOURS[1], lw=1.5, label="group, mean and 94 % interval")
        _fit_to_bulk(ax, low, mean, high, None if group is None else np.quantile(group, INTERVAL))
        ax.set_yticks(rows if len(rows) <= 40 else [], subjects[order] if len(rows) <= 40 else [], fontsize="small")
        ax.set_xlabel(label)
    for ax in axes[:, 0]:
        ax.set_ylabel("subject, sorted by mean")
    handles, words = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside upper center", ncols=1 if n == 1 else 2, frameon=False)
    return figure


def _fit_to_bulk(ax: Axes, low: np.ndarray, mean: np.ndarray, high: np.ndarray, group: np.ndarray | None) -> None:
    """Limit an axis to the bulk of intervals (subject,) and the group's, and mark those that go on beyond it.

    The bulk reaches from the lower quartile of the lower ends to the upper quartile of the upper ones, and the axis
    `BEYOND` times as far on either side, as whiskers of box plots do; or only to the ends of the intervals.
    """
    bulk = np.quantile(low, 0.25), np.quantile(high, 0.75)
    reach = BEYOND * (bulk[1] - bulk[0])
    left, right = max(low.min(), bulk[0] - reach), min(high.max(), bulk[1] + reach)
    if group is not None:
        left, right = min(left, group[0]), max(right, group[1])
    margin = 0.05 * ((right - left) or 1.0)
    left, right = left - margin, right + margin
    ax.set_xlim(left, right)
    rows, notes = np.arange(len(low)), []
    for beyond, means, edge, marker, end in (
        (low < left, mean < left, left, "<", f"down to {low.min():.3g}"),
        (high > right, mean > right, right, ">", f"up to {high.max():.3g}"),
    ):
        if beyond.any():
            ax.plot(np.full(beyond.sum(), edge), rows[beyond], marker, c=COLOURS[0], ms=6, clip_on=False, zorder=3)
            with_means = f"\n({means.sum()} with the mean)" if means.any() else ""
            notes.append(f"beyond the axis: {beyond.sum()} of {len(low)}, {end}{with_means}")
    ax.set_title("\n".join(notes), fontsize="small")


def _entries(draws: xr.Dataset, name: str) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    """Return label, subjects' draws (sample, subject) and group's draws of each entry of a parameter."""
    values = draws[name].transpose("sample", "subject", ...).values
    group = draws[f"{name}_group"].transpose("sample", ...).values if f"{name}_group" in draws else None
    shape = values.shape[2:]
    return [
        (label, values[:, :, *k], None if group is None else group[:, *k])
        for label, k in zip(entry_labels(name, shape), np.ndindex(*shape), strict=True)
    ]
