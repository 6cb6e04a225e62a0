"""Fits in files."""

from pathlib import Path

import xarray as xr


def save(fit: xr.DataTree, path: str | Path) -> None:
    """Write a fit to a netCDF file, with the model, its options and a fingerprint of the data.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    path : path
        Where to; its folder must exist.
    """
    fit.to_netcdf(path, engine="h5netcdf")


def load(path: str | Path) -> xr.DataTree:
    """Read a fit that `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    xr.DataTree
        The fit, in memory.
    """
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()
