"""Population models by expectation-maximisation, with Laplace's approximation for each subject."""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rlpymc.checks import check_seed, check_type, check_whole, is_number, unknown
from rlpymc.fitting.assumptions import doubts
from rlpymc.fitting.em.group import Designs, Group
from rlpymc.fitting.em.population_fit import EM, collect
from rlpymc.fitting.em.rounds import Rounds
from rlpymc.fitting.em.unbounded import Unbounded
from rlpymc.fitting.penalty import check_weight
from rlpymc.fitting.run_folder import RunFolder
from rlpymc.likelihood.backends import check_backend
from rlpymc.model import Model
from rlpymc.model.registry import get_model
from rlpymc.population.kept_formulas import fingerprint
from rlpymc.population.population import Population
from rlpymc.trials.doubts import say
from rlpymc.trials.fingerprints import data_hash
from rlpymc.trials.model_data import ModelData, data_for, require_scored

CHOICES = {"variance": ("huys", "conditional"), "covariance": ("diagonal", "full"), "prior": ("normal", "flat")}
NAMED = 5  # subjects that a warning names


def fit_em(
    model: Model | str,
    trials: xr.Dataset,
    *,
    iterations: int = 500,
    tol: float | None = 1e-4,
    variance: str = "huys",
    covariance: str = "diagonal",
    prior: str = "normal",
    formulas: Mapping[str, str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    shared: Sequence[str] = (),
    coupled: Sequence[Sequence[str]] = (),
    l2: float = 0.0,
    start: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    seed: int | None = 0,
    backend: str = "fused",
    threads: int = 1,
    progress: bool = True,
) -> EM:
    """Fit a population by expectation-maximisation with Laplace's approximation.

    Each subject's parameters are normal around the group's on the unbounded scale.  In turn, the E step finds all
    subjects' most probable parameters and how certain they are, and the M step the group that fits these best.

    Parameters
    ----------
    model : Model or str
        A model or its name.
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    iterations : int
        Number of rounds, at most.  0 gives the modes and the evidence for the group at `start`.
    tol : float, optional
        The rounds end when nothing that describes the population changes by more than this, on the unbounded scale,
        nor the log evidence by more than this share of it.  None: after exactly `iterations` rounds.
    variance : {"huys", "conditional"}
        What counts as a subject's uncertainty: the diagonal of the inverse of minus the Hessian, as in the paper, or
        the inverse of its diagonal, which is too small where parameters trade off.
    covariance : {"diagonal", "full"}
        Whether parameters vary over subjects independently, or with each other.
    prior : {"normal", "flat"}
        "flat": each subject alone, by maximum likelihood and without shrinkage; `mu` and `sigma` only describe the
        estimates.
    formulas : mapping, optional
        By parameter, what its mean depends on, as users of R write it: ``{"alpha": "~ drug * age"}``, see `build`.
        Columns that vary within subjects have a coefficient that is shared, or, with ``(x | subject)``, a normal
        distribution of slopes around it; such a parameter is (subject, trial) in `EM.params`, and its own number in
        `EM.mu` is where these columns are 0.  Deviations by session are for `build` alone.
    fixed : mapping, optional
        Parameters to hold at a value: numbers, or arrays (subject, *shape).
    free : sequence of str
        Parameters to estimate that the model holds constant.
    shared : sequence of str
        Parameters with one value for all subjects, without a prior.
    coupled : sequence of sequences of str
        Groups of parameters that are equal, such as ``[("bias_wm", "bias_rl")]``: estimated as one.
    l2 : float
        A penalty: half of it times the squares of all numbers on the unbounded scale, of shared ones once.  It counts
        as a part of the prior, unnormalised.
    start : mapping, optional
        Where the group starts, ``<name>_mu`` and ``<name>_sigma`` on the unbounded scale, and where shared parameters
        do, ``<name>`` on the natural one.  Unless told, at the median of the model's prior, and half the distance
        between its quantiles at 16 and 84 %.
    folder : path, optional
        Where each round is written when it is finished.  Calling again with the same arguments goes on from there,
        with the same result as an unbroken run.  A folder of another run is refused, and so is a second process in it.
    seed : int, optional
        For the points of which the best is where a subject's first search starts.
    backend : {"fused", "scan"}
        What computes the likelihood.
    threads : int
        How many threads share the work; more than one pays for tens of thousands of trials.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    EM
        The group, each subject's parameters, evidence, and how the rounds went.  Where all parameters are shared or
        fixed, that is the joint maximum of the likelihood.

    Raises
    ------
    ValueError
        If trials, parameters or options do not fit the model, a subject has no scored trial, there are fewer subjects
        than the group has parameters, or the folder holds another run.

    Warns
    -----
    UserWarning
        If the E step did not converge for a subject, or the rounds were too few.

    Notes
    -----
    What is found is near the maximum of the marginal likelihood and not at it: Laplace's approximation makes standard
    deviations too small where subjects have few trials, and rounds that are too few leave them between where they
    started and where they go.  Where the true one is 0, they go there ever more slowly.

    How much that is: 200 groups of 30 subjects with 100 trials were simulated with `delta`, on two arms that pay with
    probabilities 0.2 and 0.8, with alpha_mu = -0.5, alpha_sigma = 0.8, beta_mu = 1 and beta_sigma = 0.5.  On average
    beta_sigma was 10 % too small (Monte Carlo error 1), alpha_sigma 11 % (2), beta_mu too high by 0.04 (0.01), and
    alpha_mu too low by 0.02 (0.01).  With beta_sigma = 0.8 it was 14 % too small (1), and the rest much the same.  The
    intervals mu ± 1.96 se covered the truth in 92 to 96 % of groups, sigma exp(±1.96 se / sigma) in 98 and 99 % of
    them for alpha, and in 93 and, with beta_sigma = 0.8, 83 % for beta.  In 7 of 200 groups there were no standard
    errors.  ``benchmarks/small_groups.py`` does it again.

    References
    ----------
    Huys et al. (2012), PLoS Computational Biology 8, e1002410; LaplacianExpectationMaximization.jl.
    """
    check_backend(backend)
    for name, value in {"variance": variance, "covariance": covariance, "prior": prior}.items():
        if value not in CHOICES[name]:
            raise unknown(name, value, CHOICES[name])
    if variance == "conditional" and covariance == "full":
        raise ValueError("variance='conditional' is for covariance='diagonal': it has no covariances")
    check_whole(0, iterations=iterations)
    check_whole(1, threads=threads)
    check_seed(seed)
    check_weight(l2)
    if tol is not None and not (is_number(tol) and tol > 0):
        raise ValueError(f"tol: found {tol!r}, expected a positive number, or None")
    if start is not None:
        check_type(start, Mapping, "start by name, as a mapping")
    data = data_for(get_model(model), trials)
    require_scored(data)
    by_name = {} if formulas is None else formulas
    population = Population("partial", {}, fixed or {}, free, shared, coupled, formulas=by_name)
    _check_smooth(data.model, population)
    population.check(data)
    learned = population.learned(data).formulas
    say(doubts(data, population, with_priors=prior != "flat"))
    problem = Unbounded(data, population, backend, threads)
    flat = prior == "flat"
    designs = Designs(problem, learned)
    if not flat:
        designs.check(problem)
    group, first_shared = _start(problem, designs, start or {}, flat, covariance == "diagonal")
    options = {
        "tol": tol,
        "variance": variance,
        "covariance": covariance,
        "prior": prior,
        "formulas": fingerprint(learned),
        "fixed": fixed,
        "free": population.free,
        "shared": population.shared,
        "coupled": coupled,
        "l2": l2,
        "start": start,
        "seed": seed,
        "backend": backend,
    }
    alone = flat or not problem.n_own  # nothing that a second round would change
    with nullcontext() if folder is None else _folder(folder, data, options) as store:
        rounds = Rounds(problem, group, first_shared, variance, l2, seed, store)
        modes = rounds.run(0 if alone else iterations, tol, progress)
    asked = tol is not None and iterations > 0
    settled = True if alone else rounds.settled(tol) if asked else None
    found = collect(problem, rounds.group, modes, designs, l2, rounds.history, settled)
    if (failed := found.status == "failed").any():
        names = ", ".join(map(repr, data.subjects[failed.values][:NAMED].tolist()))
        warnings.warn(
            f"{data.model.name}: the last E step did not converge for {int(failed.sum())} of {data.shape[0]} subjects "
            f"({names}{', ...' if failed.sum() > NAMED else ''}); their parameters are the best that were found",
            UserWarning,
            stacklevel=2,
        )
    if not modes.shared_converged:
        warnings.warn(
            f"{data.model.name}: the search for what is shared did not converge; try another start or seed",
            UserWarning,
            stacklevel=2,
        )
    if settled is False:
        warnings.warn(
            f"{data.model.name}: after {iterations} rounds the population still changes by more than tol={tol:g}; give "
            "more iterations, or a larger tol",
            UserWarning,
            stacklevel=2,
        )
    return found


def _check_smooth(model: Model, population: Population) -> None:
    """Raise a ValueError if what is estimated is a whole number, or the likelihood a staircase."""
    for p in model.parameters:
        if p.support.discrete and population.is_free(p):
            raise ValueError(
                f"parameter {p.name!r} is a whole number, which has no normal population: fix it "
                f"(fixed={{'{p.name}': ...}}), or use fit_mle, which tries each value, or sample, which sums over them"
            )
    for rule in model.rules:
        if not rule.smooth:
            raise ValueError(
                f"{rule.name} makes the likelihood a staircase, which has no second derivatives for Laplace's "
                "approximation; use softmax+lapse, or fit_mle"
            )


def _start(
    problem: Unbounded, designs: Designs, start: Mapping[str, Any], flat: bool, diagonal: bool
) -> tuple[Group, np.ndarray]:
    """Return the group, and shared numbers on the unbounded scale, from which the rounds start."""
    own, shared = [p.name for p in problem.own], [p.name for p in problem.shared]
    row, sigma = problem.middle.copy(), problem.width[: problem.n_own].copy()
    known = [f"{name}_{part}" for name in own for part in ("mu", "sigma")] + shared
    for key, value in start.items():
        if key not in known:
            raise unknown("entry of start", key, known)
        name = key if key in shared else key.rpartition("_")[0]
        shape = problem.entries.shapes[name]
        try:
            numbers = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise TypeError(f"start {key!r}: found {value!r}, expected finite numbers {shape}") from None
        if numbers.shape not in ((), shape) or not np.isfinite(numbers).all():
            raise ValueError(f"start {key!r}: found {value!r}, expected finite numbers {shape}")
        numbers = np.broadcast_to(numbers, shape).ravel()
        place = problem.entries.places[name]
        support = next(p.support for p in problem.parameters if p.name == name)
        if name in shared:
            with np.errstate(divide="ignore", invalid="ignore"):
                numbers = support.unconstrain(numbers)
            if not (support.contains(value).all() and np.isfinite(numbers).all()):
                raise ValueError(f"start {key!r}: found {value!r}, expected a number inside its support, {support}")
            row[place] = numbers
        elif key.endswith("_mu"):
            row[place] = numbers
        elif (numbers > 0).all():
            sigma[place] = numbers
        else:
            raise ValueError(f"start {key!r}: found {value!r}, expected a positive standard deviation")
    first, n = designs.starts(row), problem.data.shape[0]
    group = Group(n, designs.matrices, first, np.diag(sigma**2), flat, diagonal)
    return group, row[problem.n_own :]


def _folder(folder: str | Path, data: ModelData, options: Mapping[str, Any]) -> RunFolder:
    """Return the folder of a run of this model, data and options."""
    described = {name: _described(value) for name, value in options.items()}
    facts = {name: _described(value) for name, value in vars(data.facts).items()}
    made_from = {"model": data.model.name, "data": data_hash(data), "facts": facts, "options": described}
    return RunFolder(folder, made_from, "the rounds")


def _described(value: Any) -> Any:
    """Return a value as what JSON can hold, arrays as a fingerprint of their content."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, xr.Dataset | xr.DataArray):
        return _described(value.to_dict())
    if isinstance(value, pd.DataFrame | pd.Series):
        return _described([value.index.tolist(), np.asarray(value).tolist(), str(getattr(value, "columns", ""))])
    if isinstance(value, Mapping):
        return {str(k): _described(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return sha256(json.dumps(value, default=repr).encode()).hexdigest()[:16]
