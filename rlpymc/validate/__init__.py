"""Whether a model is what it says: promises that every registered model keeps."""

from rlpymc.validate import checks

__all__ = ["checks"]
