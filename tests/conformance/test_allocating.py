"""What each way of asking for an address promises, on every database."""

from __future__ import annotations

from uuid import UUID

import pytest

from allotment import Address, Mac, Prefix
from allotment.desk import LocalDesk
from allotment.errors import (
    AddressTaken,
    IdempotencyMismatch,
    IdentifierTaken,
    InUse,
    InvalidValue,
    NotFound,
    Overlap,
    PoolExhausted,
    StaleAllocation,
)
from allotment.model.access import Actor
from allotment.model.address_range import parse_range
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
    UpdateAllocationPools,
    UpdateSubnet,
)
from allotment.model.queries import CheckBook, GetAllocation, GetSubnet, ListAllocations, ListFree
from allotment.model.results import AddressPlacement, Subnet


@pytest.fixture
def net(desk: LocalDesk, me: Actor) -> Subnet:
    """192.0.2.0/28 with its default pool .2 to .14 in the scope `blue`."""
    desk.do(CreateAddressScope(name="blue"), me)
    return desk.do(CreateSubnet(name="net", prefix=Prefix("192.0.2.0/28")), me)


def _free(desk: LocalDesk, me: Actor, subnet: str = "net") -> list[str]:
    return [str(one.range) for one in desk.ask(ListFree(container=subnet), me).items]


def test_default_pools_lie_around_the_gateway(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    assert str(net.gateway) == "192.0.2.1"
    assert [str(pool) for pool in net.pools] == ["192.0.2.2-192.0.2.14"]
    middle = desk.do(
        CreateSubnet(prefix=Prefix("198.51.100.0/29"), gateway=Address("198.51.100.3")), me
    )
    assert [str(pool) for pool in middle.pools] == [
        "198.51.100.1-198.51.100.2",
        "198.51.100.4-198.51.100.6",
    ]
    outside = desk.do(
        CreateSubnet(prefix=Prefix("198.51.100.8/29"), gateway=Address("203.0.113.1")), me
    )
    assert [str(pool) for pool in outside.pools] == ["198.51.100.9-198.51.100.14"]


def test_lowest_takes_in_order_and_a_released_range_merges_with_its_neighbours(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    held = [desk.do(AllocateAddress(subnet="net"), me) for _ in range(4)]
    assert [str(one.address) for one in held] == [f"192.0.2.{last}" for last in (2, 3, 4, 5)]
    for place in (1, 3, 2, 0):
        desk.do(ReleaseAddress(subnet="net", address=held[place].address), me)
    assert _free(desk, me) == ["192.0.2.2-192.0.2.14"]
    assert desk.ask(CheckBook(), me).extents == 1


def test_a_specific_address_may_lie_outside_the_pools_but_not_outside_sense(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    gateway = desk.do(AllocateAddress(subnet="net", address=Address("192.0.2.1")), me)
    assert str(gateway.address) == "192.0.2.1"
    with pytest.raises(AddressTaken):
        desk.do(AllocateAddress(subnet="net", address=Address("192.0.2.1")), me)
    for text, rule in (
        ("192.0.2.0", "network or broadcast"),
        ("192.0.2.15", "network or broadcast"),
        ("192.0.2.16", "inside the subnet"),
        ("2001:db8::1", "inside the subnet"),
    ):
        with pytest.raises(InvalidValue, match=rule):
            desk.do(AllocateAddress(subnet="net", address=Address(text)), me)
    desk.do(ReleaseAddress(subnet="net", address=Address("192.0.2.1")), me)
    assert _free(desk, me) == ["192.0.2.2-192.0.2.14"]


def test_least_recently_used_gives_the_address_that_rested_longest(
    desk: LocalDesk, me: Actor
) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(
        CreateSubnet(
            name="net",
            prefix=Prefix("192.0.2.0/29"),
            placement=AddressPlacement.LEAST_RECENTLY_USED,
        ),
        me,
    )
    held = [desk.do(AllocateAddress(subnet="net"), me).address for _ in range(5)]
    assert len(set(held)) == 5
    import time

    order = [held[3], held[0], held[4]]
    for address in order:
        desk.do(ReleaseAddress(subnet="net", address=address), me)
        time.sleep(0.005)  # the age of free space is told apart by milliseconds
    assert [desk.do(AllocateAddress(subnet="net"), me).address for _ in range(3)] == order


def test_a_quarantined_address_rests_and_nobody_gets_it(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(CreateSubnet(name="net", prefix=Prefix("192.0.2.0/30"), quarantine_seconds=3600), me)
    held = desk.do(AllocateAddress(subnet="net"), me)
    desk.do(ReleaseAddress(subnet="net", address=held.address), me)
    with pytest.raises(PoolExhausted):
        desk.do(AllocateAddress(subnet="net"), me)
    with pytest.raises(AddressTaken, match="resting"):
        desk.do(AllocateAddress(subnet="net", address=held.address), me)
    assert desk.ask(CheckBook(), me).clean


def test_eui64_and_stable_private_addresses_are_made_from_the_interface(
    desk: LocalDesk, me: Actor
) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(CreateSubnet(name="six", prefix=Prefix("2001:db8:0:1::/64")), me)
    mac = Mac("00:00:5e:00:53:01")
    made = desk.do(AllocateAddress(subnet="six", method=Method.EUI_64, mac=mac), me)
    assert str(made.address) == "2001:db8:0:1:200:5eff:fe00:5301"
    with pytest.raises(AddressTaken):
        desk.do(AllocateAddress(subnet="six", method=Method.EUI_64, mac=mac), me)
    wish = AllocateAddress(subnet="six", method=Method.STABLE_PRIVATE, interface="eth0")
    first = desk.do(wish, me)
    second = desk.do(wish, me)
    assert first.address != second.address
    desk.do(ReleaseAddress(subnet="six", address=first.address), me)
    assert desk.do(wish, me).address == first.address
    with pytest.raises(InvalidValue, match="mac"):
        desk.do(AllocateAddress(subnet="six", method=Method.EUI_64), me)


def test_a_group_of_subnets_is_tried_in_order(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    desk.do(CreateSubnet(name="more", prefix=Prefix("198.51.100.0/30")), me)
    desk.do(AllocateAddresses(subnet="net", count=12), me)
    wish = AllocateAddress(subnet="net", fallbacks=("more",))
    assert [str(desk.do(wish, me).address) for _ in range(2)] == ["192.0.2.14", "198.51.100.2"]
    with pytest.raises(PoolExhausted):
        desk.do(wish, me)


def test_an_identifier_gets_the_same_allocation_again(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    wish = AllocateAddress(subnet="net", identifier="vm-1")
    held = desk.do(wish, me)
    assert desk.do(wish, me) == held
    with pytest.raises(IdentifierTaken):
        desk.do(AllocateAddress(subnet="net", identifier="vm-1", address=Address("192.0.2.9")), me)
    assert desk.do(ReleaseMatching(subnet="net", identifier="vm-1"), me).count == 1
    with pytest.raises(NotFound):
        desk.do(ReleaseMatching(subnet="net", identifier="vm-1"), me)


def test_a_repeated_key_returns_the_first_answer_even_after_the_release(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    wish = AllocateAddress(subnet="net", idempotency_key="k-1")
    held = desk.do(wish, me)
    desk.do(ReleaseAddress(subnet="net", address=held.address), me)
    assert desk.do(wish, me) == held
    assert desk.ask(ListAllocations(subnet="net"), me).items == ()
    with pytest.raises(IdempotencyMismatch):
        desk.do(AllocateAddress(subnet="net", hostname="other", idempotency_key="k-1"), me)


def test_a_late_release_never_frees_the_next_owners_address(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    mine = desk.do(AllocateAddress(subnet="net"), me)
    desk.do(ReleaseAddress(subnet="net", address=mine.address, allocation_id=str(mine.id)), me)
    theirs = desk.do(AllocateAddress(subnet="net"), me)
    assert theirs.address == mine.address
    with pytest.raises(StaleAllocation):
        desk.do(ReleaseAddress(subnet="net", address=mine.address, allocation_id=str(mine.id)), me)
    assert desk.ask(GetAllocation(subnet="net", address=mine.address), me) == theirs


def test_bulk_is_all_or_nothing_and_its_ids_count_up(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    desk.do(AllocateAddress(subnet="net", address=Address("192.0.2.5")), me)
    with pytest.raises(PoolExhausted) as refused:
        desk.do(AllocateAddresses(subnet="net", count=13), me)
    assert refused.value.facts["free"] == 12
    with pytest.raises(PoolExhausted, match="one run"):
        desk.do(AllocateAddresses(subnet="net", count=10, contiguous=True), me)
    run = desk.do(AllocateAddresses(subnet="net", count=9, contiguous=True), me)
    assert [str(one) for one in run.ranges] == ["192.0.2.6-192.0.2.14"]
    rest = desk.do(AllocateAddresses(subnet="net", count=3, hostname="dhcp"), me)
    assert [str(one) for one in rest.ranges] == ["192.0.2.2-192.0.2.4"]
    items = desk.ask(ListAllocations(subnet="net", hostname="dhcp"), me).items
    assert [one.id for one in items] == [UUID(int=rest.first_id.int + n) for n in range(3)]
    assert _free(desk, me) == []


def test_a_fixed_run_is_taken_whole_or_not_at_all(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    desk.do(AllocateAddress(subnet="net", address=Address("192.0.2.8")), me)
    with pytest.raises(AddressTaken, match=r"192\.0\.2\.8"):
        desk.do(AllocateAddresses(subnet="net", count=4, first=Address("192.0.2.6")), me)
    desk.do(AllocateAddresses(subnet="net", count=7, first=Address("192.0.2.1")), me)
    assert _free(desk, me) == ["192.0.2.9-192.0.2.14"]


def test_memory_does_not_grow_with_the_count_of_a_bulk_allocation(
    desk: LocalDesk, me: Actor
) -> None:
    import tracemalloc

    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(CreateSubnet(name="net", prefix=Prefix("10.0.0.0/11"), gateway=None), me)
    desk.do(AllocateAddresses(subnet="net", count=1000), me)
    tracemalloc.start()
    desk.do(AllocateAddresses(subnet="net", count=50_000), me)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000, "fifty thousand addresses must not become fifty thousand objects"
    report = desk.ask(CheckBook(), me)
    assert report.clean
    assert report.allocations == 51_000


def test_pools_are_compared_as_sets_of_addresses(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    held = desk.do(AllocateAddress(subnet="net", address=Address("192.0.2.12")), me)
    same = desk.do(
        UpdateAllocationPools(
            subnet="net",
            ranges=tuple(
                parse_range(one)
                for one in ("192.0.2.9-192.0.2.14", "192.0.2.2-192.0.2.4", "192.0.2.5-192.0.2.8")
            ),
        ),
        me,
    )
    assert (same.added, same.removed, same.subnet.version) == ((), (), net.version)
    assert same.subnet.pools == net.pools
    shrunk = desk.do(
        UpdateAllocationPools(subnet="net", ranges=(parse_range("192.0.2.2-192.0.2.5"),)), me
    )
    assert (shrunk.outside, shrunk.outside_sample) == (1, (held.address,))
    assert _free(desk, me) == ["192.0.2.2-192.0.2.5"]
    emptied = desk.do(UpdateAllocationPools(subnet="net", ranges=()), me)
    assert emptied.subnet.pools == ()
    with pytest.raises(PoolExhausted):
        desk.do(AllocateAddress(subnet="net"), me)
    desk.do(UpdateAllocationPools(subnet="net", ranges=net.pools), me)
    assert _free(desk, me) == ["192.0.2.2-192.0.2.11", "192.0.2.13-192.0.2.14"]
    assert desk.ask(GetAllocation(subnet="net", address=held.address), me) == held


def test_pools_never_contain_what_is_not_to_be_handed_out(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    for text in (
        "192.0.2.0-192.0.2.3",
        "192.0.2.10-192.0.2.15",
        "192.0.2.1-192.0.2.2",
        "192.0.2.14-192.0.2.20",
        "2001:db8::1-2001:db8::2",
    ):
        with pytest.raises(InvalidValue, match="range"):
            desk.do(UpdateAllocationPools(subnet="net", ranges=(parse_range(text),)), me)
    with pytest.raises(InvalidValue, match="gateway"):
        desk.do(UpdateSubnet(subnet="net", gateway=Address("192.0.2.5")), me)


def test_a_batch_is_all_or_nothing(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    with pytest.raises(AddressTaken):
        desk.do(
            Batch(
                commands=(
                    AllocateAddress(subnet="net", address=Address("192.0.2.7")),
                    AllocateAddresses(subnet="net", count=3),
                    AllocateAddress(subnet="net", address=Address("192.0.2.7")),
                )
            ),
            me,
        )
    assert _free(desk, me) == ["192.0.2.2-192.0.2.14"]
    project, held = desk.do(
        Batch(
            commands=(
                CreateProject(name="shop"),
                AllocateAddress(subnet="net", owner="shop"),
            )
        ),
        me,
    )
    assert held.project_id == project.id  # type: ignore[attr-defined]  # a Result is not told apart
    assert desk.do(ReleaseMatching(owner="shop"), me).count == 1


def test_many_releases_are_all_or_nothing(desk: LocalDesk, me: Actor, net: Subnet) -> None:
    desk.do(AllocateAddresses(subnet="net", count=5), me)
    wanted = tuple(Address(f"192.0.2.{last}") for last in (3, 4, 9))
    with pytest.raises(NotFound, match=r"192\.0\.2\.9"):
        desk.do(ReleaseAddresses(subnet="net", addresses=wanted), me)
    assert _free(desk, me) == ["192.0.2.7-192.0.2.14"]
    assert desk.do(ReleaseAddresses(subnet="net", addresses=wanted[:2]), me).count == 2
    assert _free(desk, me) == ["192.0.2.3-192.0.2.4", "192.0.2.7-192.0.2.14"]


def test_a_pool_above_existing_subnets_takes_them_in(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    pool = desk.do(CreateSubnetPool(name="docs", prefixes=(Prefix("192.0.2.0/24"),)), me)
    assert desk.ask(GetSubnet(subnet="net"), me).pool_id == pool.id
    assert _free(desk, me, "docs") == ["192.0.2.16-192.0.2.255"]
    with pytest.raises(Overlap):
        desk.do(CreateSubnet(prefix=Prefix("192.0.2.8/29")), me)
    with pytest.raises(Overlap):
        desk.do(CreateSubnet(prefix=Prefix("192.0.0.0/22")), me)
    desk.do(DeleteSubnet(subnet="net"), me)
    assert _free(desk, me, "docs") == ["192.0.2.0-192.0.2.255"]


def test_a_held_prefix_is_out_of_everybody_elses_reach(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(CreateSubnetPool(name="six", prefixes=(Prefix("2001:db8::/48"),)), me)
    wish = AllocatePrefix(pool="six", length=56, identifier="customer-1")
    held = desk.do(wish, me)
    assert str(held.prefix) == "2001:db8::/56"
    assert desk.do(wish, me) == held
    with pytest.raises(Overlap):
        desk.do(CreateSubnet(prefix=Prefix("2001:db8:0:10::/64")), me)
    assert str(desk.do(CreateSubnet(pool="six", length=64), me).prefix) == "2001:db8:0:100::/64"
    desk.do(ReleasePrefix(pool="six", prefix=held.prefix, allocation_id=str(held.id)), me)
    with pytest.raises(NotFound):
        desk.do(ReleasePrefix(pool="six", prefix=held.prefix), me)


def test_a_subnet_that_holds_addresses_is_deleted_by_cascade_only(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    desk.do(AllocateAddress(subnet="net", tags=("x",)), me)
    with pytest.raises(InUse, match="1 allocation;"):
        desk.do(DeleteSubnet(subnet="net"), me)
    assert desk.do(DeleteSubnet(subnet="net", cascade=True), me).contents["allocations"] == 1
    report = desk.ask(CheckBook(), me)
    assert (report.clean, report.subnets, report.allocations, report.extents) == (True, 0, 0, 0)


def test_one_statement_writes_what_a_transaction_writes(
    desk: LocalDesk, me: Actor, net: Subnet
) -> None:
    """PostgreSQL serves the plainest request in one statement: the same rows, byte for byte."""
    import json

    from sqlalchemy import select

    from allotment.store import schema

    wish = AllocateAddress(
        subnet=str(net.id), hostname="Web-1", mac=Mac("02:00:5e:00:53:01"), description='"q" \\ é'
    )
    alone = desk.do(wish, me)
    (batched,) = desk.do(Batch(commands=(wish,)), me)
    with desk.store.reading() as r:
        rows = r.run(select(schema.allocation).order_by(schema.allocation.c.address)).all()
        events = r.run(select(schema.event).order_by(schema.event.c.id.desc()).limit(2)).all()
    own = ("id", "address", "created_at")
    kept = [{k: v for k, v in row._mapping.items() if k not in own} for row in rows]
    assert kept[0] == kept[1]
    answers = [json.loads(events[1].answer), json.loads(events[0].answer)[0]]
    assert [one["address"] for one in answers] == ["192.0.2.2", "192.0.2.3"]
    for answer, made in zip(answers, (alone, batched), strict=True):
        assert answer["id"] == str(made.id)  # type: ignore[attr-defined]  # as above
    first, second = ({k: v for k, v in one.items() if k not in own} for one in answers)
    assert first == second
    assert json.loads(events[1].command) == json.loads(events[0].command)["commands"][0]
