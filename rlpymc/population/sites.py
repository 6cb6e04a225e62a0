"""Sites: Gaussians that stand for what each subject's data say, and which parameters have them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlpymc.model.priors import Normal
from rlpymc.population.effects import Effect, Pooled, Single
from rlpymc.population.estimates import Estimate


@dataclass(frozen=True)
class Sites:
    """What is found.

    Parameters
    ----------
    H : (subject, k, k)
        Precisions of subjects' numbers, in the order of `own_effects` and of their entries.
    b : (subject, k)
        Precisions times places, where what is in common is 0.
    G : (subject, k, m)
        How b falls with the numbers in common, in the order of `common_effects` and of their entries.
    centre, spread : (number,)
        About where the posterior is, in the order of points, and standard deviations; of subjects' deviations 0 and 1,
        which are what coordinates are like; NaN where nothing is known.
    """

    H: np.ndarray
    b: np.ndarray
    G: np.ndarray
    centre: np.ndarray
    spread: np.ndarray


def is_normal(effect: Effect) -> bool:
    """Whether subjects' numbers are normal around a mean that the group's variables give."""
    own = {v.key: v.prior for v in effect.variables if v.level == "subject"}
    return isinstance(effect, Pooled) and type(effect).value is Pooled.value and own == {"z": Normal()}


def own_effects(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return the effects that there are sites for: each subject has numbers, around the group's or by themselves."""
    return tuple(e for e in effects if is_normal(e) or (isinstance(e, Single) and e.by_subject))


def common_effects(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return the effects of which all subjects have the same numbers."""
    return tuple(e for e in effects if isinstance(e, Single) and not e.by_subject)


def like_prior(effect: Effect) -> tuple[float, float]:
    """Return the mean and standard deviation of a normal distribution like a subject's own prior, unbounded."""
    return Estimate(effect.variables[0], ()).normal
