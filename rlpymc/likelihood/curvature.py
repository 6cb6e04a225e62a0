"""Second derivatives of log likelihoods: exact ones through the scan, differences of the exact gradient for loops."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.checks import as_names, unknown
from rlpymc.likelihood.backends import check_backend, likelihood_of
from rlpymc.likelihood.likelihood import Likelihood
from rlpymc.likelihood.parameter_arrays import parameter_arrays
from rlpymc.model import Model
from rlpymc.model.parameter_vector import ParameterVector
from rlpymc.model.parameters import Parameter
from rlpymc.model.registry import get_model
from rlpymc.trials.model_data import data_for

STEP = 1e-4  # of a difference, for a parameter that goes from 0 to 1
JUMP = 0.1  # share of the change of a gradient over a step by which it may differ over the next one
HALVINGS = 20  # of the step, after which what is left of a change is a jump
SMALL = 1e-11  # change, in nats over a step, that is due to rounding

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
    entries = ParameterVector({p.name: data.parameter_shape(p.name) for p in chosen})
    likelihood = likelihood_of(data, backend, mode=mode)
    exact = likelihood.hessians(arrays, entries)
    found = _differences(likelihood, arrays, chosen, entries) if exact is None else exact
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
        side = _side(x[..., k], step[k], lower[k], upper[k])
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


def kinks(gradient: Gradient, x: np.ndarray, step: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return along which entries a gradient jumps.

    A derivative of an entry may change within a step because the function is curved on a scale that is smaller still.
    It jumps if halving the step, towards where it changes most, again and again, leaves a part of the change.

    Parameters
    ----------
    gradient, x, step, lower, upper
        See `second_derivatives`, whose three points are looked at.

    Returns
    -------
    (..., entry) bool
    """
    found = np.zeros(x.shape, dtype=bool)
    for k in range(x.shape[-1]):

        def slope(value: np.ndarray, k: int = k) -> np.ndarray:
            moved = x.copy()
            moved[..., k] = value
            return gradient(moved)[..., k]

        middle = x[..., k] + step[k] * _side(x[..., k], step[k], lower[k], upper[k])
        places = np.stack([middle - step[k], middle, middle + step[k]])
        slopes = np.stack([slope(place) for place in places])
        behind, ahead = np.diff(slopes, axis=0)
        uneven = np.abs(ahead - behind)
        found[..., k] = uneven > JUMP * np.abs(ahead + behind) / 2 + SMALL / step[k]
        if found[..., k].any():
            left = _change_left(slope, places, slopes)
            found[..., k] &= left > JUMP * uneven
    return found


def _change_left(slope: Gradient, places: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return how much a slope changes within the smallest part of a stretch, where it changes most.

    Parameters
    ----------
    slope : callable
        Takes and returns arrays (...).
    places, slopes : (3, ...)
        Two ends and the middle of the stretch, and the slopes there.
    """
    for _ in range(HALVINGS):
        second = np.abs(slopes[2] - slopes[1]) > np.abs(slopes[1] - slopes[0])
        ends = [np.where(second, pair[1:], pair[:2]) for pair in (places, slopes)]
        middle = ends[0].mean(axis=0)
        places = np.stack([ends[0][0], middle, ends[0][1]])
        slopes = np.stack([ends[1][0], slope(middle), ends[1][1]])
    return np.abs(slopes[2] - slopes[0])


def _side(x: np.ndarray, step: float, lower: float, upper: float) -> np.ndarray:
    """Return on which side of a value three points lie so that they are within bounds: 1, -1, or 0 for around it."""
    return np.where(x - step < lower, 1, np.where(x + step > upper, -1, 0))


def _differences(
    likelihood: Likelihood, arrays: Mapping[str, np.ndarray], chosen: Sequence[Parameter], entries: ParameterVector
) -> np.ndarray:
    """Return the Hessians by differences of the gradient, (subject, entry, entry)."""
    if not entries.labels:
        return np.zeros((likelihood.data.shape[0], 0, 0))
    x = entries.join(arrays, likelihood.data.shape[:1])
    lower, upper, step = np.empty((3, len(entries)))
    for p in chosen:
        place, width = entries.places[p.name], p.support.upper - p.support.lower
        lower[place], upper[place] = p.support.lower, p.support.upper
        step[place] = STEP * (width if np.isfinite(width) else np.maximum(1.0, np.abs(x[:, place]).max(axis=0)))

    def gradient(points: np.ndarray) -> np.ndarray:
        _, slopes = likelihood.gradient({**arrays, **entries.split(points)}, entries.names)
        return entries.join_slopes(slopes.values(), points.shape[:1])

    return second_derivatives(gradient, x, step, lower, upper)
