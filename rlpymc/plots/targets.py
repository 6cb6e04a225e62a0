"""Actions in figures: what they are called, and the one that a trial is about, such as the right one."""

import numpy as np
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.trials.attributes import attribute
from rlpymc.trials.columns import means_action


def action_name(trials: xr.Dataset, action: int, response: str = "action") -> str:
    """Return what an action is called: its label, if trials or prediction have labels, or its number."""
    labels = attribute(trials, "labels").get(response, [])
    return str(labels[action]) if action < len(labels) else f"action {action}"


def target_actions(trials: xr.Dataset, target: str) -> np.ndarray:
    """The actions in a column, (subject, trial), -1 for none.

    Parameters
    ----------
    trials : xr.Dataset
        Trials or a prediction.
    target : str
        The column.

    Raises
    ------
    ValueError
        If there is no such column, or it is not coded as the actions are, in whole numbers: of columns that were read
        from a table the name tells.
    """
    read = "row" in trials  # from a table, where the columns' names say how they are coded
    numbers = [str(k) for k, v in trials.data_vars.items() if v.dims == ("subject", "trial") and v.dtype.kind == "i"]
    known = [k for k in numbers if means_action(k) or (k != "row" and not read)]
    if target in known:
        return np.asarray(trials[target].values)
    if target not in trials:
        raise unknown("column of the trials", target, known)
    raise ValueError(
        f"target {target!r}: found a column of {trials[target].dtype} not coded as the actions are, expected one "
        f"of {', '.join(known)}. Columns whose name ends in _action or _option are: rename it where the table is read, "
        f"columns={{'{target}_action': {target!r}}}, with the numbers of actions in it"
    )
