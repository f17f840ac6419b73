"""API tokens: made, shown, ended.

Invariant: a secret is answered once and stored nowhere; whoever may not manage a token is not told
that there is one.
"""

from __future__ import annotations

import secrets
from uuid import uuid4

from msgspec import structs

from allotment.engine import token_text
from allotment.engine.access import ANYWHERE, Rights, Want
from allotment.errors import AlreadyExists, NotFound
from allotment.model.access import PREFIX, ActorKind, Role
from allotment.model.grants import (
    CreateToken,
    GetToken,
    Identity,
    ListTokens,
    NewToken,
    RevokeToken,
    Token,
    WhoAmI,
)
from allotment.model.results import Page
from allotment.model.secret import Secret
from allotment.operations.aims import Aim, aims_at, at_project, project
from allotment.operations.granting import told_grant
from allotment.operations.registry import answers, handles
from allotment.store import directory, grants, pages, settings
from allotment.store.grants import AnyRow, Managed
from allotment.store.session import Read, Write


@aims_at(CreateToken)
def _new(r: Read, rights: Rights, request: CreateToken) -> Aim[CreateToken]:
    if request.project is None:
        return Aim(request, [Want(Role.ADMIN, None)])
    owner = project(r, request.project)
    return Aim(structs.replace(request, project=str(owner)), [at_project(Role.ADMIN, owner)])


@aims_at(RevokeToken, GetToken, ListTokens)
def _known(
    r: Read, rights: Rights, request: RevokeToken | GetToken | ListTokens
) -> Aim[RevokeToken | GetToken | ListTokens]:
    """Which tokens these are about is bounded by `_manageable`; one's own is among them."""
    return Aim(request, [Want(None, None)])


@aims_at(WhoAmI)
def _self(r: Read, rights: Rights, request: WhoAmI) -> Aim[WhoAmI]:
    return Aim(request, [Want(None, None)])


def _managed(rights: Rights) -> Managed | None:
    """Which tokens are the actor's to see and end; None: all of them."""
    if rights.has(Role.ADMIN, ANYWHERE):
        return None
    own = rights.placed(Role.ADMIN)
    return Managed(
        rights.actor.name,
        rights.actor.name.removeprefix(PREFIX[ActorKind.TOKEN]),
        frozenset(one for one in own if rights.has(Role.ADMIN, frozenset({one}))),
    )


def _meant(r: Read, rights: Rights, reference: str) -> AnyRow:
    row = grants.token_meant(r, reference, _managed(rights))
    if row is None:
        raise NotFound("token", reference, "'allotment token list' shows what there is")
    return row


@handles(CreateToken, with_rights=True)
def create_token(tx: Write, command: CreateToken, rights: Rights) -> NewToken:
    """Make a token; its secret is known to the answer only."""
    made = token_text.make(secrets.token_bytes(64))
    pepper_id, pepper = settings.newest_pepper(tx)
    if grants.token_by(tx, "name", command.name) is not None:
        raise AlreadyExists("token", command.name)
    values = {
        "id": uuid4(),
        "name": command.name,
        "key_id": made.key_id,
        "pepper": pepper_id,
        "digest": token_text.digest(pepper, made.secret),
        "project_id": directory.find_project_id(tx, command.project),
        "description": command.description,
        "created_by": rights.actor.name,
        "created_at": tx.now,
        "expires_at": tx.now + command.lifetime_seconds * 1000,
    }
    grants.enter_token(tx, values, command.sources)
    row = grants.token_by(tx, "id", values["id"])
    assert row is not None, "what was entered is there"
    return NewToken(token=grants.told(row), secret=Secret(made.text))


@handles(RevokeToken, with_rights=True)
def revoke_token(tx: Write, command: RevokeToken, rights: Rights) -> Token:
    """End a token at once, in every process."""
    row = _meant(tx, rights, command.token)
    grants.revoke_token(tx, row.id)
    grants.begin_epoch(tx)
    again = grants.token_by(tx, "id", row.id)
    assert again is not None, "a token is never deleted"
    return grants.told(again)


@answers(GetToken, with_rights=True)
def get_token(r: Read, query: GetToken, rights: Rights) -> Token:
    """One token."""
    return grants.told(_meant(r, rights, query.token))


@answers(ListTokens, with_rights=True)
def list_tokens(r: Read, query: ListTokens, rights: Rights) -> Page[Token]:
    """Tokens by name."""
    after = pages.read_cursor(query.cursor, [str])[0] if query.cursor is not None else ""
    rows = grants.tokens(r, _managed(rights), after, query.limit, live=query.live)
    return pages.paged(rows, query.limit, lambda row: (row.name,), grants.told)


@answers(WhoAmI, with_rights=True)
def who_am_i(r: Read, query: WhoAmI, rights: Rights) -> Identity:
    """The actor, its token, and the grants that are its own or its groups'."""
    actor = rights.actor
    token = None
    if actor.kind is ActorKind.TOKEN:
        token = grants.token_by(r, "name", actor.name.removeprefix(PREFIX[actor.kind]))
    held = grants.held_by(r, [actor.name, *actor.groups])
    return Identity(
        actor=actor.name,
        kind=actor.kind,
        groups=actor.groups,
        token=grants.told(token) if token is not None else None,
        grants=tuple(told_grant(r, row) for row in held),
    )
