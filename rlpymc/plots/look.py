"""What figures have in common: colours, intervals, means over people."""

import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe & Ito (2008)
INTERVAL = (0.03, 0.97)  # quantiles, with 94 % of the probability between them


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    n = np.isfinite(values).sum(axis=axis)
    return np.asarray(np.nansum(values, axis=axis) / np.where(n > 0, n, np.nan))


def mean_and_range(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, low and high of shares (subject, x), by standard error, or (sample, subject, x), over draws."""
    if shares.ndim == 3:
        by_draw = _mean(shares, axis=1)
        low, high = np.quantile(by_draw, INTERVAL, axis=0)
        return _mean(by_draw, axis=0), low, high
    mean, n = _mean(shares, axis=0), np.isfinite(shares).sum(axis=0)
    error = np.sqrt(np.nansum((shares - mean) ** 2, axis=0) / np.where(n > 1, n - 1, np.nan) / n)
    return mean, mean - error, mean + error
