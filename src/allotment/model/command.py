"""What every command is.

Invariant: a command is a frozen value that refuses unknown fields.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

import msgspec

from allotment.model.access import Role
from allotment.model.names import IdempotencyKey

R = TypeVar("R", covariant=True)


class Command(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="do",
    tag=True,
):
    """A change; with an `idempotency_key`, asking again returns the first answer."""

    needs: ClassVar[Role] = Role.ADMIN
    takes_long: ClassVar[bool] = False
    """Whether its work grows with what it names, so that it may take minutes."""
    reads_all: ClassVar[bool] = False
    """Whether it reads the whole book, so that it may take hours."""
    takes_key: ClassVar[bool] = True
    """Whether its answer may be stored, so that it can be given again."""
    journaled: ClassVar[bool] = True
    """Whether it changes the book, so that it has an event."""
    together: ClassVar[bool] = False
    """Whether those of many callers are served in one transaction."""

    idempotency_key: IdempotencyKey | None = None
