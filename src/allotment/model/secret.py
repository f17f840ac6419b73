"""Text that is shown once to one person.

Invariant: a secret is in no log, event, stored answer or error: whatever prints or encodes it
writes stars, unless it says that it means to reveal it.
"""

from __future__ import annotations

from typing import Final, final

MASK: Final = "***"


@final
class Secret:
    """A secret text; `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one person it is meant for."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not pickled")
