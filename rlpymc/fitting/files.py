"""Fits in files, sealed: a file that was changed, or that points elsewhere, is refused."""

from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import xarray as xr

from rlpymc.fitting.own_terms import leave_out_terms, make_terms
from rlpymc.storage import seal, unseal, write_whole

# Of what a fit says of its making, in `attrs`: 0 said nothing of a version, 1 had no seal, 2 no presets of priors, no
# coupled parameters and no coordinates.
SPEC_VERSION = 3
SINCE = {"sampled_by": 1, "why": 1, "sampled_in": 3}  # attributes, and the version that brought them
SEALED = {"holds": "fit"}
ENGINE: Any = "h5netcdf"


def save(fit: xr.DataTree, path: str | Path, log_likelihood: bool | None = None) -> None:
    """Write a fit to a netCDF file, with the model, its options and a fingerprint of the data.

    The file is there whole or not at all: what it replaces stays until the new one is on the disk.

    Parameters
    ----------
    fit : xr.DataTree
        From `sample`.
    path : path
        Where to; its folder must exist.
    log_likelihood : bool, optional
        Whether to keep the pointwise log likelihoods, most of what a fit is.  Unless told, they are left out where
        `load` can make them again: where the model is found by its name, and gives the same numbers.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    path = writable(path)
    if log_likelihood is not True:
        fit = leave_out_terms(fit, forced=log_likelihood is False)
    write_whole(path, seal(to_bytes(fit), SEALED))


def writable(path: str | Path) -> Path:
    """Return a path if its folder is there and it is no folder itself; an OSError otherwise."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: found a folder, expected the name of a file, such as {path / 'fit.nc'}")
    return path


def load(path: str | Path) -> xr.DataTree:
    """Read a fit that `save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    xr.DataTree
        The fit, in memory, with its pointwise log likelihoods made again if they were left out.  Attributes that came
        after it was saved are "unknown".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no fit, was damaged, points to other files, or is of a later version than is known here.
    """
    data = Path(path).read_bytes()
    content, seal_problem = data, None
    try:
        content, about = unseal(data)
        if about != SEALED:
            raise ValueError(f"it holds {about}")
    except ValueError as problem:  # an earlier version's, which says so itself, or a damaged one
        seal_problem = problem
    try:
        fit = from_bytes(content)
        version = int(fit.attrs.get("spec_version", 0))
    except Exception as problem:
        raise ValueError(
            f"{path}: is no fit that rlpymc.save wrote, or was damaged ({problem}); save it again"
        ) from problem
    if version > SPEC_VERSION:
        raise ValueError(
            f"{path}: found spec_version {version}, expected at most {SPEC_VERSION}: the fit was saved by a later "
            "rlpymc; install that one to read it (pip install --upgrade rlpymc)"
        )
    if version > 1 and seal_problem is not None:
        raise ValueError(f"{path}: was damaged or changed since it was saved ({seal_problem}); save it again")
    fit.attrs |= {name: "unknown" for name, since in SINCE.items() if since > version}
    return make_terms(fit, path)


def to_bytes(tree: xr.DataTree) -> bytes:
    """Return a tree as a netCDF file in memory: a disk that fills while HDF5 writes ends the interpreter."""
    return bytes(tree.to_netcdf(None, engine=ENGINE))


def from_bytes(content: bytes) -> xr.DataTree:
    """Return the tree that a netCDF file holds, all of which lies in the file.

    Raises
    ------
    ValueError
        If anything in it lies in another file, which would then be read.
    """
    with h5py.File(BytesIO(content), "r") as file:
        _check_self_contained(file)
    with xr.open_datatree(BytesIO(content), engine=ENGINE) as tree:
        return tree.load()


def _check_self_contained(group: h5py.Group) -> None:
    for name in group:
        where = f"{group.name.rstrip('/')}/{name}"
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise ValueError(f"{where} is a link to another file")
        entry = group.get(name)
        if isinstance(entry, h5py.Dataset) and (entry.external or entry.is_virtual):
            raise ValueError(f"{where} lies in another file")
        if isinstance(entry, h5py.Group):
            _check_self_contained(entry)
