"""What can compute a likelihood."""

from rlpymc.checks import unknown

BACKENDS = ("fused", "scan")


def check_backend(backend: str) -> None:
    """Raise a ValueError unless there is a backend of this name."""
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
