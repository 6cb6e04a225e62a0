"""The grid of subjects and trials: its dims, and what stands where there is no trial."""

from typing import Any

import numpy as np
import xarray as xr

from rlpymc.trials.columns import means_action
from rlpymc.trials.masks import MASKS

# Third dimension of array-valued columns. Not "action": xarray would make the variable of that name a coordinate.
ARRAY_DIMS = {"available": "option", "scored": "response"}
PADDING = {
    "b": False,
    "i": 0,
    "u": 0,
    "f": np.nan,
    "c": np.nan,
    "M": np.datetime64("NaT", "ns"),
    "m": np.timedelta64("NaT", "ns"),
}


def padding(name: str, dtype: np.dtype) -> Any:
    """A column's entry where there is no trial."""
    return -1 if (means_action(name) and dtype.kind == "i") or name == "row" else PADDING.get(dtype.kind, "")


def column_dims(name: str, ndim: int) -> tuple[str, ...]:
    """Return the dims of a column: (subject, trial), and those of its own where it holds arrays."""
    own = [ARRAY_DIMS[name]] if name in ARRAY_DIMS else [f"{name}_dim_{k}" for k in range(ndim - 2)]
    return ("subject", "trial", *own[: ndim - 2])


def check_masks(trials: xr.Dataset) -> xr.Dataset:
    """Return trials as they are, or say which of the four masks is not there or not boolean."""
    for name in MASKS:
        if name not in trials:
            raise ValueError(f"this Dataset has no mask {name!r}; trials come from read_trials or simulate")
        dims, dtype = trials[name].dims, trials[name].dtype
        if not {"subject", "trial"} <= set(dims) or dtype.kind != "b":
            raise ValueError(f"mask {name!r}: found {dtype} with dims {dims}, expected bool with subject and trial")
    return trials
