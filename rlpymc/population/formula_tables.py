"""The columns of trials that formulas read, as tables with a row for each subject or each trial."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.trials.model_data import ModelData

SUBJECT, TRIAL = "subject", "trial"


def formula_table(data: ModelData, parameter: str, names: Iterable[Any], by_trial: bool) -> pd.DataFrame:
    """Return columns of trials, a row for each trial if that is asked for or one of them varies within a subject.

    Parameters
    ----------
    data : ModelData
        The trials.
    parameter : str
        The parameter whose formula reads them, for messages.
    names : iterable of str
        The columns.
    by_trial : bool
        Whether there is a row for each trial in any case.

    Returns
    -------
    pandas.DataFrame
        With the subjects' labels as the index, or subjects and trials.

    Raises
    ------
    ValueError
        If a column is not there, or is missing somewhere.
    """
    trials, exists, columns = data.trials, data.masks["exists"], dict[str, xr.DataArray]()
    known = [str(k) for k, v in trials.variables.items() if v.dims in ((SUBJECT,), (SUBJECT, TRIAL))]
    for name in map(str, names):
        if name not in known:
            raise unknown(f"column of the trials in the formula of {parameter!r}", name, known)
        columns[name] = trials[name]
        values = columns[name].values
        nothing = pd.isna(values) | (values == "") if values.dtype.kind in "OUT" else pd.isna(values)
        missing = nothing & exists if values.ndim == 2 else nothing
        if missing.any():
            i, *t = np.argwhere(missing)[0].tolist()
            where = f", trial {t[0]}" if t and not missing[i][exists[i]].all() else ""
            raise ValueError(
                f"formula of {parameter!r}: column {name!r} is missing for subject {data.subjects[i].item()!r}{where}; "
                "give it a value, or leave the subject out"
            )
    whole = trials_table(columns, xr.DataArray(exists, dims=(SUBJECT, TRIAL), coords={SUBJECT: data.subjects}))
    first = ~whole.index.get_level_values(0).duplicated()
    of_subjects = whole[first].droplevel(1)
    if by_trial or any(_varies(whole[k], of_subjects[k]) for k in columns):
        return whole
    return of_subjects.rename_axis(None)


def check_constant(table: pd.DataFrame, parameter: str, names: Iterable[str]) -> None:
    """Raise a ValueError if one of some columns of a table by trial varies within a subject."""
    first = table[~table.index.get_level_values(0).duplicated()].droplevel(1)
    for name in names:
        if _varies(table[name], first[name]):
            of = first[name].loc[table.index.get_level_values(0)].to_numpy()
            subject, trial = table.index[np.flatnonzero(table[name].to_numpy() != of)[0]]
            raise ValueError(
                f"formula of {parameter!r}: column {name!r} varies within subject {subject!r}: {first[name][subject]} "
                f"and, at trial {trial}, {table[name][subject, trial]}; it did not where the formula was learned: "
                "expected one value for a subject"
            )


def _varies(column: pd.Series, first: pd.Series) -> bool:
    """Whether a column differs from a subject's first row."""
    return bool((column.to_numpy() != first.loc[column.index.get_level_values(0)].to_numpy()).any())


def trials_table(columns: Mapping[str, xr.DataArray], exists: xr.DataArray) -> pd.DataFrame:
    """Return columns by subject, or subject and trial, as a table with a row for each trial that there is."""
    subject, trial = np.nonzero(exists.values)
    index = pd.MultiIndex.from_arrays([exists[SUBJECT].values[subject], trial], names=[SUBJECT, TRIAL])
    found = {}
    for name, column in columns.items():
        by_trial = TRIAL in column.dims
        values = column.transpose(SUBJECT, TRIAL).values[subject, trial] if by_trial else column.values[subject]
        found[name] = values
    return pd.DataFrame(found, index=index)


def sessions_of(data: ModelData, parameter: str, name: str) -> tuple[list[Any], np.ndarray]:
    """Return the values of a column in order, and the place of each trial's among them, (subject, trial)."""
    values = formula_table(data, parameter, [name], by_trial=True)[name].tolist()
    labels = sorted(set(values))
    place = {label: k for k, label in enumerate(labels)}
    return labels, on_trials(data, np.array([place[value] for value in values])).astype(np.int64)


def on_trials(data: ModelData, rows: np.ndarray) -> np.ndarray:
    """Return what stands in the rows of trials, (row, ...), as (subject, trial, ...), and 0 where there is none."""
    exists = data.masks["exists"]
    found = np.zeros((*exists.shape, *rows.shape[1:]))
    found[exists] = rows
    return found
