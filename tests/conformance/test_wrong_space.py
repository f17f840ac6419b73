"""A book whose free space is wrong: nothing of it is handed out, and whoever asks is told so.

Invariant: what is neither free nor held is given to nobody; no request hangs, none is half done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, update

from allotment import Address, LocalDesk, Prefix
from allotment.errors import Bug, Busy
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, AllocateAddresses, AllocatePrefix, Command
from allotment.model.events import ListAudit
from allotment.operations.perform import Asked
from allotment.operations.retries import deadline_of
from allotment.teller import Job
from conformance.dumps import Dumper
from conformance.wrong_books import Broken, E, missing, missing_in_a_pool

LOST = Address("10.0.0.10")


@pytest.fixture
def broken(desk: LocalDesk, me: Actor) -> Broken:
    return Broken(desk, me)


@pytest.mark.parametrize(
    ("sabotage", "command"),
    [
        (missing, AllocateAddress(subnet="n", address=LOST)),
        (missing, AllocateAddresses(subnet="n", first=LOST, count=2)),
        (missing_in_a_pool, AllocatePrefix(pool="c", prefix=Prefix("10.0.8.0/24"))),
    ],
    ids=["an address", "a run", "a prefix"],
)
def test_space_that_is_neither_free_nor_held_is_given_to_nobody(
    broken: Broken,
    dump: Dumper,
    monkeypatch: pytest.MonkeyPatch,
    sabotage: Callable[[Broken, Connection], None],
    command: Command[Any],
) -> None:
    """Where there are other writers, one of them may be giving it back: that is waited for."""
    for name in ("DEADLINE_SECONDS", "LONG_DEADLINE_SECONDS"):
        monkeypatch.setattr(f"allotment.operations.retries.{name}", 0.3)
    with broken.unguarded() as conn:
        sabotage(broken, conn)
    before = dump(broken.desk)
    with pytest.raises((Bug, Busy)) as refused:
        broken.desk.do(command, broken.me)
    if broken.desk.store.dialect.concurrent:
        assert type(refused.value) is Busy
    else:
        assert str(refused.value).endswith("is neither free nor held: run 'allotment check'")
    assert dump(broken.desk) == before


def beyond_the_family(b: Broken, conn: Connection) -> None:
    """Free space of an IPv4 subnet that no IPv4 address is in."""
    here = E.c.container_id == b.n.id, E.c.last == b.extents(conn, b.n.id)[0].last
    conn.execute(update(E).where(*here).values(first=1 << 40, last=(1 << 40) + 9))
    conn.execute(E.delete().where(E.c.container_id == b.n.id, E.c.last < 1 << 40))


@pytest.mark.parametrize("how", ["in a transaction", "at once", "alone"])
def test_an_invariant_that_does_not_hold_is_told_as_a_bug_and_recorded(
    broken: Broken, how: str
) -> None:
    with broken.unguarded() as conn:
        beyond_the_family(broken, conn)
    wishes: dict[str, AllocateAddress | AllocateAddresses] = {
        "in a transaction": AllocateAddress(subnet="n"),
        "at once": AllocateAddress(subnet=str(broken.n.id)),
        "alone": AllocateAddresses(subnet="n", count=2),
    }
    with pytest.raises(Bug, match="run 'allotment check'") as refused:
        broken.desk.do(wishes[how], broken.me)
    assert isinstance(refused.value.__cause__, AssertionError)
    recorded = broken.desk.ask(ListAudit(outcome="bug"), broken.me)
    assert len(recorded.items) == 1
    broken.desk.do(AllocateAddress(subnet="six"), broken.me)


def test_a_bug_in_one_subnet_leaves_no_trace_of_the_group_it_was_in(
    broken: Broken, dump: Dumper
) -> None:
    """In one file, what was begun at once is undone; whoever needs a transaction is served."""
    if broken.desk.store.dialect.concurrent:
        pytest.skip("there the database itself serves a group, and asserts nothing")
    with broken.unguarded() as conn:
        beyond_the_family(broken, conn)
    before = dump(broken.desk)
    wishes = [str(broken.n.id), str(broken.next.id)]
    outcomes = in_one_group(broken, [AllocateAddress(subnet=one) for one in wishes])
    assert [type(one) for one in outcomes] == [Bug, Bug]
    assert dump(broken.desk) == before


def in_one_group(broken: Broken, commands: list[AllocateAddress]) -> list[Any]:
    jobs = [Job(Asked(broken.me, command), deadline_of(command)) for command in commands]
    return broken.desk._teller.serve_crowd(jobs)
