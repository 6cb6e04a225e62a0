"""Differences of a parameter between groups of people, or along a covariate, as a formula has them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import is_number, unknown
from rlpymc.fitting.posterior import by_chain, flat
from rlpymc.model.parameters import Support
from rlpymc.model.registry import get_model
from rlpymc.population.design import INTERCEPT
from rlpymc.population.kept_formulas import from_dataset
from rlpymc.population.model_matrix import Formula
from rlpymc.population.presets import PRESETS

NODES = 20  # at which the mean over people is integrated
ROPE = 0.1  # effects below a tenth of a standard deviation are as good as none
SCALES = ("link", "natural", "average", "effect_size")


@dataclass(frozen=True)
class Contrast:
    """How much a parameter differs between levels of a column.

    Parameters
    ----------
    parameter, by : str
        The parameter, and the column.
    means : xr.Dataset
        ``link``, ``natural`` and ``average`` (chain, draw, level, *shape): the mean of people at each level on the
        unbounded scale; on the natural scale that of a person in the middle of them, and the mean over people.
    draws : xr.Dataset
        Differences, (chain, draw, contrast, *shape): the same three, and ``effect_size``, the difference on the
        unbounded scale in standard deviations of people.
    table : pandas.DataFrame
        By contrast (and entry) and scale: ``median`` (means of effect sizes say little where people may be alike), the
        ends of the interval, ``direction`` (the probability of the sign that is more probable), and ``inside``, the
        probability of an effect size within the region of practical equivalence.
    rope : float
        Half the width of that region, in standard deviations of people.
    """

    parameter: str
    by: str
    means: xr.Dataset
    draws: xr.Dataset
    table: pd.DataFrame
    rope: float

    def __str__(self) -> str:
        head = f"{self.parameter} by {self.by}; inside: within {self.rope:g} standard deviations of people"
        return f"{head}\n{self.table.round(3).to_string()}"

    def _repr_html_(self) -> str:
        return self.table.round(3)._repr_html_()  # type: ignore[operator]


def contrast(
    fit: xr.DataTree,
    parameter: str,
    by: str,
    *,
    levels: Sequence[Any] | None = None,
    at: Mapping[str, Any] | None = None,
    rope: float = ROPE,
    prob: float = 0.94,
) -> Contrast:
    """Compare a parameter between levels of a column that its formula reads.

    At each level everybody's value of the column is replaced, and all else about them stays as it is.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`, of a model that was built with a formula for the parameter.
    parameter : str
        The parameter.
    by : str
        The column, such as "group".
    levels : sequence, optional
        The levels to compare, each with the first of them.  Unless told, all levels of a factor in their order; of a
        number its mean, and one standard deviation more.
    at : mapping, optional
        Values at which other columns are held for everybody, such as ``{"drug": "placebo"}``.
    rope : float
        Half the width of the region of practical equivalence around 0, in standard deviations of people.
    prob : float
        Probability of the intervals (equal tails).

    Returns
    -------
    Contrast
        Draws and a table; `rlpymc.plots.contrast` draws it.

    Raises
    ------
    ValueError
        If the parameter has no formula, the formula does not read the column, or a level is not known.

    References
    ----------
    Kruschke (2018). Rejecting or accepting parameter values in Bayesian estimation. Advances in Methods and Practices
    in Psychological Science 1, 270-280: the region of practical equivalence.
    """
    formula, support = _origin(fit, parameter)
    for name in (by, *(at or {})):
        if name not in formula.table:
            raise unknown(f"column in the formula of {parameter!r}, '~ {formula.text}'", name, formula.table.columns)
    if not (is_number(rope) and rope > 0):
        raise ValueError(f"rope: found {rope!r}, expected a number above 0, in standard deviations of people")
    if not (is_number(prob) and 0 < prob < 1):
        raise ValueError(f"prob: found {prob!r}, expected a number between 0 and 1")
    chosen = _levels(formula, by) if levels is None else list(levels)
    if len(chosen) < 2:
        raise ValueError(f"levels: found {chosen}, expected two or more of {by!r} to compare")
    posterior = fit["posterior"].to_dataset()
    draws = flat(posterior)
    by_level = []
    for level in chosen:
        table = formula.table.assign(**{k: _held(formula, k, v) for k, v in {**(at or {}), by: level}.items()})
        by_level.append(_means(formula, table, draws, support))
    labels = [str(level) for level in chosen]
    means = by_chain(xr.concat(by_level, pd.Index(labels, name="level")), posterior)
    pairs = [f"{label} - {labels[0]}" for label in labels[1:]]
    others, first = means.isel(level=slice(1, None)), means.isel(level=0, drop=True)
    away = (others - first).rename(level="contrast").assign_coords(contrast=pairs)
    away["effect_size"] = away["link"] / posterior[f"{parameter}_sigma"]
    return Contrast(parameter, by, means, away, _table(away, rope, prob), float(rope))


def _origin(fit: xr.DataTree, parameter: str) -> tuple[Formula, Support]:
    """Return the formula of a parameter, and its support, from what a fit says of its making."""
    if "rlpymc" not in fit.attrs:
        raise ValueError("expected a fit from rlpymc.sample, which says what it was made from")
    spec = json.loads(fit.attrs["rlpymc"])["spec"]
    if not (formulas := spec.get("formulas", {})):
        raise ValueError(f"the model has no formula; build it with one: formulas={{{parameter!r}: '~ group'}}")
    if parameter not in formulas:
        raise unknown("parameter with a formula", parameter, formulas)
    model = get_model(spec["model"])
    revised = PRESETS[spec["preset"]].revised(model, model.parameter(parameter))
    return from_dataset(parameter, formulas[parameter], fit["covariates"].to_dataset()), revised.support


def _levels(formula: Formula, by: str) -> list[Any]:
    """Return the levels of a column that are compared unless others are asked for."""
    values = formula.table[by]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        middle, sd = float(values.mean()), float(values.std())
        return [middle, middle + sd]
    return sorted(values.unique())


def _held(formula: Formula, name: str, value: Any) -> Any:
    """Return a value of a column, or a ValueError if it is none of a factor's."""
    values = formula.table[name]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        if not is_number(value):
            raise ValueError(f"level of {name!r}: found {value!r}, expected a number")
        return float(value)
    if value not in (known := sorted(values.unique())):
        raise unknown(f"level of {name!r}", value, known)
    return value


def _means(formula: Formula, table: pd.DataFrame, draws: xr.Dataset, support: Support) -> xr.Dataset:
    """Return the mean of people like those of a table, (sample, *shape)."""
    sigma = draws[f"{formula.parameter}_sigma"].transpose("sample", ...)
    own, n = [str(d) for d in sigma.dims[1:]], len(formula.names)
    both = np.concatenate([formula.full_matrix(table), formula.slope_matrix(table)], axis=1)
    rows, counts = np.unique(both, axis=0, return_counts=True)
    coefficients = np.stack([_coefficient(formula, name, draws, own) for name in formula.names])
    spreads = [draws[f"{formula.parameter}_{c.name}|subject_sigma"].values for c in formula.slopes]
    besides = draws[f"{formula.parameter}_1|subject:{formula.level}_sigma"].values if formula.level else 0.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    link, average = np.zeros(sigma.shape), np.zeros(sigma.shape)
    for row, count in zip(rows, counts, strict=True):
        mean, variance = np.tensordot(row[:n], coefficients, axes=1), sigma.values**2 + besides**2
        for weight, spread in zip(row[n:], spreads, strict=True):  # by a covariate, people differ more or less
            variance = variance + (weight * spread) ** 2
        link += count / counts.sum() * mean
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            average += weight * count / counts.sum() * support.constrain(mean + node * np.sqrt(variance))
    dims = ("sample", *own)
    found = {"link": link, "natural": support.constrain(link), "average": average}
    coords = {d: sigma[d].values for d in own}
    return xr.Dataset({k: (dims, v) for k, v in found.items()}, coords=coords)


def _coefficient(formula: Formula, name: str, draws: xr.Dataset, own: list[str]) -> np.ndarray:
    """Return draws of a coefficient, (sample, *shape)."""
    if name == INTERCEPT:
        return draws[f"{formula.parameter}_{INTERCEPT}"].transpose("sample", *own).values
    (column,) = (c for c in formula.columns if c.name == name)
    vector = f"{formula.parameter}_{column.term}"
    found = draws[vector].sel({f"{vector}_dim": column.label}) if column.label else draws[vector]
    return found.transpose("sample", *own).values


def _table(away: xr.Dataset, rope: float, prob: float) -> pd.DataFrame:
    """Return the table of a contrast."""
    tails = (1 - prob) / 2
    over = ("chain", "draw")
    inside = (abs(away["effect_size"]) < rope).mean(over)
    parts = []
    for scale in SCALES:
        values = away[scale]
        columns = {
            "median": values.median(over),
            f"{100 * tails:g}%": values.quantile(tails, over).drop_vars("quantile"),
            f"{100 * (1 - tails):g}%": values.quantile(1 - tails, over).drop_vars("quantile"),
            "direction": np.maximum((values > 0).mean(over), (values < 0).mean(over)),
            "inside": inside,
        }
        parts.append(xr.Dataset(columns).expand_dims(scale=[scale]))
    whole = xr.concat(parts, "scale")
    order = ["contrast", *(str(d) for d in whole.dims if d not in ("contrast", "scale")), "scale"]
    return whole.to_dataframe(dim_order=order)
