"""The seam between the book and a database: what each must do natively, held equal by the
conformance suite.

Invariant: SQL that differs between databases, and the reading of their error codes, is behind
this class; nobody else asks which database it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Engine
from sqlalchemy.exc import DBAPIError

from allotment.errors import Phase, StoreError
from allotment.model.extent import Extent

if TYPE_CHECKING:
    from allotment.store.session import Write


class SubnetRow(NamedTuple):
    """What the allocation path needs to know of a subnet."""

    id: UUID
    scope_id: UUID
    family: int
    first: int
    length: int
    placement: str
    quarantine_seconds: int


class LockedSubnet(NamedTuple):
    """A locked subnet and what was taken from it on the way."""

    row: SubnetRow
    taken: list[Extent]


class AllocationRow(NamedTuple):
    """A new row of `allocation`, in the order of its columns; addresses as integers."""

    subnet_id: UUID
    address: int
    id: UUID
    created_at: int
    status: str
    project_id: UUID | None
    identifier: str | None
    hostname: str | None
    mac: str | None
    description: str | None
    tags: tuple[str, ...]


class EventRow(NamedTuple):
    """One row of `event`."""

    at: int
    actor: str
    command: str
    answer: str
    outcome: str
    source: str | None
    request_id: str | None
    place_id: UUID | None


class PlainAllocation(NamedTuple):
    """All that one plain allocation writes, but for the address.

    The event's answer is `answer_head`, the address as text, `answer_tail`. It is written only
    if the access rules are still the ones of `epoch` (None: they do not matter).
    """

    subnet_id: UUID
    now: int
    id: UUID
    status: str
    hostname: str | None
    mac: str | None
    description: str | None
    actor: str
    source: str | None
    request_id: str | None
    command: str
    answer_head: str
    answer_tail: str
    key: str | None
    key_hash: bytes | None
    epoch: int | None


class Partitions(ABC):
    """How a database keeps its big tables in parts, where it can."""

    @abstractmethod
    def cut(self, conn: Connection, count: int) -> bool:
        """Put the rows of the big tables into so many parts; False: they are there already.

        Raises:
            InvalidValue: the number is none that can be, or the tables are in another number.
        """

    @abstractmethod
    def name(self, conn: Connection) -> None:
        """Name what the database named by itself in the parts, so that errors are told apart."""


class Dialect(ABC):
    """One kind of database."""

    engine: Engine
    errors: tuple[type[Exception], ...]
    """What a statement can raise: SQLAlchemy's errors and the driver's."""
    shown: str
    """The database as people may read it: no password."""
    concurrent: bool
    """Whether several transactions may write at once, so that locked rows are met."""
    partitions: Partitions | None = None
    """How its big tables are put into parts; None: they are not."""

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    def drop_connections(self) -> None:
        """Give up every connection: the next one is made anew."""
        self.close()

    def discard(self, conn: Connection) -> None:
        """Give up one connection."""
        conn.invalidate()

    def connect(self, deadline: float | None) -> Connection:
        """A connection of the pool; made, if need be, by the deadline (monotonic seconds)."""
        return self.engine.connect()

    @abstractmethod
    def exclusive(self, mode: str, deadline: float | None = None) -> AbstractContextManager[None]:
        """What this process must hold before it opens a transaction of that mode.

        Not waited for beyond the deadline (monotonic seconds).
        """

    @abstractmethod
    def begin(self, conn: Connection, mode: str, deadline: float | None = None) -> None:
        """Begin a transaction: `read` (one snapshot) or `write`.

        Neither a silent server nor a lock is waited for beyond the deadline (monotonic seconds).
        """

    # Any: the driver's parameters are of whatever types the statement's columns have.
    @abstractmethod
    def execute_all(self, conn: Connection, statements: Sequence[tuple[str, Any]]) -> None:
        """Execute native statements; a list of parameters executes one for each."""

    @abstractmethod
    def commit(self, conn: Connection, deferred: Sequence[tuple[str, Any]]) -> None:
        """Execute what was deferred and commit, in as few round trips as there can be."""

    def unheard(self, _conn: Connection) -> Exception | None:
        """What failed in this transaction without anybody being told; it may not be committed."""
        return None

    @abstractmethod
    def translate(self, error: Exception, phase: Phase) -> StoreError:
        """The typed error of a driver's error, by its code and phase, never by its text."""

    def typed(self, error: Exception, phase: Phase) -> StoreError:
        """The typed error of what a statement raised."""
        wrapped = error.orig if isinstance(error, DBAPIError) else None
        return self.translate(wrapped if isinstance(wrapped, Exception) else error, phase)

    @abstractmethod
    def native_schema(self) -> Mapping[str, Sequence[str]]:
        """The guards and functions that SQLAlchemy's tables cannot say."""

    @abstractmethod
    def lock_keys(self, tx: Write, keys: Sequence[tuple[str, str]]) -> None:
        """Wait until no other transaction is at work under these (actor, idempotency key)."""

    @abstractmethod
    def queue(self, tx: Write, container: UUID, *, exclusive: bool) -> None:
        """Stand in the queue for a container, before its row is locked: first come, first served.

        Row locks alone let those who share a row pass whoever waits to have it alone.
        """

    @abstractmethod
    def lock_subnets(self, tx: Write, wanted: Mapping[UUID, int]) -> dict[UUID, LockedSubnet]:
        """The subnets that exist, kept from being deleted or reshaped until the end.

        Where the subnet's own placement is `lowest`, also takes so many addresses of it at once.
        """

    @abstractmethod
    def take_lowest(self, tx: Write, container: UUID, count: int) -> list[Extent]:
        """Take up to `count` of the lowest free addresses of a locked container.

        Skips extents that others have locked, unless the transaction is patient. What is taken
        may be less than wanted; that alone proves nothing.
        """

    @abstractmethod
    def allocate_at_once(
        self, wishes: Sequence[PlainAllocation], deadline: float, enter: Callable[[Phase], None]
    ) -> list[tuple[int, int] | None]:
        """Allocate the lowest free addresses in one round trip that is its own transaction.

        Says `enter("commit")` before it is sent: from there on it may have been committed.

        Returns:
            For each (family, address), or None: nothing was changed for it, use a transaction.
        """

    @abstractmethod
    def record_allocations(self, tx: Write, rows: Sequence[AllocationRow]) -> None:
        """Enter held addresses; they are written with the commit."""

    @abstractmethod
    def record_runs(
        self, tx: Write, pattern: AllocationRow, runs: Sequence[tuple[Extent, UUID]]
    ) -> None:
        """Enter every address of the runs, each run's ids counting up from its first id.

        `pattern` gives the other columns. Nothing of the size of the runs is built in memory here.
        """

    @abstractmethod
    def lock_allocations(
        self, tx: Write, subnet_id: UUID, addresses: Sequence[int]
    ) -> dict[int, UUID | None]:
        """Which of some addresses are held, and by which project; kept so until the end."""

    @abstractmethod
    def end_allocations(self, tx: Write, subnet: SubnetRow, addresses: Sequence[int]) -> int:
        """Delete the allocations of addresses that are locked, and enter their periods; how many.

        A period that no time passed in is entered only of an allocation that never changed.
        """

    @staticmethod
    @abstractmethod
    def stored(column: Column[Any]) -> ColumnElement[Any]:
        """A column as the bytes that are stored (numbers: as they are), whatever was put there.

        What is not of the column's kind is shown as something that no value of it looks like.
        """

    @abstractmethod
    def record_events(self, tx: Write, rows: Sequence[EventRow]) -> None:
        """Enter events; they are written with the commit."""


def split_at_carry(extent: Extent) -> list[Extent]:
    """Cut a run where the sign of its low 64 bits changes, so that each piece counts in int64."""
    pieces = []
    first = extent.first
    while first <= extent.last:
        last = min(first | ((1 << 63) - 1), extent.last)
        pieces.append(Extent(first, last))
        first = last + 1
    return pieces
