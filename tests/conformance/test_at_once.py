"""Plain requests served in one round trip: they write what a transaction writes.

Invariant: which way a request took can be seen by nobody afterwards.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET
from sqlalchemy import select, text

from allotment.desk import LocalDesk
from allotment.engine.access import authorize, owner_rights
from allotment.errors import Bug, NotFound, PoolExhausted
from allotment.model.access import Actor, Role
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateSubnet,
    ReleaseAddress,
    ReleaseAddresses,
)
from allotment.model.grants import CreateGrant, CreateToken, RevokeGrant, TargetKind
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix
from allotment.model.queries import CheckBook
from allotment.model.results import Allocation, Subnet
from allotment.operations import at_once
from allotment.operations.perform import Asked
from allotment.operations.retries import deadline_of
from allotment.store import schema
from allotment.store.postgres import _raw
from allotment.store.postgres_connection import Statement
from allotment.store.postgres_values import Param, rows_of
from allotment.teller import Job
from conformance.dumps import Dumper

PLACES = {
    "IPv4": ("10.0.0.0/24", None),
    "IPv6": ("2001:db8::/64", None),
    "the last four bytes wrap": ("2001:db8::/64", "2001:db8::ffff:fffa-2001:db8::1:0:9"),
    "::1.2.3.4": ("::/96", "::1.2.3.4-::1.2.3.19"),
    "the end of IPv6": (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
}


def subnet_in(desk: LocalDesk, me: Actor, place: str, scope: str = "s") -> Subnet:
    prefix, pools = PLACES[place]
    desk.do(CreateAddressScope(name=scope), me)
    command = CreateSubnet(
        scope=scope,
        prefix=Prefix(prefix),
        name="n",
        gateway=None,
        ranges=(AddressRange(pools),) if pools else UNSET,
    )
    return desk.do(command, me)


def asked(subnet: str) -> list[AllocateAddress]:
    described = AllocateAddress(
        subnet=subnet, hostname="Host-1", mac=Mac("02:00:00:00:00:01"), description='a "b" \\ ü'
    )
    return [AllocateAddress(subnet=subnet), described, AllocateAddress(subnet=subnet)]


def serve(desk: LocalDesk, me: Actor, commands: list[AllocateAddress]) -> list[Any]:
    """As one group, whoever leads it."""
    jobs = [Job(Asked(me, command), deadline_of(command)) for command in commands]
    return desk._teller.serve_crowd(jobs)


def written(desk: LocalDesk, subnet: Subnet) -> list[dict[str, Any]]:
    """The rows of the allocations and of their events, but for what differs by itself."""
    own = dict.fromkeys(("id", "created_at", "subnet_id"))
    with desk.store.reading() as r:
        rows = r.run(select(schema.allocation).order_by(schema.allocation.c.address))
        found = [{**row._mapping, **own} for row in rows]
        for row in r.run(select(schema.event).order_by(schema.event.c.id)):
            command, answer = json.loads(row.command), json.loads(row.answer)
            if command["do"] == "AllocateAddress":
                command["subnet"] = "n"
                found.append({"actor": row.actor, "command": command, "answer": answer | own})
    return found


@pytest.mark.parametrize("place", PLACES)
def test_what_is_served_at_once_is_written_as_a_transaction_writes_it(
    desk: LocalDesk, me: Actor, place: str
) -> None:
    subnet = subnet_in(desk, me, place)
    by_name = [desk.do(command, me) for command in asked("n")]
    first = written(desk, subnet)
    for served in by_name:
        release(desk, me, subnet, served)
    singly = [desk.do(command, me) for command in asked(str(subnet.id))]
    assert [one.address for one in singly] == [one.address for one in by_name]
    for served in singly:
        release(desk, me, subnet, served)
    together = serve(desk, me, asked(str(subnet.id)))
    assert [one.address for one in together] == [one.address for one in by_name]
    everything = written(desk, subnet)
    assert everything[:3] == first[:3]
    events = everything[3:]
    assert events[:3] == events[3:6] == events[6:] == first[3:]
    assert desk.ask(CheckBook(), me).clean


def release(desk: LocalDesk, me: Actor, subnet: Subnet, held: Allocation) -> None:
    desk.do(ReleaseAddress(subnet=str(subnet.id), address=held.address), me)


def test_the_plainest_requests_are_served_at_once(desk: LocalDesk, me: Actor) -> None:
    subnet = subnet_in(desk, me, "IPv4")
    permits = [authorize(owner_rights(me), command) for command in asked(str(subnet.id))]
    deadline = deadline_of(permits[0].request)
    served = at_once.allocate(desk.store, permits, deadline)
    assert None not in served
    assert at_once.allocate(desk.store, permits[:1], deadline) != [None]


def test_two_of_a_group_with_one_key_are_one_allocation(desk: LocalDesk, me: Actor) -> None:
    subnet = subnet_in(desk, me, "IPv4")
    wish = AllocateAddress(subnet=str(subnet.id), idempotency_key="k")
    first, second = serve(desk, me, [wish, wish])
    assert first == second
    (again,) = serve(desk, me, [wish])
    assert again == first
    assert desk.ask(CheckBook(), me).allocations == 1


def test_a_group_that_was_let_through_by_older_rules_is_not_served_by_them(
    desk: LocalDesk, me: Actor
) -> None:
    subnet = subnet_in(desk, me, "IPv4")
    bearer = desk.do(CreateToken(name="t"), me).secret.reveal()
    grant = CreateGrant(
        actor="token:t", role=Role.ALLOCATOR, target=TargetKind.SUBNET, reference=str(subnet.id)
    )
    made = desk.do(grant, me)
    actor = desk.authenticate(bearer)
    wish = AllocateAddress(subnet=str(subnet.id))
    assert serve(desk, actor, [wish, wish])[1].subnet_id == subnet.id
    permits = [desk._gate.plain_permit(actor, wish, desk.store.clock())] * 2
    assert None not in permits
    desk.do(RevokeGrant(grant=str(made.id)), me)
    assert at_once.allocate(desk.store, permits, deadline_of(wish)) == [None, None]
    assert desk.ask(CheckBook(), me).allocations == 2


def test_a_group_larger_than_what_is_free_gets_all_of_it(desk: LocalDesk, me: Actor) -> None:
    subnet = subnet_in(desk, me, "the last four bytes wrap")
    outcomes = serve(desk, me, [AllocateAddress(subnet=str(subnet.id))] * 20)
    given = [one for one in outcomes if isinstance(one, Allocation)]
    assert len({one.address for one in given}) == len(given) == 16
    assert [type(one) for one in outcomes[16:]] == [PoolExhausted] * 4
    assert desk.ask(CheckBook(), me).clean


def test_a_group_may_ask_for_several_subnets_and_some_that_are_not_there(
    desk: LocalDesk, me: Actor
) -> None:
    one = subnet_in(desk, me, "IPv4", "one")
    two = subnet_in(desk, me, "IPv6", "two")
    nowhere = str(UUID(int=7))
    wanted = [str(two.id), str(one.id), nowhere, str(two.id), str(one.id)]
    outcomes = serve(desk, me, [AllocateAddress(subnet=subnet) for subnet in wanted])
    assert [getattr(outcome, "subnet_id", None) for outcome in outcomes] == [
        two.id,
        one.id,
        None,
        two.id,
        one.id,
    ]
    assert outcomes[2].code == "not-found"
    assert desk.ask(CheckBook(), me).clean


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", ""),
        ("text", "ü \\ ' \" 漢字"),
        ("bytea", b"\x00\xff"),
        ("int8", -(1 << 63)),
        ("int8", (1 << 63) - 1),
        ("boolean", True),
        ("boolean", False),
        ("uuid", UUID(int=1)),
        ("text[]", ["a", None, ""]),
        ("bytea[]", [b"", b"\x00", None]),
        ("int8[]", [0, -1, None, 1 << 40]),
        ("uuid[]", [UUID(int=0), UUID(int=(1 << 128) - 1)]),
        ("text", None),
    ],
)
def test_every_value_reaches_the_server_as_it_is(
    postgres_desk: LocalDesk, kind: str, value: Param
) -> None:
    """The server compares it with the same value as psycopg sends it."""
    with postgres_desk.store.writing() as tx:
        raw = _raw(tx.conn)
        raw.execute(f"CREATE TEMP TABLE sent (value {kind}) ON COMMIT DROP")  # type: ignore[call-overload]
        raw.execute("INSERT INTO sent VALUES (%s)", (value,))
        test = f"SELECT value IS NOT DISTINCT FROM $1::{kind} FROM sent"
        (found,) = raw.together([Statement(test, (value,))])
        assert list(rows_of(found)) == [[b"\x01"]]


def test_giving_back_no_address_at_all_gives_back_none(desk: LocalDesk, me: Actor) -> None:
    subnet = subnet_in(desk, me, "IPv4")
    held = desk.do(AllocateAddress(subnet=str(subnet.id)), me)
    assert desk.do(ReleaseAddresses(subnet="n", addresses=()), me).count == 0
    assert desk.do(ReleaseAddresses(subnet="n", addresses=(held.address,)), me).count == 1
    assert desk.ask(CheckBook(), me).clean


def test_a_release_in_a_subnet_that_is_not_there_is_not_found(desk: LocalDesk, me: Actor) -> None:
    subnet_in(desk, me, "IPv4")
    with pytest.raises(NotFound):
        desk.do(ReleaseAddress(subnet="nowhere", address=Address("10.0.0.2")), me)
    assert desk.do(AllocateAddress(subnet="n"), me).address == Address("10.0.0.1")


@pytest.mark.parametrize("how", ["ABORT", "ROLLBACK"])
def test_what_a_file_refuses_half_way_is_undone_and_the_next_is_served(
    desk: LocalDesk, me: Actor, dump: Dumper, how: str
) -> None:
    """SQLite ends some transactions by itself, and leaves the end of others to us."""
    if desk.store.dialect.concurrent:
        pytest.skip("there it is one statement")
    wish = AllocateAddress(subnet=str(subnet_in(desk, me, "IPv4").id))
    refuse = f"CREATE TRIGGER no BEFORE INSERT ON event BEGIN SELECT RAISE({how}, 'no'); END"
    with desk.store.writing() as tx:
        tx.run(text(refuse))
    before = dump(desk)
    with pytest.raises(Bug, match="constraint no refused"):
        desk.do(wish, me)
    assert dump(desk) == before
    with desk.store.writing() as tx:
        tx.run(text("DROP TRIGGER no"))
    assert desk.do(wish, me).address == Address("10.0.0.1")
    assert desk.ask(CheckBook(), me).clean
