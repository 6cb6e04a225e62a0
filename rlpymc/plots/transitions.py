"""Figures of transition models and of agents that learn them.

Every function returns a matplotlib figure and shows nothing; in a notebook, end the line with a semicolon.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlpymc.plots import COLOURS
from rlpymc.transitions.agents import World
from rlpymc.transitions.estimate import Transition
from rlpymc.transitions.family import Family


def densities(
    laws: Mapping[str, tuple[Family, Any]],
    draws: np.ndarray | None = None,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw densities of next states, over a histogram of draws.

    Parameters
    ----------
    laws : dict
        Family and natural parameters v (n_statistics,) of each density, by its label; the truth and fits, say.
    draws : (n,), optional
        Next states.
    limits : (float, float), optional
        The interval shown; where the densities are above a thousandth of their maximum unless given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
    """
    curves = {}
    for label, (family, v) in laws.items():
        natural = np.reshape(v, (1, -1)).astype(float)
        low, high = limits or family.breakpoints(natural[0])[[0, -1]]
        x = np.linspace(low, high, 2001)
        curves[label] = x, family.prob(x, natural)
    if limits is None:
        above = [x[p > p.max() / 1000] for x, p in curves.values()]
        limits = min(x[0] for x in above), max(x[-1] for x in above)
    ax = _axes(ax)
    if draws is not None:
        ax.hist(draws, bins=100, range=limits, density=True, color="0.85", label="draws")
    for k, (label, (x, p)) in enumerate(curves.items()):
        ax.plot(x, p, c=COLOURS[k % len(COLOURS)], lw=1.5, ls=("-", "--", "-.", ":")[k % 4], label=label)
    ax.set(xlabel="next state", ylabel="density", xlim=limits)
    ax.legend(frameon=False, fontsize="small")
    return _figure(ax)


def draws(
    world: World, models: Mapping[str, Transition], state: Any, action: int = 1, n: int = 10_000, seed: int = 0
) -> Figure:
    """Draw histograms of next states of one state and action, in the world and as models have them.

    Parameters
    ----------
    world : World
        `tasks.SinMDP()`, say.
    models : dict
        Fitted laws by label.
    state : (n_coordinates,)
        The state.
    action : int
        Number of the action: 0, 1, ...
    n : int
        Draws of each.
    seed : int
        Of the draws.

    Returns
    -------
    Figure
        A panel for each coordinate, from the lowest first to the highest 99th percentile; bins are the same for all.
    """
    rng, states = np.random.default_rng(seed), np.tile(np.asarray(state, dtype=float), (n, 1))
    drawn = {"world": world.query(states, np.full(n, action), rng)}
    drawn |= {label: law.sample(states, np.full(n, world.actions[action]), rng) for label, law in models.items()}
    n_coordinates = states.shape[1]
    figure, axes = plt.subplots(
        1, n_coordinates, figsize=(4.5 * n_coordinates, 3.5), layout="constrained", squeeze=False
    )
    for k, ax in enumerate(axes[0]):
        ends = np.percentile([x[:, k] for x in drawn.values()], [1, 99], axis=1)
        bins = np.linspace(ends[0].min(), ends[1].max(), 81)
        for colour, (label, x) in zip(COLOURS, drawn.items(), strict=False):
            style: dict[str, Any] = {"color": colour, "histtype": "step", "lw": 1.3}
            if label == "world":
                style = {"color": "0.8"}
            ax.hist(x[:, k], bins=bins, density=True, label=label, **style)
        ax.set(xlabel="next state" if n_coordinates == 1 else f"coordinate {k} of the next state")
    axes[0, 0].set_ylabel("density")
    axes[0, -1].legend(frameon=False, fontsize="small")
    return figure


def law(world: World, transition: Transition, states: Sequence[float] = (-0.5, 0.5)) -> Figure:
    """Draw where each action leads from some states, and what is rewarded there.

    Parameters
    ----------
    world : World
        With one coordinate.
    transition : Transition
        Its law of next states, or a fitted one.
    states : sequence of float
        A panel for each.

    Returns
    -------
    Figure
        The density of the next state after each action, and the reward of being in it in grey.
    """
    figure, axes = plt.subplots(
        1, len(states), figsize=(4.5 * len(states), 3.5), sharey=True, layout="constrained", squeeze=False
    )
    x = np.linspace(-3, 3, 1201)
    for ax, state in zip(axes[0], states, strict=True):
        ax.fill_between(x, world.reward(x[:, None]), color="0.88", lw=0, label="reward")
        for colour, action in zip(COLOURS, world.actions, strict=False):
            p = np.exp(transition.log_prob(x[:, None], np.full((len(x), 1), state), np.full(len(x), action)))
            ax.plot(x, p, c=colour, lw=1.5, label=f"after action {action:+g}")
        ax.set(xlabel="next state", title=f"state {state:g}")
    axes[0, 0].set_ylabel("density, reward")
    axes[0, -1].legend(frameon=False, fontsize="small")
    return figure


def cumulative_reward(run: xr.Dataset, ax: Axes | None = None) -> Figure:
    """Draw the sum of rewards up to each episode: mean over seeds, with its standard error.

    Parameters
    ----------
    run : xr.Dataset
        From `run_episodes`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
    """
    return _by_episode(run, run["reward"].cumsum("episode"), "sum of rewards", ax)


def cumulative_regret(run: xr.Dataset, ax: Axes | None = None) -> Figure:
    """Draw the sum of regrets up to each episode: mean over seeds, with its standard error.

    Parameters
    ----------
    run : xr.Dataset
        From `run_episodes`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
    """
    return _by_episode(run, run["regret"].cumsum("episode"), "sum of regrets", ax)


def action_counts(run: xr.Dataset, action: int = 1, ax: Axes | None = None) -> Figure:
    """Draw how often an action was taken in each episode: mean over seeds, with its standard error.

    Parameters
    ----------
    run : xr.Dataset
        From `run_episodes`.
    action : int
        Number of the action.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such action.
    """
    if action not in run["action"].values:
        raise ValueError(f"action: found {action}, expected one of {', '.join(map(str, run['action'].values))}")
    return _by_episode(run, run["action_count"].sel(action=action), f"how often action {action} was taken", ax)


def errors(found: Mapping[str, tuple[Sequence[float], Any]], ax: Axes | None = None) -> Figure:
    """Draw errors of estimates against the number of transitions, on logarithmic axes.

    Parameters
    ----------
    found : dict
        Numbers of transitions (k,) and errors (k,), or (k, replications), by label.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        Means, with the range of the middle 80 % of replications, and a line that falls with the root of the number.
    """
    ax, lowest, numbers_of_all = _axes(ax), np.inf, np.empty(0)
    for colour, (label, (numbers, values)) in zip(COLOURS, found.items(), strict=False):
        n = np.asarray(numbers, dtype=float)
        each = np.asarray(values, dtype=float).reshape(len(n), -1)
        if each.shape[1] > 1:
            ax.fill_between(n, *np.percentile(each, [10, 90], axis=1), color=colour, alpha=0.2, lw=0)
        ax.plot(n, each.mean(axis=1), c=colour, marker="o", ms=4, lw=1.2, label=label)
        lowest = min(lowest, (each.mean(axis=1) * np.sqrt(n)).min())
        numbers_of_all = np.union1d(numbers_of_all, n)
    ax.plot(numbers_of_all, 0.7 * lowest / np.sqrt(numbers_of_all), c="0.4", ls="--", lw=1, label=r"$n^{-1/2}$")
    ax.set(xscale="log", yscale="log", xlabel="number of transitions", ylabel="distance of W from the truth")
    ax.legend(frameon=False, fontsize="small")
    return _figure(ax)


def _by_episode(run: xr.Dataset, values: xr.DataArray, name: str, ax: Axes | None) -> Figure:
    ax = _axes(ax)
    x, n = run["episode"].values, run.sizes["seed"]
    for k, method in enumerate(run["method"].values):
        own, colour = values.sel({"method": method}), COLOURS[k % len(COLOURS)]
        mean = own.mean("seed").values
        if n > 1:
            error = own.std("seed", ddof=1).values / np.sqrt(n)
            ax.fill_between(x, mean - error, mean + error, color=colour, alpha=0.2, lw=0)
        ax.plot(x, mean, c=colour, lw=1.5, label=str(method).replace("_", " "))
    ax.set(xlabel="episode", ylabel=name)
    ax.legend(frameon=False, fontsize="small")
    return _figure(ax)


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots(figsize=(5, 3.5), layout="constrained")[1] if ax is None else ax


def _figure(ax: Axes) -> Figure:
    return ax.get_figure(root=True)  # type: ignore[return-value]
