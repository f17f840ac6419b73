"""Tokens, grants and quotas: who may come in, who may do what, and how much.

Invariant: a token's secret is answered once, to the one who made it; a grant names who, which
role, and on what.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, UnsetType

from allotment.model.access import ActorKind, Role
from allotment.model.command import Command
from allotment.model.limits import Bounds
from allotment.model.names import ActorName, Description, Name, Reference
from allotment.model.prefix import Prefix
from allotment.model.queries import PageSize, Query
from allotment.model.results import Deleted, Page, Result
from allotment.model.secret import Secret

TOKEN_SECONDS_MAX = 366 * 24 * 3600
TokenSeconds = Annotated[int, Bounds(60, TOKEN_SECONDS_MAX)]
Milliseconds = Annotated[int, Bounds(0, 1 << 50)]
Limit = Annotated[int, Bounds(0, 1 << 62)]


class TargetKind(StrEnum):
    """What a grant is on; it holds for all that is inside."""

    INSTALLATION = "installation"
    PROJECT = "project"
    SCOPE = "scope"
    POOL = "pool"
    SUBNET = "subnet"


class Token(Result, frozen=True, kw_only=True):
    """An API token without its secret; `key_id` is the part of it that logs may show.

    What it allocates without naming an owner belongs to its `project`, when it has one. `sources`
    are the prefixes it may be used from; none means from anywhere. `last_used_at` is exact to the
    minute.
    """

    id: UUID
    name: str
    actor: str
    key_id: str
    project_id: UUID | None
    project: str | None
    sources: tuple[Prefix, ...]
    description: str
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None


class NewToken(Result, frozen=True, kw_only=True):
    """A token and its secret, which is not shown again."""

    token: Token
    secret: Secret


class Grant(Result, frozen=True, kw_only=True):
    """A role of an actor on something and all that is inside it; `deny` takes it away instead.

    A denied role takes away that role and the ones above it, whatever other grants allow.
    """

    id: UUID
    actor: str
    role: Role
    deny: bool
    target: TargetKind
    target_id: UUID | None
    target_name: str
    created_by: str
    created_at: int
    expires_at: int | None


class Quota(Result, frozen=True, kw_only=True):
    """How much a project may own, and owns; None: as much as there is.

    `addresses` counts held addresses; `prefixes` counts subnets and held prefixes.
    """

    project_id: UUID
    project: str
    addresses: int | None
    addresses_used: int
    prefixes: int | None
    prefixes_used: int


class Identity(Result, frozen=True, kw_only=True):
    """Who is asking, as the book knows them, and which grants they have."""

    actor: str
    kind: ActorKind
    groups: tuple[str, ...]
    token: Token | None
    grants: tuple[Grant, ...]


class CreateToken(Command[NewToken], frozen=True, kw_only=True):
    """Make an API token; it may do nothing until it is granted a role.

    `lifetime_seconds` is how long it is valid. Takes no idempotency key: the answer holds the
    secret, which is stored nowhere.
    """

    takes_key = False
    needs = Role.ADMIN
    name: Name
    lifetime_seconds: TokenSeconds = 90 * 24 * 3600
    project: Reference | None = None
    sources: tuple[Prefix, ...] = ()
    description: Description = ""


class RevokeToken(Command[Token], frozen=True, kw_only=True):
    """End a token at once, by id, name or key id; its name is not used again."""

    needs = Role.ADMIN
    token: Reference


class CreateGrant(Command[Grant], frozen=True, kw_only=True):
    """Give an actor a role on the installation, a project, scope, pool or subnet.

    `actor` is `token:NAME`, `user:ISSUER#SUBJECT` or `group:NAME`. `reference` names the target,
    unless that is the installation; `scope` says which pool or subnet, where a name is in several.
    """

    needs = Role.ADMIN
    actor: ActorName
    role: Role
    target: TargetKind
    deny: bool = False
    reference: Reference | None = None
    scope: Reference | None = None
    expires_at: Milliseconds | None = None


class RevokeGrant(Command[Deleted], frozen=True, kw_only=True):
    """Take a grant back, by its id."""

    needs = Role.ADMIN
    grant: Reference


class SetQuota(Command[Quota], frozen=True, kw_only=True):
    """Limit what a project may own; None lifts a limit, unset leaves it. It takes nothing away."""

    takes_long = True
    needs = Role.ADMIN
    project: Reference
    addresses: Limit | None | UnsetType = UNSET
    prefixes: Limit | None | UnsetType = UNSET


class WhoAmI(Query[Identity], frozen=True, kw_only=True):
    """Who the book takes the actor for."""


class GetToken(Query[Token], frozen=True, kw_only=True):
    """One token, by id, name or key id."""

    needs = Role.ADMIN
    token: Reference


class ListTokens(Query[Page[Token]], frozen=True, kw_only=True):
    """Tokens by name, revoked and expired ones too unless `live`."""

    needs = Role.ADMIN
    live: bool = False
    limit: PageSize = 100
    cursor: str | None = None


class GetGrant(Query[Grant], frozen=True, kw_only=True):
    """One grant, by id."""

    needs = Role.ADMIN
    grant: Reference


class ListGrants(Query[Page[Grant]], frozen=True, kw_only=True):
    """Grants by actor; `target` and `reference` keep those on one thing itself."""

    needs = Role.ADMIN
    actor: ActorName | None = None
    target: TargetKind | None = None
    reference: Reference | None = None
    scope: Reference | None = None
    limit: PageSize = 100
    cursor: str | None = None


class GetQuota(Query[Quota], frozen=True, kw_only=True):
    """What a project may own, and owns."""

    project: Reference
