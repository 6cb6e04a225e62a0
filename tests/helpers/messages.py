"""What an exception says, and whether it says what a user needs."""

from collections.abc import Callable
from typing import Any

import pytest


def refusal(function: Callable[..., Any], *args: Any, error: type[Exception] = ValueError, **options: Any) -> str:
    """The message with which a call is refused."""
    with pytest.raises(error) as info:
        function(*args, **options)
    return str(info.value)


def assert_says(text: str, *parts: str) -> None:
    for part in parts:
        assert part in text, text
