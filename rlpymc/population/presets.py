"""Priors of a group by name: how those of its mean and spread follow from the prior of a subject's value.

On the unbounded scale the prior of a subject's value has a median m and a half-width s, half the distance between its
quantiles at 16 and 84 %.  Under partial pooling subjects are normal around the group's mean mu with the standard
deviation sigma, and

==============  ================  ==================  ==============================================================
preset          mu                sigma               a subject's value before any data
==============  ================  ==================  ==============================================================
matched         Normal(m, 0.8 s)  HalfNormal(0.6 s)   varies as its own prior does: 0.8² + 0.6² = 1
wide            Normal(m, s)      HalfNormal(s)       varies twice as much: both the group and subjects may be anywhere
small_samples   Normal(m, 0.8 s)  HalfNormal(0.33 s)  subjects alike
gershman2016    as matched        as matched          priors of subjects' values from Gershman (2016), see below
hbayesdm        Normal(0, 1)      HalfNormal(0.2)     subjects alike; links and bounds of hBayesDM, see below
==============  ================  ==================  ==============================================================

Caution: `small_samples` and `hbayesdm` hold subjects to be alike.  In simulated groups whose members differed, the
intervals of sigma under such priors covered the truth in 5 to 70 % of cases.  They stabilise what a few subjects
say of the group; they do not answer how much people differ.

**gershman2016.**  Gershman (2016), Journal of Mathematical Psychology 71, 1-6: priors fitted to a large group.  An
inverse temperature (``beta``, ``beta1``, ``beta2``; rewards about 1 apart) has Gamma(4.82, scale 0.88), a stickiness
Normal(0.15, 1.42).  The text of the article could not be looked up: these numbers are those in public code that cites
it.  Fits that use them leave learning rates uniform, and so does the preset; the article's own distribution of learning
rates could not be looked up.  Nor could its unit of stickiness: the numbers are taken as they are for both of ours,
logits (the choice rule) and units of value (`two_step_hybrid`).  All other parameters keep their own priors; a model
that estimates none of these is refused.

**hbayesdm.**  Ahn, Haines & Zhang (2017), Computational Psychiatry 1, 24-57: a subject's value is U Phi(mu + sigma z)
on [0, U], where Phi(x) is approximated by logistic(0.07056 x³ + 1.5976 x), or exp(mu + sigma z) if there is no upper
bound.  The bounds are those of its models that are the same learners (`HBAYESDM`); parameters that these lack are
refused.  Where parameters are not pooled, their priors are uniform between the bounds, as in its programs for single
subjects of other tasks (``dd_cs_single``), or without bounds LogNormal(0, 1), that of its group's value.  A preset may
replace links, inside `build` alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rlpymc.model import Model
from rlpymc.model.parameters import Parameter, Support, phi_interval, positive, unit
from rlpymc.model.priors import Beta, Gamma, HalfNormal, LogNormal, Normal, Prior, Uniform

type GroupPriors = Callable[[Parameter, Prior], tuple[Normal, HalfNormal]]  # of mu and of sigma

GERSHMAN = {  # by what a parameter is
    "learning rate": Beta(1.0, 1.0),
    "inverse temperature": Gamma(4.82, 1 / 0.88),
    "stickiness": Normal(0.15, 1.42),
}
# Upper bounds by learner and parameter; the lower one is 0.
HBAYESDM: Mapping[str, Mapping[str, float]] = {
    "delta": {"alpha": 1.0, "beta": 5.0},  # bandit2arm_delta, banditNarm_delta
    "delta(rates=sign)": {"alpha_pos": 1.0, "alpha_neg": 1.0, "beta": 10.0},  # pst_gainloss_Q
    "delta(rates=outcome)": {"alpha_pos": 1.0, "alpha_neg": 1.0, "beta": 10.0},  # prl_rp
    # Stickiness is not there: its own is in logits, that of our model in units of value.
    "two_step_hybrid": {
        "alpha1": 1.0,
        "alpha2": 1.0,
        "beta1": np.inf,
        "beta2": np.inf,
        "lam": 1.0,
        "w": 1.0,
    },  # ts_par7
}
HBAYESDM_RULES = {"lapse": 1.0}  # parameters of choice rules: xi of bandit4arm_lapse


def middle_and_width(parameter: Parameter, prior: Prior) -> tuple[float, float]:
    """Return the median and the half-width of a prior on the unbounded scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        low, middle, high = parameter.support.unconstrain(prior.quantile(np.array([0.16, 0.5, 0.84])))
        width = float(high - low) / 2
    if not (np.isfinite(middle) and np.isfinite(width)):
        raise ValueError(
            f"prior {prior} of {parameter.name!r} lies at the bounds of its support, {parameter.support}, and has "
            "no width on the unbounded scale; give another"
        )
    return float(middle), width


def scaled(parameter: Parameter, prior: Prior, *, mean: float, spread: float) -> tuple[Normal, HalfNormal]:
    """Return the priors of the group's mean and standard deviation, with their widths in units of the prior's."""
    middle, width = middle_and_width(parameter, prior)
    return Normal(middle, mean * width), HalfNormal(spread * width)


def as_declared(model: Model, parameter: Parameter) -> Parameter:
    """Return a parameter as its model declares it."""
    del model
    return parameter


def _gershman(model: Model, parameter: Parameter) -> Parameter:
    """Return a parameter with the prior of Gershman (2016), if there is one for it."""
    del model
    if parameter.support == unit and parameter.name.startswith("alpha"):
        return replace(parameter, prior=GERSHMAN["learning rate"])
    if parameter.support == positive and parameter.name in ("beta", "beta1", "beta2"):
        return replace(parameter, prior=GERSHMAN["inverse temperature"])
    return replace(parameter, prior=GERSHMAN["stickiness"]) if parameter.name == "stickiness" else parameter


def _hbayesdm(model: Model, parameter: Parameter) -> Parameter:
    """Return a parameter with hBayesDM's link, bounds and prior of a single subject."""
    learner, *rules = model.name.split("+")
    bounds = {**HBAYESDM.get(learner, {}), **{rule: HBAYESDM_RULES[rule] for rule in rules if rule in HBAYESDM_RULES}}
    if parameter.name not in bounds:
        return parameter
    upper = bounds[parameter.name]
    prior: Prior = Uniform(0.0, upper) if np.isfinite(upper) else LogNormal(0.0, 1.0)
    support: Support = phi_interval(0.0, upper) if np.isfinite(upper) else positive
    return replace(parameter, prior=prior, support=support)


def _of_hbayesdm(parameter: Parameter, prior: Prior) -> tuple[Normal, HalfNormal]:
    """Return hBayesDM's priors of the group's mean and standard deviation, the same for all of its parameters."""
    del parameter, prior
    return Normal(0.0, 1.0), HalfNormal(0.2)


@dataclass(frozen=True)
class Preset:
    """Priors of a group by name.

    Parameters
    ----------
    group : callable
        ``group(parameter, prior)`` gives the priors of mu and of sigma, given that of a subject's value.
    revised : callable
        ``revised(model, parameter)`` gives the parameter with the prior, and the link, of a subject's value.
    for_some : bool
        Whether it is made for some parameters only, and of no use for a model that has none of them.
    for_all : bool
        Whether it must know every parameter that is estimated.
    """

    group: GroupPriors
    revised: Callable[[Model, Parameter], Parameter] = as_declared
    for_some: bool = False
    for_all: bool = False

    def check(self, name: str, model: Model, estimated: list[Parameter]) -> None:
        """Raise a ValueError that names what a model estimates and the preset, called `name`, does not know."""
        lacking = [p.name for p in estimated if self.revised(model, p) is p]
        others = ", ".join(repr(k) for k, preset in PRESETS.items() if not (preset.for_some or preset.for_all))
        if self.for_all and lacking:
            raise ValueError(
                f"priors={name!r} has nothing for {', '.join(map(repr, lacking))} of {model.name}; fix what it lacks "
                f"(fixed={{{lacking[0]!r}: ...}}), or take one of {others}"
            )
        if self.for_some and estimated and len(lacking) == len(estimated):
            raise ValueError(
                f"priors={name!r} has nothing for {', '.join(map(repr, lacking))}, which {model.name} estimates; take "
                f"one of {others}"
            )


DEFAULT = "matched"


def preset_and_own(priors: str | Mapping[str, Prior] | None) -> tuple[str, Mapping[str, Prior]]:
    """Return the name of a preset, and priors by parameter, out of what users give: one of the two, or nothing."""
    return (priors, {}) if isinstance(priors, str) else (DEFAULT, priors or {})


PRESETS = {
    "matched": Preset(partial(scaled, mean=0.8, spread=0.6)),
    "wide": Preset(partial(scaled, mean=1.0, spread=1.0)),
    "small_samples": Preset(partial(scaled, mean=0.8, spread=0.33)),
    "gershman2016": Preset(partial(scaled, mean=0.8, spread=0.6), _gershman, for_some=True),
    "hbayesdm": Preset(_of_hbayesdm, _hbayesdm, for_all=True),
}
