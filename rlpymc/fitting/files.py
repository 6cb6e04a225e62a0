"""Fits in files."""

from pathlib import Path

import xarray as xr

SPEC_VERSION = 1  # of what a fit says of its making, in `attrs`; 0 said nothing of a version
SINCE = {"sampled_by": 1, "why": 1}  # attributes, and the version that brought them


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
        The fit, in memory.  Attributes that came after it was saved are "unknown".

    Raises
    ------
    ValueError
        If the file is of a later version than is known here.
    """
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        fit = tree.load()
    version = int(fit.attrs.get("spec_version", 0))
    if version > SPEC_VERSION:
        raise ValueError(
            f"{path}: found spec_version {version}, expected at most {SPEC_VERSION}: the fit was saved by a later "
            "rlpymc; install that one to read it (pip install --upgrade rlpymc)"
        )
    fit.attrs |= {name: "unknown" for name, since in SINCE.items() if since > version}
    return fit
