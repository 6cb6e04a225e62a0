"""The pointwise log likelihoods of a fit, made again from what it holds itself: draws, data, and a model's name."""

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from rlpymc.fitting.factory import Spec
from rlpymc.fitting.posterior import log_likelihood
from rlpymc.model.registry import get_model, is_found_elsewhere
from rlpymc.population.kept_formulas import from_dataset
from rlpymc.population.model_matrix import Formula
from rlpymc.population.population import Population
from rlpymc.population.presets import DEFAULT
from rlpymc.trials.attributes import with_facts
from rlpymc.trials.fingerprints import data_hash
from rlpymc.trials.model_data import ModelData, data_for

GROUP, NAME = "log_likelihood", "choice"
LEFT_OUT = "left_out"  # attribute of the group: its unit


@dataclass(frozen=True)
class Origin:
    """What a fit was made from.

    Parameters
    ----------
    spec : Spec
        Model and population.
    data : ModelData
        The data.
    """

    spec: Spec
    data: ModelData


def origin(fit: xr.DataTree) -> Origin:
    """Return what a fit was made from, as it says itself.

    Raises
    ------
    ValueError
        If its model is not found by name, or its data are not those that it was fitted to.
    """
    record = json.loads(fit.attrs["rlpymc"])
    spec = record["spec"]
    model = get_model(spec["model"])
    trials = xr.merge([fit[group].to_dataset() for group in ("constant_data", "observed_data")], compat="override")
    data = data_for(model, with_facts(trials, record["facts"]))
    if data_hash(data) != record["data"]:
        raise ValueError("the data that it holds are not those that it was fitted to")
    texts, formulas = spec.get("formulas", {}), dict[str, Formula]()
    if texts:
        kept = fit["covariates"].to_dataset()
        formulas = {name: from_dataset(name, text, kept) for name, text in texts.items()}
        columns = {str(k) for formula in formulas.values() for k in formula.table}
        kept = kept.reindex(subject=data.subjects)
        data = replace(data, trials=data.trials.assign({k: kept[k].variable for k in sorted(columns)}))
    estimated = [p.name for p in model.parameters if p.name in {*spec["free"], *spec["priors"]}]
    fixed = {name: np.asarray(value) for name, value in spec["fixed"].items()}
    coupled, preset = spec.get("coupled", ()), spec.get("preset", DEFAULT)  # of neither fits of before said anything
    correlated = spec.get("correlated", False)
    population = Population(
        spec["pooling"], {}, fixed, estimated, spec["shared"], coupled, preset, formulas, correlated
    )
    return Origin(Spec(model, population, spec["likelihood"], spec["backend"]), data)


def leave_out_terms(fit: xr.DataTree, forced: bool) -> xr.DataTree:
    """Return a fit without its pointwise log likelihoods, where `make_terms` can make the same ones again.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    forced : bool
        Whether they are left out for good where it cannot.
    """
    if GROUP not in fit.children or NAME not in fit[GROUP]:
        return fit
    unit = "subject" if "subject" in fit[GROUP][NAME].dims else "obs"
    parts = {"/": fit.to_dataset()} | {name: group.to_dataset() for name, group in fit.children.items()}
    if _comes_again(fit, unit):
        parts[GROUP] = parts[GROUP].drop_vars(NAME).assign_attrs({LEFT_OUT: unit})
    elif forced:
        del parts[GROUP]
    else:
        return fit
    return xr.DataTree.from_dict(parts)


def _comes_again(fit: xr.DataTree, unit: str) -> bool:
    """Whether the first and the last draw of each chain have the same log likelihoods when these are made again."""
    if "rlpymc" not in fit.attrs or not is_found_elsewhere(json.loads(fit.attrs["rlpymc"])["spec"]["model"]):
        return False
    ends = {"draw": [0, -1]}
    try:
        made = log_likelihood(origin(fit), fit["posterior"].to_dataset().isel(ends), unit)
    except (ValueError, TypeError, KeyError):
        return False
    before = fit[GROUP][NAME].isel(ends)
    return made[NAME].shape == before.shape and bool(np.allclose(made[NAME], before, rtol=1e-9, atol=1e-9))


def make_terms(fit: xr.DataTree, path: Path | str) -> xr.DataTree:
    """Make the pointwise log likelihoods of a fit that were left out, or warn that it cannot be done."""
    if GROUP not in fit.children or LEFT_OUT not in fit[GROUP].attrs:
        return fit
    group = fit[GROUP].to_dataset()
    try:
        made = log_likelihood(origin(fit), fit["posterior"].to_dataset(), group.attrs[LEFT_OUT])
    except (ValueError, TypeError, KeyError) as problem:
        warnings.warn(
            f"{path}: its pointwise log likelihoods were left out, and cannot be made again ({problem}); without them "
            "fits cannot be compared: register the model, or install the package that it comes from, and load again",
            UserWarning,
            stacklevel=3,
        )
        return fit
    group = group.assign({NAME: made[NAME]})
    del group.attrs[LEFT_OUT]
    fit[GROUP] = xr.DataTree(group)
    return fit
