"""A table of models, best first."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import check_type, unknown
from rlpymc.comparison.elpd import Elpd
from rlpymc.comparison.leave_one_out import elpd_of, warn_of_bad_k
from rlpymc.comparison.terms import WHICH, form_of
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.held_constants import CONSTANTS, telling
from rlpymc.fitting.run_folder import folder_path

WEIGHTS = {"stacking": "stacking", "pseudo-bma": "pseudo-BMA", "pseudo-bma+": "BB-pseudo-BMA"}  # ArviZ's names


def compare(
    fits: Mapping[str, xr.DataTree | Elpd],
    unit: str = "trial",
    *,
    form: str | None = None,
    weights: str = "stacking",
    refit: Mapping[str, RLModel] | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Compare fits of the same data by PSIS-LOO, or results of `loo` and `leave_future_out`.

    There is no WAIC: it estimates the same quantity with a larger error and has no diagnostic that says where it
    fails.  PSIS-LOO is at least as good wherever both work, and its Pareto k tells where it does not.

    Parameters
    ----------
    fits : mapping
        Fits from `sample`, by the names they shall have in the table; or results of `loo` or `leave_future_out`,
        which know their unit.
    unit : {"trial", "session", "subject"}
        What is left out, see `loo`.
    form : {"conditional", "integrated"}, optional
        For subjects: whether the draws of their own parameters are reweighted, or, unless told, only the group's, after
        `marginal_log_likelihood` of each fit.  Both aim at the same number; the second gets there.
    weights : {"stacking", "pseudo-bma", "pseudo-bma+"}
        How models are weighted: so that their mixture predicts best, or by their own elpd, as it stands or over
        Bayesian bootstraps of the units.
    refit : mapping of RLModel, optional
        The models that were fitted, by the same names: units above the threshold of Pareto k are left out in
        earnest, one refit each.  Models that are not named are not refitted.  Of those that are, integrals that a fit
        lacks are computed and kept in it.
    folder : path, optional
        Where refits are kept, in a folder for each model; calling again takes up the missing ones.
    progress : bool
        Whether to show progress bars of refits.

    Returns
    -------
    pandas.DataFrame
        By name, best first: ``elpd`` (expected log predictive density, higher is better) and its ``se``, ``p``
        (effective number of parameters), ``elpd_diff`` to the best and its ``dse``, the ``weight``, the largest
        Pareto k (``k_max``) and the number above the threshold (``k_bad``), both before refits, how many of these
        are exact from refits (``k_refitted``), the number of units ``n``, and ``unit``.

    Raises
    ------
    ValueError
        If there are fewer than two fits, one has no log likelihood for the unit (integrated for subjects), or they are
        of different data.

    Warns
    -----
    UserWarning
        Of units whose Pareto k is bad, and of constants of a model that decide how well it does (`rlpymc.constants`),
        as `sample` has noted them in a fit.
    """
    form_of(unit, form)
    if weights not in WEIGHTS:
        raise unknown("weights", weights, WEIGHTS)
    if not isinstance(fits, Mapping):
        raise TypeError(f"compare takes fits by name, {{'name': fit, ...}}, found {type(fits).__name__}")
    if len(fits) < 2:
        raise ValueError(f"compare needs at least two fits, found {len(fits)}")
    models = _models(refit, fits)
    if folder is not None and not models:
        raise ValueError("folder is where refits are kept: pass the models, too, refit={'name': rl_model, ...}")
    found = {}
    for name, fit in fits.items():
        if isinstance(fit, Elpd):
            found[name] = fit
        else:
            own = (
                folder_path(folder) / quote(str(name), safe="+()=, ") if folder is not None and name in models else None
            )
            found[name] = elpd_of(f"fit {name!r}", fit, unit, form, models.get(name), own, progress)
    check_same_data(found)
    table = _table(found, weights)
    for name, fit in fits.items():
        kept = fit.attrs.get(CONSTANTS, "") if isinstance(fit, xr.DataTree) else ""
        for sentence in telling(kept).values():
            warnings.warn(f"fit {name!r}: {sentence}; differences between models may rest on it", stacklevel=2)
    worst = max(found, key=lambda name: int((found[name].bad & ~found[name].refitted.values).sum()))
    warn_of_bad_k(f"'{worst}'", found[worst], stacklevel=2)
    return table


def _models(refit: Any, fits: Mapping[str, Any]) -> Mapping[str, RLModel]:
    """Return the models to refit by name."""
    if refit is None:
        return {}
    if not isinstance(refit, Mapping):
        raise TypeError(f"refit takes models by the names of the fits, {{'name': rl_model}}, found {refit!r:.60}")
    for name in refit:
        if name not in fits:
            raise unknown("fit in refit", name, fits)
        if isinstance(fits[name], Elpd):
            raise ValueError(f"refit: {name!r} is a result, not a fit; refit in rlpymc.loo(fit, refit=rl_model)")
    return refit


def check_same_data(found: Mapping[str, Elpd]) -> None:
    """Raise an error unless these are results by name, of the same units of the same responses."""
    check_type(found, Mapping, "results by name, {'name': result}")
    for name, elpd in found.items():
        check_type(elpd, Elpd, f"{name!r} to be a result of loo or leave_future_out")
    if not found:
        raise ValueError("results: found none, expected at least one, by name")
    (first, one), *others = found.items()
    for name, other in others:
        pair = f"{first!r} and {name!r}"
        if one.unit != other.unit:
            raise ValueError(f"{pair} leave out different units: {one.unit!r} and {other.unit!r}")
        if one.n != other.n:
            raise ValueError(f"fits {pair} are of different data: {one.n} and {other.n} units ({one.unit})")
        for coord in WHICH:
            if (coord in one.elpd_i.coords) != (coord in other.elpd_i.coords):
                lacking = name if coord in one.elpd_i.coords else first
                if coord in ("session", "block") and one.unit != "session":
                    continue
                if coord == "response" and _one_response(one, other):
                    continue
                raise ValueError(f"fits {pair} cannot be lined up: {lacking!r} does not say the {coord} of its terms")
            if coord in one.elpd_i.coords:
                here, there = one.elpd_i[coord].values, other.elpd_i[coord].values
                if (differs := np.flatnonzero(here != there)).size:
                    k = differs[0]
                    raise ValueError(
                        f"fits {pair} are of different rows: they differ in {coord}, first {here[k].item()!r} and "
                        f"{there[k].item()!r}, in {differs.size} of {one.n}"
                    )
    seen = {name: elpd.responses for name, elpd in found.items() if elpd.responses}
    if len(set(seen.values())) > 1:
        raise ValueError(
            f"fits are of different responses, so their data differ: {seen}. Compare models of the same choices, "
            "scored on the same trials"
        )


def _one_response(*results: Elpd) -> bool:
    """Whether those results that name the responses name one alone, so that subject and trial tell units apart."""
    named = [elpd.elpd_i["response"].values for elpd in results if "response" in elpd.elpd_i.coords]
    return len(np.unique(np.concatenate(named))) == 1


def _table(found: Mapping[str, Elpd], weights: str) -> pd.DataFrame:
    """Return the table of `compare`."""
    best = np.max([elpd.elpd_i.values for elpd in found.values()], axis=0)
    held = {name: elpd.to_arviz() for name, elpd in found.items()}
    for loo in held.values():  # what is common to all changes no difference, and would make weights underflow
        loo.elpd_i = loo.elpd_i - best
        loo.elpd = float(loo.elpd_i.sum())
    with warnings.catch_warnings():  # the table says the same, by model
        warnings.simplefilter("ignore")
        table = az.compare(held, method=WEIGHTS[weights], round_to="none")
    rows = {name: found[name] for name in table.index}
    return pd.DataFrame(
        {
            "elpd": [elpd.elpd for elpd in rows.values()],
            "se": [elpd.se for elpd in rows.values()],
            "p": [elpd.p for elpd in rows.values()],
            "elpd_diff": table["elpd_diff"].astype(float).values,
            "dse": table["dse"].astype(float).values,
            "weight": table["weight"].astype(float).values,
            "k_max": [float(np.max(elpd.pareto_k.values)) for elpd in rows.values()],
            "k_bad": [int(elpd.bad.sum()) for elpd in rows.values()],
            "k_refitted": [int(elpd.refitted.sum()) for elpd in rows.values()],
            "n": [elpd.n for elpd in rows.values()],
            "unit": [elpd.unit for elpd in rows.values()],
        },
        index=table.index,
    )
