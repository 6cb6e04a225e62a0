"""Whether a model is what it says: promises that every registered model keeps."""

from rlpymc.validate import checks, material

__all__ = ["checks", "material"]
