"""Messages that several modules need in the same words, and the checks of options that lead to them."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any


def unknown(what: str, name: object, known: Iterable[object]) -> ValueError:
    """Return an error that names what is not known, the nearest name that is, and all of them."""
    names = [str(k) for k in known]
    nearest = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"unknown {what} {name!r}.{hint} There is: {', '.join(names) or 'none'}.")


def check_type(value: object, kind: type, what: str) -> None:
    """Raise a TypeError that says what was expected unless a value is of a kind."""
    if not isinstance(value, kind):
        raise TypeError(f"expected {what}, found {type(value).__name__}")


def check_whole(least: int, **options: Any) -> None:
    """Raise a ValueError that names the first option that is not a whole number, or below the least."""
    for name, value in options.items():
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}: found {value!r}, expected a whole number, at least {least}")


def check_seed(seed: Any) -> None:
    """Raise a ValueError unless a seed is a whole number that is not negative, or None."""
    if seed is not None:
        check_whole(0, seed=seed)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number, NaN left out."""
    return isinstance(value, Real) and value == value


def as_names(option: str, given: Any) -> tuple[str, ...]:
    """Return the names that an option holds, one or several."""
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{option}: found {given!r}, expected names of parameters, such as {option}=['q0']")
    return names
