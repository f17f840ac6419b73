"""One use case, one transaction: all or nothing, never twice, and an end to every retry."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from sqlalchemy import select, text, update

from allotment import Address, AddressRange, LocalDesk, Prefix, open_book
from allotment.desk import Job
from allotment.errors import (
    AddressTaken,
    AllotmentError,
    AlreadyExists,
    Ambiguous,
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    Deadlock,
    IdempotencyMismatch,
    IdentifierTaken,
    InUse,
    InvalidValue,
    NotFound,
    Overlap,
    PoolExhausted,
    QuotaExceeded,
    Serialization,
    StaleAllocation,
    StoreError,
    StoreFull,
    StoreUnavailable,
    Unauthenticated,
    VersionMismatch,
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
    DeleteAddressScope,
    DeleteProject,
    DeleteSubnet,
    DeleteSubnetPool,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    RepairBook,
    UpdateAddressScope,
    UpdateAllocation,
    UpdateAllocationPools,
    UpdateProject,
    UpdateSubnet,
    UpdateSubnetPool,
)
from allotment.model.events import ResolveOperation, SealAudit
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    GetQuota,
    RevokeGrant,
    RevokeToken,
    SetQuota,
    TargetKind,
)
from allotment.model.queries import (
    CheckBook,
    GetStatus,
    ListAllocations,
    ListProjects,
)
from allotment.operations import registry
from allotment.operations.explain import explain
from allotment.operations.perform import Asked
from allotment.operations.retries import deadline_of
from allotment.store import access_schema, schema
from allotment.store.postgres_at_once import AT_ONCE_SCHEMA
from allotment.store.postgres_schema import NATIVE_SCHEMA

Dump = dict[str, list[tuple[object, ...]]]
Dumper = Callable[[LocalDesk], Dump]
KINDS = registry.served()[0] | {Batch}
NOBODY = "00000000-0000-4000-8000-000000000000"
GRANT = "00000000-0000-4000-8000-000000000001"


def address(last: int) -> Address:
    return Address(f"10.0.0.{last}")


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """One of everything: full ones, and empty ones named `void`."""
    for command in (
        CreateAddressScope(name="s"),
        CreateAddressScope(name="void"),
        CreateProject(name="j"),
        CreateProject(name="void"),
        CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.0.0.0/16"),)),
        CreateSubnetPool(name="void", scope="s", prefixes=(Prefix("10.8.0.0/16"),)),
        CreateSubnet(prefix=Prefix("10.0.0.0/24"), scope="s", name="n"),
        CreateSubnet(prefix=Prefix("10.9.0.0/30"), scope="s", name="void"),
        AllocateAddress(subnet="n", address=address(5), identifier="five", owner="j"),
        AllocateAddress(subnet="n", address=address(6), owner="j", tags=("t",)),
        AllocateAddress(subnet="n", address=address(7)),
        AllocateAddress(subnet="n", address=address(8)),
        AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/24"), identifier="sixteen"),
        CreateToken(name="t"),
        CreateGrant(actor="token:t", role=Role.VIEWER, target=TargetKind.SCOPE, reference="s"),
        SetQuota(project="void", addresses=5),
    ):
        desk.do(command, me)  # type: ignore[arg-type]
    with desk.store.writing() as tx:  # grants have no names: give it an id that is known here
        tx.run(update(access_schema.access_grant).values(id=UUID(GRANT)))
    return desk


def fitting() -> list[Command[Any]]:
    """A command of each kind that the book can carry out, in an order in which it can do all."""
    return [
        CreateProject(name="new", description="one"),
        UpdateProject(project="j", description="two"),
        CreateAddressScope(name="new"),
        UpdateAddressScope(scope="s", description="two"),
        CreateSubnetPool(name="new", scope="s", prefixes=(Prefix("10.7.0.0/16"),), tags=("t",)),
        UpdateSubnetPool(pool="p", default_length=26),
        CreateSubnet(pool="p", length=28, name="new", project="j", tags=("a", "b")),
        UpdateSubnet(subnet="n", quarantine_seconds=60),
        UpdateAllocationPools(
            subnet="n",
            ranges=(AddressRange("10.0.0.7-10.0.0.20"), AddressRange("10.0.0.30-10.0.0.33")),
        ),
        AllocateAddress(subnet="n", hostname="Web", tags=("x", "y"), description="d", owner="j"),
        AllocateAddresses(subnet="n", count=3),
        UpdateAllocation(subnet="n", address=address(6), tags=("u", "v"), hostname="h"),
        AllocatePrefix(pool="p", length=27, tags=("t",)),
        ReleaseAddress(subnet="n", address=address(8)),
        ReleaseAddresses(subnet="n", addresses=(address(7),)),
        ReleasePrefix(pool="p", prefix=Prefix("10.0.16.0/24")),
        Batch(
            commands=(
                CreateProject(name="in a batch"),
                AllocateAddress(subnet="n", owner="in a batch"),
                ReleaseAddress(subnet="n", address=address(6)),
            )
        ),
        CreateToken(name="new", project="j"),
        RevokeToken(token="t"),
        CreateGrant(actor="group:new", role=Role.ADMIN, target=TargetKind.INSTALLATION),
        RevokeGrant(grant=GRANT),
        SetQuota(project="j", addresses=20, prefixes=None),
        ReleaseMatching(owner="j"),
        ResolveOperation(key="lost"),
        SealAudit(),
        RepairBook(),
        DeleteSubnet(subnet="n", cascade=True),
        DeleteSubnetPool(pool="void"),
        DeleteProject(project="void"),
        DeleteAddressScope(scope="s", cascade=True),
    ]


REFUSED: list[tuple[Command[Any], type[AllotmentError]]] = [
    (CreateProject(name="j"), AlreadyExists),
    (UpdateProject(project="j", name="void"), AlreadyExists),
    (UpdateProject(project="j", description="x", version=9), VersionMismatch),
    (DeleteProject(project="j"), InUse),
    (CreateAddressScope(name="s"), AlreadyExists),
    (UpdateAddressScope(scope="s", name="void"), AlreadyExists),
    (DeleteAddressScope(scope="s"), InUse),
    (CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.6.0.0/16"),)), AlreadyExists),
    (
        CreateSubnetPool(
            name="x", scope="s", prefixes=(Prefix("10.0.200.0/24"), Prefix("10.0.0.0/24"))
        ),
        AllotmentError,
    ),
    (CreateSubnetPool(name="x", scope="s", prefixes=(Prefix("10.0.16.0/28"),)), Overlap),
    (UpdateSubnetPool(pool="p", prefixes=(Prefix("10.0.0.0/24"),)), AllotmentError),
    (UpdateSubnetPool(pool="p", name="void"), AlreadyExists),
    (DeleteSubnetPool(pool="p"), InUse),
    (CreateSubnet(prefix=Prefix("10.0.0.128/25"), scope="s"), Overlap),
    (CreateSubnet(prefix=Prefix("10.0.1.0/24"), scope="s", name="n"), AlreadyExists),
    (CreateSubnet(pool="p", length=8), AllotmentError),
    (CreateSubnet(prefix=Prefix("10.0.1.0/24")), Ambiguous),
    (UpdateSubnet(subnet="n", name="void"), AlreadyExists),
    (UpdateSubnet(subnet="n", description="x", version=9), VersionMismatch),
    (DeleteSubnet(subnet="n"), InUse),
    (
        UpdateAllocationPools(subnet="n", ranges=(AddressRange("10.0.0.9-10.0.1.9"),)),
        InvalidValue,
    ),
    (UpdateAllocationPools(subnet="n", ranges=(), version=9), VersionMismatch),
    (AllocateAddress(subnet="n", address=address(5)), AddressTaken),
    (AllocateAddress(subnet="n", owner="nobody"), NotFound),
    (AllocateAddress(subnet="n", address=address(255)), InvalidValue),
    (AllocateAddress(subnet="n", address=address(9), identifier="five"), IdentifierTaken),
    (AllocateAddresses(subnet="n", count=1000), PoolExhausted),
    (AllocateAddresses(subnet="n", count=9, first=address(1)), AddressTaken),
    (AllocateAddresses(subnet="n", count=260, contiguous=True), PoolExhausted),
    (UpdateAllocation(subnet="n", address=address(99), hostname="x"), NotFound),
    (
        UpdateAllocation(subnet="n", address=address(5), allocation_id=NOBODY, hostname="x"),
        StaleAllocation,
    ),
    (ReleaseAddress(subnet="n", address=address(99)), NotFound),
    (ReleaseAddress(subnet="n", address=address(5), allocation_id=NOBODY), StaleAllocation),
    (ReleaseAddresses(subnet="n", addresses=(address(5), address(99))), NotFound),
    (ReleaseMatching(subnet="n", identifier="nobody"), NotFound),
    (ReleaseMatching(owner="nobody"), NotFound),
    (AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/25")), Overlap),
    (AllocatePrefix(pool="p", length=8), AllotmentError),
    (ReleasePrefix(pool="p", prefix=Prefix("10.0.17.0/24")), NotFound),
    (
        ReleasePrefix(pool="p", prefix=Prefix("10.0.16.0/24"), allocation_id=NOBODY),
        StaleAllocation,
    ),
    (CreateToken(name="t"), AlreadyExists),
    (RevokeToken(token="nobody"), NotFound),
    (
        CreateGrant(actor="token:t", role=Role.VIEWER, target=TargetKind.SCOPE, reference="s"),
        AlreadyExists,
    ),
    (CreateGrant(actor="token:nobody", role=Role.VIEWER, target=TargetKind.INSTALLATION), NotFound),
    (RevokeGrant(grant=NOBODY), NotFound),
    (SetQuota(project="nobody", addresses=1), NotFound),
    (AllocateAddresses(subnet="n", count=6, owner="void"), QuotaExceeded),
    (
        Batch(commands=(AllocateAddress(subnet="n", owner="void"),) * 6),
        QuotaExceeded,
    ),
    (
        Batch(
            commands=(
                CreateProject(name="in a batch"),
                AllocateAddress(subnet="n", owner="in a batch"),
                DeleteSubnet(subnet="void"),
                CreateProject(name="j"),
            )
        ),
        AlreadyExists,
    ),
    (
        Batch(
            commands=(
                AllocateAddresses(subnet="n", count=5),
                ReleaseMatching(owner="j"),
                AllocateAddress(subnet="n", address=address(255)),
            )
        ),
        InvalidValue,
    ),
]


# --- nesting


def test_a_transaction_inside_a_transaction_is_refused(desk: LocalDesk, me: Actor) -> None:
    for outer in (desk.store.writing, desk.store.reading):
        with outer():
            for inner in (
                lambda: desk.do(CreateProject(name="p"), me),
                lambda: desk.ask(ListProjects(), me),
            ):
                with pytest.raises(Bug) as refusal:
                    inner()
                assert refusal.value.phase == "begin"
    assert desk.ask(ListProjects(), me).items == ()
    assert desk.do(CreateProject(name="p"), me).name == "p"


# --- all or nothing


def test_there_is_a_refusal_of_every_kind_of_command() -> None:
    never = {RepairBook, ResolveOperation, SealAudit}
    assert {type(command) for command, _ in REFUSED} | never == KINDS
    assert {type(command) for command in fitting()} == KINDS


def test_a_command_that_is_refused_changes_nothing(
    book: LocalDesk, me: Actor, dump: Dumper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 1.0)
    before = dump(book)
    for command, kind in REFUSED:
        with pytest.raises(kind) as refusal:
            book.do(command, me)
        assert not isinstance(refusal.value, StoreError), command
        assert dump(book) == before, command
    assert book.ask(CheckBook(), me).clean


@contextmanager
def one_event_each(
    book: LocalDesk, actor: Actor, expected: Sequence[tuple[Command[Any], str]]
) -> Iterator[None]:
    """Meanwhile each of these commands gets one event, with its outcome; no others do."""
    columns = schema.event.c
    query = select(columns.id, columns.actor, columns.outcome, columns.command)
    with book.store.reading() as r:
        seen = max((row.id for row in r.run(query)), default=0)
    yield
    with book.store.reading() as r:
        rows = r.run(query.where(columns.id > seen).order_by(columns.id)).all()
    assert {row.actor for row in rows} <= {actor.name}
    told = sorted((row.command, row.outcome) for row in rows)
    assert told == sorted((wire.encode(command).decode(), code) for command, code in expected)


def test_each_command_that_is_refused_has_one_event_that_says_why(
    book: LocalDesk, me: Actor
) -> None:
    for command, kind in REFUSED:
        with pytest.raises(kind) as refusal:
            book.do(command, me)
        code = refusal.value.code
        with one_event_each(book, me, [(command, code)]), pytest.raises(kind):
            book.do(command, me)
        keyed = command
        if command.takes_key:
            keyed = msgspec.structs.replace(command, idempotency_key="k")
        with one_event_each(book, me, [(keyed, code)]), pytest.raises(kind):
            book.do(keyed, me)


def test_a_key_used_for_something_else_has_an_event_that_says_so(
    book: LocalDesk, me: Actor
) -> None:
    for first in (CreateProject(name="a"), AllocateAddress(subnet="n")):
        book.do(msgspec.structs.replace(first, idempotency_key=type(first).__name__), me)
        for other in (CreateProject(name="b"), AllocateAddress(subnet="n", hostname="x")):
            keyed = msgspec.structs.replace(other, idempotency_key=type(first).__name__)
            with (
                one_event_each(book, me, [(keyed, "idempotency-mismatch")]),
                pytest.raises(IdempotencyMismatch),
            ):
                book.do(keyed, me)


GROUP: list[tuple[Command[Any], str]] = [
    (AllocateAddress(subnet="n"), "done"),
    (AllocateAddress(subnet="n", address=address(5)), "address-taken"),
    (ReleaseAddress(subnet="n", address=address(8)), "done"),
    (ReleaseAddress(subnet="n", address=address(99)), "not-found"),
    (AllocateAddress(subnet="n", owner="j", idempotency_key="new"), "done"),
    (AllocateAddress(subnet="n", hostname="other", idempotency_key="old"), "idempotency-mismatch"),
    (AllocateAddress(subnet="n", idempotency_key="fenced"), "operation-fenced"),
    (AllocateAddress(subnet="n", owner="nobody"), "not-found"),
]
OVER_QUOTA = [(AllocateAddress(subnet="n", owner="void", hostname=f"h{n}"), n) for n in range(7)]


def outcome_of(answer: object) -> str:
    return answer.code if isinstance(answer, AllotmentError) else "done"


def test_each_command_of_a_group_has_one_event_whatever_became_of_the_others(
    book: LocalDesk, me: Actor
) -> None:
    book.do(AllocateAddress(subnet="n", idempotency_key="old"), me)
    book.do(ResolveOperation(key="fenced"), me)
    before = book.ask(GetStatus(), me).allocations
    jobs = [Job(Asked(me, command), deadline_of(command)) for command, _ in GROUP]
    with one_event_each(book, me, GROUP):
        assert [outcome_of(one) for one in book._serve_group(jobs)] == [code for _, code in GROUP]
    assert book.ask(GetStatus(), me).allocations == before + 1
    assert book.ask(CheckBook(), me).clean


def test_a_group_that_goes_over_a_quota_has_one_event_for_each_command(
    book: LocalDesk, me: Actor
) -> None:
    """It is served again one by one, so that as many are done as the limit allows."""
    wanted = [(command, "done" if n < 5 else "quota-exceeded") for command, n in OVER_QUOTA]
    jobs = [Job(Asked(me, command), deadline_of(command)) for command, _ in wanted]
    with one_event_each(book, me, wanted):
        assert [outcome_of(one) for one in book._serve_group(jobs)] == [code for _, code in wanted]
    assert book.ask(GetQuota(project="void"), me).addresses_used == 5


def test_what_was_too_late_to_be_served_has_an_event(book: LocalDesk, me: Actor) -> None:
    late = [(AllocateAddress(subnet="n", hostname=f"h{n}"), "deadline-exceeded") for n in range(2)]
    jobs = [Job(Asked(me, command), time.monotonic() - 1.0) for command, _ in late]
    with one_event_each(book, me, late):
        for job in jobs:
            assert [outcome_of(one) for one in book._serve_group([job])] == ["deadline-exceeded"]


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a group"])
def test_whoever_may_not_has_an_event_of_it_and_nothing_else(
    book: LocalDesk, me: Actor, dump: Dumper, alone: bool
) -> None:
    viewer, stranger = Actor(name="token:t"), Actor(name="token:nobody")
    before = dump(book)
    hot = AllocateAddress(subnet="n")
    for actor, command, code in (
        (viewer, hot, "forbidden"),
        (viewer, CreateProject(name="x"), "forbidden"),
        (stranger, hot, "unauthenticated"),
        (stranger, CreateProject(name="x"), "unauthenticated"),
    ):
        with one_event_each(book, actor, [(command, code)] * (1 if alone else 2)):
            if command is hot and not alone:
                jobs = [Job(Asked(actor, hot), deadline_of(hot))] * 2
                assert [outcome_of(one) for one in book._serve_group(jobs)] == [code] * 2
                continue
            for _ in range(1 if alone else 2):
                with pytest.raises(AllotmentError) as refusal:
                    book.do(command, actor)
                assert refusal.value.code == code
        assert dump(book) == before
    with (
        one_event_each(book, stranger, [(ListProjects(), "unauthenticated")]),  # type: ignore[list-item]
        pytest.raises(Unauthenticated),
    ):
        book.ask(ListProjects(), stranger)


def refuse_events(desk: LocalDesk) -> None:
    """Let every command fail after all its work: its event, the last row, is not taken."""
    with desk.store.writing() as tx:
        if desk.store.dialect.concurrent:
            tx.run(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
                )
            )
            action = "FOR EACH ROW EXECUTE FUNCTION refuse()"
        else:
            action = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        tx.run(text(f"CREATE TRIGGER refuse BEFORE INSERT ON event {action}"))


def test_a_command_whose_event_cannot_be_written_changes_nothing(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    before = dump(book)
    refuse_events(book)
    for number, command in enumerate(fitting()):
        if not command.journaled:
            continue
        keys = (None, f"k{number}") if command.takes_key else (None,)
        for key in keys:
            with pytest.raises(StoreError):
                book.do(msgspec.structs.replace(command, idempotency_key=key), me)
            assert dump(book) == before, command


def test_each_command_that_has_an_effect_has_one_event(book: LocalDesk, me: Actor) -> None:
    def events() -> list[tuple[str, str]]:
        query = text("SELECT actor, command FROM event WHERE outcome = 'done' ORDER BY id")
        with book.store.reading() as r:
            return [(row[0], row[1]) for row in r.run(query)]

    for command in fitting():
        before = events()
        book.do(command, me)
        after = events()
        assert len(after) == len(before) + command.journaled, command
        if not command.journaled:
            continue
        assert after[-1][0] == me.name
        assert f'"{type(command).__name__}"' in after[-1][1]
    before = events()
    book.ask(GetStatus(), me)
    assert events() == before, "a query writes nothing"


# --- retries


COUNTED = """
CREATE SEQUENCE attempt;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF nextval('attempt') <= {times} THEN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()
"""
HOT, COLD = AllocateAddress(subnet="n"), CreateProject(name="p")


def counted(url: str, state: str, times: int, table: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(COUNTED.format(times=times, state=state, table=table))


def attempts(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT last_value FROM attempt").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def small(postgres_desk: LocalDesk, me: Actor) -> LocalDesk:
    postgres_desk.do(CreateAddressScope(name="s"), me)
    postgres_desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"), me)
    return postgres_desk


@pytest.mark.parametrize(
    ("command", "table", "state"),
    [
        # Held addresses are entered with the commit, whose loss is CommitUnknown: see below.
        *((HOT, "allocation", state) for state in ("40001", "40P01", "55P03")),
        *((COLD, "project", state) for state in ("40001", "40P01", "55P03", "57P03")),
    ],
)
def test_what_passes_is_tried_again_and_done_once(
    small: LocalDesk, postgres_url: str, me: Actor, state: str, command: Command[Any], table: str
) -> None:
    counted(postgres_url, state, 2, table)
    small.do(command, me)
    assert attempts(postgres_url) == 3
    status = small.ask(GetStatus(), me)
    assert (status.allocations, status.projects) == ((1, 0) if command is HOT else (0, 1))


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("40001", Serialization),
        ("40P01", Deadlock),
        ("55P03", Busy),
        ("57P03", StoreUnavailable),
    ],
)
def test_what_does_not_pass_ends_with_the_deadline(
    small: LocalDesk,
    postgres_url: str,
    me: Actor,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    kind: type[StoreError],
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.5)
    counted(postgres_url, state, 1_000_000, "project")
    begun = time.monotonic()
    with pytest.raises(kind):
        small.do(COLD, me)
    assert time.monotonic() - begun < 2.0
    assert 1 < attempts(postgres_url) < 200, "with a pause that grows"
    assert small.ask(ListProjects(), me).items == ()


@pytest.mark.parametrize("state", ["53100", "57014", "42501", "XX001", "P0001", "40003"])
def test_what_is_not_safe_or_of_no_use_to_repeat_is_tried_once(
    small: LocalDesk, postgres_url: str, me: Actor, state: str
) -> None:
    counted(postgres_url, state, 1_000_000, "project")
    with pytest.raises(StoreError) as refusal:
        small.do(COLD, me)
    assert attempts(postgres_url) == 1
    assert refusal.value.state == state


# --- constraints, by race


@contextmanager
def uncommitted(url: str, statement: str, *params: object) -> Any:
    """Another transaction that has written a row, and commits when the block ends."""
    with psycopg.connect(url) as other:
        other.execute(statement, params)  # type: ignore[call-overload]
        yield other


def waiting(url: str) -> None:
    """Until somebody in the database waits for a lock."""
    deadline = time.monotonic() + 20
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(url, autocommit=True) as watcher:
        while time.monotonic() < deadline:
            row = watcher.execute(query).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


class Caller(threading.Thread):
    """A command on its way, in a thread of its own."""

    def __init__(self, desk: LocalDesk, command: Command[Any], actor: Actor) -> None:
        super().__init__()
        self.desk, self.command, self.actor = desk, command, actor
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.desk.do(self.command, self.actor)
        except AllotmentError as error:
            self.outcome = error

    def result(self) -> Any:
        self.join(60)
        assert not self.is_alive()
        return self.outcome


@pytest.mark.parametrize(
    ("statement", "command"),
    [
        (
            "INSERT INTO project (id, name, created_at) VALUES (gen_random_uuid(), 'x', 0)",
            CreateProject(name="x"),
        ),
        (
            "INSERT INTO address_scope (id, name, created_at) VALUES (gen_random_uuid(), 'x', 0)",
            CreateAddressScope(name="x"),
        ),
        (
            """INSERT INTO subnet_pool (id, name, created_at, scope_id, family)
            SELECT gen_random_uuid(), 'x', 0, id, 4 FROM address_scope""",
            CreateSubnetPool(name="x", prefixes=(Prefix("10.5.0.0/16"),)),
        ),
        (
            """INSERT INTO subnet (id, name, created_at, scope_id, family, first, length, placement)
            SELECT gen_random_uuid(), 'x', 0, id, 4, decode(repeat('00', 16), 'hex'), 24, 'lowest'
            FROM address_scope""",
            CreateSubnet(name="x", prefix=Prefix("10.5.0.0/24")),
        ),
    ],
)
def test_a_name_that_another_takes_meanwhile_already_exists(
    small: LocalDesk, postgres_url: str, me: Actor, statement: str, command: Command[Any]
) -> None:
    with uncommitted(postgres_url, statement):
        caller = Caller(small, command, me)
        waiting(postgres_url)
    outcome = caller.result()
    assert isinstance(outcome, AlreadyExists), outcome
    assert outcome.facts["name"] == "x"


@pytest.mark.parametrize(
    ("command", "other"),
    [
        (CreateSubnet(prefix=Prefix("10.32.0.0/24")), Prefix("10.32.0.0/25")),
        (CreateSubnet(prefix=Prefix("10.32.0.0/24")), Prefix("10.32.0.0/16")),
        (CreateSubnetPool(name="x", prefixes=(Prefix("10.32.0.0/16"),)), Prefix("10.32.0.0/12")),
    ],
)
def test_a_prefix_that_another_takes_meanwhile_overlaps(
    small: LocalDesk, postgres_url: str, me: Actor, command: Command[Any], other: Prefix
) -> None:
    statement = (
        "INSERT INTO prefix (holder_id, first, last, length, family, scope_id, parent_id, kind)"
        " SELECT gen_random_uuid(), %s, %s, %s, 4, id, id, 'subnet' FROM address_scope"
    )
    ends = other.first.to_bytes(16, "big"), other.last.to_bytes(16, "big")
    with uncommitted(postgres_url, statement, *ends, other.length):
        caller = Caller(small, command, me)
        waiting(postgres_url)
    assert isinstance(caller.result(), Overlap), caller.outcome


def test_two_that_make_the_same_at_once_make_it_once(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    for number, command in enumerate(
        (
            CreateProject(name="x"),
            CreateSubnet(prefix=Prefix("10.0.0.0/24")),
            CreateSubnetPool(name="x", prefixes=(Prefix("10.1.0.0/16"),)),
        )
    ):
        callers = [Caller(desk, command, me) for _ in range(4)]
        outcomes = [caller.result() for caller in callers]
        refused = [one for one in outcomes if isinstance(one, AllotmentError)]
        assert len(refused) == 3, (number, outcomes)
        assert all(isinstance(one, AlreadyExists | Overlap) for one in refused), refused
    assert desk.ask(CheckBook(), me).clean


def constraint_names() -> list[str]:
    """Every constraint that the book's tables and native guards have."""
    names = {
        str(one.name) for table in schema.metadata.tables.values() for one in table.constraints
    }
    names |= {
        str(index.name)
        for table in schema.metadata.tables.values()
        for index in table.indexes
        if index.unique
    }
    words = " ".join((*NATIVE_SCHEMA, *AT_ONCE_SCHEMA)).split()
    names |= {words[at + 1] for at, word in enumerate(words) if word == "CONSTRAINT"}
    return sorted(names | {"foreign_key", "unheard_of"})


@pytest.mark.parametrize("name", constraint_names())
def test_no_constraint_leaves_the_desk_as_it_is(name: str) -> None:
    for command in fitting():
        told = explain(ConstraintFailed(name), command)
        assert not isinstance(told, ConstraintFailed)
        if isinstance(told, Bug):
            assert name in str(told), "a bug report says which"


# --- idempotency


def test_a_key_asked_again_gets_the_first_answer_and_does_nothing(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    done = []
    for number, command in enumerate(fitting()):
        if not command.takes_key:
            book.do(command, me)
            continue
        keyed = msgspec.structs.replace(command, idempotency_key=f"key-{number}")
        first = book.do(keyed, me)
        after = dump(book)
        assert book.do(keyed, me) == first, command
        assert dump(book) == after, command
        done.append((keyed, first))
    for keyed, first in done:
        assert book.do(keyed, me) == first, "and it still does when the book has moved on"
    assert {type(keyed) for keyed, _ in done} == {kind for kind in KINDS if kind.takes_key}


def test_a_key_is_refused_where_no_answer_is_kept(book: LocalDesk, me: Actor, dump: Dumper) -> None:
    before = dump(book)
    for command in fitting():
        if not command.takes_key:
            with pytest.raises(InvalidValue) as refusal:
                book.do(msgspec.structs.replace(command, idempotency_key="k"), me)
            assert refusal.value.facts["field"] == "idempotency_key"
    assert dump(book) == before
    assert [kind for kind in KINDS if not kind.takes_key], "there are some"


def test_a_key_is_stored_with_its_effect_once(book: LocalDesk, me: Actor, dump: Dumper) -> None:
    keyed = CreateProject(name="x", idempotency_key="k")
    book.do(keyed, me)
    rows = dump(book)["idempotency"]
    assert [(row[0], row[1]) for row in rows] == [(me.name, "k")]


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (CreateProject(name="a"), CreateProject(name="b")),
        (CreateProject(name="a"), CreateAddressScope(name="a")),
        (CreateProject(name="a"), AllocateAddress(subnet="n")),
        (AllocateAddress(subnet="n"), AllocateAddress(subnet="n", hostname="x")),
        (AllocateAddress(subnet="n"), ReleaseAddress(subnet="n", address=address(5))),
        (AllocateAddress(subnet="n"), CreateProject(name="a")),
        (
            Batch(commands=(CreateProject(name="a"),)),
            Batch(commands=(CreateProject(name="a"), CreateProject(name="b"))),
        ),
    ],
)
def test_a_key_used_for_something_else_is_refused_and_nothing_is_done(
    book: LocalDesk, me: Actor, dump: Dumper, first: Command[Any], other: Command[Any]
) -> None:
    book.do(msgspec.structs.replace(first, idempotency_key="k"), me)
    before = dump(book)
    with pytest.raises(IdempotencyMismatch):
        book.do(msgspec.structs.replace(other, idempotency_key="k"), me)
    assert dump(book) == before


def test_keys_belong_to_their_actor(book: LocalDesk) -> None:
    one, other = local_owner("one"), local_owner("other")
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    assert book.do(wish, one).id != book.do(wish, other).id
    with_another_body = AllocateAddress(subnet="n", hostname="x", idempotency_key="k")
    assert book.do(with_another_body, local_owner("third")).hostname == "x"


def test_a_key_is_not_spent_on_what_was_refused(book: LocalDesk, me: Actor) -> None:
    for wish, repair in (
        (AllocateAddress(subnet="n", address=address(5), idempotency_key="hot"), None),
        (CreateProject(name="j", idempotency_key="cold"), None),
    ):
        with pytest.raises(AllotmentError):
            book.do(wish, me)
        assert repair is None
    book.do(ReleaseMatching(owner="j"), me)
    book.do(DeleteProject(project="j"), me)
    again = AllocateAddress(subnet="n", address=address(5), idempotency_key="hot")
    assert book.do(again, me).address == address(5)
    assert book.do(CreateProject(name="j", idempotency_key="cold"), me).name == "j"


@pytest.mark.parametrize("callers", [2, 8])
def test_one_key_from_many_at_once_has_one_effect(book: LocalDesk, me: Actor, callers: int) -> None:
    before = book.ask(GetStatus(), me).allocations
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    outcomes = [caller.result() for caller in [Caller(book, wish, me) for _ in range(callers)]]
    assert outcomes == [outcomes[0]] * callers, outcomes
    assert not isinstance(outcomes[0], AllotmentError)
    assert book.ask(GetStatus(), me).allocations == before + 1


def test_one_key_from_several_processes_desks_has_one_effect(
    small: LocalDesk, postgres_url: str, me: Actor
) -> None:
    desks = [open_book(postgres_url) for _ in range(4)]
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    outcomes = [caller.result() for caller in [Caller(one, wish, me) for one in desks]]
    for one in desks:
        one.close()
    assert outcomes == [outcomes[0]] * 4, outcomes
    assert small.ask(GetStatus(), me).allocations == 1


def test_a_keyed_batch_is_answered_part_by_part_again(book: LocalDesk, me: Actor) -> None:
    wish = Batch(
        commands=(
            AllocateAddress(subnet="n"),
            AllocateAddresses(subnet="n", count=2),
            CreateProject(name="x"),
        ),
        idempotency_key="k",
    )
    first = book.do(wish, me)
    again = book.do(wish, me)
    assert first == again
    assert [type(part) for part in again] == [type(part) for part in first]


# --- identifiers


def test_an_identifier_gets_its_allocation_again(book: LocalDesk, me: Actor) -> None:
    wish = AllocateAddress(subnet="n", identifier="port-1")
    first = book.do(wish, me)
    assert book.do(wish, me) == first
    assert book.do(AllocateAddress(subnet="n", identifier="five"), me).address == address(5)
    held = AllocatePrefix(pool="p", length=24, identifier="sixteen")
    assert book.do(held, me).prefix == Prefix("10.0.16.0/24")


def test_an_identifier_is_its_containers_own_and_ends_with_its_allocation(
    book: LocalDesk, me: Actor
) -> None:
    there = book.do(AllocateAddress(subnet="void", identifier="five"), me)
    assert there.address == Address("10.9.0.2")
    before = book.do(AllocateAddress(subnet="n", identifier="five"), me)
    book.do(ReleaseMatching(subnet="n", identifier="five"), me)
    after = book.do(AllocateAddress(subnet="n", identifier="five"), me)
    assert after.id != before.id


def test_one_identifier_from_many_at_once_has_one_allocation(book: LocalDesk, me: Actor) -> None:
    wish = AllocateAddress(subnet="n", identifier="port-1")
    outcomes = [caller.result() for caller in [Caller(book, wish, me) for _ in range(8)]]
    assert outcomes == [outcomes[0]] * 8, outcomes
    assert len(book.ask(ListAllocations(identifier="port-1"), me).items) == 1


# --- a commit of which nobody hears


COMMANDS: list[Command[Any]] = [
    AllocateAddress(subnet="n"),
    AllocateAddress(subnet="n", address=Address("10.0.0.9")),
    AllocateAddresses(subnet="n", count=3),
    CreateProject(name="x"),
    Batch(commands=(CreateProject(name="x"), AllocateAddress(subnet="n"))),
]


def kind_of(command: Command[Any]) -> str:
    return type(command).__name__


def effects(desk: LocalDesk, me: Actor) -> int:
    status = desk.ask(GetStatus(), me)
    return status.allocations + status.projects


def effect_of(command: Command[Any]) -> int:
    return {AllocateAddresses: 3, Batch: 2}.get(type(command), 1)


@pytest.fixture
def wired(wire: Any, me: Actor) -> Any:
    """A desk whose wire to PostgreSQL can be cut."""
    with open_book(wire.url) as made:
        made.do(CreateAddressScope(name="s"), me)
        made.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)
        yield made


@pytest.mark.parametrize("command", COMMANDS, ids=kind_of)
@pytest.mark.parametrize(("cut", "happened"), [("before", 0), ("after", 1)])
def test_a_lost_commit_without_a_key_is_said_to_be_unknown(
    wire: Any, wired: LocalDesk, me: Actor, command: Command[Any], cut: Any, happened: int
) -> None:
    wire.cut(cut)
    with pytest.raises(CommitUnknown) as unknown:
        wired.do(command, me)
    assert wire.cuts == 1
    assert unknown.value.phase == "commit"
    assert unknown.value.__cause__ is not None
    assert effects(wired, me) == happened * effect_of(command)
    assert wired.ask(CheckBook(), me).clean


@pytest.mark.parametrize("command", COMMANDS, ids=kind_of)
@pytest.mark.parametrize(
    "cuts", [("before",), ("after",), ("before", "before"), ("before", "after")], ids=repr
)
def test_a_lost_commit_with_a_key_is_done_exactly_once(
    wire: Any, wired: LocalDesk, me: Actor, command: Command[Any], cuts: Sequence[Any]
) -> None:
    keyed = msgspec.structs.replace(command, idempotency_key="k")
    wire.cut(*cuts)
    answer = wired.do(keyed, me)
    assert wire.cuts == len(cuts)
    assert effects(wired, me) == effect_of(command)
    assert wired.do(keyed, me) == answer
    assert effects(wired, me) == effect_of(command)
    assert wired.ask(CheckBook(), me).clean


@pytest.mark.parametrize("command", COMMANDS[:1] + COMMANDS[2:3], ids=kind_of)
def test_a_commit_that_comes_late_is_waited_for_and_never_done_twice(
    wire: Any, wired: LocalDesk, postgres_url: str, me: Actor, command: Command[Any]
) -> None:
    """The client lost its connection; the server commits while the desk asks a second time."""
    keyed = msgspec.structs.replace(command, idempotency_key="k")
    wire.cut("late")
    caller = Caller(wired, keyed, me)
    waiting(postgres_url)
    wire.let_go()
    answer = caller.result()
    assert not isinstance(answer, AllotmentError), answer
    assert effects(wired, me) == effect_of(command)
    assert wired.do(keyed, me) == answer
    assert wired.ask(CheckBook(), me).clean


def test_an_unknown_commit_is_not_made_known_by_guessing(
    wire: Any, wired: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyed command too ends so when its time is over; asking again later resolves it."""
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.3)
    keyed = AllocateAddress(subnet="n", idempotency_key="k")
    wire.cut(*["before"] * 1000)
    with pytest.raises(CommitUnknown):
        wired.do(keyed, me)
    wire.heal()
    assert 1 < wire.cuts < 100
    wired.do(keyed, me)
    assert effects(wired, me) == 1


def test_a_full_disk_is_not_tried_again(small: LocalDesk, postgres_url: str, me: Actor) -> None:
    counted(postgres_url, "53100", 1_000_000, "allocation")
    with pytest.raises(StoreFull):
        small.do(HOT, me)
    assert attempts(postgres_url) == 1
    assert small.ask(CheckBook(), me).clean
