"""Who asks, and which roles there are.

Invariant: an actor is always named; there is no anonymous default.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from allotment.model.names import ACTOR, IDENTIFIER


class Role(StrEnum):
    """What a grant allows, each role including the ones before it."""

    VIEWER = "viewer"
    ALLOCATOR = "allocator"
    OPERATOR = "operator"
    ADMIN = "admin"


class ActorKind(StrEnum):
    """How the actor is known.

    `owner` runs the program on its own book, and may do everything; `token` (an API token) and
    `user` (known by an identity provider) may do what grants say.
    """

    OWNER = "owner"
    TOKEN = "token"  # noqa: S105 - a kind of actor, not a secret
    USER = "user"


PREFIX = {ActorKind.TOKEN: "token:", ActorKind.USER: "user:"}
"""How the names of actors begin that need grants; no owner's name begins so."""

GROUP = "group:"
"""How the names of groups begin: what an identity provider says is never taken for an actor."""


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts; the name is what the journal records.

    `groups` are what an identity provider says the user is a member of. `source` is the address
    the request came from, `request_id` the request's own name: both for the journal.
    """

    name: Annotated[str, ACTOR]
    kind: ActorKind = ActorKind.TOKEN
    groups: tuple[Annotated[str, ACTOR], ...] = ()
    source: Annotated[str, IDENTIFIER] | None = None
    request_id: Annotated[str, IDENTIFIER] | None = None


def local_owner(name: str) -> Actor:
    """The person running Allotment embedded on a book of their own: may do everything."""
    return Actor(name=name, kind=ActorKind.OWNER)
