"""Posteriors by NUTS: sampling that resumes, says what is wrong, and keeps what is needed for comparisons."""

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rlpymc.checks import check_seed, check_whole, unknown
from rlpymc.fitting.factory import RLModel
from rlpymc.fitting.files import SPEC_VERSION, from_bytes, to_bytes
from rlpymc.fitting.held_constants import CONSTANTS, mends
from rlpymc.fitting.nuts.constants_in_passing import constants_in_passing
from rlpymc.fitting.nuts.diagnostics import SamplingWarning, diagnose, problems_before_sampling
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.fitting.posterior import draw_whole_numbers, log_prior
from rlpymc.fitting.posterior import log_likelihood as pointwise
from rlpymc.fitting.run_folder import RunFolder
from rlpymc.model.facts import plain
from rlpymc.population.coordinates import COORDINATES
from rlpymc.population.kept_formulas import fingerprint, to_dataset
from rlpymc.trials.fingerprints import data_hash, response_hash

logger = logging.getLogger("rlpymc")

SAMPLERS = ("nutpie", "pymc", "numpyro")
MOST_BYTES = 2 * 2**30  # of the log likelihood by observation
TARGET_ACCEPT = 0.9  # at 0.8, as elsewhere, a few transitions diverge where people are of extremes


def sample(
    rl_model: RLModel,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    sampler: str = "nutpie",
    folder: str | Path | None = None,
    log_likelihood: str | bool = "auto",
    *,
    coordinates: str | None = None,
    target_accept: float = TARGET_ACCEPT,
    cores: int | None = None,
    constants: bool = True,
    progress: bool = True,
) -> xr.DataTree:
    """Sample the posterior with NUTS, and say what is wrong with it.

    Parameters
    ----------
    rl_model : RLModel
        From `build`.
    draws, tune, chains : int
        Draws kept and draws for tuning, in each chain.
    seed : int, optional
        The same seed gives the same draws.
    sampler : {"nutpie", "pymc", "numpyro"}
        What samples; "numpyro" runs in JAX and needs ``pip install rlpymc[numpyro]``.
    folder : path, optional
        With nutpie: where each chain is written when it is done.  Calling again with the same arguments takes up the
        missing ones.  A folder of another run is refused, and so is a second process in it.
    log_likelihood : {"auto", "obs", "subject", False}
        The log likelihood that goes with the draws: by observation, summed by subject, or none.  "auto" is by
        observation, up to 2 GB.
    coordinates : {"informed", "noncentred", "centred"}, optional
        What NUTS moves in where subjects differ: an exact change of variables, that neither the posterior nor what is
        returned depends on.  "noncentred": subjects' standard deviations from the mean, as in PyMC's model.  "centred":
        their values, under partial pooling.  "informed": what lies between, for each subject and direction by how much
        the data say, which is found out beforehand; several times as many effective draws for the same time.  Subjects
        without a group go along.  Unless told, "informed" where the density is machine code and parameters differ
        between subjects, and "noncentred" elsewhere.
    target_accept : float
        Aimed acceptance rate; nearer to 1 takes smaller steps.  At 0.8, which is usual elsewhere, mild posteriors give
        1.1 to 1.6 times as many effective draws for as many gradients, and others a few divergences.
    cores : int, optional
        Chains at a time; all that the machine has cores for unless told.
    constants : bool
        Whether to try, afterwards and in at most a tenth of the time that sampling took, what the likelihood gains
        when a parameter that the model holds constant is freed (`rlpymc.constants`, of as many subjects as there is
        time for), and to warn of gains well above chance.  Models that do not run as compiled loops are left out.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    xr.DataTree
        Groups posterior, sample_stats, observed_data, constant_data, log_prior (by variable: of the group, and of
        subjects' values that have no group; `arviz.psense_summary` reads it) and log_likelihood; with formulas,
        covariates: the columns that they read, and their model matrices, ``alpha_design``.  What it was made from is in
        its attributes, and how long the chains ran, in seconds, in those of the posterior (sampling_time).  The
        attribute sampled_by says whether the posterior's density was machine code ("machine") or a function of PyTensor
        ("pytensor"), which takes longer; sampled_in, in which coordinates.  The attribute why says why these are not
        "machine" and "informed"; it is empty where they are, and where other coordinates were asked for.  Where
        constants were tried, the attribute constants holds what was gained, in JSON.

    Warns
    -----
    SamplingWarning
        Of divergences, chains that disagree, few effective draws, low BFMI, a choice rule without a gradient, a
        constant on which conclusions may rest.

    Raises
    ------
    ValueError
        If the folder holds another run, a piece of it was changed, there is no such sampler, or the coordinates that
        are asked for cannot be had.
    RuntimeError
        If another process works in the folder.
    """
    began = time.perf_counter()
    if sampler not in SAMPLERS:
        raise unknown("sampler", sampler, SAMPLERS)
    if folder is not None and sampler != "nutpie":
        raise ValueError("folder is for sampler='nutpie'; the others do not give out single chains")
    if not isinstance(rl_model, RLModel):
        raise TypeError(f"sample takes a model from rlpymc.build, found {type(rl_model).__name__}; use pymc.sample")
    check_whole(4, draws=draws)
    check_whole(1, tune=tune, chains=chains)
    check_seed(seed)
    # NumPy's whole numbers cannot be written down with the fit
    draws, tune, chains, seed = int(draws), int(tune), int(chains), None if seed is None else int(seed)
    if sampler == "numpyro" and rl_model.spec.backend != "scan":
        raise ValueError("sampler='numpyro' runs in JAX, which cannot call a compiled loop: build(..., backend='scan')")
    if not rl_model.free_RVs:
        raise ValueError(
            f"{rl_model.spec.model.name}: all parameters are fixed or constant, there is nothing to sample"
        )
    data = rl_model.data
    unit = _unit(log_likelihood, chains * draws * len(data.observations[0]))
    for problem in problems_before_sampling(data, rl_model.spec.population):
        warnings.warn(problem, SamplingWarning, stacklevel=2)
    obstacle = MachinePosterior.obstacle(rl_model) if sampler == "nutpie" else f"{sampler} takes PyTensor's function"
    coordinates, why = _coordinates(rl_model, coordinates, obstacle)
    made_from = {
        "spec": json.loads(rl_model.spec.to_json()),
        "data": data_hash(data),
        "facts": plain(vars(data.facts)),
        "responses": response_hash(data),
        "covariates": fingerprint(rl_model.spec.population.formulas),
        "sampler": {
            "name": sampler,
            "draws": draws,
            "tune": tune,
            "seed": seed,
            "target_accept": target_accept,
            "coordinates": coordinates,
        },
    }
    settings = {"draws": draws, "tune": tune, "target_accept": target_accept}
    logger.info("sampled by %s", f"PyTensor: {obstacle}" if obstacle else f"machine code, {coordinates}")
    if sampler == "nutpie":
        with nullcontext() if folder is None else _Folder(folder, made_from) as store:
            fit = _sample_nutpie(
                rl_model, None if obstacle else coordinates, chains, seed, cores, progress, store, settings
            )
    else:
        fit = _sample_pymc(rl_model, chains, seed, sampler, cores, progress, settings)
    fit["posterior"] = xr.DataTree(draw_whole_numbers(rl_model, fit["posterior"].to_dataset(), seed))
    fit["log_prior"] = xr.DataTree(log_prior(rl_model, fit["posterior"].to_dataset()))
    if formulas := rl_model.spec.population.formulas:
        fit["covariates"] = xr.DataTree(to_dataset(formulas))
    if unit:
        fit["log_likelihood"] = xr.DataTree(pointwise(rl_model, fit["posterior"].to_dataset(), unit))
    fit.attrs["rlpymc"] = json.dumps(made_from)
    fit.attrs |= {"spec_version": SPEC_VERSION, "sampled_by": "pytensor" if obstacle else "machine"}
    fit.attrs |= {"sampled_in": coordinates, "why": why}  # netCDF has a meaning of its own for "coordinates"
    tried = constants_in_passing(rl_model, time.perf_counter() - began) if constants else None
    if tried is not None:
        fit.attrs[CONSTANTS] = tried.to_json()  # which `diagnose` reads, too
    of_constants = mends(tried, rl_model.spec.population) if tried is not None else []
    for problem in diagnose(fit).problems + of_constants:
        warnings.warn(problem, SamplingWarning, stacklevel=2)
    return fit


def _unit(asked: str | bool, n: int) -> str | None:
    if asked == "auto":
        if 8 * n <= MOST_BYTES:
            return "obs"
        warnings.warn(
            f"the log likelihood by observation would take {8 * n / 2**30:.1f} GB; it is kept by subject, which is "
            "enough for compare(unit='subject'). Pass log_likelihood='obs' to have it all the same.",
            SamplingWarning,
            stacklevel=3,
        )
        return "subject"
    if asked is False:
        return None
    if asked not in ("obs", "subject"):
        raise unknown("log_likelihood", asked, ("auto", "obs", "subject", False))
    return str(asked)


def _coordinates(rl_model: RLModel, asked: str | None, obstacle: str) -> tuple[str, str]:
    """Return the coordinates, and why these or the machine density are not the usual ones."""
    if asked is not None and asked not in COORDINATES:
        raise unknown("coordinates", asked, COORDINATES)
    if obstacle:
        missing, why = f"it is sampled by PyTensor, since {obstacle}", obstacle
    else:
        wanted = asked or "informed"
        if MachinePosterior.form(rl_model, wanted).kind == wanted:
            return wanted, ""
        why = "no parameter differs between subjects"
        missing = why if wanted == "informed" else "no parameter is partially pooled"
    if asked not in (None, "noncentred"):
        raise ValueError(
            f"coordinates={asked!r} cannot be had of this {rl_model.spec.model.name}: {missing}; leave coordinates out"
        )
    return "noncentred", why


class _Folder(RunFolder):
    """Finished chains of one run, a file each."""

    def __init__(self, folder: str | Path, made_from: dict[str, Any]) -> None:
        super().__init__(folder, made_from, "the chains")

    def chain(self, k: int, seed: int | None) -> xr.DataTree | None:
        """Return a finished chain, or None."""
        return self.read(f"chain_{k}.nc", lambda content: _plain(from_bytes(content)), chain=k, seed=seed)

    def write_chain(self, k: int, seed: int | None, chain: xr.DataTree) -> None:
        """Write a finished chain."""
        self.write(f"chain_{k}.nc", to_bytes(chain), chain=k, seed=seed)


def _sample_nutpie(
    rl_model: RLModel,
    coordinates: str | None,
    chains: int,
    seed: int | None,
    cores: int | None,
    progress: bool,
    store: _Folder | None,
    settings: dict[str, Any],
) -> xr.DataTree:
    """Sample each chain on its own, so that finished ones can be kept and one seed gives one result.

    That is by machine code in some coordinates, whose sites follow from model and data alone; by PyTensor without.
    """
    import nutpie

    seeds = [int(number) for number in np.random.SeedSequence(seed).generate_state(chains)]
    known = seeds if seed is not None else [None] * chains  # without a seed, no two runs have the same
    done = {k: chain for k in range(chains) if store and (chain := store.chain(k, known[k])) is not None}
    waiting = [k for k in range(chains) if k not in done]
    machine = MachinePosterior(rl_model, coordinates) if waiting and coordinates else None
    compiled = nutpie.compile_pymc_model(rl_model) if waiting and machine is None else None
    running: dict[int, Any] = {}
    started = time.perf_counter()
    with _progress(waiting, settings["draws"] + settings["tune"], progress) as report:
        try:
            while waiting or running:
                while waiting and len(running) < (cores or os.cpu_count() or 1):
                    k = waiting.pop(0)
                    running[k] = nutpie.sample(
                        compiled if machine is None else machine.compiled(),
                        chains=1,
                        cores=1,
                        seed=seeds[k],
                        progress_bar=False,
                        progress_callback=report(k),
                        save_warmup=False,
                        adaptation="draw_diag",  # more effective draws of the populations' spreads than by gradients
                        blocking=False,
                        **settings,
                    )
                for k in list(running):
                    with suppress(TimeoutError):  # not finished yet
                        done[k] = _plain(running[k].wait(timeout=0.01))
                        if machine is not None:
                            points = done[k]["posterior"].to_dataset()["point"].values[0]
                            done[k]["posterior"] = xr.DataTree(machine.variables(points))
                        del running[k]
                        if store:
                            store.write_chain(k, known[k], done[k])
        except BaseException:
            for sampler in running.values():
                sampler.cancel()
            raise
    seconds = time.perf_counter() - started
    groups = {name: [done[k][name].to_dataset() for k in range(chains)] for name in ("posterior", "sample_stats")}
    joined = {
        name: xr.concat(parts, dim="chain", join="override").assign_coords(chain=np.arange(chains))
        for name, parts in groups.items()
    }
    joined["posterior"].attrs["sampling_time"] = seconds  # as PyMC calls it
    return xr.DataTree.from_dict({**joined, **_data_groups(rl_model)})


def _plain(chain: xr.DataTree) -> xr.DataTree:
    """Return a chain whose messages are text, "" for none, as they come back from a file."""
    stats = chain["sample_stats"].to_dataset()
    texts = {k: v.fillna("").astype(str) for k, v in stats.data_vars.items() if v.dtype == object}
    return chain.assign({"sample_stats": xr.DataTree(stats.assign(texts))})


def _data_groups(rl_model: RLModel) -> dict[str, xr.Dataset]:
    """The observed responses, and the columns and masks beside them."""

    def dataset(names: list[str]) -> xr.Dataset:
        found = {name: rl_model.named_vars[name].eval() for name in names}
        dims = {name: rl_model.named_vars_to_dims[name] for name in names}
        used = {d for own in dims.values() for d in own}
        coords = {d: list(labels) for d, labels in rl_model.coords.items() if d in used and labels is not None}
        return xr.Dataset({name: (dims[name], value) for name, value in found.items()}, coords=coords)

    responses = [r.name for r in rl_model.spec.model.responses]
    columns = [v.name for v in rl_model.data_vars]
    constant = dataset([c for c in columns if c not in responses])
    constant["exists"] = (("subject", "trial"), rl_model.data.masks["exists"])
    return {"observed_data": dataset(responses), "constant_data": constant}


@contextmanager
def _progress(chains: list[int], total: int, shown: bool) -> Iterator[Callable[[int], Callable[[Any], None]]]:
    """Show a bar for each chain; yield what makes a chain's callback."""
    columns = (TextColumn("chain {task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TextColumn("{task.fields[note]}"), TimeElapsedColumn(), disable=not shown) as bars:
        tasks = {k: bars.add_task(str(k), total=total, note="") for k in chains}

        def report(k: int) -> Callable[[Any], None]:
            def callback(states: Any) -> None:
                note = f"{states[0].divergences} divergences" if states[0].divergences else ""
                bars.update(tasks[k], completed=states[0].finished_draws, note=note)

            return callback

        yield report


def _sample_pymc(
    rl_model: RLModel,
    chains: int,
    seed: int | None,
    sampler: str,
    cores: int | None,
    progress: bool,
    settings: dict[str, Any],
) -> xr.DataTree:
    import pymc as pm

    with rl_model:
        return pm.sample(
            chains=chains,
            cores=cores,
            random_seed=seed,
            nuts_sampler=sampler,
            progressbar=progress,
            compute_convergence_checks=False,
            **settings,
        )
