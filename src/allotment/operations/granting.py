"""Grants: given and taken back, by those who may.

Invariant: nobody gives what they do not have: not more than their own role, not on more than their
own place, not for longer; a denial is made and lifted by administrators of everything only.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from msgspec import structs

from allotment.engine.access import (
    ANYWHERE,
    EVERYTHING,
    FOREVER,
    INSTALLATION,
    Place,
    Rights,
    Want,
)
from allotment.errors import AlreadyExists, Forbidden, InvalidValue, NotFound
from allotment.model.access import Role
from allotment.model.grants import (
    CreateGrant,
    GetGrant,
    Grant,
    ListGrants,
    RevokeGrant,
    TargetKind,
)
from allotment.model.results import Deleted, Page
from allotment.operations.aims import Aim, aims_at, spare_denied
from allotment.operations.registry import answers, handles
from allotment.store import directory, grants, pages, places
from allotment.store.directory import POOL, PROJECT, SCOPE, SUBNET, AnyRow, read_id
from allotment.store.grants import Wanted
from allotment.store.session import Read, Write
from allotment.store.sight import Sight

_KINDS = {
    TargetKind.PROJECT: PROJECT,
    TargetKind.SCOPE: SCOPE,
    TargetKind.POOL: POOL,
    TargetKind.SUBNET: SUBNET,
}
_ACTORS = ("token:", "user:", "group:")


def _target(r: Read, request: CreateGrant | ListGrants) -> tuple[UUID, Place]:
    """The id and place of what a grant is on."""
    kind = _KINDS.get(request.target) if request.target is not None else None
    if kind is None:
        for field, given in (("reference", request.reference), ("scope", request.scope)):
            if given is not None:
                raise InvalidValue(field, given, "the installation needs none: give the target")
        return INSTALLATION, ANYWHERE
    if kind in (PROJECT, SCOPE) and request.scope is not None:
        raise InvalidValue("scope", request.scope, "it tells pools and subnets apart, nothing else")
    if request.reference is None:
        raise InvalidValue("reference", None, f"say which {kind.noun}")
    if kind in (PROJECT, SCOPE):
        row = directory.find_named(r, kind, request.reference)
    else:
        row = directory.find_inside(r, kind, request.reference, request.scope)
    return row.id, places.of(r, row.id) or frozenset({row.id})


@aims_at(CreateGrant)
def _new(r: Read, rights: Rights, request: CreateGrant) -> Aim[CreateGrant]:
    target_id, place = _target(r, request)
    wants = [Want(Role.ADMIN, place)]
    if request.deny:
        wants.append(Want(Role.ADMIN, ANYWHERE))
    if all(map(rights.satisfies, wants)):  # else that is the reason why not
        _check_given(r, rights, request, target_id)
    if target_id == INSTALLATION:
        return Aim(request, wants)
    return Aim(structs.replace(request, reference=str(target_id), scope=None), wants)


def _check_given(r: Read, rights: Rights, request: CreateGrant, target_id: UUID) -> None:
    """Refuse to give what the actor does not have, or not for so long."""
    if not request.deny:
        _check_all_theirs(r, rights, target_id)
    place = places.of(r, target_id) or ANYWHERE
    if (request.expires_at or FOREVER) > rights.lasts_until(Role.ADMIN, place):
        raise Forbidden(rights.actor.name, "grant a role for longer than their own")


def _check_all_theirs(r: Read, rights: Rights, target_id: UUID) -> None:
    """Refuse to give or to take a role on what is denied to the actor in a part."""
    if target_id != INSTALLATION:
        spare_denied(r, rights, target_id)
    elif rights.denied:
        raise Forbidden(rights.actor.name, "manage grants on everything: part of it is denied")


@aims_at(RevokeGrant, GetGrant)
def _old(r: Read, rights: Rights, request: RevokeGrant | GetGrant) -> Aim[RevokeGrant | GetGrant]:
    """Whether it may be managed is asked when it is found: else it is not there."""
    return Aim(request, [Want(Role.ADMIN, None)])


@aims_at(ListGrants)
def _listed(r: Read, rights: Rights, request: ListGrants) -> Aim[ListGrants]:
    return Aim(request, [Want(Role.ADMIN, None)])


def _meant(r: Read, rights: Rights, reference: str) -> AnyRow:
    grant_id = read_id(reference)
    row = grants.grant(r, grant_id) if grant_id is not None else None
    if row is not None:
        place = places.of(r, row.target_id) or ANYWHERE
        if rights.has(Role.ADMIN, ANYWHERE if row.deny else place):
            return row
    raise NotFound("grant", reference, "'allotment grant list' shows what there is")


@handles(CreateGrant, with_rights=True)
def create_grant(tx: Write, command: CreateGrant, rights: Rights) -> Grant:
    """Give an actor a role on something."""
    if not command.actor.startswith(_ACTORS) or command.actor.endswith(":"):
        raise InvalidValue(
            "actor", command.actor, "write token:NAME, user:ISSUER#SUBJECT, group:NAME"
        )
    if command.actor.startswith("token:"):
        name = command.actor.removeprefix("token:")
        if grants.token_by(tx, "name", name) is None:
            raise NotFound("token", name, "make it first: allotment token create NAME")
    if command.expires_at is not None and command.expires_at <= tx.now:
        raise InvalidValue("expires_at", command.expires_at, "it is over already")
    target_id, _ = _target(tx, command)
    for before in grants.same_grants(
        tx, command.actor, target_id, command.role.value, deny=command.deny
    ):
        if before.expires_at is None or before.expires_at > tx.now:
            raise AlreadyExists("grant", f"{command.role} of {command.actor} there")
        grants.remove_grant(tx, before.id)
    grant_id = uuid4()
    grants.enter_grant(
        tx,
        {
            "id": grant_id,
            "actor": command.actor,
            "role": command.role.value,
            "deny": command.deny,
            "target": command.target.value,
            "target_id": target_id,
            "created_by": rights.actor.name,
            "created_at": tx.now,
            "expires_at": command.expires_at,
        },
    )
    grants.begin_epoch(tx)
    row = grants.grant(tx, grant_id)
    assert row is not None, "what was entered is there"
    return told_grant(tx, row)


@handles(RevokeGrant, with_rights=True)
def revoke_grant(tx: Write, command: RevokeGrant, rights: Rights) -> Deleted:
    """Take a grant back, at once, in every process."""
    row = _meant(tx, rights, command.grant)
    if not row.deny:
        _check_all_theirs(tx, rights, row.target_id)
    count = grants.remove_grant(tx, row.id)
    grants.begin_epoch(tx)
    inside = row.target_id if row.target_id != INSTALLATION else None
    return Deleted(contents={"grants": count}, container_id=inside)


@answers(GetGrant, with_rights=True)
def get_grant(r: Read, query: GetGrant, rights: Rights) -> Grant:
    """One grant."""
    return told_grant(r, _meant(r, rights, query.grant))


@answers(ListGrants, with_rights=True)
def list_grants(r: Read, query: ListGrants, rights: Rights) -> Page[Grant]:
    """Grants by actor."""
    wanted = Wanted(actor=query.actor)
    if rights.whole < EVERYTHING:
        everywhere = rights.has(Role.ADMIN, ANYWHERE)
        managed = Sight(whole=everywhere, seen=rights.placed(Role.ADMIN), hidden=rights.denied)
        wanted = wanted._replace(managed=managed)
    on_one = query.reference is not None or query.scope is not None
    if on_one or query.target is TargetKind.INSTALLATION:
        wanted = wanted._replace(target_id=_target(r, query)[0])
    elif query.target is not None:
        wanted = wanted._replace(target=query.target.value)
    after = None
    if query.cursor is not None:
        actor, last = pages.read_cursor(query.cursor, [str, str])
        after = actor, UUID(last)
    rows = grants.listed(r, wanted, after, query.limit)
    return pages.paged(
        rows,
        query.limit,
        lambda row: (row.actor, str(row.id)),
        lambda row: told_grant(r, row),
    )


def told_grant(r: Read, row: AnyRow) -> Grant:
    """A grant as it is answered."""
    target = TargetKind(row.target)
    return Grant(
        id=row.id,
        actor=row.actor,
        role=Role(row.role),
        deny=row.deny,
        target=target,
        target_id=row.target_id if row.target_id != INSTALLATION else None,
        target_name=_name(r, target, row.target_id),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def _name(r: Read, target: TargetKind, target_id: UUID) -> str:
    """What people call the target."""
    kind = _KINDS.get(target)
    if kind is None:
        return "installation"
    return directory.shown_name(r, kind, target_id) or str(target_id)
