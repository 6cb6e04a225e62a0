"""Fits of a model to a part of its data: what cross-validation falls back on where nothing cheaper is reliable."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rlpymc.checks import check_type
from rlpymc.fitting.factory import RLModel, build
from rlpymc.fitting.nuts.diagnostics import SamplingWarning
from rlpymc.fitting.nuts.sampling import sample
from rlpymc.fitting.posterior import origin_of
from rlpymc.fitting.run_folder import folder_path
from rlpymc.population.kept_formulas import fingerprint
from rlpymc.population.population import OF_ONE_SUBJECT
from rlpymc.trials.attributes import with_facts
from rlpymc.trials.doubts import TrialsWarning
from rlpymc.trials.fingerprints import data_hash
from rlpymc.trials.model_data import ModelData

LEFT_OUT_ALONE = (
    f"{OF_ONE_SUBJECT}, and take form='integrated' after rlpymc.marginal_log_likelihood, or leave out trials or "
    "sessions"
)


def check_fit_of(rl_model: RLModel, fit: xr.DataTree) -> None:
    """Raise an error unless a fit is of this model and its data."""
    check_type(rl_model, RLModel, "a model from rlpymc.build")
    if "posterior" not in getattr(fit, "children", {}):
        raise ValueError("expected a fit from rlpymc.sample, with a group 'posterior'")
    if not rl_model.as_built:
        raise ValueError("distributions or potentials were added to the model after build: it cannot be taken apart")
    made_from = origin_of(fit, rl_model)
    if made_from and made_from["data"] != data_hash(rl_model.data):
        raise ValueError("the fit is of other data than the model; build the model with the trials that were fitted")
    if made_from and made_from.get("covariates", "") != fingerprint(rl_model.spec.population.formulas):
        raise ValueError("the fit is of other covariates than the model; build it with the trials that were fitted")


class Refits:
    """Fits of one model to parts of its data, with the settings of its first fit.

    Parameters
    ----------
    rl_model : RLModel
        The model of all data.
    settings : mapping
        Of `sample`: draws, tune, chains, seed, target_accept.
    folder : path, optional
        Where finished fits are kept.
    """

    def __init__(self, rl_model: RLModel, settings: dict[str, Any], folder: str | Path | None = None) -> None:
        if not rl_model.as_built:
            raise ValueError("distributions or potentials were added to the model after build: it cannot be refitted")
        self.rl_model, self.data = rl_model, rl_model.data
        self._settings = {k: v for k, v in settings.items() if k != "seed"}
        self._seed, self._folder = settings.get("seed"), None if folder is None else folder_path(folder)
        self._problems: dict[str, list[str]] = {}

    def fit(self, name: str, scored: np.ndarray, file: str, number: int) -> tuple[RLModel, xr.DataTree]:
        """Return the model of some of the responses, and its fit.

        Parameters
        ----------
        name : str
            What is left out, for warnings.
        scored : (subject, trial[, response]) bool
            Which responses enter the likelihood; the others still drive what is learned.  Subjects without any are
        number : int
            The seed is made from that of the first fit and this number.
        """
        kept = scored.reshape(len(scored), -1).any(axis=1)
        if not kept.any():
            alone = f". {LEFT_OUT_ALONE}" if self.data.shape[0] == 1 else ""
            raise ValueError(f"without {name} nothing is left to fit{alone}")
        model = part_of(self.rl_model, scored, kept)
        seed = None if self._seed is None else int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        folder = None if self._folder is None else self._folder / file
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = sample(model, **self._settings, seed=seed, folder=folder, log_likelihood=False, progress=False)
        for one in caught:
            if issubclass(one.category, SamplingWarning):
                self._problems.setdefault(name, []).append(str(one.message))
            else:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return model, found

    def warn(self, stacklevel: int) -> None:
        """Warn of refits whose posteriors are not to be trusted, all at once, where a caller so far up called."""
        if self._problems:
            texts = [f"without {name}: {' '.join(problems)}" for name, problems in self._problems.items()]
            head = f"{len(texts)} refit{' has' if len(texts) == 1 else 's have'} problems."
            warnings.warn(f"{head} " + "\n".join(texts), SamplingWarning, stacklevel=stacklevel + 1)


def settings_of(fit: xr.DataTree) -> dict[str, Any]:
    """Return the settings of `sample` with which a fit was made."""
    sizes = fit["posterior"].to_dataset().sizes
    settings: dict[str, Any] = {"chains": sizes["chain"], "draws": sizes["draw"]}
    if "rlpymc" in fit.attrs:
        record = json.loads(fit.attrs["rlpymc"])["sampler"]
        settings |= {k: record[k] for k in ("tune", "seed", "target_accept")}
    return settings


def part_of(rl_model: RLModel, scored: np.ndarray, kept: np.ndarray) -> RLModel:
    """Return the same model of some subjects, (subject,), of whose responses some are scored."""
    data, spec = rl_model.data, rl_model.spec
    population = spec.population
    fixed = {name: population.constant(data.model.parameter(name), data)[kept] for name in population.fixed}
    options = {**population.options, "fixed": fixed}
    trials = with_scored(data, scored).isel(subject=np.flatnonzero(kept))
    with warnings.catch_warnings():  # what is in doubt of all the data was said when they were fitted
        warnings.simplefilter("ignore", TrialsWarning)
        return build(spec.model, trials, likelihood=spec.likelihood, backend=spec.backend, **options)


def with_scored(data: ModelData, scored: np.ndarray) -> xr.Dataset:
    """Return the trials with another mask of what is scored; what was known of all of them stays known."""
    dims: tuple[str, ...] = ("subject", "trial")
    names = [r.name for r in data.model.responses]
    trials = data.trials.drop_vars("scored")
    if scored.ndim == 3:
        dims = (*dims, "response")
        trials = trials.drop_dims("response", errors="ignore").assign_coords(response=names)
    return with_facts(trials.assign(scored=(dims, scored)), vars(data.facts))
