"""Functions of a number, as polynomials on pieces of the whole real line: fast in a likelihood, and right everywhere.

A function that grows on either side as

    f(v) = slope v + c log|v| + constant + a / v + b / v^2 + ...

is told from the smooth function with the same growth.  What is left is a smooth function of t = |v| / (|v| + 1), which
runs from 0 to 1 on either side, and is a polynomial on each of equal pieces of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

PIECES = 64  # on either side
DEGREE = 10


@dataclass(frozen=True)
class RealLineTable:
    """A function on the real line.

    Parameters
    ----------
    growth : (3,)
        Middle and half difference of its slopes at either end, and half the factor of log|v|.
    coefficients : (2, PIECES, DEGREE + 1)
        Of powers of -1 to 1 through each piece, for v < 0 and v >= 0.
    """

    growth: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def of(
        cls,
        function: Callable[[np.ndarray], np.ndarray],
        slopes: tuple[float, float] = (0.0, 0.0),
        log_factor: float = 0.0,
    ) -> "RealLineTable":
        """Return the table of a function.

        Parameters
        ----------
        function : callable
            Takes and returns (n,).
        slopes : (float, float)
            Its slopes as v goes to minus and plus infinity.
        log_factor : float
            What log|v| is multiplied by there.
        """
        growth = np.array([(slopes[1] + slopes[0]) / 2, (slopes[1] - slopes[0]) / 2, log_factor / 2])
        t = chebyshev.chebpts1(DEGREE + 1)
        share = (np.arange(PIECES)[:, None] + (1 + t) / 2) / PIECES
        v = (share / (1 - share)).ravel()
        coefficients = np.empty((2, PIECES, DEGREE + 1))
        for side, sign in enumerate((-1.0, 1.0)):
            left = function(sign * v) - _grown(growth, sign * v)
            series = chebyshev.chebfit(t, left.reshape(PIECES, -1).T, DEGREE)
            for k in range(PIECES):
                coefficients[side, k] = np.pad(chebyshev.cheb2poly(series[:, k]), (0, DEGREE + 1))[: DEGREE + 1]
        return cls(growth, coefficients)

    def graph(self, v: Any) -> Any:
        """Return the function of an expression of PyTensor."""
        import pytensor.tensor as pt

        from rlpymc.transitions.table_op import Tabled

        v = pt.as_tensor(v)
        found = Tabled()(v.flatten(), self.growth, self.coefficients)[0]
        return found.reshape(v.shape, ndim=v.ndim)


def _grown(growth: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the smooth function with the growth of a table."""
    middle, half, log_half = growth
    return np.asarray(middle * v + half * np.sqrt(1 + v**2) + log_half * np.log1p(v**2))
