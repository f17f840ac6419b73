"""A book that was made wrong, in every way that an audit tells.

Invariant: each way is one change to the tables, with the fault that it is told as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, insert, select, text, update

from allotment import Address, AddressRange, LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.queries import CheckBook, GetSubnet, GetSubnetPool
from allotment.model.results import CheckReport
from allotment.store import schema

E, A, R, X = schema.free_extent, schema.allocation, schema.allocation_pool, schema.prefix
N, W = schema.subnet, schema.allocation_period


def at(last: int) -> int:
    """The value of 10.0.0.`last`."""
    return Address("10.0.0.0").value + last


class Broken:
    """A book to be broken: subnet `n` and pools `p` > `c`, in their first scope."""

    def __init__(self, desk: LocalDesk, me: Actor) -> None:
        self.desk, self.me = desk, me
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateAddressScope(name="other"), me)
        desk.do(CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.0.0.0/16"),)), me)
        desk.do(CreateSubnetPool(name="c", scope="s", prefixes=(Prefix("10.0.0.0/20"),)), me)
        ranges = (AddressRange("10.0.0.10-10.0.0.20"), AddressRange("10.0.0.30-10.0.0.40"))
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), scope="s", name="n", ranges=ranges), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.1.0/24"), scope="s", name="next"), me)
        desk.do(CreateSubnet(prefix=Prefix("2001:db8::/64"), scope="s", name="six"), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), scope="other", name="again"), me)
        for address in ("10.0.0.12", "10.0.0.35", "10.0.0.50"):
            desk.do(AllocateAddress(subnet="n", address=Address(address)), me)
        desk.do(AllocateAddress(subnet="six"), me)
        desk.do(AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/24")), me)
        self.n = desk.ask(GetSubnet(subnet="n"), me)
        self.next = desk.ask(GetSubnet(subnet="next"), me)
        self.p = desk.ask(GetSubnetPool(pool="p"), me)
        self.c = desk.ask(GetSubnetPool(pool="c"), me)
        assert self.check().clean

    def check(self) -> CheckReport:
        return self.desk.ask(CheckBook(), self.me)

    @contextmanager
    def unguarded(self) -> Iterator[Connection]:
        """The tables without their guards: no foreign keys, no overlap guards, no triggers."""
        dialect = self.desk.store.dialect
        with dialect.exclusive("write"), dialect.engine.connect() as conn:
            raw: Any = conn.connection.driver_connection
            if not dialect.concurrent:
                raw.execute("PRAGMA foreign_keys = OFF")
            dialect.begin(conn, "write")
            if dialect.concurrent:
                conn.execute(text("SET LOCAL session_replication_role = replica"))
                for name in ("prefix_siblings_never_overlap", "subnet_never_overlaps"):
                    conn.execute(text(f"ALTER TABLE prefix DROP CONSTRAINT {name}"))
            else:
                found = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                for (name,) in conn.execute(text(found)).all():
                    conn.execute(text(f"DROP TRIGGER {name}"))
            yield conn
            conn.commit()
            if not dialect.concurrent:
                raw.execute("PRAGMA foreign_keys = ON")

    def extents(self, conn: Connection, container: UUID) -> list[Any]:
        query = select(E).where(E.c.container_id == container).order_by(E.c.last)
        return list(conn.execute(query))


def extent(container: UUID, first: int, last: int, fits: int | None = None) -> Any:
    row = {"container_id": container, "first": first, "last": last, "fits": fits}
    return insert(E).values(**row, available_at=0)


def held(subnet: UUID, address: int) -> Any:
    return insert(A).values(
        subnet_id=subnet, address=address, id=uuid4(), created_at=0, status="active"
    )


def entry(conn: Connection, holder: UUID) -> dict[str, Any]:
    return dict(conn.execute(select(X).where(X.c.holder_id == holder)).one()._mapping)


def free_and_held(b: Broken, conn: Connection) -> None:
    conn.execute(extent(b.n.id, at(12), at(12)))


def missing(b: Broken, conn: Connection) -> None:
    last = b.extents(conn, b.n.id)[0].last
    conn.execute(delete(E).where(E.c.container_id == b.n.id, E.c.last == last))


def all_missing(b: Broken, conn: Connection) -> None:
    conn.execute(delete(E).where(E.c.container_id == b.n.id))


def shorter(b: Broken, conn: Connection) -> None:
    last = b.extents(conn, b.n.id)[-1].last
    here = E.c.container_id == b.n.id, E.c.last == last
    conn.execute(update(E).where(*here).values(first=E.c.last))


def outside_the_pools(b: Broken, conn: Connection) -> None:
    conn.execute(extent(b.n.id, at(100), at(110)))


def outside_and_missing(b: Broken, conn: Connection) -> None:
    """As many too many as too few: the sums agree."""
    missing(b, conn)
    conn.execute(extent(b.n.id, at(100), at(101)))


def overlapping(b: Broken, conn: Connection) -> None:
    conn.execute(extent(b.n.id, at(14), at(19)))


def wrong_fits(b: Broken, conn: Connection) -> None:
    conn.execute(update(E).where(E.c.container_id == b.p.id).values(fits=E.c.fits + 1))


def no_fits(b: Broken, conn: Connection) -> None:
    conn.execute(update(E).where(E.c.container_id == b.p.id).values(fits=None))


def free_and_carved(b: Broken, conn: Connection) -> None:
    first = Prefix("10.0.16.0/24").first
    conn.execute(extent(b.p.id, first, first + 255, 24))


def missing_in_a_pool(b: Broken, conn: Connection) -> None:
    conn.execute(delete(E).where(E.c.container_id == b.c.id))


def outside_the_prefixes(b: Broken, conn: Connection) -> None:
    first = Prefix("10.1.0.0/24").first
    conn.execute(extent(b.p.id, first, first + 255, 24))


def orphan_extent(b: Broken, conn: Connection) -> None:
    conn.execute(extent(uuid4(), at(1), at(2)))


# What a repair can heal: free extents that are wrong.
HEALED: list[tuple[Callable[[Broken, Connection], None], str, str, str]] = [
    (free_and_held, "S3", "subnet", "free and held at once"),
    (missing, "S3", "subnet", "do not add up"),
    (all_missing, "S3", "subnet", "do not add up"),
    (shorter, "S3", "subnet", "do not add up"),
    (outside_the_pools, "S3", "subnet", "outside the pools"),
    (outside_and_missing, "S3", "subnet", "outside the pools"),
    (overlapping, "S3", "subnet", "overlap"),
    (wrong_fits, "S3", "pool", "is indexed as"),
    (no_fits, "S3", "pool", "is indexed as"),
    (free_and_carved, "S3", "pool", "free and carved at once"),
    (missing_in_a_pool, "S3", "pool", "does not add up"),
    (outside_the_prefixes, "S3", "pool", "outside the pools"),
    (orphan_extent, "S10", "orphan", "does not exist"),
]


def held_outside_the_subnet(b: Broken, conn: Connection) -> None:
    conn.execute(held(b.n.id, at(256)))


def gateway_in_a_pool(b: Broken, conn: Connection) -> None:
    conn.execute(update(N).where(N.c.id == b.n.id).values(gateway=at(15)))


def pool_outside_the_subnet(b: Broken, conn: Connection) -> None:
    conn.execute(insert(R).values(subnet_id=b.n.id, first=at(256), last=at(260)))
    conn.execute(extent(b.n.id, at(256), at(260)))


def pool_with_the_broadcast_address(b: Broken, conn: Connection) -> None:
    conn.execute(insert(R).values(subnet_id=b.n.id, first=at(255), last=at(255)))
    conn.execute(extent(b.n.id, at(255), at(255)))


def adjacent_pools(b: Broken, conn: Connection) -> None:
    conn.execute(insert(R).values(subnet_id=b.n.id, first=at(10), last=at(15)))
    conn.execute(update(R).where(R.c.subnet_id == b.n.id, R.c.last == at(20)).values(first=at(16)))


def overlapping_pools(b: Broken, conn: Connection) -> None:
    conn.execute(insert(R).values(subnet_id=b.n.id, first=at(18), last=at(25)))
    conn.execute(extent(b.n.id, at(21), at(25)))


def overlapping_subnets(b: Broken, conn: Connection) -> None:
    first = Prefix("10.0.0.128/25").first
    conn.execute(update(N).where(N.c.id == b.next.id).values(first=first, length=25))
    place = {"first": first, "last": first + 127, "length": 25}
    conn.execute(update(X).where(X.c.holder_id == b.next.id).values(**place))


def no_entry(b: Broken, conn: Connection) -> None:
    conn.execute(delete(X).where(X.c.holder_id == b.n.id))


def wrong_parent(b: Broken, conn: Connection) -> None:
    conn.execute(update(X).where(X.c.holder_id == b.n.id).values(parent_id=b.p.id))


def wrong_parent_of_a_pool(b: Broken, conn: Connection) -> None:
    conn.execute(update(X).where(X.c.holder_id == b.c.id).values(parent_id=b.c.scope_id))


def another_length(b: Broken, conn: Connection) -> None:
    conn.execute(update(X).where(X.c.holder_id == b.n.id).values(length=25))


def another_last(b: Broken, conn: Connection) -> None:
    conn.execute(update(X).where(X.c.holder_id == b.n.id).values(last=at(254)))


def two_entries(b: Broken, conn: Connection) -> None:
    first = Prefix("10.0.9.0/24").first
    place = {"first": first, "last": first + 255}
    conn.execute(insert(X).values(**{**entry(conn, b.n.id), **place}))


def carved_outside_the_pool(b: Broken, conn: Connection) -> None:
    first = Prefix("10.9.0.0/24").first
    place = {"first": first, "last": first + 255, "holder_id": uuid4(), "kind": "allocation"}
    conn.execute(insert(X).values(**{**entry(conn, b.n.id), **place}))


def siblings_overlap(b: Broken, conn: Connection) -> None:
    first = Prefix("10.0.16.0/25").first
    place = {"first": first, "last": first + 127, "length": 25, "holder_id": uuid4()}
    extra = {"kind": "allocation", "parent_id": b.p.id}
    conn.execute(insert(X).values(**{**entry(conn, b.c.id), **place, **extra}))


def orphan_allocation(b: Broken, conn: Connection) -> None:
    conn.execute(held(uuid4(), at(1)))


def orphan_range(b: Broken, conn: Connection) -> None:
    conn.execute(insert(R).values(subnet_id=uuid4(), first=at(1), last=at(2)))


def period(conn: Connection, since: int, until: int) -> None:
    """A period of the allocation of 10.0.0.12, which is held."""
    row = conn.execute(select(A).where(A.c.address == at(12))).one()
    names = ("id", "subnet_id", "address", "status")
    scope_id = conn.execute(select(N.c.scope_id).where(N.c.id == row.subnet_id)).scalar_one()
    place = {"scope_id": scope_id, "family": 4, "since": since, "until": until}
    conn.execute(insert(W).values(**place, **{name: getattr(row, name) for name in names}))


def period_of_no_scope(b: Broken, conn: Connection) -> None:
    conn.execute(update(A).where(A.c.address == at(12)).values(changed_at=2))
    period(conn, 1, 2)
    conn.execute(update(W).values(scope_id=uuid4()))


def period_of_one_that_never_changed(b: Broken, conn: Connection) -> None:
    period(conn, 1, 2)


def period_that_reaches_into_the_next(b: Broken, conn: Connection) -> None:
    conn.execute(update(A).where(A.c.address == at(12)).values(changed_at=2))
    period(conn, 1, 3)


def period_that_ends_before_it_begins(b: Broken, conn: Connection) -> None:
    conn.execute(update(A).where(A.c.address == at(12)).values(changed_at=3))
    if b.desk.store.dialect.concurrent:
        conn.execute(text("ALTER TABLE allocation_period DROP CONSTRAINT allocation_period_order"))
    else:
        conn.execute(text("PRAGMA ignore_check_constraints = ON"))
    period(conn, 3, 2)


# What a repair must leave alone, because a person has to decide.
NAMED: list[tuple[Callable[[Broken, Connection], None], str, str, str]] = [
    (held_outside_the_subnet, "S2", "subnet", "outside the subnet"),
    (gateway_in_a_pool, "S2", "subnet", "contains the gateway"),
    (pool_outside_the_subnet, "S4", "subnet", "outside the subnet"),
    (pool_with_the_broadcast_address, "S4", "subnet", "outside the usable"),
    (adjacent_pools, "S4", "subnet", "not canonical"),
    (overlapping_pools, "S4", "subnet", "not canonical"),
    (overlapping_subnets, "S5", "subnet", "overlaps"),
    (no_entry, "S5", "subnet", "missing or wrong"),
    (wrong_parent, "S5", "subnet", "another pool"),
    (wrong_parent_of_a_pool, "S5", "pool", "another pool"),
    (another_length, "S5", "subnet", "missing or wrong"),
    (another_last, "S5", "subnet", "missing or wrong"),
    (two_entries, "S5", "subnet", "missing or wrong"),
    (carved_outside_the_pool, "S5", "pool", "outside it"),
    (siblings_overlap, "S5", "pool", "carved from the pool overlap"),
    (orphan_allocation, "S10", "orphan", "allocations of a subnet that does not exist"),
    (orphan_range, "S10", "orphan", "allocation pools of a subnet that does not exist"),
    (period_of_no_scope, "S10", "orphan", "periods of an address scope that does not exist"),
    (period_of_one_that_never_changed, "S14", "period", "10.0.0.12: a period"),
    (period_that_reaches_into_the_next, "S14", "period", "10.0.0.12: a period"),
    (period_that_ends_before_it_begins, "S14", "period", "10.0.0.12: a period"),
]
