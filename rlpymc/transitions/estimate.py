"""What an estimate of a transition model holds, and the model itself."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from rlpymc.checks import as_data, check_finite
from rlpymc.transitions.family import Density, Uniforms
from rlpymc.transitions.features import Features, linear
from rlpymc.transitions.product import Product, by_coordinate


@dataclass(frozen=True)
class Estimate:
    """Parameters of a transition model, found from data.

    Parameters
    ----------
    W : (n_statistics, n_features)
        Natural parameters are v = W phi.
    cov : (n_statistics n_features, n_statistics n_features)
        Covariance of the entries of W, row after row.  NaN after score matching of no more transitions than there are
        parameters, which leave nothing to see errors by.
    method : str
        "score matching" or "maximum likelihood".
    n : int
        Number of transitions.
    """

    W: np.ndarray
    cov: np.ndarray
    method: str
    n: int

    @property
    def se(self) -> np.ndarray:
        """Standard errors, of the shape of W."""
        return np.sqrt(np.diag(self.cov)).reshape(self.W.shape)

    def to_dataframe(self) -> pd.DataFrame:
        """Return a row for each entry of W, with its standard error."""
        index = pd.MultiIndex.from_product([range(k) for k in self.W.shape], names=["statistic", "feature"])
        return pd.DataFrame({"estimate": self.W.ravel(), "se": self.se.ravel()}, index=index)

    def __repr__(self) -> str:
        table = self.to_dataframe().to_string(float_format="{:.4g}".format)
        return f"{self.method} of {self.n} transitions\n{table}"


@dataclass(frozen=True)
class Transition:
    """A law of next states given states and actions.

    Parameters
    ----------
    density : Family or Product
        Of the next state.
    W : (n_statistics, n_features), or (n_worlds, n_statistics, n_features)
        Natural parameters are v = W phi(state, action).  With several worlds, states and actions have a first axis over
        them.
    features : callable
        phi; the coordinates of the state and the action unless given.

    Raises
    ------
    ValueError
        If W has not a row for each statistic, or is not finite.
    TypeError
        If density or features are something else.
    """

    density: Density
    W: np.ndarray
    features: Features = field(default=linear)

    def __post_init__(self) -> None:
        if not isinstance(self.density, Density):
            raise TypeError(
                f"density: found {self.density!r}, expected a family such as CustomSin(1.7, 4), or a Product"
            )
        if not callable(self.features):
            raise TypeError(
                f"features: found {self.features!r}, expected a function such as transitions.features.linear"
            )
        weights = np.asarray(self.W, dtype=float)
        object.__setattr__(self, "W", weights)
        check_finite("W", weights)
        if weights.ndim not in (2, 3) or weights.shape[-2] != self.density.n_statistics:
            raise ValueError(
                f"W: found shape {weights.shape}, expected ({self.density.n_statistics}, n_features), a row for each "
                f"statistic of {self.density!r}"
            )

    def natural(self, state: Any, action: Any) -> np.ndarray:
        """Return v = W phi(state, action), (..., n_statistics), for states (..., n_coordinates) and actions (...)."""
        phi = self.features(state, action)
        if phi.shape[-1] != self.W.shape[-1]:
            raise ValueError(
                f"features: found {phi.shape[-1]} for states of shape {np.shape(state)}, expected "
                f"{self.W.shape[-1]}, as many as W has columns"
            )
        if self.W.ndim == 2:
            return np.asarray(phi @ self.W.T)
        flat = phi.reshape(len(phi), -1, phi.shape[-1])
        return (flat @ self.W.swapaxes(1, 2)).reshape(*phi.shape[:-1], -1)

    def sample(self, state: Any, action: Any, rng: Uniforms) -> np.ndarray:
        """Draw a next state for each state and action, (..., n_coordinates)."""
        natural = self.natural(state, action)
        if natural.ndim == 1:
            return self.sample(np.asarray(state)[None], np.asarray(action)[None], rng)[0]
        drawn = self.density.sample(natural, rng)
        return drawn if isinstance(self.density, Product) else drawn[..., None]

    def log_prob(self, next_state: Any, state: Any, action: Any) -> np.ndarray:
        """Return the log density of next states (..., n_coordinates), (...)."""
        natural = self.natural(state, action)
        if natural.ndim == 1:
            return self.density.log_prob(np.asarray(next_state)[None], natural[None])[0]
        return self.density.log_prob(next_state, natural)


def check_weights(weights: np.ndarray, n_statistics: int, phi: np.ndarray) -> None:
    """Raise an error if parameters have another shape than (n_statistics, n_features)."""
    if weights.shape != (n_statistics, phi.shape[1]):
        raise ValueError(
            f"W: found shape {weights.shape}, expected ({n_statistics}, {phi.shape[1]}), statistics and features"
        )


def log_likelihood(family: Any, W: Any, features: Any, next_states: Any) -> float:
    """Return the log likelihood of transitions.

    Parameters
    ----------
    family : Family, Product or sequence of Family
        Of all coordinates, or of each.
    W : (n_statistics, n_features)
        Parameters.
    features : (n, n_features)
        phi(state, action) of each transition.
    next_states : (n, n_coordinates) or (n,)
        Where it led.

    Raises
    ------
    ValueError
        If shapes do not fit, or an entry is not finite.
    """
    phi, x = as_data(features, next_states)
    weights, total = np.asarray(W, dtype=float), 0.0
    families = by_coordinate(family, x.shape[1])
    check_weights(weights, families[-1][1].stop, phi)
    for k, (own, part) in enumerate(families):
        total += own.log_prob(x[:, k, None], phi @ weights[part].T).sum()
    return float(total)
