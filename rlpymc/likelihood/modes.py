"""How graphs are compiled: quickly for a few calls, or well for many."""

from typing import Any

from pytensor.compile.mode import Mode, predefined_modes
from pytensor.link.vm import VMLinker

from rlpymc.checks import unknown

# Needs no compiler: a likelihood is ready in less than a second, and then takes tens of times longer than compiled.
QUICK = Mode(linker=VMLinker(use_cloop=False, c_thunks=False), optimizer="fast_compile")


def pytensor_mode(name: str) -> Any:
    """Return PyTensor's mode for "quick", or for a name of its own such as "NUMBA" or "JAX"."""
    if name == "quick":
        return QUICK
    if name not in predefined_modes:
        raise unknown("mode", name, ("quick", *predefined_modes))
    return name
