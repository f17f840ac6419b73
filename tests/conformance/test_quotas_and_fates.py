"""What a limited project may own, what became of a keyed command, and an end to old rights."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    ConstraintFailed,
    NotFound,
    OperationFenced,
    QuotaExceeded,
    Unauthenticated,
)
from allotment.model import wire
from allotment.model.access import Actor, Role, local_owner
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
    UpdateSubnet,
)
from allotment.model.events import Operation, OperationState, ResolveOperation
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    GetQuota,
    Quota,
    RevokeGrant,
    RevokeToken,
    SetQuota,
    TargetKind,
)
from allotment.model.queries import CheckBook, GetSubnet
from allotment.store import access_schema, quotas
from conformance.callers import waiting

Q = access_schema.quota

GRANT = CreateGrant(actor="token:t", role=Role.ALLOCATOR, target=TargetKind.INSTALLATION)


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """A project `j` that may own 4 addresses and 2 prefixes, and space enough for more."""
    return prepared(desk, me)


def prepared(desk: LocalDesk, me: Actor) -> LocalDesk:
    for command in (
        CreateAddressScope(name="s"),
        CreateProject(name="j"),
        CreateProject(name="free"),
        CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"),)),
        CreateSubnet(prefix=Prefix("10.1.0.0/24"), name="n"),
        SetQuota(project="j", addresses=4, prefixes=2),
    ):
        desk.do(command, me)  # type: ignore[arg-type]
    return desk


def owned(desk: LocalDesk, me: Actor) -> tuple[int, int]:
    """What the quota counts, and that it counts right."""
    found = desk.ask(GetQuota(project="j"), me)
    with desk.store.reading() as r:
        counted = quotas.count(r, found.project_id)
    assert (found.addresses_used, found.prefixes_used) == counted
    return counted


# --- quotas


def test_what_is_taken_and_given_back_is_counted_whichever_way(book: LocalDesk, me: Actor) -> None:
    steps: list[tuple[Command[Any], tuple[int, int]]] = [
        (AllocateAddress(subnet="n", address=Address("10.1.0.9"), owner="j"), (1, 0)),
        (AllocateAddresses(subnet="n", count=2, owner="j"), (3, 0)),
        (AllocatePrefix(pool="p", length=24, owner="j"), (3, 1)),
        (CreateSubnet(pool="p", prefix=Prefix("10.0.9.0/24"), name="own", project="j"), (3, 2)),
        (UpdateAllocation(subnet="n", address=Address("10.1.0.9"), owner=None), (2, 2)),
        (UpdateAllocation(subnet="n", address=Address("10.1.0.9"), owner="j"), (3, 2)),
        (UpdateAllocation(subnet="n", address=Address("10.1.0.9"), owner="free"), (2, 2)),
        (UpdateSubnet(subnet="own", project="free"), (2, 1)),
        (UpdateSubnet(subnet="own", project="j"), (2, 2)),
        (AllocateAddress(subnet="own", owner="j"), (3, 2)),
        (DeleteSubnet(subnet="own", cascade=True), (2, 1)),
        (ReleasePrefix(pool="p", prefix=Prefix("10.0.0.0/24")), (2, 0)),
        (ReleaseAddresses(subnet="n", addresses=(Address("10.1.0.2"),)), (1, 0)),
        (ReleaseAddress(subnet="n", address=Address("10.1.0.9")), (1, 0)),
        (ReleaseMatching(owner="j"), (0, 0)),
    ]
    for command, expected in steps:
        book.do(command, me)
        assert owned(book, me) == expected, command
    assert book.ask(CheckBook(), me).clean


def test_a_limit_set_late_counts_what_was_there_before(book: LocalDesk, me: Actor) -> None:
    book.do(AllocateAddresses(subnet="n", count=9, owner="free"), me)
    told = book.do(SetQuota(project="free", addresses=5), me)
    assert (told.addresses, told.addresses_used) == (5, 9), "and takes nothing away"
    with pytest.raises(QuotaExceeded):
        book.do(AllocateAddress(subnet="n", owner="free"), me)
    book.do(ReleaseAddresses(subnet="n", addresses=(Address("10.1.0.2"),)), me)
    with pytest.raises(QuotaExceeded):
        book.do(AllocateAddress(subnet="n", owner="free"), me)
    assert book.do(SetQuota(project="free", addresses=None), me).addresses is None
    book.do(AllocateAddress(subnet="n", owner="free"), me)


@pytest.mark.parametrize(
    "command",
    [
        AllocateAddresses(subnet="n", count=5, owner="j"),
        Batch(commands=(AllocateAddress(subnet="n", owner="j"),) * 5),
        Batch(commands=(AllocatePrefix(pool="p", length=24, owner="j"),) * 3),
        Batch(
            commands=tuple(CreateSubnet(pool="p", length=24, project="j") for _ in range(3)),
        ),
    ],
    ids=["many", "addresses", "prefixes", "subnets"],
)
def test_too_much_at_once_is_refused_whole(
    book: LocalDesk, me: Actor, dump: Any, command: Command[Any]
) -> None:
    before = dump(book)
    with pytest.raises(QuotaExceeded) as refusal:
        book.do(command, me)
    assert refusal.value.facts["project"] == "j"
    assert dump(book) == before


def outcomes(
    desks: Sequence[LocalDesk], commands: Sequence[Command[Any]], actor: Actor
) -> list[Any]:
    """All at once, as well as threads can."""
    gate = threading.Barrier(len(commands))

    def one(place: int) -> Any:
        gate.wait(30)
        try:
            return desks[place % len(desks)].do(commands[place], actor)
        except AllotmentError as error:
            return error

    with ThreadPoolExecutor(len(commands)) as crew:
        return list(crew.map(one, range(len(commands))))


def test_many_at_once_never_own_more_than_the_limit(postgres_url: str, me: Actor) -> None:
    desks = [open_book(postgres_url) for _ in range(3)]
    prepared(desks[0], me)
    desks[0].do(SetQuota(project="j", addresses=7), me)
    commands: list[Command[Any]] = [AllocateAddress(subnet="n", owner="j")] * 16
    commands += [AllocateAddresses(subnet="n", count=2, owner="j")] * 4
    commands += [Batch(commands=(AllocateAddress(subnet="n", owner="j"),) * 3)] * 4
    found = outcomes(desks, commands, me)
    assert {type(one) for one in found if isinstance(one, AllotmentError)} == {QuotaExceeded}
    assert owned(desks[1], me)[0] == 7, "single ones fill what is left"
    assert desks[2].ask(CheckBook(), me).clean
    for one in desks:
        one.close()


def test_a_first_limit_misses_nothing_that_is_taken_meanwhile(postgres_url: str, me: Actor) -> None:
    """Who limits a project counts what there is; who takes at the same time is counted once."""
    desks = [open_book(postgres_url) for _ in range(3)]
    prepared(desks[0], me)
    commands: list[Command[Any]] = [AllocateAddress(subnet="n", owner="free")] * 11
    commands.insert(5, SetQuota(project="free", addresses=100))
    found = outcomes(desks, commands, me)
    assert not [one for one in found if isinstance(one, AllotmentError)]
    (limit,) = (one for one in found if isinstance(one, Quota))
    assert 0 <= limit.addresses_used <= 11
    assert desks[1].ask(GetQuota(project="free"), me).addresses_used == 11
    for one in desks:
        one.close()


@pytest.mark.parametrize("column", ["addresses_used", "prefixes_used"])
def test_a_count_below_nothing_is_refused_by_the_database(book: LocalDesk, column: str) -> None:
    with pytest.raises(ConstraintFailed) as refusal, book.store.writing() as tx:
        tx.run(Q.update().values({column: -1}))
    assert refusal.value.constraint == f"quota_{column.removesuffix('_used')}_counted"


# --- fates


LOST: list[Command[Any]] = [
    AllocateAddress(subnet="n", idempotency_key="k"),
    CreateProject(name="x", idempotency_key="k"),
    Batch(commands=(CreateProject(name="x"),), idempotency_key="k"),
]


@pytest.mark.parametrize("command", LOST, ids=["hot", "cold", "batch"])
def test_a_key_that_was_resolved_as_not_done_is_fenced_for_ever(
    book: LocalDesk, me: Actor, dump: Any, command: Command[Any]
) -> None:
    for _ in range(2):
        told = book.do(ResolveOperation(key="k"), me)
        assert told == Operation(key="k", state=OperationState.NOT_DONE)
    before = dump(book)
    for _ in range(2):
        with pytest.raises(OperationFenced):
            book.do(command, me)
        assert dump(book) == before
    other = local_owner("somebody else")
    assert not isinstance(book.do(command, other), AllotmentError), "keys belong to their actor"
    book.do(msgspec.structs.replace(LOST[0], idempotency_key="new"), me)


@pytest.mark.parametrize("command", LOST, ids=["hot", "cold", "batch"])
def test_a_key_that_was_done_is_told_with_its_answer(
    book: LocalDesk, me: Actor, command: Command[Any]
) -> None:
    answer = book.do(command, me)
    for _ in range(2):
        told = book.do(ResolveOperation(key="k"), me)
        assert told.state is OperationState.DONE
        assert told.answer is not None
        assert bytes(told.answer) == wire.encode(answer)
    assert book.do(command, me) == answer


def test_whoever_resolves_waits_for_one_who_is_at_work_under_the_key(
    postgres_url: str, me: Actor
) -> None:
    with open_book(postgres_url) as working, open_book(postgres_url) as asking:
        prepared(working, me)
        hold = "LOCK TABLE project IN ACCESS EXCLUSIVE MODE"
        with ThreadPoolExecutor(2) as crew:
            with psycopg.connect(postgres_url) as other:
                other.execute(hold)
                command = CreateProject(name="x", idempotency_key="k")
                made = crew.submit(working.do, command, me)
                waiting(postgres_url, 1)
                told = crew.submit(asking.do, ResolveOperation(key="k"), me)
                waiting(postgres_url, 2)
                assert not told.done()
            assert made.result(30).name == "x"
            assert told.result(30).state is OperationState.DONE


# --- rights that end


@pytest.mark.parametrize("reference", ["n", "id"], ids=["in a transaction", "at once"])
def test_a_right_that_was_taken_back_ends_at_once_in_every_process(
    postgres_url: str, me: Actor, reference: str
) -> None:
    """What the other desk keeps in mind is of another epoch then."""
    with open_book(postgres_url) as here, open_book(postgres_url) as there:
        prepared(here, me)
        subnet = str(here.ask(GetSubnet(subnet="n"), me).id) if reference == "id" else "n"
        here.do(CreateToken(name="t"), me)
        actor, wish = Actor(name="token:t"), AllocateAddress(subnet=subnet)
        with pytest.raises(AllotmentError):
            there.do(wish, actor)
        for _ in range(3):
            grant = here.do(
                GRANT,
                me,
            )
            for _ in range(3):
                there.do(wish, actor)
            here.do(RevokeGrant(grant=str(grant.id)), me)
            with pytest.raises(NotFound):
                there.do(wish, actor)
        here.do(GRANT, me)
        there.do(wish, actor)
        here.do(RevokeToken(token="t"), me)
        with pytest.raises(Unauthenticated):
            there.do(wish, actor)
        assert here.ask(CheckBook(), me).clean


@pytest.mark.parametrize(
    "command",
    [
        CreateToken(name="t"),
        CreateGrant(actor="group:g", role=Role.VIEWER, target=TargetKind.INSTALLATION),
    ],
)
def test_what_many_make_at_once_is_made_once(
    postgres_url: str, me: Actor, command: Command[Any]
) -> None:
    desks = [open_book(postgres_url) for _ in range(3)]
    found = outcomes(desks, [command] * 6, me)
    refused = [one.code for one in found if isinstance(one, AllotmentError)]
    assert refused == ["already-exists"] * 5
    for one in desks:
        one.close()


def test_there_is_one_epoch(book: LocalDesk) -> None:
    with pytest.raises(ConstraintFailed) as refusal, book.store.writing() as tx:
        tx.run(access_schema.access_epoch.insert(), {"id": 2, "value": 7})
    assert refusal.value.constraint == "access_epoch_once"
