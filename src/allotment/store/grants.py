"""Tokens, grants and the epoch of the access rules, as rows.

Invariant: whatever changes who may do what counts the epoch up in the same transaction, so that
nobody goes on with what was read before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update

from allotment.model.grants import Token
from allotment.model.prefix import Prefix
from allotment.store import access_schema, schema
from allotment.store.directory import read_id
from allotment.store.session import Read, Write

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


def token_meant(r: Read, reference: str) -> AnyRow | None:
    """The token with this id, name or key id."""
    wanted = read_id(reference)
    where = T.c.id == wanted if wanted else or_(T.c.name == reference, T.c.key_id == reference)
    rows = r.run(_TOKENS.where(where).order_by(T.c.name == reference)).all()
    return rows[-1] if rows else None


def tokens(r: Read, where: Sequence[ColumnElement[bool]], limit: int) -> list[AnyRow]:
    """Tokens that meet the conditions, by name, one more than the limit."""
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
    """Enter when tokens were used last."""
    for token_id, at in sorted(used):
        tx.run(update(T).where(T.c.id == token_id).values(last_used_at=at))


def enter_grant(tx: Write, values: dict[str, object]) -> None:
    """Insert a grant."""
    tx.run(insert(G), values)


def grant(r: Read, grant_id: UUID) -> AnyRow | None:
    """One grant."""
    return r.run(select(G).where(G.c.id == grant_id)).one_or_none()


def grants(r: Read, where: Sequence[ColumnElement[bool]], limit: int | None = None) -> list[AnyRow]:
    """Grants that meet the conditions, by actor and id, one more than the limit."""
    query = select(G).where(*where).order_by(G.c.actor, G.c.id)
    return list(r.run(query.limit(limit + 1) if limit is not None else query).all())


def remove_grant(tx: Write, grant_id: UUID) -> int:
    """Delete a grant; how many there were."""
    return tx.run(delete(G).where(G.c.id == grant_id)).rowcount
