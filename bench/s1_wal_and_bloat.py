"""S1: what an allocation costs the database in write-ahead log, in space and in dead rows.

On PostgreSQL: bytes of log per allocation, by the size of the group that commits together, with and
without an idempotency key; the size of each table and index per 10^6 allocations; and what is left
of `free_extent` and `allocation` after much taking and releasing, with the settings of the schema
and with others in turn.
"""

from __future__ import annotations

import random
import statistics
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from ground import Bench, Book, Figure, Ground, checked, interleaved, options
from plain import PlainInsert, make_table

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    ReleaseAddresses,
)
from allotment.operations import at_once
from allotment.operations.gate import Gate

MIB = 1 << 20
LAZY = "?options=-c%20synchronous_commit%3Doff"
USUAL = "RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)"
VARIANTS = {
    "as it is": "",
    "PostgreSQL's own settings": f"ALTER TABLE free_extent {USUAL}",
    "fill factor 50": "ALTER TABLE free_extent SET (fillfactor = 50)",
    "allocation vacuumed at 2%": (
        "ALTER TABLE allocation SET (autovacuum_vacuum_scale_factor = 0.02)"
    ),
}
SIZES = (
    "SELECT c.relname, c.relkind, pg_relation_size(c.oid) FROM pg_class c"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i')"
    " AND pg_relation_size(c.oid) > 0 ORDER BY 3 DESC"
)
RECORDS = (
    'SELECT "resource_manager/record_type", combined_size FROM pg_get_wal_stats(%s, %s, true)'
    " WHERE combined_size > 0 ORDER BY combined_size DESC LIMIT 8"
)


class Groups:
    """Allocations of one subnet in groups of a known size, each group one transaction."""

    def __init__(self, desk: LocalDesk, subnet: str) -> None:
        self._desk, self._subnet, self._gate = desk, subnet, Gate()

    def take(self, size: int, *, keyed: bool) -> list[Address]:
        """One group."""
        actor = local_owner()
        permits = []
        for _ in range(size):
            key = uuid4().hex if keyed else None
            command = AllocateAddress(subnet=self._subnet, idempotency_key=key)
            permits.append(self._gate.plain_permit(actor, command, self._desk.store.clock()))
        served = at_once.allocate(self._desk.store, permits, time.monotonic() + 30)
        assert None not in served, "a plain request is served at once"
        return [one.address for one in served if one is not None]


def main() -> None:
    """Measure log, space and dead rows."""
    sizes = options(
        __doc__, groups=([1, 16, 64, 512], [1, 16]), allocations=(2_048, 64), rounds=(5, 1),
        rows=(200_000, 2_000), cycles=(40_000, 256), lone=(4_000, 20),
    )  # fmt: skip
    bench = Bench(claim="S1", options=sizes)
    with Ground() as ground:
        _log(ground, bench)
        _space(ground, bench)
        _churn(ground, bench)
        bench.finish(ground)


# --- the log


def _position(conn: psycopg.Connection[Any]) -> int:
    return int(_one(conn, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


def _one(conn: psycopg.Connection[Any], query: str) -> Any:  # Any: one value
    row = conn.execute(query).fetchone()  # type: ignore[call-overload]  # a text of ours
    assert row is not None
    return row[0]


def _log(ground: Ground, bench: Bench) -> None:
    """Bytes of log per allocation, a checkpoint being far away, and just after one."""
    sizes = bench.options
    book = ground.book("postgresql", "10.0.0.0/8")
    make_table(book.url)
    plain = PlainInsert(book.url, 0)
    with open_book(book.url) as desk, psycopg.connect(book.url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        groups = Groups(desk, book.subnet)
        records: dict[str, dict[str, float]] = {}

        def measured(size: int, *, keyed: bool) -> float:
            began = _position(conn)
            for _ in range(sizes.allocations // size):
                groups.take(size, keyed=keyed)
            ended = _position(conn)
            done = sizes.allocations // size * size
            name = f"groups of {size}{', keyed' if keyed else ''}"
            found = conn.execute(RECORDS, [_lsn(began), _lsn(ended)]).fetchall()
            records[name] = {kind: round(float(total) / done, 1) for kind, total in found}
            return (ended - began) / done

        def inserted() -> float:
            began = _position(conn)
            for _ in range(sizes.allocations):
                plain.once()
            return (_position(conn) - began) / sizes.allocations

        contenders: dict[str, Any] = {"bare INSERT": inserted}  # Any: contenders
        for size in sizes.groups:
            for keyed in (False, True):
                name = f"groups of {size}{', keyed' if keyed else ''}"
                contenders[name] = lambda size=size, keyed=keyed: measured(size, keyed=keyed)
        samples = interleaved(
            contenders, sizes.rounds, lambda: [run() for run in contenders.values()]
        )
        for name, found in samples.items():
            told = {"bytes": round(statistics.median(found))} | records.get(name, {})
            bench.note(f"log per allocation, {name}", told)
        ground.settle()
        began = _position(conn)
        for _ in range(sizes.allocations // 64 or 1):
            groups.take(64, keyed=True)
        done = max(sizes.allocations // 64, 1) * 64
        fresh = (_position(conn) - began) / done
        bench.note("log per allocation just after a checkpoint, groups of 64, keyed", round(fresh))
        checked(desk)
    plain.close()
    ground.drop(book.url)


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


# --- space


def _space(ground: Ground, bench: Bench) -> None:
    """Each table and index after so many allocations, per million, in MiB."""
    rows = bench.options.rows
    for name, size in (("one by one in groups of 512, keyed", 512), ("in one call", 0)):
        book = ground.book("postgresql", "10.0.0.0/8")
        with open_book(book.url + LAZY) as desk:
            groups = Groups(desk, book.subnet)
            if size:
                for _ in range(max(rows // size, 1)):
                    groups.take(size, keyed=True)
            else:
                desk.do(AllocateAddresses(subnet=book.subnet, count=rows), local_owner())
            held = checked(desk).allocations
        with psycopg.connect(book.url, autocommit=True) as conn:
            conn.execute("VACUUM")
            found = {
                f"{'index ' if kind == 'i' else ''}{table}": round(total / held * 1e6 / MIB, 1)
                for table, kind, total in conn.execute(SIZES).fetchall()
                if total / held > 1 and total > 1 << 19
            }
        bench.note(f"MiB per 10^6 allocations, {name}", found | {"all": round(sum(found.values()))})
        ground.drop(book.url)


# --- dead rows


@dataclass(kw_only=True)
class Churned:
    """A book in which addresses are taken and given back, with its settings."""

    name: str
    book: Book
    desk: LocalDesk
    groups: Groups
    held: list[Address]
    seed: random.Random
    sizes: list[float] = field(default_factory=list)

    def scattered(self, cycles: int) -> float:
        """Give 64 back at random and take 64 anew, so often; microseconds an address."""
        began = time.perf_counter()
        for _ in range(cycles // 64):
            self.seed.shuffle(self.held)
            gone = tuple(self.held[-64:])
            del self.held[-64:]
            command = ReleaseAddresses(subnet=self.book.subnet, addresses=gone)
            self.desk.do(command, local_owner())
            self.held += self.groups.take(64, keyed=False)
        return (time.perf_counter() - began) / (cycles // 64 * 64) * 1e6

    def alone(self, cycles: int) -> float:
        """Take one and give it back, so often; microseconds an address."""
        began = time.perf_counter()
        for _ in range(cycles):
            one = tuple(self.groups.take(1, keyed=False))
            self.desk.do(ReleaseAddresses(subnet=self.book.subnet, addresses=one), local_owner())
        return (time.perf_counter() - began) / cycles * 1e6


def _churn(ground: Ground, bench: Bench) -> None:
    """The same taking and releasing under different settings, in turn."""
    sizes = bench.options
    books = [_churned(ground, name, change) for name, change in VARIANTS.items()]
    rounds = max(sizes.rounds, 1)
    share = max(sizes.cycles // rounds, 64)
    lone = max(sizes.lone // rounds, 1)
    contenders = {one.name: lambda one=one: one.scattered(share) for one in books}
    scattered = interleaved(contenders, rounds)
    contenders = {one.name: lambda one=one: one.alone(lone) for one in books}
    single = interleaved(contenders, rounds)
    for one in books:
        checked(one.desk)
        one.desk.close()
    for name, samples in (("64 scattered", scattered), ("one alone", single)):
        for variant in list(VARIANTS)[1:]:
            bench.add(
                Figure(
                    name=f"take and release, {name}",
                    unit="µs",
                    baseline_name=variant,
                    product=samples["as it is"],
                    baseline=samples[variant],
                    reach=1.05,
                    at_most=True,
                )
            )
    for one in books:
        bench.note(f"after {rounds * (share + lone):,} taken and released, {one.name}", _left(one))
        ground.drop(one.book.url)


def _churned(ground: Ground, name: str, change: str) -> Churned:
    book = ground.book("postgresql", "10.0.0.0/12")
    with psycopg.connect(book.url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION pgstattuple")
        if change:
            conn.execute(change)  # type: ignore[call-overload]  # a text of ours
    desk = open_book(book.url + LAZY)
    groups = Groups(desk, book.subnet)
    held = [one for _ in range(40) for one in groups.take(512, keyed=False)]
    return Churned(name=name, book=book, desk=desk, groups=groups, held=held, seed=random.Random(1))


def _left(one: Churned) -> dict[str, Any]:  # Any: JSON
    """What a table and its indexes have become."""
    told: dict[str, Any] = {}
    with closing(psycopg.connect(one.book.url, autocommit=True)) as conn:
        for table in ("free_extent", "allocation"):
            found = conn.execute(
                "SELECT tuple_count, dead_tuple_count, table_len, free_percent,"
                " pg_indexes_size(%s::regclass) FROM pgstattuple(%s)",
                [table, table],
            ).fetchone()
            assert found is not None
            used = conn.execute(
                "SELECT n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, autovacuum_count"
                " FROM pg_stat_user_tables WHERE relname = %s",
                [table],
            ).fetchone()
            assert used is not None
            told[table] = {
                "rows": found[0],
                "dead": found[1],
                "KiB": found[2] >> 10,
                "free %": round(found[3]),
                "indexes KiB": found[4] >> 10,
                "inserted": used[0],
                "updated": used[1],
                "HOT %": round(100 * used[2] / used[1], 1) if used[1] else 100.0,
                "deleted": used[3],
                "vacuumed": used[4],
            }
    return told


if __name__ == "__main__":
    main()
