"""Reinforcement-learning models of behaviour for PyMC: build, fit, check and compare them.

The public names are listed in ``__init__.pyi`` and loaded when they are first used, so that importing the package
costs next to nothing.
"""

import sys
from types import ModuleType
from typing import Any

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Package(ModuleType):
    """The package itself, in which importing the module `rlpymc.build` does not hide the function `rlpymc.build`."""

    def __setattr__(self, name: str, value: Any) -> None:
        hides = isinstance(value, ModuleType) and name in __all__ and hasattr(value, name)
        if not hides:
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
