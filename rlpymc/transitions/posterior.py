"""The posterior of a transition model's parameters, with the exact log partition function and its gradient."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rlpymc.checks import as_data
from rlpymc.model.priors import Normal, Prior
from rlpymc.transitions.family import Family
from rlpymc.transitions.maximum_likelihood import fit_mle
from rlpymc.transitions.product import by_coordinate
from rlpymc.transitions.scores import check_support

if TYPE_CHECKING:
    import pymc as pm

WEAK = Normal(0.0, 10.0)


def build(family: Any, features: Any, next_states: Any, *, prior: Prior = WEAK) -> "pm.Model":
    """Build the PyMC model of transitions with unknown W.

    The log partition function of families with one periodic statistic is looked up in polynomials that cover the whole
    real line, and so are its derivatives; the other families have theirs in closed form.  Sample it with
    ``pm.sample(nuts_sampler="nutpie")``.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    features : (n, n_features) or (n,)
        phi(state, action) of each transition.
    next_states : (n, n_coordinates) or (n,)
        Where it led.
    prior : rlpymc.priors.Prior
        Of every entry of W; normal with standard deviation 10 unless given.

    Returns
    -------
    pm.Model
        With `W` (statistic, feature) and the observed `next_state` (transition); with several coordinates, these are
        `next_state_0`, `next_state_1`, and so on.

    Raises
    ------
    ValueError
        If rows do not fit, an entry is not finite or outside the support, or there is no W at which all densities can
        be normalised.
    TypeError
        If the prior is none.
    """
    import pymc as pm

    if not isinstance(prior, Prior):
        raise TypeError(f"prior: found {prior!r}, expected one such as rlpymc.priors.Normal(0, 10)")
    phi, x = as_data(features, next_states)
    families = by_coordinate(family, x.shape[1])
    check_support(families, x)
    n_statistics = families[-1][1].stop
    coords = {"statistic": range(n_statistics), "feature": range(phi.shape[1]), "transition": range(len(x))}
    with pm.Model(coords=coords) as model:
        W = prior.pymc("W", dims=("statistic", "feature"), initval=_start(families, phi, x))
        natural = pm.math.dot(phi, W.T)  # (transition, statistic)
        for k, (own, part) in enumerate(families):
            name = f"next_state_{k}" if len(families) > 1 else "next_state"
            _observe(name, own, [natural[:, j] for j in range(part.start, part.stop)], x[:, k])
    return model


def _observe(name: str, family: Family, natural: list[Any], x: np.ndarray) -> None:
    """Add observed next states of one coordinate."""
    import pymc as pm
    import pytensor.tensor as pt

    low, high = family.support

    def logp(value: Any, *v: Any) -> Any:
        inside = pt.and_(value > low, value < high)
        safe = pt.switch(inside, value, family.middle)
        psi = family.statistics(safe, pt)
        total = sum((a * b for a, b in zip(v, psi, strict=True)), family.log_base(safe, pt))
        return pt.switch(inside, total - family.log_partition_graph(*v), -np.inf)

    def random(*v: np.ndarray, rng: np.random.Generator, size: tuple[int, ...] | None = None) -> np.ndarray:
        joined = np.stack(np.broadcast_arrays(*v), axis=-1)
        return family.sample(joined, rng, joined.shape[:-1] if size is None else size)

    pm.CustomDist(name, *natural, logp=logp, random=random, observed=x, dims="transition")


def _start(families: list[tuple[Family, slice]], phi: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return W at which sampling can begin: 0, or the maximum of the likelihood for families that 0 is not in."""
    start = np.zeros((families[-1][1].stop, phi.shape[1]))
    for k, (own, part) in enumerate(families):
        if not own.admissible(phi[:1] @ start[part].T).all():
            start[part] = fit_mle(own, phi, x[:, k]).W
    return start
