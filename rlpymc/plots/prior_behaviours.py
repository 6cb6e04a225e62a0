"""Figures of what priors say of behaviour, before any data."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlpymc.plots.look import COLOURS, INTERVAL

HALF = (0.25, 0.75)  # quantiles, with half of the probability between them
SHARES = {"accuracy": "accuracy", "win_stay": "stay after a win", "lose_shift": "shift after a loss", "stay": "repeat"}


def prior_predictive(found: xr.Dataset) -> Figure:
    """Draw the behaviour of people from the population that priors describe.

    Parameters
    ----------
    found : xr.Dataset
        From `rlpymc.prior_predictive`.

    Returns
    -------
    Figure
        A column for each preset, all on the same scales.  Above, the learning curve: accuracy, or reward where it is
        not known what is best, over the trials since the last reset; mean over subjects, its median over draws of the
        population, and where half and 94 % of them lie.  Below, the share of choices that were best, of wins after
        which the choice was repeated and of losses after which it was not, or else of choices that repeat the one
        before: filled, the distribution over all people; as a line, that over draws of the mean of a group.

    Raises
    ------
    ValueError
        If these are no results of `prior_predictive`.
    """
    if "stay" not in found or "draw" not in found.dims:
        raise ValueError(f"found {', '.join(map(str, found.data_vars)) or 'nothing'}; take rlpymc.prior_predictive")
    columns = found if "preset" in found.dims else found.expand_dims(preset=[""])
    names = [str(k) for k in columns["preset"].values]
    curve = next((k for k in ("accuracy_by_trial", "reward_by_trial") if k in found), None)
    shares = [k for k in SHARES if k in found and k != "stay"] or ["stay"]
    n_rows = len(shares) + (curve is not None)
    size = (1.0 + 3.0 * len(names), 0.6 + 1.9 * n_rows)
    figure, axes = plt.subplots(n_rows, len(names), figsize=size, layout="constrained", squeeze=False, sharey="row")
    for j, name in enumerate(names):
        one, colour = columns.isel(preset=j), COLOURS[j % len(COLOURS)]
        rows = list(axes[:, j])
        if curve is not None:
            _curve(rows[0], one[curve], colour, curve.removesuffix("_by_trial") if j == 0 else "")
        for ax, share in zip(rows[curve is not None :], shares, strict=True):
            _distribution(ax, one[share], colour)
            ax.set_xlabel(SHARES[share])
        rows[0].set_title(name)
    for ax in axes[curve is not None :, 0]:
        ax.set_ylabel("density")
    axes[int(curve is not None), 0].legend(frameon=False, fontsize="small")
    return figure


def _curve(ax: Axes, course: xr.DataArray, colour: str, label: str) -> None:
    values, x = course.transpose("draw", "trial").values, np.arange(course.sizes["trial"])
    for ends, alpha in ((INTERVAL, 0.2), (HALF, 0.35)):
        ax.fill_between(x, *np.nanquantile(values, ends, axis=0), color=colour, alpha=alpha, lw=0)
    ax.plot(x, np.nanmedian(values, axis=0), c=colour, lw=1.5)
    ax.set(xlabel="trials since the last reset", ylabel=label)
    if label == "accuracy":
        ax.set_ylim(-0.03, 1.03)


def _distribution(ax: Axes, values: xr.DataArray, colour: str) -> None:
    by_draw = values.transpose("draw", "subject").values
    there, edges = np.isfinite(by_draw), np.linspace(0, 1, 21).tolist()
    everybody, some = by_draw[there], there.any(axis=1)
    means = np.where(there, by_draw, 0).sum(axis=1)[some] / there.sum(axis=1)[some]
    if everybody.size:
        ax.hist(everybody, bins=edges, density=True, color=colour, alpha=0.35, lw=0, label="people")
        ax.hist(means, bins=edges, density=True, histtype="step", color=colour, lw=1.5, label="means of groups")
    ax.set_xlim(0, 1)
