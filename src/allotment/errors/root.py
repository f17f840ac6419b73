"""What every error of Allotment has: a stable code, a kind, and facts.

Invariant: every error has a stable `code`, a `kind` that each door maps to its own tongue, and
facts that hold no secret; nothing below this floor is imported.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Kind = Literal[
    "invalid",
    "not-found",
    "conflict",
    "exhausted",
    "refused",
    "unavailable",
    "unexpected",
]


class AllotmentError(Exception):
    """Anything Allotment refuses or fails to do; `facts` are its fields, ready for JSON."""

    code: ClassVar[str] = "unexpected"
    kind: ClassVar[Kind] = "unexpected"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders (races, workers) with their facts."""
        return (_bare, (type(self), self.message), vars(self))


def _bare(kind: type[AllotmentError], message: str) -> AllotmentError:
    """An error to which its attributes are still to be given."""
    return kind.__new__(kind, message)
