"""Projects, address scopes, subnet pools and subnets as rows: finding, listing, entering.

Invariant: a reference is an id, a name or a CIDR, and finds one thing or says why not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Table,
    and_,
    delete,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from allotment.errors import Ambiguous, InvalidValue, NotFound, VersionMismatch
from allotment.model.prefix import Prefix, parse_prefix
from allotment.store import access_schema, schema
from allotment.store.columns import Among, tagged
from allotment.store.session import Read, Write

S, P, N, X = schema.address_scope, schema.subnet_pool, schema.subnet, schema.prefix
G = access_schema.access_grant

AnyRow = Row[Any]  # Any: a row's columns are typed by the schema, not by Python


class Kind(NamedTuple):
    """What a table is called, for messages."""

    table: Table
    noun: str


PROJECT = Kind(schema.project, "project")
SCOPE = Kind(schema.address_scope, "address scope")
POOL = Kind(schema.subnet_pool, "subnet pool")
SUBNET = Kind(schema.subnet, "subnet")


@lru_cache(maxsize=4096)
def read_id(reference: str) -> UUID | None:
    """The id a reference is, if it is one."""
    if len(reference) != 36:
        return None
    try:
        return UUID(reference)
    except ValueError:
        return None


def read_cidr(reference: str) -> Prefix | None:
    """The prefix a reference is, if it is one."""
    if "/" not in reference:
        return None
    try:
        return parse_prefix(reference)
    except InvalidValue:
        return None


def find_named(r: Read, kind: Kind, reference: str) -> AnyRow:
    """A project or address scope, by id or name."""
    table = kind.table
    wanted = read_id(reference)
    where = table.c.id == wanted if wanted else table.c.name == reference
    row = r.run(full(kind).where(where, *_seen(r, kind))).one_or_none()
    if row is None:
        raise NotFound(kind.noun, reference, f"'allotment {_word(kind)} list' shows what there is")
    return row


def _word(kind: Kind) -> str:
    return {"address scope": "scope", "subnet pool": "pool"}.get(kind.noun, kind.noun)


def _seen(r: Read, kind: Kind) -> list[ColumnElement[bool]]:
    """That a row of the kind is seen."""
    seers = {
        PROJECT: r.sight.projects,
        SCOPE: r.sight.scopes,
        POOL: r.sight.pools,
        SUBNET: r.sight.subnets,
    }
    return seers[kind]()


def find_scope(r: Read, reference: str | None) -> AnyRow:
    """The scope named, or the only one there is; something inside may be all of it that is seen."""
    query = full(SCOPE).where(*r.sight.named_scopes())
    if reference is not None:
        wanted = read_id(reference)
        query = query.where(S.c.id == wanted if wanted else S.c.name == reference)
    rows = r.run(query.order_by(S.c.name).limit(10)).all()
    if not rows and reference is not None:
        raise NotFound(SCOPE.noun, reference, "'allotment scope list' shows what there is")
    if not rows:
        raise NotFound("address scope", "(any)", "create one: allotment scope create NAME")
    if len(rows) > 1:
        raise Ambiguous("the book", "(no scope named)", tuple(row.name for row in rows))
    return rows[0]


def named_scopes(r: Read, limit: int) -> Sequence[AnyRow]:
    """The scopes with something in them that is seen, by name."""
    query = full(SCOPE).where(*r.sight.named_scopes()).order_by(S.c.name)
    return r.run(query.limit(limit)).all()


def scope_ids(r: Read) -> Sequence[UUID]:
    """Every scope there is, seen or not: where to look for what is seen by other means."""
    return r.run(select(S.c.id).order_by(S.c.id)).scalars().all()


def seen_among(r: Read, holders: Sequence[UUID]) -> frozenset[UUID]:
    """Which holders of prefixes are seen."""
    if r.sight.everything or not holders:
        return frozenset(holders)
    query = select(X.c.holder_id).where(X.c.holder_id.in_(holders), *r.sight.holders())
    return frozenset(r.run(query).scalars())


def find_inside(r: Read, kind: Kind, reference: str, scope: str | None) -> AnyRow:
    """A subnet pool or subnet, by id, name or CIDR; `scope` decides between several."""
    wanted = read_id(reference)
    within = find_scope(r, scope).id if scope is not None else None
    query = full(kind).where(*_seen(r, kind))
    if wanted is not None:
        query = query.where(kind.table.c.id == wanted)
    else:
        query = query.where(_named_or_placed(kind, reference))
    if within is not None:
        query = query.where(kind.table.c.scope_id == within)
    rows = r.run(query.limit(10)).all()
    if not rows:
        raise NotFound(kind.noun, reference, f"'allotment {_word(kind)} list' shows what there is")
    if len(rows) > 1:
        raise Ambiguous(kind.noun, reference, tuple(sorted(row.scope for row in rows)))
    return rows[0]


def _named_or_placed(kind: Kind, reference: str) -> ColumnElement[bool]:
    cidr = read_cidr(reference)
    if cidr is None:
        found: ColumnElement[bool] = kind.table.c.name == reference
        return found
    if kind is SUBNET:
        return and_(N.c.family == cidr.family, N.c.first == cidr.first, N.c.length == cidr.length)
    return P.c.id.in_(
        select(X.c.holder_id).where(
            X.c.kind == "pool",
            X.c.family == cidr.family,
            X.c.first == cidr.first,
            X.c.length == cidr.length,
        )
    )


def full(kind: Kind) -> Select[Any]:  # Any: see AnyRow
    """The rows of a kind with the names of their scope and project."""
    table = kind.table
    if kind is PROJECT:
        return select(table)
    project = schema.project.c.name.label("project")
    owner = schema.project.c.id == table.c.project_id
    if kind is SCOPE:
        return select(table, project).outerjoin(schema.project, owner)
    return (
        select(table, S.c.name.label("scope"), project)
        .join(S, S.c.id == table.c.scope_id)
        .outerjoin(schema.project, owner)
    )


def project_of(r: Read, kind: Kind, row_id: UUID) -> UUID | None:
    """The project that something belongs to."""
    query = select(kind.table.c.project_id).where(kind.table.c.id == row_id)
    found: UUID | None = r.run(query).scalar()
    return found


def shown_name(r: Read, kind: Kind, row_id: UUID) -> str | None:
    """What people call something: its name, or a subnet's prefix."""
    row = r.run(select(kind.table).where(kind.table.c.id == row_id)).one_or_none()
    if row is None:
        return None
    return row.name or str(Prefix.of(row.family, row.first, row.length))


def find_project_id(r: Read, reference: str | None) -> UUID | None:
    """The id of the project named, None when none is."""
    if reference is None:
        return None
    found: UUID = find_named(r, PROJECT, reference).id
    return found


def lock(tx: Write, kind: Kind, row_id: UUID, *, exclusive: bool, queued: bool = True) -> None:
    """Keep a row from being deleted; `exclusive` keeps everybody else from locking it too.

    `queued` makes it first come, first served; not for thousands of rows in one transaction.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    table = kind.table
    if queued:
        tx.dialect.queue(tx, row_id, exclusive=exclusive)
    query = select(table.c.id).where(table.c.id == row_id)
    query = (
        query.with_for_update() if exclusive else query.with_for_update(read=True, key_share=True)
    )
    if tx.run(query).one_or_none() is None:
        raise NotFound(kind.noun, row_id, "it was deleted meanwhile")


def lock_to_give_back(tx: Write, pool_id: UUID) -> None:
    """Let one transaction at a time give prefixes back to a subnet pool; takers go on."""
    tx.run(select(P.c.id).where(P.c.id == pool_id).with_for_update(key_share=True))


def lock_to_identify(tx: Write, subnet_ids: Sequence[UUID]) -> None:
    """Let one transaction at a time decide, in these subnets, which of them an identifier is in."""
    query = select(N.c.id).where(N.c.id.in_(subnet_ids)).order_by(N.c.id)
    tx.run(query.with_for_update(key_share=True)).all()


def enter(tx: Write, kind: Kind, values: dict[str, object]) -> None:
    """Insert a row."""
    tx.run(insert(kind.table), values)


def change(
    tx: Write, kind: Kind, row: AnyRow, changes: dict[str, object], version: int | None
) -> None:
    """Update a row and count its version up.

    Raises:
        VersionMismatch: the caller read another version than there is.
    """
    if version is not None and version != row.version:
        raise VersionMismatch(f"{kind.noun} {row.name or row.id}", version, row.version)
    table = kind.table
    tx.run(update(table).where(table.c.id == row.id).values(**changes, version=table.c.version + 1))


def remove(tx: Write, kind: Kind, ids: Sequence[UUID]) -> int:
    """Delete rows by id, and the grants on them; how many there were."""
    tx.run(delete(G).where(G.c.target_id.in_(ids)))
    return tx.run(delete(kind.table).where(kind.table.c.id.in_(ids))).rowcount


def listed(
    r: Read, kind: Kind, where: Sequence[ColumnElement[bool]], order: Sequence[Any], limit: int
) -> Sequence[AnyRow]:
    """Rows that are seen and meet the conditions, in order, one more than the limit."""
    query = full(kind).where(*where, *_seen(r, kind))
    return r.run(query.order_by(*order).limit(limit + 1)).all()


def beyond(order: Sequence[ColumnElement[Any]], key: Sequence[object]) -> ColumnElement[bool]:
    """That a row comes after a key, in the order of some columns: one comparison of rows, which an
    index in that order begins at.
    """
    values = (literal(value, column.type) for column, value in zip(order, key, strict=True))
    return tuple_(*order) > tuple_(*values)


def names_of(r: Read, holders: Iterable[Any]) -> dict[UUID, str | None]:
    """The names of the pools and subnets that hold prefixes."""
    names: dict[UUID, str | None] = {}
    wanted = sorted({one.holder_id for one in holders})
    for table in (P, N):
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            rows = r.run(select(table.c.id, table.c.name).where(Among(table.c.id, some)))
            names.update({row.id: row.name for row in rows})
    return names


def matching(
    r: Read, text: str, scope_ids: Sequence[UUID], limit: int
) -> list[tuple[str, AnyRow, str]]:
    """Scopes, pools and subnets whose name begins with a text, or that carry the tag or prefix.

    Each as (kind, row, what matched).
    """
    hits: list[tuple[str, AnyRow, str]] = []
    for kind, noun in ((SCOPE, "scope"), (POOL, "pool"), (SUBNET, "subnet")):
        name = kind.table.c.name
        within = (kind.table.c.id if kind is SCOPE else kind.table.c.scope_id).in_(scope_ids)
        named = and_(name >= text, name < text + "\U0010ffff")
        rows = listed(r, kind, [within, named], [name, kind.table.c.id], limit)
        hits += [(noun, row, "name") for row in rows]
        if kind is not SCOPE:
            known = {row.id for row in rows}
            other = tagged(kind.table.c.tags, text)
            if read_cidr(text) is not None:
                other = _named_or_placed(kind, text)
            matched = "prefix" if read_cidr(text) is not None else "tag"
            more = listed(r, kind, [within, other], [kind.table.c.id], limit)
            hits += [(noun, row, matched) for row in more if row.id not in known]
    return hits[:limit]
