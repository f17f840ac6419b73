"""The book as it lies in the database, read with the drivers alone.

Invariant: nothing is repaired, skipped or interpreted kindly: a row that is not understood is an
error.
"""

from __future__ import annotations

import ipaddress
import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

Query = Callable[[str], Iterable[tuple[Any, ...]]]  # Any: values as the driver gives them


class Subnet(NamedTuple):
    """One subnet."""

    scope: str
    family: int
    first: int
    length: int
    gateway: int | None
    quarantine_seconds: int

    @property
    def last(self) -> int:
        """Its last address."""
        return self.first | ((1 << ((32 if self.family == 4 else 128) - self.length)) - 1)


class Done(NamedTuple):
    """One event of something that was done: what it took, or what it gave back."""

    kind: str
    mark: str | None
    key: str | None
    taken: tuple[tuple[int, str], ...]
    given: str | None
    place: str | None


class Period(NamedTuple):
    """From when on, and until when, an allocation held an address of a subnet."""

    subnet: str
    address: int
    allocation: str
    since: int
    until: int


@dataclass
class Rows:
    """What the judge needs of a book; addresses are integers, ids are text."""

    subnets: dict[str, Subnet] = field(default_factory=dict)
    held: list[tuple[str, int, str]] = field(default_factory=list)
    free: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    pools: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    refused: int = 0
    stored: dict[str, bool] = field(default_factory=dict)
    """Idempotency keys that are kept, and whether each is fenced."""


def read_sqlite(path: str) -> Rows:
    """The rows of a book in a file."""
    conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return _read(lambda query: conn.execute(query))
    finally:
        conn.close()


def read_postgres(url: str) -> Rows:
    """The rows of a book on a server, from one snapshot."""
    import psycopg

    with psycopg.connect(url) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return _read(lambda query: conn.execute(query))  # type: ignore[arg-type]  # text is text


def read(url: str) -> Rows:
    """The rows of a book, wherever it is."""
    if url.startswith("sqlite:///"):
        return read_sqlite(url.removeprefix("sqlite:///"))
    return read_postgres(url)


def _read(query: Query) -> Rows:
    rows = Rows()
    for row in query(
        "SELECT id, scope_id, family, first, length, gateway, quarantine_seconds FROM subnet"
    ):
        gateway = None if row[5] is None else _number(row[5])
        rows.subnets[_id(row[0])] = Subnet(
            _id(row[1]), row[2], _number(row[3]), row[4], gateway, row[6]
        )
    for subnet, address, allocation in query("SELECT subnet_id, address, id FROM allocation"):
        rows.held.append((_id(subnet), _number(address), _id(allocation)))
    for container, first, last in query("SELECT container_id, first, last FROM free_extent"):
        rows.free.setdefault(_id(container), []).append((_number(first), _number(last)))
    for subnet, first, last in query("SELECT subnet_id, first, last FROM allocation_pool"):
        rows.pools.setdefault(_id(subnet), []).append((_number(first), _number(last)))
    for subnet, address, allocation, since, until in query(
        "SELECT subnet_id, address, id, since, until FROM allocation_period"
    ):
        rows.periods.append(Period(_id(subnet), _number(address), _id(allocation), since, until))
    for key, fenced in query("SELECT key, fenced FROM idempotency"):
        rows.stored[key] = bool(fenced)
    for command, answer, outcome in query("SELECT command, answer, outcome FROM event ORDER BY id"):
        if outcome == "done":
            rows.done.append(_done(json.loads(command), json.loads(answer)))
        else:
            rows.refused += 1
    return rows


def _done(command: dict[str, Any], answer: dict[str, Any]) -> Done:
    kind, mark, key = command["do"], command.get("description"), command.get("idempotency_key")
    if kind == "AllocateAddress":
        taken = ((_address(answer["address"]), answer["id"]),)
        return Done(kind, mark, key, taken, None, answer["subnet_id"])
    if kind == "AllocateAddresses":
        numbers = [n for text in answer["ranges"] for n in _range(text)]
        first = UUID(answer["first_id"]).int
        many = tuple((number, str(UUID(int=first + n))) for n, number in enumerate(numbers))
        return Done(kind, mark, key, many, None, answer["subnet_id"])
    if kind == "ReleaseAddress":
        return Done(kind, None, key, (), command["allocation_id"], answer["container_id"])
    return Done(kind, mark, key, (), None, None)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(_address(first), _address(last or first) + 1)


def _address(text: str) -> int:
    return int(ipaddress.ip_address(text))


def _number(raw: bytes) -> int:
    return int.from_bytes(bytes(raw), "big")


def _id(raw: bytes | UUID) -> str:
    return str(raw if isinstance(raw, UUID) else UUID(bytes=bytes(raw)))
