"""Second derivatives of log likelihoods: exact ones through the scan, differences of the exact gradient for loops."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import xarray as xr

from rlpymc.checks import as_names, unknown
from rlpymc.compiler import signature as interface
from rlpymc.likelihood.backends import check_backend
from rlpymc.likelihood.by_subject import Totals
from rlpymc.likelihood.loop import find_trace
from rlpymc.likelihood.modes import pytensor_mode
from rlpymc.likelihood.parameter_arrays import parameter_arrays
from rlpymc.likelihood.scan import placeholders
from rlpymc.model import Facts, Model
from rlpymc.model.parameter_vector import Entries
from rlpymc.model.parameters import Parameter, resolve_shape
from rlpymc.model.registry import get_model
from rlpymc.trials.model_data import ModelData, data_for
from rlpymc.trials.segments import Segments

STEP = 1e-4  # of a difference, for a parameter that goes from 0 to 1

type Gradient = Callable[[np.ndarray], np.ndarray]


def hessian(
    model: Model | str,
    trials: xr.Dataset,
    params: Mapping[str, Any] | xr.Dataset,
    backend: str = "fused",
    *,
    free: Sequence[str] = (),
    mode: str = "quick",
) -> xr.DataArray:
    """Return the second derivatives of each subject's log likelihood.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    params : mapping
        By name: a number, an array (subject, *shape), or a DataArray by subject, as for `log_prob`.  Constants may be
        left out.
    backend : {"fused", "scan"}
        What computes it: central differences of the exact gradient of the compiled loop, or the derivative of the
        scan's gradient, which is exact and slow.  For a model that derives values before the first trial, differences
        of either's gradient.
    free : sequence of str
        Constants with respect to which derivatives are wanted as well.
    mode : {"quick", "NUMBA", "JAX", ...}
        How a scan is compiled; see `log_prob`.

    Returns
    -------
    xr.DataArray (subject, estimate, estimate_)
        On the natural scale, an estimate being an entry of a parameter that is no constant and no whole number.

    Raises
    ------
    ValueError
        If trials or parameters do not fit the model, or a parameter varies by trial.
    """
    check_backend(backend)
    data = data_for(get_model(model), trials)
    chosen = _differentiated(data.model, as_names("free", free))
    arrays = parameter_arrays(data, params)
    for p in data.model.parameters:
        if arrays[p.name].ndim > 1 + len(data.parameter_shape(p.name)):
            raise ValueError(f"parameter {p.name!r} varies by trial; a Hessian needs one value for each subject")
    entries = Entries({p.name: data.parameter_shape(p.name) for p in chosen})
    looped = find_trace(data.model, data.facts, data.columns, (), backend) is not None
    if not entries.labels:
        found = np.zeros((data.shape[0], 0, 0))
    elif looped or data.model.derive is not None:
        found = _differences(data, arrays, chosen, entries, backend, mode)
    else:
        found = _exact(data, arrays, entries, mode)
    coords = {"subject": data.subjects, "estimate": entries.labels, "estimate_": entries.labels}
    return xr.DataArray(found, coords=coords, dims=list(coords), name="hessian")


def _differentiated(model: Model, free: Sequence[str]) -> list[Parameter]:
    """Return the parameters with respect to which derivatives are wanted."""
    known = [p.name for p in model.parameters if not p.support.discrete]
    for name in free:
        if name not in known:
            raise unknown(f"parameter of {model.name} in free", name, known)
    return [p for p in model.parameters if not p.support.discrete and (p.value is None or p.name in free)]


def second_derivatives(
    gradient: Gradient, x: np.ndarray, step: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Return the derivatives of a gradient, by differences over three points within bounds.

    Parameters
    ----------
    gradient : callable
        Takes and returns arrays like `x`, the parts of which do not depend on each other.
    x : (..., entry)
        Where.
    step, lower, upper : (entry,)
        How far apart the points are, and between which bounds: next to one, all three are on its other side.

    Returns
    -------
    (..., entry, entry)
        Symmetric.
    """
    rows = []
    for k in range(x.shape[-1]):
        side = np.where(x[..., k] - step[k] < lower[k], 1, np.where(x[..., k] + step[k] > upper[k], -1, 0))
        row = np.zeros_like(x)
        for j, weight, bend in ((-1, -0.5, -1), (0, 0.0, 2), (1, 0.5, -1)):
            weights = weight + side * bend
            if weights.any():
                moved = x.copy()
                moved[..., k] += step[k] * (side + j)
                row += weights[..., None] * gradient(moved)
        rows.append(row / step[k])
    found = np.stack(rows, axis=-2)
    return (found + found.swapaxes(-1, -2)) / 2


def _differences(
    data: ModelData,
    arrays: Mapping[str, np.ndarray],
    chosen: Sequence[Parameter],
    entries: Entries,
    backend: str,
    mode: str,
) -> np.ndarray:
    """Return the Hessians by differences of the gradient, (subject, entry, entry)."""
    x = entries.join(arrays, data.shape[:1])
    lower, upper, step = np.empty((3, len(entries)))
    for p in chosen:
        place, width = entries.places[p.name], p.support.upper - p.support.lower
        lower[place], upper[place] = p.support.lower, p.support.upper
        step[place] = STEP * (width if np.isfinite(width) else np.maximum(1.0, np.abs(x[:, place]).max(axis=0)))
    totals = Totals(data, entries.names, backend, mode)

    def gradient(points: np.ndarray) -> np.ndarray:
        return entries.join_slopes(totals({**arrays, **entries.split(points)})[1].values(), points.shape[:1])

    return second_derivatives(gradient, x, step, lower, upper)


def _exact(data: ModelData, arrays: Mapping[str, np.ndarray], entries: Entries, mode: str) -> np.ndarray:
    """Return the Hessians by differentiating the scan's gradient, (subject, entry, entry)."""
    function = _product(data.model, data.facts, data.segments, entries.names, mode)
    values = [arrays[p.name] for p in data.model.parameters]
    values += [data.inputs[i.name] for i in data.model.inputs] + [data.masks[name] for name in interface.MASKS]
    n, size = data.shape[0], len(entries)
    found = np.empty((n, size, size))
    for k, direction in enumerate(np.eye(size)):
        everybody = entries.split(np.tile(direction, (n, 1)))
        parts = [np.ascontiguousarray(part) for part in everybody.values()]
        found[:, k] = entries.join_slopes(function(*parts, *values), (n,))
    return found


@lru_cache(maxsize=8)
def _product(
    model: Model, facts: Facts, segments: Segments, names: tuple[str, ...], mode: str
) -> Callable[..., list[np.ndarray]]:
    """Return the compiled product of the Hessian with a direction, each subject's with its own."""
    shapes = {p.name: (len(segments.place), *resolve_shape(p.shape, vars(facts))) for p in model.parameters}
    arguments, params, scored, forward = placeholders(model, facts, segments, shapes)
    chosen = [params[name] for name in names]
    slopes = pt.grad(forward.terms(scored).sum(), chosen, disconnected_inputs="ignore")
    directions = [pt.tensor(f"{p.name}_direction", shape=p.type.shape, dtype="float64") for p in chosen]
    along = sum((slope * d).sum() for slope, d in zip(slopes, directions, strict=True))
    products = pt.grad(along, chosen, disconnected_inputs="ignore")
    # ready at once means without the C compiler, which would work on each operation of the scans' steps
    with pytensor.config.change_flags(**({"cxx": ""} if mode == "quick" else {})):
        return pytensor.function(
            [*directions, *arguments], products, mode=pytensor_mode(mode), on_unused_input="ignore", trust_input=True
        )
