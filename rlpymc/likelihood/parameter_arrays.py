"""Parameter values, however a user writes them, as arrays (subject, ...) or (subject, trial, ...)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import check_type, unknown
from rlpymc.model import Model
from rlpymc.model.parameters import Parameter
from rlpymc.trials.model_data import ModelData


def parameter_arrays(data: ModelData, params: Mapping[str, Any] | xr.Dataset) -> dict[str, np.ndarray]:
    """Return every parameter of a model as an array.

    Parameters
    ----------
    data : ModelData
        The data of a model.
    params : mapping
        By name: a number or an array (*shape) for all subjects; an array (subject, *shape); or a DataArray whose
        dims are out of subject, session, block, trial and the parameter's own.  Constants may be left out.

    Returns
    -------
    dict of ndarray
        (subject, *shape), or (subject, trial, *shape) for what varies within a subject.

    Raises
    ------
    ValueError
        If a parameter is unknown, missing, of another shape, or outside its support.
    """
    check_type(params, Mapping, "parameters by name, such as {'alpha': 0.3}")
    check_names(data.model, params)
    return {p.name: parameter_array(data, p, params.get(p.name, p.value)) for p in data.model.parameters}


def varying(data: ModelData, params: Mapping[str, Any], outer: int = 2) -> list[str]:
    """Return the parameters that vary by trial, whose arrays or tensors have so many axes before their own."""
    return [name for name, v in params.items() if v.ndim == outer + len(data.parameter_shape(name))]


def check_names(model: Model, params: Iterable[Any]) -> None:
    """Raise a ValueError if a parameter is unknown, or one that is no constant is missing."""
    given, names = list(params), [p.name for p in model.parameters]
    for name in given:
        if name not in names:
            raise unknown(f"parameter of {model.name}", name, names)
    if missing := [p.name for p in model.parameters if p.name not in given and p.value is None]:
        raise ValueError(f"{model.name} needs a value for {', '.join(missing)}")


def parameter_array(data: ModelData, parameter: Parameter, value: Any, what: str = "parameter") -> np.ndarray:
    """Return one parameter as an array, see `parameter_arrays`; `what` is how messages call it."""
    shape, n_subjects = data.parameter_shape(parameter.name), data.shape[0]
    if isinstance(value, pd.Series):
        value = xr.DataArray(value.values, coords={"subject": value.index.values}, dims="subject")
    if isinstance(value, xr.DataArray):
        array = _by_label(data, parameter, value)
    else:
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise TypeError(f"{what} {parameter.name!r}: found {value!r}, expected numbers") from None
        if array.ndim <= len(shape):
            array = np.broadcast_to(array, (n_subjects, *shape)) if array.shape in ((), shape) else array
    if array.shape not in ((n_subjects, *shape), (*data.shape, *shape)) or (
        not isinstance(value, xr.DataArray) and array.ndim > 1 + len(shape)
    ):
        raise ValueError(
            f"{what} {parameter.name!r}: found shape {np.shape(value)}, expected {shape} for all, "
            f"{(n_subjects, *shape)} by subject, or a DataArray with named dims"
        )
    inside = parameter.support.contains(array)
    if not inside.all():
        where = np.argwhere(~inside)[0]
        at = f", trial {where[1]}" if array.ndim > 1 + len(shape) else ""
        raise ValueError(
            f"{what} {parameter.name!r}, subject {data.subjects[where[0]].item()!r}{at}: found "
            f"{array[tuple(where)]:g}, expected a number in its support, {parameter.support}"
        )
    return np.ascontiguousarray(array, dtype=float)


def _by_label(data: ModelData, parameter: Parameter, value: xr.DataArray) -> np.ndarray:
    """Line a DataArray up with the trials by its dims' names and labels."""
    outer = [d for d in value.dims if d in ("subject", "session", "block", "trial")]
    own = [d for d in value.dims if d not in outer]
    trials = data.trials
    if "subject" in outer:
        value = _select(parameter, value, "subject", trials["subject"])
    if "trial" in outer:
        value = _select(parameter, value, "trial", trials["trial"])
    for dim in ("session", "block"):
        if dim in outer:
            if dim not in trials:
                raise ValueError(f"parameter {parameter.name!r} varies by {dim}, and the trials have no column {dim!r}")
            labels = trials[dim].where(trials["exists"], trials[dim].isel(trial=0))
            value = _select(parameter, value, dim, labels)
    if "trial" not in value.dims:
        return (
            value.expand_dims(subject=data.subjects).transpose("subject", *own).values
            if ("subject" not in value.dims)
            else value.transpose("subject", *own).values
        )
    whole, _ = xr.broadcast(value, trials["exists"])
    whole = whole.where(trials["exists"] | whole.notnull(), whole.isel(trial=0))  # `parameters` has NaN without trial
    return whole.transpose("subject", "trial", *own).values


def _select(parameter: Parameter, value: xr.DataArray, dim: str, labels: xr.DataArray) -> xr.DataArray:
    if dim not in value.coords:
        if dim in ("session", "block"):
            raise ValueError(f"parameter {parameter.name!r} varies by {dim}: give the DataArray coords for {dim!r}")
        if value.sizes[dim] != labels.size:
            raise ValueError(
                f"parameter {parameter.name!r}: {value.sizes[dim]} values by {dim}, {labels.size} expected"
            )
        return value
    known = value[dim].values.tolist()
    if len(set(known)) < len(known):
        raise ValueError(f"parameter {parameter.name!r}: a {dim} is there twice")
    if absent := sorted(set(np.unique(labels.values).tolist()) - set(known), key=str):
        raise ValueError(f"parameter {parameter.name!r}: no value for {dim} {absent[0]!r}; there is {known}")
    return value.sel({dim: labels})
