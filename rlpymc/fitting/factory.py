"""The factory: a PyMC model of a learner and its data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from rlpymc.checks import unknown
from rlpymc.fitting import pymc_forms as forms
from rlpymc.fitting.assumptions import doubts
from rlpymc.likelihood.backends import check_backend, likelihood_of
from rlpymc.model import Model
from rlpymc.model.priors import Prior
from rlpymc.model.registry import get_model
from rlpymc.population.population import Population
from rlpymc.population.presets import preset_and_own
from rlpymc.trials.doubts import say
from rlpymc.trials.model_data import ModelData, data_for, require_scored


@dataclass(frozen=True)
class Spec:
    """What a model was built from.

    Parameters
    ----------
    model : Model
        The learner.
    population : Population
        Which parameters are estimated, and how they are pooled.
    likelihood, backend : str
        The form of the likelihood, and what computes it ("scan" also where a model cannot be compiled into a loop).
    """

    model: Model
    population: Population
    likelihood: str
    backend: str

    def to_json(self) -> str:
        """Return the same as text, to be kept with results."""
        p = self.population
        return json.dumps(
            {
                "model": self.model.name,
                "likelihood": self.likelihood,
                "backend": self.backend,
                "pooling": p.pooling if isinstance(p.pooling, str) else dict(p.pooling),
                "preset": p.preset,
                "priors": {k: str(v) for k, v in p.priors.items()},
                "fixed": {k: np.asarray(v).tolist() for k, v in p.fixed.items()},
                "free": list(p.free),
                "shared": list(p.shared),
                "coupled": [list(group) for group in p.coupled],
                "formulas": {k: v.text for k, v in p.formulas.items()},
                "correlated": p.correlated,
            }
        )


class RLModel(pm.Model):
    """A `pymc.Model` of a learner and its data, made by `build`.

    Attributes
    ----------
    spec : Spec
        What it was built from.
    trials : xr.Dataset
        The data.
    """

    spec: Spec
    trials: xr.Dataset
    _built: tuple[Any, ...] = ()
    _data: ModelData | None = None
    _checked: xr.Dataset | None = None

    @property
    def _content(self) -> tuple[Any, ...]:
        """What a density consists of."""
        return (*self.basic_RVs, None, *self.potentials)

    @property
    def as_built(self) -> bool:
        """Whether no distribution or potential was added or taken away since `build`."""
        before, now = self._built, self._content
        return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))

    def set_trials(self, trials: xr.Dataset) -> None:
        """Replace the data by others of the same shape, without building or compiling anew.

        Parameters
        ----------
        trials : xr.Dataset
            As many subjects and trials, with resets at the same places and, for the likelihoods "categorical" and
            "bernoulli", the same trials scored.

        Raises
        ------
        ValueError
            If they are of another shape.
        """
        old, new = self.data, data_for(self.spec.model, trials)
        fixed = ["exists", "reset"] + (["scored"] if self.spec.likelihood in ("categorical", "bernoulli") else [])
        for name in fixed:
            if not np.array_equal(old.masks[name], new.masks[name]):
                raise ValueError(
                    f"the trials differ from those the model was built with in {name!r}; build a new model"
                )
        columns = forms.data_columns(new)
        if old.facts != new.facts or {*columns} != {*forms.data_columns(old)}:
            raise ValueError(
                f"the trials differ in facts or columns: {vars(old.facts)} and {vars(new.facts)}; build anew"
            )
        for name, formula in self.spec.population.formulas.items():
            if not formula.table_of(old).equals(formula.table_of(new)):
                raise ValueError(
                    f"the trials differ from those the model was built with in what the formula of {name!r} reads; "
                    "build a new model"
                )
        require_scored(new)
        pm.set_data(columns, model=self, coords={"subject": new.subjects})
        self.trials = self._checked = trials
        self._data = new

    @property
    def data(self) -> ModelData:
        """The columns and masks that the likelihood reads: checked once, as long as `trials` are the same."""
        if self._data is None or self._checked is not self.trials:
            self._data, self._checked = data_for(self.spec.model, self.trials), self.trials
        return self._data

    def __str__(self) -> str:
        lines = [f"{self.spec.model.name}, {self.spec.population}, {self.spec.likelihood} likelihood"]
        lines += [f"  {line}" for line in self.str_repr().splitlines()]
        return "\n".join(lines)


def build(
    model: Model | str,
    trials: xr.Dataset,
    *,
    likelihood: str = "distribution",
    backend: str = "fused",
    pooling: str | Mapping[str, str] = "partial",
    priors: str | Mapping[str, Prior] | None = None,
    fixed: Mapping[str, Any] | None = None,
    free: Sequence[str] = (),
    shared: Sequence[str] = (),
    coupled: Sequence[Sequence[str]] = (),
    formulas: Mapping[str, str] | None = None,
    correlated: bool = False,
) -> RLModel:
    """Build a PyMC model of a learner and its data.

    Parameters
    ----------
    model : Model or str
        A model or its name, such as "delta+stickiness".
    trials : xr.Dataset
        From `read_trials` or `simulate`.
    likelihood : {"distribution", "categorical", "bernoulli", "potential"}
        The form in which the responses enter; all give the same posterior.
    backend : {"fused", "scan"}
        What computes the likelihood: a loop compiled for the model, or PyTensor's scan, which is the reference, many
        times slower, and what second derivatives and sampling in JAX need.
    pooling : {"partial", "none", "complete"} or mapping
        Whether each subject's parameters are normal around the group's on the unbounded scale, have independent
        priors, or are one for all; or such words by parameter, ``{"alpha": "none"}``, all others as partial.  A word
        that was added to `rlpymc.population.effects.POOLINGS` works as these do.
    priors : {"matched", "wide", "small_samples", "gershman2016", "hbayesdm"} or mapping, optional
        Priors by name, see `rlpymc.population.presets`; or by parameter, from `rlpymc.priors`, the rest as "matched".
        A prior of a parameter is one of a subject's value; under partial pooling those of the group follow from it:
        "matched", the default, lets a subject's value vary as much as its own prior does; under "wide" it varies twice
        as much.  "small_samples" and "hbayesdm" hold subjects to be alike: in simulated groups whose members differed,
        intervals of their spread covered the truth in 5 to 70 % of cases.  ``alpha_mu`` and ``alpha_sigma`` name the
        priors of a group.  A constant parameter that is given a prior is estimated.
    fixed : mapping, optional
        Parameters to hold at a value.
    free : sequence of str
        Parameters to estimate that the model holds constant.
    shared : sequence of str
        Parameters with one value for all subjects.
    coupled : sequence of sequences of str
        Groups of parameters that are equal, such as ``[("bias_wm", "bias_rl")]``; the first stands for all.
    formulas : mapping, optional
        By parameter, what it depends on, on the unbounded scale, as users of R write it (`formulae`): ``{"alpha":
        "~ drug * age"}``, of columns of the trials.  Texts are factors, the first level in order of the alphabet the
        reference; ``C(drug, Treatment("placebo"))`` names another, ``0 + drug`` gives each level a mean of its own.
        There are no ``alpha_mu`` and ``alpha_group`` then, but ``alpha_Intercept`` and ``alpha_<term>``;
        ``alpha_sigma`` is the standard deviation of subjects around what the formula says.  The prior of ``alpha_mu``
        is that of the mean where columns are average, under the name of ``alpha_Intercept``; a coefficient is
        Normal(0, s / sd), s the width that this prior has unless one is given, and sd the column's standard deviation
        over subjects.  See the notes for columns that vary within subjects.
    correlated : bool
        Whether subjects' deviations of one parameter go with those of others: their correlations, ``effects_corr``,
        are LKJ(2).  Deviations by session have a matrix of their own, ``session_corr``; slopes stay independent.

    Returns
    -------
    RLModel
        A `pymc.Model` with `spec` and `trials`.

    Raises
    ------
    ValueError
        If trials, parameters or options do not fit the model.

    Warns
    -----
    TrialsWarning
        If the data contradict what the model or its priors take for granted: a scale of outcomes, a known world.

    Notes
    -----
    Columns of a formula may vary within subjects, by session, block or trial.  Such a column x is centred at its mean
    over all trials, where alpha_Intercept has its prior, and sd is that over trials.  All subjects have the same
    coefficient, ``alpha_x``; with ``(x | subject)`` each has a slope of their own besides, ``alpha_x|subject``, normal
    around 0 with the standard deviation ``alpha_x|subject_sigma`` ~ HalfNormal(w / sd), w the width of alpha_sigma's
    prior.  It is multiplied by x itself, which is not centred, so that ``alpha_sigma`` is that of subjects where x is
    0, at the reference level of a factor.

    ``(1 | subject:session)`` lets subjects deviate anew in each session, or within each value of another column:
    ``alpha_1|subject:session``, with a standard deviation that has the prior of alpha_sigma.  ``alpha_reliability`` is
    alpha_sigma² / (alpha_sigma² + alpha_1|subject:session_sigma²), the correlation of two sessions over subjects.  What
    is the same throughout a session, where everybody has all sessions, is in the posterior as ``alpha`` (subject,
    session); what varies by block or trial is made by `parameters`.  A parameter that varies by trial starts a segment,
    and all that is learned in it, with the value of the segment's first trial.
    """
    if likelihood not in forms.FORMS:
        raise unknown("likelihood", likelihood, forms.FORMS)
    check_backend(backend)
    data = data_for(get_model(model), trials)
    require_scored(data)
    preset, own = preset_and_own(priors)
    population = Population(pooling, own, fixed or {}, free, shared, coupled, preset, formulas or {}, correlated)
    population.check(data)
    population = population.learned(data)
    say(doubts(data, population))
    with RLModel(coords={"subject": data.subjects, "trial": np.arange(data.shape[1])}) as built:
        used = likelihood_of(data, backend).backend
        built.spec, built.trials = Spec(data.model, population, likelihood, used), trials
        forms.FORMS[likelihood]("choice", data, population.variables(data), used)
        built._built, built._data, built._checked = built._content, data, trials
    return built
