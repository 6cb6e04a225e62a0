"""Messages that several modules need in the same words."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, name: object, known: Iterable[object]) -> ValueError:
    """Return an error that names what is not known, the nearest name that is, and all of them."""
    names = [str(k) for k in known]
    nearest = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"unknown {what} {name!r}.{hint} There is: {', '.join(names) or 'none'}.")
