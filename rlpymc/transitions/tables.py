"""Functions of a number, as polynomials on pieces of the whole real line: fast in a likelihood, and right everywhere.

A function that grows on either side as slope v + c log|v| + constant is told from the smooth function with the same
growth.  What is left changes like powers of v and is a polynomial on equal pieces of s = log(1 + |v|).  Beyond the last
piece it goes on to its limit as it does there, by a power of v.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from rlpymc.transitions.cells import TABLED

PIECES = 64  # on either side
DEGREE = 10


@dataclass(frozen=True)
class RealLineTable:
    """Functions on the real line.

    Parameters
    ----------
    growth : (n_functions, 3)
        Middle and half difference of the slopes at either end, and half the factor of log|v|.
    coefficients : (n_functions, 2, PIECES, DEGREE + 1)
        Of powers of -1 to 1 through each piece, for v < 0 and v >= 0.
    tail : (n_functions, 2, 3)
        Value, slope by s and rate of its decay at the end of the pieces, for v < 0 and v >= 0.
    """

    growth: np.ndarray
    coefficients: np.ndarray
    tail: np.ndarray

    @classmethod
    def of(
        cls,
        function: Callable[[np.ndarray], np.ndarray],
        slopes: tuple[float, float] = (0.0, 0.0),
        log_factor: float = 0.0,
    ) -> "RealLineTable":
        """Return the table of one function.

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
        t, width = chebyshev.chebpts1(DEGREE + 1), np.log1p(TABLED) / PIECES
        v = np.expm1((np.arange(PIECES)[:, None] + (1 + t) / 2) * width).ravel()
        coefficients, tail = np.zeros((2, PIECES, DEGREE + 1)), np.empty((2, 3))
        for side, sign in enumerate((-1.0, 1.0)):
            left = function(sign * v) - _grown(growth, sign * v)
            series = chebyshev.chebfit(t, left.reshape(PIECES, -1).T, DEGREE)
            for k in range(PIECES):
                powers = chebyshev.cheb2poly(series[:, k])
                coefficients[side, k, : len(powers)] = powers
            value, slope, curve = (chebyshev.chebval(1, chebyshev.chebder(series[:, -1], k)) for k in range(3))
            slope, curve = slope * 2 / width, curve * (2 / width) ** 2
            # a decay that rounding errors hide is none
            tail[side] = value, slope if slope * curve < 0 else 0.0, -curve / slope if slope * curve < 0 else 1.0
        return cls(growth[None], coefficients[None], tail[None])

    @classmethod
    def joined(cls, tables: Sequence["RealLineTable"]) -> "RealLineTable":
        """Return one table of the functions of several."""
        parts = ([getattr(table, name) for table in tables] for name in ("growth", "coefficients", "tail"))
        return cls(*map(np.concatenate, parts))

    def graph(self, v: Any) -> Any:
        """Return the functions of an expression of PyTensor, (n_functions, ...)."""
        import pytensor.tensor as pt

        from rlpymc.transitions.table_op import Tabled

        v = pt.as_tensor(v)
        found = Tabled()(v.flatten(), self.growth, self.coefficients, self.tail)[0]
        return found.reshape((len(self.growth), *(v.shape[k] for k in range(v.ndim))))


def _grown(growth: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the smooth function with the growth of a table."""
    middle, half, log_half = growth
    return np.asarray(middle * v + half * np.sqrt(1 + v**2) + log_half * np.log1p(v**2))
