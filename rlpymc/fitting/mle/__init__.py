"""Maximum likelihood, and the mode of the posterior."""

from rlpymc.fitting.mle.estimates import MLE
from rlpymc.fitting.mle.fit import fit_mle

__all__ = ["MLE", "fit_mle"]
