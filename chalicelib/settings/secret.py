"""A wrapper that keeps a secret value from being printed by accident."""

from __future__ import annotations


class Secret:
    """A text that `repr`, `str` and formatting show as ***."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text in the clear; to be called at the point of use only."""
        return self._value

    def key(self) -> bytes:
        """Return the text as key material, UTF-8."""
        return self._value.encode()

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)
