"""What is reported of the coefficients of formulas."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri

from rlpymc.fitting.mle.coordinates import Coordinates
from rlpymc.fitting.mle.regression import combined
from rlpymc.model.parameter_vector import own_dims

WITHIN = ndtri(0.975)  # standard errors around an estimate, between the ends of an interval of 95 %


def reported_cov(coordinates: Coordinates, cov: np.ndarray) -> np.ndarray:
    """Return covariances of what is reported, given those of everybody's entries, (subject, entry, entry)."""
    if not coordinates.regressions:
        return cov
    return np.stack([combined(coordinates.reported, known) for known in cov])


def reported_intervals(coordinates: Coordinates, intervals: np.ndarray) -> np.ndarray:
    """Return intervals of what is reported, (entry, 2), given those of entries; NaN for what follows from several."""
    several = (coordinates.reported != 0).sum(axis=1) > 1
    return np.where(several[:, None], np.nan, intervals)


def of_values(coordinates: Coordinates, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Return what everybody's vectors hold of each parameter, (subject, *shape); NaN of those that have formulas."""
    found = coordinates.entries.split(vectors)
    unknown = {name: np.full((len(vectors), *r.shape), np.nan) for name, r in coordinates.regressions.items()}
    return {p.name: {**found, **unknown}[p.name] for p in coordinates.parameters}


def errors_of_values(coordinates: Coordinates, points: np.ndarray, cov: np.ndarray) -> dict[str, np.ndarray]:
    """Return the standard errors of everybody's parameters, (subject, *shape), on the natural scale."""
    found = of_values(coordinates, np.sqrt(np.diagonal(cov, axis1=1, axis2=2)))
    for name, regression in coordinates.regressions.items():
        place = coordinates.places[name]
        found[name] = np.sqrt(regression.variance(points[:, place], cov[:, place, place]))
    return found


def by_parameter(coordinates: Coordinates, reported: np.ndarray) -> xr.Dataset:
    """Return coefficients, or what is known of each, by parameter, (*shape, <name>_coefficient)."""
    found, coords = {}, dict[str, Any]()
    for name, regression in coordinates.regressions.items():
        dims, labels = own_dims(name, len(regression.shape)), regression.formula.names
        values = reported[coordinates.places[name]].reshape((len(labels), *regression.shape))
        found[name] = (*dims, f"{name}_coefficient"), np.moveaxis(values, 0, -1)
        coords |= {dim: np.arange(length) for dim, length in zip(dims, regression.shape, strict=True)}
        coords[f"{name}_coefficient"] = labels
    return xr.Dataset(found, coords=coords)


def table(
    coordinates: Coordinates, values: np.ndarray, errors: np.ndarray, intervals: np.ndarray, tested: bool
) -> pd.DataFrame:
    """Return a row for each coefficient.

    Parameters
    ----------
    coordinates : Coordinates
        What is estimated.
    values, errors, intervals : (entry,), (entry,), (entry, 2)
        Of what is reported; intervals where there are no standard errors.
    tested : bool
        Whether estimates over standard errors test anything: they do not where a penalty draws estimates to 0.
    """
    chosen = [k for name in coordinates.regressions for k in range(*coordinates.places[name].indices(len(values)))]
    values, errors, intervals = values[chosen], errors[chosen], intervals[chosen]
    z = values / errors if tested else np.full_like(values, np.nan)
    around = values[:, None] + WITHIN * errors[:, None] * [-1.0, 1.0]
    lower, upper = np.where(np.isfinite(around), around, intervals).T
    columns = {"estimate": values, "se": errors, "z": z, "p": 2 * ndtr(-np.abs(z)), "lower": lower, "upper": upper}
    return pd.DataFrame(columns, index=pd.Index([coordinates.labels[k] for k in chosen], name="coefficient"))
