"""Values of parameters with labels: by subject, and by trial where they vary within subjects."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from rlpymc.model.parameter_vector import dataset
from rlpymc.trials.model_data import ModelData


def labelled(data: ModelData, values: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Return parameters by name and with labels.

    Parameters
    ----------
    data : ModelData
        Whose they are.
    values : mapping of (subject, *shape) or (subject, trial)
        By parameter.

    Returns
    -------
    xr.Dataset
        With the dim ``trial`` where a parameter varies by trial; NaN where there is none.
    """
    by_trial = [name for name, v in values.items() if v.ndim > 1 + len(data.parameter_shape(name))]
    found = dataset({name: v for name, v in values.items() if name not in by_trial}, data.subjects)
    for name in by_trial:
        found[name] = ("subject", "trial"), np.where(data.masks["exists"], values[name], np.nan)
    return found.assign_coords(trial=data.trials["trial"].values)[list(values)] if by_trial else found


def by_subject(values: xr.Dataset) -> xr.Dataset:
    """Return those that do not vary by trial."""
    return values[[name for name, v in values.items() if "trial" not in v.dims]]
