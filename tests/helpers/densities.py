"""The posterior's density in machine code beside that of PyMC's model."""

from collections.abc import Sequence

import numpy as np
from numpy.testing import assert_allclose

import rlpymc as rl
from rlpymc.fitting.nuts.machine_sampler import MachinePosterior
from rlpymc.likelihood.modes import QUICK


def assert_one_density(
    model: rl.RLModel,
    scales: Sequence[float],
    *,
    rtol: float = 2e-8,
    atol: float = 1e-8,
    of_slopes: float = 1e-7,
    least: float = 1.0,
) -> None:
    """Check values, slopes and the order of variables at points of these scales.

    Slopes may differ by the share `of_slopes` of each, and of the largest one if that is above `least`.
    """
    density, rng = MachinePosterior(model).density(), np.random.default_rng(3)
    reference = model.logp_dlogp_function(ravel_inputs=True, mode=QUICK.excluding("fusion"))
    reference.set_extra_values({})
    effects = model.spec.population.effects(model.data)
    shown = {part: name for e in effects for name, parts in e.vectors.items() for part in parts.values()}
    assert list(dict.fromkeys(shown.get(k, k) for k in density.places)) == [v.name for v in model.free_RVs]
    for scale in scales:
        x = scale * rng.normal(size=density.size)
        (value, slopes), (wanted, gradient) = density(x), reference(x)
        assert_allclose(value, wanted, rtol=rtol, atol=atol)
        assert_allclose(slopes, gradient, rtol=of_slopes, atol=of_slopes * max(least, np.abs(gradient).max()))
