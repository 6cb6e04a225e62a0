"""Whether a model is what it says: promises that every registered model keeps."""

from rlpymc.validation import checks
from rlpymc.validation import examples as material

__all__ = ["checks", "material"]
