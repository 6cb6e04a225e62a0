"""Numbers of a group as they are estimated before sampling, each with a prior of its own."""

import numpy as np

from rlpymc.population.effects import Variable

STEP = 1e-4  # of differences of priors, which are smooth on the real line


class Estimate:
    """Numbers on the real line with a prior of their own: where they are, and how precisely that is known."""

    def __init__(self, variable: Variable, shape: tuple[int, ...]) -> None:
        self.prior, self.place = variable.prior, np.full(shape, float(variable.prior.middle()))
        self.precision = np.maximum(-self.prior_slopes()[1], 1e-3)

    def natural(self, at: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return values on the natural scale, and their derivatives."""
        at = self.place if at is None else at
        below, here, above = (self.prior.unbounded(at + step)[0] for step in (-STEP, 0.0, STEP))
        return here, (above - below) / (2 * STEP)

    def prior_slopes(self, at: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the first two derivatives of the log prior."""
        at = self.place if at is None else at
        below, here, above = (self.prior.unbounded(at + step)[1] for step in (-STEP, 0.0, STEP))
        return (above - below) / (2 * STEP), (above - 2 * here + below) / STEP**2

    @property
    def normal(self) -> tuple[float, float]:
        """The mean and standard deviation of a single number."""
        return float(self.place), float(1 / np.sqrt(self.precision))

    def move(self, slope: np.ndarray, curvature: np.ndarray, share: float) -> None:
        """Go part of the way to the maximum, given the first two derivatives of the log likelihood."""
        first, second = self.prior_slopes()
        precision = -curvature - second
        precision = np.where(np.isfinite(precision) & (precision > 1e-6), precision, self.precision)
        self.precision = (1 - share) * self.precision + share * precision
        self.place = self.place + share * np.clip(np.nan_to_num((slope + first) / self.precision), -1.0, 1.0)
