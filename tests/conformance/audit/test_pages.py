"""The audit log as pages: changes only, or everything.

Invariant: pages of any size add up to the whole log, in its order.
"""

from __future__ import annotations

import pytest

from allotment import LocalDesk
from allotment.errors import InvalidValue, Unauthenticated
from allotment.model.access import Actor
from allotment.model.commands import CreateAddressScope, CreateProject
from allotment.model.events import ListAudit, ListEvents
from allotment.operations import audit_pages
from conformance.audit.log import an_event, listed, record, seal_in_blocks_of


@pytest.mark.parametrize("per_block", [1, 7, 1000])
def test_pages_of_any_size_add_up_to_the_whole_log(
    desk: LocalDesk, me: Actor, per_block: int
) -> None:
    record(desk, range(50))
    seal_in_blocks_of(desk, per_block)
    whole = listed(desk, me, ListAudit(limit=1000))
    assert [one.sequence for one in whole] == list(range(1, 51))
    for number, one in enumerate(whole):
        wrote = an_event(number)
        told = (one.at, one.actor, one.outcome, one.source, one.request_id, one.place_id)
        assert told == (
            wrote.at, wrote.actor, wrote.outcome, wrote.source, wrote.request_id, wrote.place_id,
        )  # fmt: skip
        assert bytes(one.command) == wrote.command.encode()
        assert bytes(one.answer) == wrote.answer.encode()
    for limit in (1, 3, 49, 50):
        assert listed(desk, me, ListAudit(limit=limit)) == whole
    for after in (0, 1, 6, 7, 49, 50, 1 << 62):
        assert listed(desk, me, ListAudit(after=after, limit=4)) == whole[after:]


def test_events_are_changes_and_audit_is_everything(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(50))
    whole = listed(desk, me, ListAudit())
    done = [one for one in whole if one.outcome == "done"]
    assert len(done) == 40
    assert listed(desk, me, ListEvents(limit=3)) == done
    refused = [one for one in whole if one.outcome == "forbidden"]
    assert listed(desk, me, ListAudit(outcome="forbidden", limit=2)) == refused
    one_actor = [one for one in done if one.actor == "token:3"]
    assert listed(desk, me, ListEvents(actor="token:3", limit=2)) == one_actor
    assert one_actor
    assert listed(desk, me, ListAudit(actor="nobody")) == []


def test_who_looks_at_the_log_again_and_again_seals_only_what_is_new(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[None] = []
    seal = desk.seal

    def counted() -> None:
        sealed.append(None)
        seal()

    monkeypatch.setattr(desk, "seal", counted)
    for name in ("a", "b"):
        desk.do(CreateProject(name=name), me)
        for _ in range(3):
            assert desk.ask(ListEvents(), me).items[-1].command
    assert len(sealed) == 2
    desk.do(CreateProject(name="c"), me)
    with pytest.raises(Unauthenticated):
        desk.ask(ListEvents(), Actor(name="token:nobody"))
    assert len(sealed) == 2, "a stranger has nothing done"


def test_a_page_reads_no_more_than_its_bound_and_says_where_to_go_on(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pages, "READ_MAX", 20)
    monkeypatch.setattr(audit_pages, "READ_AT_ONCE", 10)
    record(desk, range(100))
    page = desk.ask(ListAudit(actor="nobody", limit=5), me)
    assert page.items == ()
    assert page.next is not None
    assert [one.actor for one in listed(desk, me, ListAudit(actor="token:6", limit=5))] == (
        ["token:6"] * 14
    )


def test_a_cursor_from_elsewhere_is_refused(desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(InvalidValue):
        desk.ask(ListEvents(cursor="bm8"), me)


def test_whoever_lists_sees_what_was_done_before(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    assert [one.outcome for one in desk.ask(ListEvents(), me).items] == ["done"]
    desk.do(CreateAddressScope(name="red"), me)
    assert len(desk.ask(ListEvents(after=1), me).items) == 1
