"""What the tests of sweeps run in other processes."""

from typing import Any

import numpy as np


def noise(seed: int, broken: bool = False) -> dict[str, Any]:
    """Return a random number, or fail."""
    if broken:
        raise ValueError(f"no noise for seed {seed}")
    return {"seed": seed, "noise": float(np.random.default_rng(seed).normal())}
