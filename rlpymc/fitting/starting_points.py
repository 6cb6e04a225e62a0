"""Points from which searches start."""

import numpy as np


def unit_cube(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Points that fill the unit cube: of the n slices of each axis each holds one (a Latin hypercube).

    Written here because SciPy's are in `scipy.stats`, whose import takes longer than a fit.

    Parameters
    ----------
    n, d : int
        Number of points and of axes.
    rng : Generator
        Draws them.

    Returns
    -------
    (n, d) array

    References
    ----------
    McKay, Beckman & Conover (1979). A comparison of three methods for selecting values of input variables in the
    analysis of output from a computer code. Technometrics 21, 239-245.
    """
    slices = rng.permuted(np.tile(np.arange(n), (d, 1)), axis=1).T
    return (slices + rng.random((n, d))) / n
