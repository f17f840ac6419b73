"""Tokens, grants and the epoch of the access rules, as rows.

Invariant: whatever changes who may do what counts the epoch up in the same transaction, so that
nobody goes on with what was read before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, update

from allotment.model.grants import Token
from allotment.model.prefix import Prefix
from allotment.store import access_schema, schema
from allotment.store.directory import beyond, read_id
from allotment.store.session import Read, Write
from allotment.store.sight import Sight

T, G, E, J = (
    access_schema.token,
    access_schema.access_grant,
    access_schema.access_epoch,
    schema.project,
)

_EPOCH = select(E.c.value)
_TOKENS = select(T, J.c.name.label("project")).outerjoin(J, J.c.id == T.c.project_id)

AnyRow = Row[Any]  # Any: a row's columns are typed by the schema, not by Python


def epoch(r: Read) -> int:
    """Which access rules these are; another number, other rules."""
    return int(r.run(_EPOCH).scalar_one())


def begin_epoch(tx: Write) -> None:
    """Make what was read of the access rules void."""
    tx.new_rules = True
    tx.run(update(E).values(value=E.c.value + 1))


def facts(r: Read, actors: Sequence[str]) -> list[AnyRow]:
    """(target_id, role, deny, expires_at) of every grant of some names."""
    query = select(G.c.target_id, G.c.role, G.c.deny, G.c.expires_at)
    return list(r.run(query.where(G.c.actor.in_(actors))).all())


def token_by(r: Read, column: str, value: object) -> AnyRow | None:
    """The token with this `key_id`, `name` or `id`."""
    return r.run(_TOKENS.where(T.c[column] == value)).one_or_none()


class Managed(NamedTuple):
    """Whose tokens are meant: made by an actor, of that name itself, or of some projects."""

    maker: str
    name: str
    project_ids: frozenset[UUID]

    def conditions(self) -> list[ColumnElement[bool]]:
        """Of rows of `token`."""
        of_project = T.c.project_id.in_(sorted(self.project_ids))
        return [or_(T.c.created_by == self.maker, T.c.name == self.name, of_project)]


def token_meant(r: Read, reference: str, managed: Managed | None) -> AnyRow | None:
    """The token with this id, name or key id, if it is among those managed (None: all)."""
    wanted = read_id(reference)
    where = T.c.id == wanted if wanted else or_(T.c.name == reference, T.c.key_id == reference)
    query = _TOKENS.where(where, *(managed.conditions() if managed is not None else []))
    rows = r.run(query.order_by(T.c.name == reference)).all()
    return rows[-1] if rows else None


def tokens(r: Read, managed: Managed | None, after: str, limit: int, *, live: bool) -> list[AnyRow]:
    """The tokens managed (None: all), by name, from after a name, one more than the limit."""
    where = [*(managed.conditions() if managed is not None else []), T.c.name > after]
    if live:
        where += [T.c.revoked_at.is_(None), T.c.expires_at > r.now]
    return list(r.run(_TOKENS.where(*where).order_by(T.c.name).limit(limit + 1)).all())


def enter_token(tx: Write, values: dict[str, object], sources: Sequence[Prefix]) -> None:
    """Insert a token."""
    told = json.dumps([str(prefix) for prefix in sources]) if sources else None
    tx.run(insert(T), {**values, "sources": told})


def sources_of(row: AnyRow) -> tuple[Prefix, ...]:
    """The prefixes that a token may be used from."""
    return tuple(Prefix(text) for text in json.loads(row.sources)) if row.sources else ()


def told(row: AnyRow) -> Token:
    """A token as it is answered."""
    return Token(
        id=row.id,
        name=row.name,
        actor=f"token:{row.name}",
        key_id=row.key_id,
        project_id=row.project_id,
        project=row.project,
        sources=sources_of(row),
        description=row.description,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def revoke_token(tx: Write, token_id: UUID) -> None:
    """End a token."""
    tx.run(update(T).where(T.c.id == token_id, T.c.revoked_at.is_(None)).values(revoked_at=tx.now))


def disown_tokens(tx: Write, project_id: UUID) -> None:
    """Let the revoked tokens of a project belong to none."""
    tx.run(update(T).where(T.c.project_id == project_id).values(project_id=None))


def note_use(tx: Write, used: Sequence[tuple[UUID, int]]) -> None:
    """Enter when tokens were used last; a later use that another desk has entered stands."""
    for token_id, at in sorted(used):
        earlier = or_(T.c.last_used_at.is_(None), T.c.last_used_at < at)
        tx.run(update(T).where(T.c.id == token_id, earlier).values(last_used_at=at))


def enter_grant(tx: Write, values: dict[str, object]) -> None:
    """Insert a grant."""
    tx.run(insert(G), values)


def grant(r: Read, grant_id: UUID) -> AnyRow | None:
    """One grant."""
    return r.run(select(G).where(G.c.id == grant_id)).one_or_none()


def same_grants(r: Read, actor: str, target_id: UUID, role: str, *, deny: bool) -> list[AnyRow]:
    """The grant of a role to an actor on something, if there is one."""
    where = (G.c.actor == actor, G.c.target_id == target_id, G.c.role == role, G.c.deny == deny)
    return list(r.run(select(G).where(*where)).all())


def held_by(r: Read, actors: Sequence[str]) -> list[AnyRow]:
    """The grants of some names."""
    return list(r.run(select(G).where(G.c.actor.in_(actors)).order_by(G.c.actor, G.c.id)).all())


class Wanted(NamedTuple):
    """Which grants are meant; every part that is given must hold.

    `managed` bounds them to grants on what is seen with it; to whoever sees with it everything but
    some exceptions, denials and grants on the installation are theirs too.
    """

    actor: str | None = None
    target: str | None = None
    target_id: UUID | None = None
    managed: Sight | None = None


def listed(r: Read, wanted: Wanted, after: tuple[str, UUID] | None, limit: int) -> list[AnyRow]:
    """The grants meant, by actor and id, one more than the limit."""
    where: list[ColumnElement[bool]] = []
    if wanted.managed is not None:
        allowed = and_(G.c.deny.is_(False), *wanted.managed.places(G.c.target_id))
        everywhere = or_(allowed, G.c.deny, G.c.target_id == UUID(int=0))
        where.append(everywhere if wanted.managed.whole else allowed)
    for column, value in (
        (G.c.actor, wanted.actor),
        (G.c.target, wanted.target),
        (G.c.target_id, wanted.target_id),
    ):
        if value is not None:
            where.append(column == value)
    if after is not None:
        where.append(beyond([G.c.actor, G.c.id], after))
    query = select(G).where(*where).order_by(G.c.actor, G.c.id)
    return list(r.run(query.limit(limit + 1)).all())


def remove_grant(tx: Write, grant_id: UUID) -> int:
    """Delete a grant; how many there were."""
    return tx.run(delete(G).where(G.c.id == grant_id)).rowcount
