"""Who asks, and which roles there are.

Invariant: an actor is always named; there is no anonymous default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from allotment.model.names import IDENTIFIER


class Role(StrEnum):
    """What a grant allows, each role including the ones before it."""

    VIEWER = "viewer"
    ALLOCATOR = "allocator"
    OPERATOR = "operator"
    ADMIN = "admin"


class ActorKind(StrEnum):
    """How the actor is known: `owner` runs the program on its own book; `token` needs grants."""

    OWNER = "owner"
    TOKEN = "token"  # noqa: S105 - a kind of actor, not a secret


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts; the name is what the journal records."""

    name: Annotated[str, IDENTIFIER]
    kind: ActorKind = ActorKind.TOKEN


def local_owner(name: str) -> Actor:
    """The person running Allotment embedded on a book of their own: may do everything."""
    return Actor(name=name, kind=ActorKind.OWNER)
