"""What a request costs a database in steps is the same however much the book holds.

Invariant: steps of SQLite's virtual machine are counted, not time: the same book costs the same on
every machine. PostgreSQL's plans are looked at in `regressions/test_statements.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.bootstrap import local_owner
from allotment.model.command import Command
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Batch,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    Method,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
)
from allotment.model.history import ListHistory
from allotment.model.mac import Mac
from allotment.model.queries import (
    GetAllocation,
    GetSubnet,
    GetSubnetPool,
    ListAllocations,
    ListFree,
    ListPrefixAllocations,
    ListSubnets,
    ListTree,
    Lookup,
    Query,
    Search,
)
from allotment.model.results import AddressPlacement, PrefixPlacement, Status

ME = local_owner()
SMALL, LARGE = 20, 400
GROWTH_MAX = 1.3
"""An index is no deeper by a step; a page may meet a few rows more at its edge."""
THIRD = count()
NETS = {placement: f"n-{placement}" for placement in AddressPlacement}


RARE = AllocateAddress(
    subnet="n-random",
    status=Status.RESERVED,
    owner="rare",
    identifier="rare",
    hostname="rare",
    mac=Mac("02:00:00:00:00:01"),
    tags=("rare",),
)


@dataclass
class Book:
    """A book that holds so many of everything, and how many steps its requests took."""

    desk: LocalDesk
    size: int
    steps: int = 0

    def fill(self) -> None:
        """Prefixes, subnets, addresses and holes between them."""
        do = self.desk.do
        do(CreateAddressScope(name="s"), ME)
        do(CreateProject(name="p"), ME)
        do(CreateProject(name="rare"), ME)
        do(CreateSubnetPool(name="pool", scope="s", prefixes=(Prefix("10.0.0.0/8"),)), ME)
        do(Batch(commands=(AllocatePrefix(pool="pool", length=28),) * self.size), ME)
        for number in range(1, self.size, 4):
            prefix = Prefix(f"{Address.of(4, Address('10.0.0.0').value + 16 * number)}/28")
            do(ReleasePrefix(pool="pool", prefix=prefix), ME)
        base = Address("172.16.0.0").value
        beside = [Prefix(f"{Address.of(4, base + 16 * n)}/28") for n in range(self.size)]
        do(Batch(commands=tuple(CreateSubnet(scope="s", prefix=one) for one in beside)), ME)
        each = tuple(AllocateAddress(subnet=str(one), scope="s") for one in beside)
        do(Batch(commands=each), ME)
        for number, (placement, name) in enumerate(NETS.items()):
            net = Prefix(f"192.168.{number * 64}.0/18")
            do(CreateSubnet(scope="s", prefix=net, name=name, placement=placement), ME)
            many = AllocateAddresses(subnet=name, count=2 * self.size, hostname="h", tags=("many",))
            given = do(many, ME)
            held = [n for run in given.ranges for n in range(run.first, run.last + 1)]
            holes = tuple(Address.of(4, value) for value in held[8::4])
            do(ReleaseAddresses(subnet=name, addresses=holes), ME)
        do(RARE, ME)

    def cost(self, request: Command | Query) -> int:  # type: ignore[type-arg]  # of any answer
        """How many steps a request takes, when another one of its kind has gone before."""
        self.steps = 0
        if isinstance(request, Command):
            self.desk.do(request, ME)
        else:
            self.desk.ask(request, ME)
        return self.steps

    def step(self) -> None:
        """One more; to go on is to return nothing."""
        self.steps += 1


@pytest.fixture(scope="module")
def books() -> Iterator[tuple[Book, Book]]:
    """A small one and a large one."""
    made = []
    for size in (SMALL, LARGE):
        book = Book(open_book("sqlite://"), size)
        book.fill()
        raw = book.desk.store.dialect.engine.raw_connection()
        raw.driver_connection.set_progress_handler(book.step, 1)  # type: ignore[union-attr]
        raw.close()
        made.append(book)
    yield made[0], made[1]
    for book in made:
        book.desk.close()


def address_of(book: Book) -> Address:
    given = book.desk.do(AllocateAddress(subnet="n-lowest", identifier="vm", owner="p"), ME)
    return given.address


def prefix_of(book: Book) -> Prefix:
    return book.desk.do(AllocatePrefix(pool="pool", length=28), ME).prefix


def subnet_of(book: Book) -> str:
    return str(book.desk.do(CreateSubnet(pool="pool", length=28), ME).id)


# Any: of each filter's kind.
def in_the_middle(book: Book, **wanted: Any) -> ListAllocations:
    """A page that follows on half of what was held at first."""
    page = book.desk.ask(ListAllocations(limit=book.size, **wanted), ME)
    assert page.next is not None
    return ListAllocations(limit=10, cursor=page.next, **wanted)


def test_what_sqlite_plans_by_is_of_indexes_that_there_are() -> None:
    """Each has a number of rows, and one for each of its first columns."""
    with open_book("sqlite://") as desk:
        raw = desk.store.dialect.engine.raw_connection()
        told = raw.cursor().execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()
        assert told
        for table, index, numbers in told:
            kind = "index" if index != table else "table"  # without row ids, the key is the table
            query = (
                "SELECT count(*) FROM sqlite_master WHERE type = ? AND name = ? AND tbl_name = ?"
            )
            assert raw.cursor().execute(query, (kind, index, table)).fetchone() == (1,), index
            columns = f"SELECT count(*) FROM pragma_index_info('{index}')"
            if kind == "table":
                columns = f"SELECT count(*) FROM pragma_table_info('{table}') WHERE pk > 0"
            (width,) = raw.cursor().execute(columns).fetchone()
            rows, *alike = map(int, numbers.split())
            assert len(alike) == width, f"{index} has {width} columns"
            assert [rows, *alike] == sorted([rows, *alike], reverse=True)
        raw.close()


# Any command or query, made for a book.
REQUESTS: dict[str, Callable[[Book], Command | Query]] = {  # type: ignore[type-arg]
    **{
        f"an address, {placement}": lambda _, name=name: AllocateAddress(subnet=name)
        for placement, name in NETS.items()
    },
    "the next address": lambda _: AllocateAddress(subnet="n-lowest", method=Method.NEXT),
    "an address of a host": lambda _: AllocateAddress(
        subnet="n-lowest", hostname="www", identifier="vm", owner="p", tags=("t",)
    ),
    "an address back": lambda book: ReleaseAddress(subnet="n-lowest", address=address_of(book)),
    "an owner's addresses back": lambda book: (
        address_of(book) and ReleaseMatching(subnet="n-lowest", identifier="vm")
    ),
    "an address of another owner": lambda book: UpdateAllocation(
        subnet="n-lowest", address=address_of(book), owner=None
    ),
    **{
        f"a prefix, {placement}": lambda _, placement=placement: AllocatePrefix(
            pool="pool", length=28, placement=placement
        )
        for placement in PrefixPlacement
    },
    "a prefix back": lambda book: ReleasePrefix(pool="pool", prefix=prefix_of(book)),
    "a subnet of a pool": lambda _: CreateSubnet(pool="pool", length=28),
    "a subnet at the end of a pool": lambda _: CreateSubnet(
        pool="pool", prefix=Prefix(f"10.200.{next(THIRD)}.0/28")
    ),
    "a subnet goes": lambda book: DeleteSubnet(subnet=subnet_of(book)),
    "one allocation": lambda _: GetAllocation(subnet="n-lowest", address=Address("192.168.0.20")),
    "a subnet": lambda _: GetSubnet(subnet="n-lowest"),
    "a subnet by its CIDR": lambda _: GetSubnet(subnet="172.16.0.32/28"),
    "a pool by its CIDR": lambda _: GetSubnetPool(pool="10.0.0.0/8"),
    "a pool": lambda _: GetSubnetPool(pool="pool"),
    "who has an address": lambda _: Lookup(address=Address("192.168.0.20"), scope="s"),
    "where a prefix lies": lambda _: Lookup(prefix=Prefix("10.0.0.0/28"), scope="s"),
    "a page of a subnet": lambda _: ListAllocations(subnet="n-lowest", limit=10),
    "a page of a scope": lambda _: ListAllocations(scope="s", limit=10),
    "a page in the middle of a scope": lambda book: in_the_middle(book, scope="s"),
    "a page in the middle of the book": lambda book: in_the_middle(book),
    "a page in the middle of a tag": lambda book: in_the_middle(book, tag="many"),
    "a page of the book": lambda _: ListAllocations(limit=10),
    "a page of a range": lambda _: ListAllocations(
        scope="s", within=Prefix("192.168.0.16/28"), limit=10
    ),
    "the prefixes of a pool": lambda _: ListPrefixAllocations(pool="pool", limit=10),
    "subnets of a tag": lambda _: ListSubnets(tag="rare", scope="s", limit=10),
    "subnets within a prefix": lambda _: ListSubnets(within=Prefix("192.168.0.0/16"), limit=10),
    "a page of subnets": lambda _: ListSubnets(scope="s", limit=10),
    "a page of the tree": lambda _: ListTree(scope="s", limit=10),
    "a page of free space": lambda _: ListFree(container="n-lowest", limit=10),
    "a search": lambda _: Search(text="rare", scope="s", limit=5),
    "who held an address": lambda _: ListHistory(scope="s", address=Address("192.168.0.9")),
}
BY_ITS_OWN: dict[str, dict[str, Any]] = {  # Any: of each field's kind
    "hostname": {"hostname": "rare"},
    "identifier": {"identifier": "rare"},
    "MAC": {"mac": Mac("02:00:00:00:00:01")},
    "tag": {"tag": "rare"},
    "owner": {"owner": "rare"},
    "status": {"status": Status.RESERVED},
}
for _what, _fields in BY_ITS_OWN.items():
    REQUESTS[f"all of one {_what}"] = lambda _, f=_fields: ListAllocations(limit=10, **f)
    REQUESTS[f"all of one {_what} in a scope"] = lambda _, f=_fields: ListAllocations(
        scope="s", limit=10, **f
    )
    REQUESTS[f"all of one {_what} in a subnet"] = lambda _, f=_fields: ListAllocations(
        subnet="n-random", limit=10, **f
    )
del REQUESTS["all of one status in a scope"]  # it asks each subnet of the scope


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
def test_a_large_book_takes_no_more_steps_than_a_small_one(
    books: tuple[Book, Book],
    request_of: Callable[[Book], Command | Query],  # type: ignore[type-arg]
) -> None:
    costs = []
    for book in books:
        book.cost(request_of(book))
        costs.append(min(book.cost(request_of(book)) for _ in range(3)))
    small, large = costs
    assert 0 < large <= GROWTH_MAX * small, f"{small} steps with {SMALL}, {large} with {LARGE}"
