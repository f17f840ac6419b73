"""Free space as extents, by every way of choosing one.

Invariant: an extent is locked before it is read for taking; what leaves an extent comes back as
the pieces around it in the same transaction, so free + held never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Integer,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from allotment.model.extent import Extent
from allotment.store import schema
from allotment.store.columns import AddressValue, Among, Id
from allotment.store.session import Read, Write
from allotment.store.sizes import SumOfSizes

E = schema.free_extent

_container = bindparam("container", type_=Id)
_address = bindparam("address", type_=AddressValue)
_now: BindParameter[int] = bindparam("now", type_=BigInteger)
_length = bindparam("length", type_=Integer)


class FreeExtent(NamedTuple):
    """One row: free addresses `first`..`last`, eligible from `available_at` (UTC ms)."""

    first: int
    last: int
    available_at: int
    fits: int | None

    @property
    def extent(self) -> Extent:
        """Its addresses."""
        return Extent(self.first, self.last)


_Query = Select[tuple[int, int, int, int | None]]


def _columns() -> _Query:
    return select(E.c.first, E.c.last, E.c.available_at, E.c.fits).where(
        E.c.container_id == _container
    )


def _both(query: _Query) -> tuple[_Query, _Query]:
    """The same choice skipping locked rows, and waiting for them."""
    return query.with_for_update(skip_locked=True), query.with_for_update()


_AT_OR_AFTER = _both(_columns().where(E.c.last >= _address).order_by(E.c.last).limit(1))
_ELIGIBLE_AFTER = _both(
    _columns().where(E.c.last >= _address, E.c.available_at <= _now).order_by(E.c.last).limit(1)
)
_OLDEST = _both(
    _columns().where(E.c.available_at <= _now).order_by(E.c.available_at, E.c.last).limit(1)
)

# Which lengths there are, so that each is one look at the index (container, fits, last).
_lengths = select(literal(0, Integer).label("n")).cte("lengths", recursive=True)
_lengths = _lengths.union_all(select(_lengths.c.n + 1).where(_lengths.c.n < _length))
_lowest_of_length = (
    select(E.c.last)
    .where(E.c.container_id == _container, E.c.fits == _lengths.c.n)
    .order_by(E.c.last)
    .limit(1)
    .scalar_subquery()
)
_candidates = select(_lowest_of_length.label("last")).select_from(_lengths).subquery()
_lowest_of_all = (
    select(_candidates.c.last)
    .where(_candidates.c.last.is_not(None))
    .order_by(_candidates.c.last)
    .limit(1)
    .scalar_subquery()
)
_LOWEST_FIT = _both(_columns().where(E.c.last == _lowest_of_all))
_fitting = (E.c.container_id == _container, E.c.fits <= _length)
_BEST_FIT = _both(
    _columns()
    .where(E.c.fits == select(func.max(E.c.fits)).where(*_fitting).scalar_subquery())
    .order_by(E.c.last)
    .limit(1)
)
_LARGEST = _both(_columns().where(E.c.fits <= _length).order_by(E.c.fits, E.c.last).limit(1))
_ANY_FIT = _both(_columns().where(E.c.fits <= _length).order_by(E.c.last).limit(1))
_FIT_EXISTS = select(E.c.last).where(*_fitting).limit(1)


# Any: SQLAlchemy's parameters.
def _one(tx: Write, both: tuple[_Query, _Query], **params: Any) -> FreeExtent | None:
    row = tx.run(both[1 if tx.patient else 0], params).first()
    return None if row is None else FreeExtent._make(row)


def holding(tx: Write, container: UUID, address: int) -> FreeExtent | None:
    """The extent that holds the address, locked; None when there is none, or it is locked."""
    found = _one(tx, _AT_OR_AFTER, container=container, address=address)
    return found if found is not None and found.first <= address else None


def eligible_from(tx: Write, container: UUID, pivot: int) -> FreeExtent | None:
    """The first eligible extent that ends at or after an address, locked."""
    return _one(tx, _ELIGIBLE_AFTER, container=container, address=pivot, now=tx.now)


def oldest(tx: Write, container: UUID) -> FreeExtent | None:
    """The eligible extent that has been free longest, locked."""
    return _one(tx, _OLDEST, container=container, now=tx.now)


def fitting(tx: Write, container: UUID, length: int, placement: str) -> FreeExtent | None:
    """An extent of a subnet pool with room for a prefix, by placement, locked.

    `lowest`: the lowest; `best-fit`: whose largest block is smallest; `sparse`: whose is largest.
    When the one chosen is locked by another, any other that fits, unless patient.
    """
    chosen = {"lowest": _LOWEST_FIT, "best-fit": _BEST_FIT, "sparse": _LARGEST}[placement]
    found = _one(tx, chosen, container=container, length=length)
    if found is None and not tx.patient:
        found = _one(tx, _ANY_FIT, container=container, length=length)
    return found


def fit_exists(r: Read, container: UUID, length: int) -> bool:
    """Whether a committed snapshot has room for a prefix of this length."""
    return r.run(_FIT_EXISTS, {"container": container, "length": length}).first() is not None


_INSERT = insert(E)


def insert_all(
    tx: Write, container: UUID, pieces: Iterable[tuple[Extent, int, int | None]]
) -> None:
    """Enter free extents as (extent, available_at, fits)."""
    rows = [
        {
            "container_id": container,
            "first": extent.first,
            "last": extent.last,
            "available_at": available_at,
            "fits": fits,
        }
        for extent, available_at, fits in pieces
    ]
    if rows:
        tx.run(_INSERT, rows)


_DELETE = delete(E).where(E.c.container_id == _container, E.c.last == _address)


def delete_at(tx: Write, container: UUID, last: int) -> None:
    """Remove the extent with this last address."""
    tx.run(_DELETE, {"container": container, "address": last})


def delete_all(tx: Write, container: UUID) -> None:
    """Remove every extent of a container."""
    tx.run(delete(E).where(E.c.container_id == container))


_RESHAPE = (
    update(E)
    .where(E.c.container_id == _container, E.c.last == _address)
    .values(
        first=bindparam("new_first", type_=AddressValue),
        available_at=bindparam("new_available_at"),
        fits=bindparam("new_fits", type_=Integer),
    )
)


def reshape(tx: Write, container: UUID, last: int, piece: tuple[Extent, int, int | None]) -> None:
    """Give the extent that ends at `last` another beginning."""
    extent, available_at, fits = piece
    assert extent.last == last, "the key of an extent never changes"
    params = {
        "container": container,
        "address": last,
        "new_first": extent.first,
        "new_available_at": available_at,
        "new_fits": fits,
    }
    tx.run(_RESHAPE, params)


_NEIGHBOURS = _both(
    _columns()
    .where(E.c.last >= bindparam("before", type_=AddressValue))
    .order_by(E.c.last)
    .limit(2)
)


def neighbours(
    tx: Write, container: UUID, run: Extent, *, wait: bool
) -> tuple[FreeExtent | None, FreeExtent | None]:
    """The extents that end just before and begin just after a run, locked.

    Without `wait`, a neighbour that another transaction has locked is left alone: between
    addresses, merging is tidiness, and waiting would be a lock out of order.
    """
    before, after = None, None
    params = {"container": container, "before": max(run.first - 1, 0)}
    for row in tx.run(_NEIGHBOURS[1 if wait else 0], params):
        found = FreeExtent._make(row)
        if found.last == run.first - 1:
            before = found
        elif found.first == run.last + 1:
            after = found
    return before, after


def within(tx: Write, container: UUID, run: Extent) -> list[FreeExtent]:
    """The extents that touch a run, locked, in order (the caller has the container alone)."""
    query = (
        _columns()
        .where(E.c.last >= _address, E.c.first <= bindparam("upto", type_=AddressValue))
        .order_by(E.c.last)
        .with_for_update()
    )
    rows = tx.run(query, {"container": container, "address": run.first, "upto": run.last}).all()
    return [FreeExtent._make(row) for row in rows]


def free_at_least(r: Read, container: UUID, wanted: int, now: int) -> int:
    """How many eligible addresses a snapshot shows, counted no further than `wanted`."""
    query = _columns().where(E.c.available_at <= _now).order_by(E.c.last).limit(wanted)
    params = {"container": container, "now": now}
    total = 0
    for row in r.run(query, params) if wanted <= 1000 else r.stream(query, params):
        total += FreeExtent._make(row).extent.size
        if total >= wanted:
            break
    return total


def totals(r: Read, containers: Sequence[UUID]) -> Iterator[tuple[UUID, bool, int]]:
    """(container, whether they rest, number) of the free addresses of some containers."""
    rests = (E.c.available_at > _now).label("rests")
    query = (
        select(E.c.container_id, rests, SumOfSizes(E.c.first, E.c.last))
        .where(Among(E.c.container_id, containers))
        .group_by(E.c.container_id, rests)
    )
    for container, resting, total in map(tuple, r.run(query, {"now": r.now})):
        yield container, bool(resting), int(total)


def page(r: Read, container: UUID, after: int, limit: int) -> list[FreeExtent]:
    """Extents that end after an address, in order."""
    query = _columns().where(E.c.last > _address).order_by(E.c.last).limit(limit)
    params = {"container": container, "address": after}
    if after < 0:
        query = _columns().order_by(E.c.last).limit(limit)
        params = {"container": container}
    return [FreeExtent._make(row) for row in r.run(query, params)]


def stream(r: Read, containers: Sequence[UUID]) -> Iterator[tuple[UUID, FreeExtent]]:
    """Every extent of some containers, in order of container and address."""
    query = (
        select(E.c.container_id, E.c.first, E.c.last, E.c.available_at, E.c.fits)
        .where(Among(E.c.container_id, containers))
        .order_by(E.c.container_id, E.c.last)
    )
    for row in r.stream(query):
        yield row[0], FreeExtent._make(row[1:])


def eligible_runs(r: Read, container: UUID) -> Iterator[FreeExtent]:
    """The eligible extents of a container in order, read as they are needed."""
    query = _columns().where(E.c.available_at <= _now).order_by(E.c.last)
    for row in r.stream(query, {"container": container, "now": r.now}):
        yield FreeExtent._make(row)
