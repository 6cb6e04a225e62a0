"""Halves of each person's blocks, as if they were sessions: how reliable a measure is within one sitting."""

import numpy as np
import xarray as xr

from rlpymc.checks import unknown


def split_half(trials: xr.Dataset, by: str | None = None, *, name: str = "session") -> xr.Dataset:
    """Label the halves of each subject's blocks as sessions: every other block belongs to the second half.

    With ``formulas={"alpha": "~ (1 | subject:session)"}`` a fit then has ``alpha_reliability``, the correlation of two
    halves; that of the whole is 2 r / (1 + r) (Spearman-Brown).

    Parameters
    ----------
    trials : xr.Dataset
        From `read_trials`.
    by : str, optional
        The column by which a subject's blocks are told apart.  Unless told, ``block`` if there is one, else the blocks
        are what lies between resets.
    name : str
        Of the column that is added.

    Returns
    -------
    xr.Dataset
        The trials with the column, "first" or "second"; "" where there is no trial.

    Raises
    ------
    ValueError
        If there is no such column, the name is taken, or somebody has one block alone.
    """
    columns = [str(k) for k, v in trials.data_vars.items() if v.dims == ("subject", "trial")]
    if by is not None and by not in columns:
        raise unknown("column of the trials", by, columns)
    if name in trials.variables:
        raise ValueError(f"the trials have a column {name!r} already; give another name, such as name='half'")
    by = "block" if by is None and "block" in columns else by
    exists = trials["exists"].transpose("subject", "trial").values
    column = "reset" if by is None else by
    values = trials[column].transpose("subject", "trial").values
    found = np.full(exists.shape, "", dtype="<U6")
    for i, there in enumerate(exists):
        own = values[i, there]
        block = np.cumsum(own) - 1 if by is None else np.unique(own, return_inverse=True)[1]
        if len(order := list(dict.fromkeys(block.tolist()))) < 2:
            what = "no reset after the first trial" if by is None else f"one {by} alone"
            raise ValueError(
                f"subject {trials['subject'].values[i].item()!r} has {what}, and so no halves; name a column that "
                "tells blocks apart: split_half(trials, by=...)"
            )
        place = {label: k for k, label in enumerate(order)}
        found[i, there] = [("first", "second")[place[label] % 2] for label in block.tolist()]
    return trials.assign({name: (("subject", "trial"), found)})
