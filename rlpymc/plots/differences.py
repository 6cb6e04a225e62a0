"""Figures of how parameters differ between groups of people, and with what is known of them."""

import json
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from rlpymc.comparison.contrasts import Contrast
from rlpymc.plots.look import COLOURS, INTERVAL


def contrast(found: Contrast) -> Figure:
    """Draw a contrast.

    Parameters
    ----------
    found : Contrast
        From `rlpymc.contrast`, of a parameter that is a single number.

    Returns
    -------
    Figure
        Left the mean over people at each level, on the natural scale; right the effect sizes, in standard deviations of
        people, with the region of practical equivalence shaded.  Dots are medians, lines intervals.
    """
    if len(found.means["link"].dims) > 3:
        raise ValueError(
            f"{found.parameter!r} has several entries; draw one: its table and draws have them by "
            f"{found.means['link'].dims[-1]!r}"
        )
    levels, pairs = (found.means["level"].values, found.draws["contrast"].values)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 1.2 + 0.5 * max(len(levels), 3)), layout="constrained")
    _forest(left, levels, found.means["average"].transpose("level", ...).values.reshape(len(levels), -1))
    left.set(xlabel=f"{found.parameter}, mean over people", ylabel=found.by)
    right.axvspan(-found.rope, found.rope, color="0.9", zorder=0)
    right.axvline(0, color="0.6", lw=0.8)
    _forest(right, pairs, found.draws["effect_size"].transpose("contrast", ...).values.reshape(len(pairs), -1))
    right.set(xlabel="effect size (standard deviations of people)")
    return figure


def effects(fit: xr.DataTree) -> Figure:
    """Draw what all formulas of a fit say, parameter by parameter.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`, of a model that was built with formulas.

    Returns
    -------
    Figure
        A row for each coefficient but intercepts: how much the mean of people changes with one standard deviation of
        the column over people, in standard deviations of people around what the formula says.

    Raises
    ------
    ValueError
        If the model has no formula.
    """
    formulas = json.loads(fit.attrs.get("rlpymc", "{}")).get("spec", {}).get("formulas", {})
    if not formulas:
        raise ValueError("the model has no formula; build it with some: formulas={'alpha': '~ group'}")
    posterior, kept = fit["posterior"].to_dataset(), fit["covariates"].to_dataset()
    rows: dict[str, np.ndarray] = {}
    for name in formulas:
        sigma = posterior[f"{name}_sigma"]
        for label in kept[f"{name}_coefficient"].values.tolist():
            if label == "Intercept":
                continue
            design = kept[f"{name}_design"].sel({f"{name}_coefficient": label})
            values = _coefficient(posterior, name, label) * float(design.std(ddof=1))
            sized = (values / sigma).transpose("chain", "draw", ...)
            for place in np.ndindex(sized.shape[2:]):
                entry = f" {list(place)}" if place else ""
                rows[f"{name}: {label}{entry}"] = sized.values[(..., *place)].ravel()
    figure, axes = plt.subplots(figsize=(6, 1 + 0.35 * len(rows)), layout="constrained")
    axes.axvline(0, color="0.6", lw=0.8)
    _forest(axes, list(rows), np.array(list(rows.values())))
    axes.set(xlabel="effect size, by one sd of the column")
    return figure


def _coefficient(posterior: xr.Dataset, name: str, label: str) -> xr.DataArray:
    """Return a coefficient by its label: a variable, or a part of a vector."""
    if f"{name}_{label}" in posterior:
        return posterior[f"{name}_{label}"]
    term, _, part = label.removesuffix("]").rpartition("[")
    vector = f"{name}_{term}"
    return posterior[vector].sel({f"{vector}_dim": part}, drop=True)


def _forest(axes: Any, labels: Any, draws: np.ndarray) -> None:
    """Draw medians and intervals of draws (row, draw), the first row on top."""
    ends = np.quantile(draws, INTERVAL, axis=1)
    at = np.arange(len(labels))[::-1]
    axes.hlines(at, *ends, color=COLOURS[0], lw=2)
    axes.plot(np.median(draws, axis=1), at, "o", color=COLOURS[0])
    axes.set(yticks=at, yticklabels=[str(label) for label in labels], ylim=(-0.7, len(labels) - 0.3))
