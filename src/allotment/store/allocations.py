"""Held addresses: reading, locking and changing them.

Invariant: an allocation that ends is in the history when it is deleted, but where its scope ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from allotment.model.address import Address
from allotment.model.extent import Extent
from allotment.model.mac import Mac
from allotment.model.results import Allocation, Page, Status
from allotment.store import pages, schema
from allotment.store.columns import AddressValue, Aside, Id
from allotment.store.session import Read, Write

A, N, J, T = schema.allocation, schema.subnet, schema.project, schema.allocation_tag

FULL = (
    select(A, N.c.family, J.c.name.label("project"))
    .join(N, N.c.id == A.c.subnet_id)
    .outerjoin(J, J.c.id == A.c.project_id)
)
_ONE = FULL.where(
    A.c.subnet_id == bindparam("subnet_id", type_=Id),
    A.c.address == bindparam("address", type_=AddressValue),
)
_IDENTIFIED = FULL.where(
    A.c.identifier.in_(bindparam("identifiers", expanding=True)),
    A.c.subnet_id.in_(bindparam("subnets", type_=Id, expanding=True)),
)


class Filter(NamedTuple):
    """Which allocations are meant; every part that is given must hold."""

    subnet_ids: Sequence[UUID] | Select[Any] | None = None  # Any: rows of one column
    scope_id: UUID | None = None
    project_id: UUID | None = None
    identifier: str | None = None
    hostname: str | None = None
    mac: str | None = None
    tag: str | None = None
    status: str | None = None
    family: int | None = None
    run: Extent | None = None


def made(row: Row[Any]) -> Allocation:  # Any: columns are typed by the schema
    """The answer a row stands for."""
    return Allocation(
        id=row.id,
        subnet_id=row.subnet_id,
        address=Address.of(row.family, row.address),
        status=Status(row.status),
        project_id=row.project_id,
        project=row.project,
        identifier=row.identifier,
        hostname=row.hostname,
        mac=Mac(row.mac) if row.mac else None,
        description=row.description or "",
        tags=row.tags,
        created_at=row.created_at,
    )


def find(r: Read, subnet_id: UUID, address: int) -> Allocation | None:
    """The allocation that holds an address."""
    query = _ONE.where(*r.sight.allocations())
    row = r.run(query, {"subnet_id": subnet_id, "address": address}).one_or_none()
    return None if row is None else made(row)


def identified(
    r: Read, subnets: Sequence[UUID], identifiers: Sequence[str]
) -> dict[tuple[UUID, str], Allocation]:
    """The allocations in some subnets that carry some identifiers."""
    params = {"subnets": list(subnets), "identifiers": list(identifiers)}
    found = (made(row) for row in r.run(_IDENTIFIED, params))
    return {(one.subnet_id, one.identifier or ""): one for one in found}


def lock(tx: Write, wanted: Filter, limit: int) -> list[tuple[int, UUID | None]]:
    """(address, project) of the allocations of one subnet that are meant, kept as they are.

    What another transaction deletes or changes meanwhile is waited for, and is not among them.
    """
    query = (
        select(A.c.address, A.c.project_id)
        .where(*_conditions(wanted))
        .order_by(A.c.address)
        .limit(limit)
        .with_for_update(of=A)
    )
    if wanted.scope_id is not None or wanted.family is not None:
        query = query.join(N, N.c.id == A.c.subnet_id)
    return [(row.address, row.project_id) for row in tx.run(query)]


class Holder(NamedTuple):
    """Which allocation holds an address, and whose it is."""

    id: UUID
    project_id: UUID | None


_LOCKED_ONE = (
    select(A.c.id, A.c.project_id)
    .where(
        A.c.subnet_id == bindparam("subnet_id", type_=Id),
        A.c.address == bindparam("address", type_=AddressValue),
    )
    .with_for_update()
)


def lock_one(tx: Write, subnet_id: UUID, address: int) -> Holder | None:
    """What holds an address, kept as it is until the end."""
    params = {"subnet_id": subnet_id, "address": address}
    row = tx.run(_LOCKED_ONE, params).one_or_none()
    return None if row is None else Holder._make(row)


def delete_all(tx: Write, subnet_id: UUID) -> None:
    """Delete every allocation of a subnet; what was to be kept of them, is."""
    tx.run(delete(A).where(A.c.subnet_id == subnet_id))


def change(tx: Write, subnet_id: UUID, address: int, changes: dict[str, object]) -> None:
    """Update the attributes of a held address; tags are replaced as a set."""
    here = and_(A.c.subnet_id == subnet_id, A.c.address == address)
    if changes:
        tx.run(update(A).where(here).values(**changes))
    if "tags" in changes:
        tx.run(delete(T).where(T.c.subnet_id == subnet_id, T.c.address == address))
        tags = changes["tags"]
        assert isinstance(tags, tuple)
        if tags:
            rows = [{"tag": tag, "subnet_id": subnet_id, "address": address} for tag in tags]
            tx.run(insert(T), rows)


def enter_tags_anew(tx: Write, subnet_id: UUID) -> None:
    """Make the tags that a subnet's allocations are found by the ones they have."""
    tx.run(delete(T).where(T.c.subnet_id == subnet_id))
    query = select(A.c.address, A.c.tags).where(A.c.subnet_id == subnet_id, A.c.tags.is_not(None))
    rows = [
        {"tag": tag, "subnet_id": subnet_id, "address": address}
        for address, tags in map(tuple, tx.run(query))
        for tag in tags
    ]
    if rows:
        tx.run(insert(T), rows)


def count(r: Read, subnet_ids: Sequence[UUID]) -> int:
    """How many addresses are held in some subnets."""
    query = select(func.count()).select_from(A).where(A.c.subnet_id.in_(subnet_ids))
    return int(r.run(query).scalar_one())


def count_within(r: Read, subnet_id: UUID, run: Extent) -> int:
    """How many addresses of a run are held."""
    query = (
        select(func.count())
        .select_from(A)
        .where(A.c.subnet_id == subnet_id, A.c.address.between(run.first, run.last))
    )
    return int(r.run(query).scalar_one())


def addresses_within(r: Read, subnet_id: UUID, run: Extent, limit: int | None = None) -> list[int]:
    """The held addresses of a run, in order."""
    query = (
        select(A.c.address)
        .where(A.c.subnet_id == subnet_id, A.c.address.between(run.first, run.last))
        .order_by(A.c.address)
    )
    return list(r.run(query.limit(limit) if limit is not None else query).scalars())


def owners(r: Read, subnet_id: UUID) -> dict[UUID, int]:
    """How many addresses of a subnet each project holds."""
    query = (
        select(A.c.project_id, func.count())
        .where(A.c.subnet_id == subnet_id, A.c.project_id.is_not(None))
        .group_by(A.c.project_id)
    )
    rows: list[Any] = list(r.run(query))  # Any: rows of two columns
    return dict(rows)


def subnets_of_project(r: Read, project_id: UUID) -> list[UUID]:
    """The subnets in which a project holds addresses."""
    query = select(A.c.subnet_id).where(A.c.project_id == project_id).distinct()
    return sorted(r.run(query).scalars())


def listed(r: Read, wanted: Filter, after: tuple[UUID, int] | None, limit: int) -> Page[Allocation]:
    """A page of the allocations meant, by subnet and address."""
    where = _place(wanted)
    query = FULL.where(*_conditions(wanted, where.subnet), *r.sight.allocations())
    if wanted.tag is not None:
        tagged = and_(T.c.subnet_id == A.c.subnet_id, T.c.address == A.c.address)
        query = query.join(T, tagged).where(T.c.tag == wanted.tag)
    rows: list[Row[Any]] = []  # Any: columns are typed by the schema
    for part in [query] if after is None else _beyond(query, wanted, where, after):
        part = part.order_by(where.subnet, where.address).limit(limit + 1 - len(rows))
        rows += r.run(part).all()
        if len(rows) > limit:
            break
    return pages.paged(rows, limit, lambda row: (str(row.subnet_id), row.address), made)


class _Place(NamedTuple):
    """Subnet and address, of the table whose index has what is meant in this order."""

    subnet: Column[UUID]
    address: Column[int]


def _place(wanted: Filter) -> _Place:
    if wanted.tag is not None:
        return _Place(T.c.subnet_id, T.c.address)
    return _Place(A.c.subnet_id if wanted.scope_id is None else N.c.id, A.c.address)


def _beyond(
    query: Select[Any], wanted: Filter, where: _Place, after: tuple[UUID, int]
) -> list[Select[Any]]:  # Any: columns are typed by the schema
    """What comes after a place in the listing, as parts that follow one another.

    Each begins where an index has it: in one subnet after an address, in a scope the rest of one
    subnet and then the others; a comparison of pairs would begin with the first row.
    """
    subnet = bindparam("after_subnet", after[0], type_=Id)
    address = bindparam("after_address", after[1], type_=AddressValue)
    rest = query.where(where.address > address)
    if isinstance(wanted.subnet_ids, Sequence) and list(wanted.subnet_ids) == [after[0]]:
        return [rest]
    if where.subnet is N.c.id:
        others = query.where(N.c.id > subnet, A.c.subnet_id > subnet)
        return [rest.where(A.c.subnet_id == subnet), others]
    return [query.where(tuple_(*where) > tuple_(subnet, address))]


def _conditions(
    wanted: Filter, subnet: ColumnElement[Any] = A.c.subnet_id
) -> list[ColumnElement[bool]]:  # Any: an id
    found: list[ColumnElement[bool]] = []
    if wanted.hostname is not None:  # a range of its own index, and nothing else is one
        found.append(begins(A.c.hostname, wanted.hostname.lower()))
        subnet = Aside(subnet)
    if wanted.subnet_ids is not None:
        found.append(subnet.in_(wanted.subnet_ids))
    for column, value in (
        (N.c.scope_id, wanted.scope_id),
        (A.c.project_id, wanted.project_id),
        (A.c.identifier, wanted.identifier),
        (A.c.mac, wanted.mac),
        (N.c.family, wanted.family),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.status is not None:
        found.append(_has_status(wanted.status))
    if wanted.run is not None:
        found.append(A.c.address.between(wanted.run.first, wanted.run.last))
    return found


def _has_status(status: str) -> ColumnElement[bool]:
    """In words, not as a parameter: a plan that is made for every status uses the index of none."""
    return A.c.status == literal(str(status), literal_execute=True)


def begins(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:  # Any: a text column
    """That a text begins so: a range in byte order, which an index serves."""
    return and_(column >= text, column < text + "\U0010ffff")
