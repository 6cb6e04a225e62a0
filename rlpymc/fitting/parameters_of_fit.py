"""The values of a parameter in a fit, whatever it varies by."""

import numpy as np
import xarray as xr

from rlpymc.checks import check_whole, unknown
from rlpymc.fitting.own_terms import origin
from rlpymc.fitting.posterior import by_chain, flat, parameter_draws
from rlpymc.model.parameter_vector import own_dims


def parameters(fit: xr.DataTree, name: str, *, draws: int | None = None) -> xr.DataArray:
    """Return the values of a parameter for each draw of a fit.

    A parameter that varies by subject, or by subject and session, is in ``fit["posterior"]`` already.  What a formula
    lets vary by block or trial is not, and is made here.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    name : str
        The parameter, such as "alpha".
    draws : int, optional
        So many draws of each chain, evenly spaced; all of them unless told.

    Returns
    -------
    xr.DataArray
        On the natural scale, (chain, draw, subject, ...), or (chain, draw, subject, trial) if it varies within
        subjects; NaN where there is no trial.

    Raises
    ------
    ValueError
        If the model has no such parameter, or is not found by its name.

    Examples
    --------
    >>> rl.parameters(fit, "alpha", draws=100).mean(("chain", "draw"))  # doctest: +SKIP
    """
    if "rlpymc" not in fit.attrs:
        raise ValueError("expected a fit from rlpymc.sample, which says what it was made from")
    made, posterior = origin(fit), fit["posterior"].to_dataset()
    names = [p.name for p in made.spec.model.parameters]
    if name not in names:
        raise unknown(f"parameter of {made.spec.model.name}", name, names)
    if draws is not None:
        check_whole(1, draws=draws)
        length = posterior.sizes["draw"]
        posterior = posterior.isel(draw=np.unique(np.linspace(0, length - 1, min(draws, length)).astype(int)))
    others = [other for other in names if other != made.spec.population.tied.get(name, name)]
    values = parameter_draws(made, flat(posterior), made.data, leave_out=[k for k in others if k != name])[name]
    own = own_dims(name, len(made.data.parameter_shape(name)))
    outer, coords = ["subject"], {"subject": made.data.subjects}
    if values.ndim - len(own) == 3:
        outer, coords = [*outer, "trial"], {**coords, "trial": made.data.trials["trial"].values}
        exists = made.data.masks["exists"]
        values = np.where(exists.reshape(exists.shape + (1,) * len(own)), values, np.nan)
    return by_chain(xr.DataArray(values, dims=("sample", *outer, *own), coords=coords, name=name), posterior)
