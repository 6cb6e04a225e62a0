"""Figures of calibration: whether what is predicted with some probability happens that often."""

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from rlpymc.checks import check_type, check_whole, unknown
from rlpymc.comparison.elpd import Elpd
from rlpymc.plots.look import COLOURS, INTERVAL
from rlpymc.plots.targets import action_name


def calibration(
    prediction: xr.Dataset,
    loo: Elpd | None = None,
    response: str | None = None,
    bins: int = 10,
    ax: Axes | None = None,
) -> Figure:
    """Draw how often options are chosen against the probability with which they were predicted.

    Probability integral transforms, which ask the same of numbers, have no meaning for options without an order.

    Parameters
    ----------
    prediction : xr.Dataset
        From `predict`, of the kind "one_step".
    loo : Elpd, optional
        From `loo` by trial, of the same fit: each choice is then predicted from all others and not from itself.  Only
        for two options.
    response : str, optional
        Which response, where there are several; the first unless told.
    bins : int
        Number of bins, with about as many predictions in each.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Figure
        A dot for each bin: the observed share of choices against the mean predicted probability, over people and
        scored trials; options that were not on offer, and trials with one option alone, do not count.  The band is
        where 94 % of the dots of a calibrated model lie.  Of two options the second is drawn, as the first mirrors it;
        of more, all together.  With `loo`, the legend counts the choices on which importance sampling is not reliable.

    Raises
    ------
    ValueError
        If the prediction has no probabilities, or `loo` is not of the same trials.
    """
    check_type(prediction, xr.Dataset, "a prediction from rlpymc.predict")
    if loo is not None:
        check_type(loo, Elpd, "a result of rlpymc.loo")
    response = response or str(prediction.attrs.get("response"))
    if f"{response}_probs" not in prediction:
        raise ValueError(
            f"the prediction has no probabilities of {response!r}; take predict(..., kind='one_step') of a model of "
            "choices. Numbers have none: learning_curve holds them against their prediction"
        )
    check_whole(1, bins=bins)
    probs = prediction[f"{response}_probs"].mean("sample").values  # (subject, trial, option)
    scored = prediction["scored"]
    if "response" in scored.dims:
        scored = scored.sel(response=response)
    seen = prediction["observed" if "observed" in prediction else f"observed_{response}"].values
    if loo is not None:
        probs = _left_out(loo, prediction, response, seen, probs.shape)
    options = np.arange(probs.shape[2])
    used = options[1:] if len(options) == 2 else options
    offered = np.ones(probs.shape, dtype=bool)
    if "available" in prediction:
        offered = prediction["available"].transpose("subject", "trial", "option").values
    counted = (offered & (offered.sum(axis=2, keepdims=True) > 1))[scored.values][:, used]
    predicted = probs[scored.values][:, used][counted]
    chosen = (seen[scored.values][:, None] == used)[counted]
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    x = np.array([predicted[part].mean() for part in parts])
    share = np.array([chosen[part].mean() for part in parts])
    spread = np.array([np.sqrt((predicted[part] * (1 - predicted[part])).sum()) / len(part) for part in parts])
    if ax is None:
        _, ax = plt.subplots(figsize=(4, 4), layout="constrained")
    low, high = stats.norm.ppf(INTERVAL)[:, None] * spread + x
    ax.fill_between(x, np.maximum(low, 0), np.minimum(high, 1), color="0.85", lw=0, label="94 % if calibrated")
    ax.plot([0, 1], [0, 1], c="0.6", lw=0.8)
    ax.plot(x, share, "o", c=COLOURS[0], ms=5, label="observed")
    if loo is not None and (unsure := loo.bad & ~loo.refitted.values).any():
        ax.plot([], [], " ", label=f"not reliable, Pareto k above {loo.good_k:.2f}: {unsure.sum()} of {loo.n}")
    what = action_name(prediction, 1, response) if len(options) == 2 else "an option"
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
    ax.set(xlabel=f"predicted probability of {what}", ylabel=f"share of choices of {what}")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return ax.get_figure(root=True)  # type: ignore[return-value]


def _left_out(loo: Elpd, prediction: xr.Dataset, response: str, seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the probabilities of both options of each choice, given all others, (subject, trial, option)."""
    if shape[2] != 2:
        raise ValueError(f"loo says how probable what was chosen is; with {shape[2]} options the others stay unknown")
    if loo.unit != "trial":
        raise ValueError(f"loo leaves out by {loo.unit!r}, expected by trial: rlpymc.loo(fit)")
    mine = loo.elpd_i["response"].values == response
    known = {label: i for i, label in enumerate(prediction["subject"].values.tolist())}
    labels = loo.elpd_i["subject"].values[mine].tolist()
    if absent := [label for label in labels if label not in known]:
        raise unknown("subject of the prediction", absent[0], known)
    who, when = np.array([known[label] for label in labels]), loo.elpd_i["trial"].values[mine]
    probs = np.full(shape, np.nan)
    chosen = np.exp(np.minimum(loo.elpd_i.values[mine], 0))
    made = seen[who, when].astype(int)
    probs[who, when, made], probs[who, when, 1 - made] = chosen, 1 - chosen
    return probs
