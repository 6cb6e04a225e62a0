"""The one helper of these loops."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Sutton & Barto (2018), eq. 2.11; an option with logit -inf has probability 0."""
    weights: np.ndarray = np.exp(logits - np.max(logits))
    weights /= weights.sum()
    return weights
