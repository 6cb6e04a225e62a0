"""Models that a test registers are known to that test alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from rlpymc.model import registry


@contextmanager
def forgetting() -> Iterator[None]:
    """Forget at the end what was registered."""
    try:
        yield
    finally:
        registry._registered.clear()
        registry._models.cache_clear()
        registry._variant.cache_clear()
