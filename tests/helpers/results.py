"""Results of comparisons, made by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

import rlpymc as rl


def elpd(
    values: Sequence[float] | np.ndarray, subjects: Any, k: Any = None, refitted: Sequence[int] = (), **coords: Any
) -> rl.Elpd:
    """Return a result by subject, or by window of the future where there is a coordinate cut."""
    at = {"subject": ("unit", np.array(subjects))} | {name: ("unit", np.array(v)) for name, v in coords.items()}
    arrays = (values, np.zeros(len(values)) if k is None else k, np.isin(np.arange(len(values)), refitted))
    by_unit = [xr.DataArray(np.array(v), dims="unit", coords=at) for v in arrays]
    return rl.Elpd(*by_unit, p=1.0, good_k=0.7, unit="1 trial ahead, from 5 on" if coords else "subject, conditional")
