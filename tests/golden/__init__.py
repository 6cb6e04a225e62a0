"""Numbers of the sources, a module each, and how this library comes by them."""

from importlib import import_module
from pkgutil import iter_modules

from tests.golden.row import Golden


def tables() -> dict[str, list[Golden]]:
    """Return the rows of each module."""
    modules = {m.name: import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)}
    return {name: module.ROWS for name, module in modules.items() if hasattr(module, "ROWS")}
