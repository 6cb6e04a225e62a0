"""Next states of several coordinates, independent given state and action."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rlpymc.checks import check_finite, unknown
from rlpymc.transitions.family import Density, Family, Uniforms, as_natural, shape_of_draws


class Product(Density):
    """Several coordinates, each with a family of its own, independent given v.

    v holds the natural parameters of the first coordinate, then those of the second, and so on; next states are
    (..., n_coordinates).

    Parameters
    ----------
    families : sequence of Family
        One for each coordinate.

    Raises
    ------
    TypeError
        If there is none, or something else is among them.
    """

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = tuple(families)
        if not self.families or not all(isinstance(f, Family) for f in self.families):
            raise TypeError(f"families: found {families!r}, expected a family for each coordinate")
        ends = np.cumsum([f.n_statistics for f in self.families]).tolist()
        self.n_statistics = int(ends[-1])
        self.n_uniforms = sum(f.n_uniforms for f in self.families)
        self.parts = tuple(slice(end - f.n_statistics, end) for end, f in zip(ends, self.families, strict=True))

    def __repr__(self) -> str:
        return f"Product([{', '.join(map(repr, self.families))}])"

    def log_partition(self, v: Any) -> np.ndarray:
        """Return log Z(v), the sum over coordinates, (...)."""
        return np.sum([f.log_partition(own) for f, own in self._own(v)], axis=0)

    def mean_statistics(self, v: Any) -> np.ndarray:
        """Return the gradient of log Z, which is the mean of psi, (..., n_statistics)."""
        return np.concatenate([f.mean_statistics(own) for f, own in self._own(v)], axis=-1)

    def statistics_covariance(self, v: Any) -> np.ndarray:
        """Return the Hessian of log Z, (..., n_statistics, n_statistics): zero between coordinates."""
        natural = as_natural(self, v)
        covariance = np.zeros((*natural.shape, self.n_statistics))
        for part, (family, own) in zip(self.parts, self._own(v), strict=True):
            covariance[..., part, part] = family.statistics_covariance(own)
        return covariance

    def unnormalised_log_prob(self, next_state: Any, v: Any) -> np.ndarray:
        """Return the sum over coordinates of log q(x) + <psi(x), v>, and -inf outside the support."""
        x = np.asarray(next_state, dtype=float)
        check_finite("next_state", x)
        if x.ndim == 0 or x.shape[-1] != len(self.families):
            raise ValueError(f"next_state: found shape {x.shape}, expected (..., {len(self.families)})")
        terms = [f.unnormalised_log_prob(x[..., k, None], own) for k, (f, own) in enumerate(self._own(v))]
        return np.sum(np.broadcast_arrays(*terms), axis=0)

    def mean(self, v: Any) -> np.ndarray:
        """Return the mean of the next state, (..., n_coordinates)."""
        return np.stack([f.mean(own) for f, own in self._own(v)], axis=-1)

    def variance(self, v: Any) -> np.ndarray:
        """Return the variance of each coordinate of the next state, (..., n_coordinates)."""
        return np.stack([f.variance(own) for f, own in self._own(v)], axis=-1)

    def sample(self, v: Any, rng: Uniforms, size: int | tuple[int, ...] | None = None) -> np.ndarray:
        """Draw next states, (*size, n_coordinates); see `Family.sample`."""
        shape = shape_of_draws(as_natural(self, v), size)
        return np.stack([f.sample(own, rng, shape) for f, own in self._own(v)], axis=-1)

    def _own(self, v: Any) -> list[tuple[Family, np.ndarray]]:
        """Return each family with its part of v, always (..., n_statistics)."""
        natural = as_natural(self, v)
        if natural.ndim == 1:  # a part of length 1 would be taken for n values
            return [(f, natural[part] if f.n_statistics > 1 else natural[part][0]) for f, part in self._each()]
        return [(f, natural[..., part]) for f, part in self._each()]

    def _each(self) -> list[tuple[Family, slice]]:
        return list(zip(self.families, self.parts, strict=True))


def by_coordinate(family: Any, n_coordinates: int) -> list[tuple[Family, slice]]:
    """Return the family of each coordinate of next states, with its place among the statistics.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    n_coordinates : int
        How many there are.

    Raises
    ------
    ValueError
        If there are not as many families as coordinates, or a family is given by a name.
    TypeError
        If it is something else.
    """
    if isinstance(family, str):
        if family in family_names():
            raise ValueError(
                f"family: found the name {family!r}, expected the family itself, transitions.{family}(...)"
            )
        raise unknown("family", family, family_names())
    if isinstance(family, Family):
        family = Product([family] * n_coordinates)
    if not isinstance(family, Product):
        if not isinstance(family, Sequence):
            raise TypeError(f"family: found {family!r}, expected a family such as {', '.join(family_names())}")
        family = Product(family)
    if len(family.families) != n_coordinates:
        raise ValueError(
            f"family: found {len(family.families)} families for next_states of {n_coordinates} coordinates; give one "
            "for all coordinates or one for each"
        )
    return family._each()


def family_names() -> list[str]:
    """Return the families that there are, as they are called."""

    def leaves(cls: Any) -> list[Any]:
        return [leaf for c in cls.__subclasses__() for leaf in (leaves(c) or [c])]

    return [f.__name__ for f in leaves(Family)]
