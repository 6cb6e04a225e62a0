"""Formulas as fits keep them: what they were learned from, by subject or by subject and trial."""

import json
from collections.abc import Mapping
from hashlib import sha256

import pandas as pd
import xarray as xr

from rlpymc.population.formula_tables import SUBJECT, TRIAL, trials_table
from rlpymc.population.formula_text import FormulaText
from rlpymc.population.model_matrix import Formula


def to_dataset(formulas: Mapping[str, Formula]) -> xr.Dataset:
    """Return what formulas were learned from, and their model matrices, ``<parameter>_design``.

    Both are by subject, or by subject and trial where something varies within subjects; trials that there are not are
    filled up.
    """
    found = xr.Dataset()
    for name, formula in formulas.items():
        columns = formula.table.copy()
        design = pd.DataFrame(formula.full_matrix(formula.table), index=columns.index, columns=formula.names)
        design.columns.name = f"{name}_coefficient"
        if formula.by_trial:
            columns["exists"] = True
            own = columns.to_xarray()
            own["exists"] = own["exists"].fillna(value=False).astype(bool)
            for k, column in formula.table.items():
                nothing = "" if own[k].dtype == object and column.dtype.kind not in "iub" else 0
                if column.dtype.kind != "f":
                    own[k] = own[k].fillna(nothing).astype(column.dtype if nothing == 0 else object)
            found[f"{name}_design"] = design.stack(future_stack=True).to_xarray()
        else:
            own = columns.rename_axis(SUBJECT).to_xarray()
            found[f"{name}_design"] = design.rename_axis(SUBJECT).stack(future_stack=True).to_xarray()
        found = found.merge(own, compat="override")
    return found


def from_dataset(parameter: str, text: str, kept: xr.Dataset) -> Formula:
    """Return the formula that `to_dataset` kept."""
    names = list(FormulaText.read(parameter, text).names)
    if TRIAL not in kept[f"{parameter}_design"].dims:
        first = kept["exists"].argmax(TRIAL) if "exists" in kept else None  # where another formula has it by trial
        own = {k: (kept[k].isel({TRIAL: first}) if TRIAL in kept[k].dims else kept[k]).values for k in names}
        return Formula(parameter, text, pd.DataFrame(own, index=kept[SUBJECT].values))
    return Formula(parameter, text, trials_table({k: kept[k] for k in names}, kept["exists"]))


def fingerprint(formulas: Mapping[str, Formula]) -> str:
    """Return what tells formulas and their covariates from others; "" without any."""
    if not formulas:
        return ""
    said = [
        [name, f.text, f.names, f.table.index.tolist(), f.full_matrix(f.table).tolist()] for name, f in formulas.items()
    ]
    return sha256(json.dumps(said, default=str).encode()).hexdigest()[:16]
