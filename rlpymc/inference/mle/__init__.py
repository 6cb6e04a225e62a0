"""Maximum likelihood, and the mode of the posterior."""

from rlpymc.inference.mle.estimates import MLE
from rlpymc.inference.mle.fit import fit_mle

__all__ = ["MLE", "fit_mle"]
