"""The chain of the audit: what is hashed is unambiguous, and any change is found."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.audit_chain import (
    OPEN_MS,
    START,
    Leaf,
    canonical_bytes,
    leaf,
    link,
    read_gaps,
    read_ids,
    seal,
)
from allotment.engine.audit_proof import Finding, Known, Proof
from allotment.model.audit_block import Block, Gap, Stored, StoredEvent
from allotment.model.extent import Extent

STORED = st.none() | st.binary(max_size=6) | st.integers() | st.text(max_size=6) | st.floats()
IDS = st.sets(st.integers(1, 40), min_size=1, max_size=30)
Log = tuple[list[StoredEvent], list[Block]]


def an_event(number: int) -> StoredEvent:
    """One event; every other has all its columns filled."""
    filled = number % 2 == 0
    return StoredEvent(
        id=number,
        at=1_700_000_000_000 + number,
        actor=b"local:me",
        command=b'{"do":"AllocateAddress"}',
        answer=b'{"address":"10.0.0.%d"}' % (number % 250),
        outcome=b"done",
        source=b"192.0.2.1" if filled else None,
        request_id=b"r-%d" % number if filled else None,
        place_id=number.to_bytes(16, "big") if filled else None,
    )


def sealed(rounds: Sequence[Sequence[int]], step: int = 1000) -> Log:
    """A log of which each round of ids was sealed together."""
    here, blocks = START, []
    for number, ids in enumerate(rounds):
        found = [leaf(an_event(one)) for one in sorted(ids)]
        blocks.append(seal(here, found, 1_700_000_000_000 + number * step))
        here = link(blocks[-1])
    return [an_event(one) for one in sorted(one for ids in rounds for one in ids)], blocks


def findings(events: Sequence[StoredEvent], blocks: Sequence[Block]) -> list[Finding]:
    return list(Proof(map(leaf, sorted(events)), {}).findings(blocks))


def other(value: Stored) -> Iterator[Stored]:
    """The value with one byte changed, for each of its bytes; and as nothing, or as something."""
    if value is None:
        yield from (b"", b"\0", 0)
    elif isinstance(value, bytes):
        yield from (
            value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(len(value))
        )
        yield from (None, value + b"\0", value[:-1])
    else:
        yield from (int(value) ^ (1 << bit) for bit in range(0, 48, 8))  # type: ignore[arg-type]


@given(st.lists(STORED, max_size=5), st.lists(STORED, max_size=5))
def test_two_different_rows_have_different_bytes(one: list[Stored], two: list[Stored]) -> None:
    same = [(type(a), repr(a)) for a in one] == [(type(b), repr(b)) for b in two]
    assert (canonical_bytes(one) == canonical_bytes(two)) == same


@given(st.lists(IDS, min_size=1, max_size=5), st.randoms())
def test_every_event_is_sealed_once_however_late_it_comes(
    rounds: list[set[int]], chance: random.Random
) -> None:
    """What is there grows by each round; what is not there yet is a gap."""
    here, blocks, there = START, [], set[int]()
    for number, ids in enumerate(rounds):
        there |= ids
        late = {one for gap in here.gaps for one in range(gap.first, gap.last + 1)} & there
        new = {one for one in there if one > here.high}
        found = [leaf(an_event(one)) for one in sorted(late | new)]
        if found:
            blocks.append(seal(here, found, number))
            here = link(blocks[-1])
    assert here.sequence == len(there)
    open_ids = {one for gap in here.gaps for one in range(gap.first, gap.last + 1)}
    assert open_ids == set(range(1, max(there) + 1)) - there
    assert findings([an_event(one) for one in there], blocks) == []


def test_a_clean_log_is_intact_and_counted() -> None:
    events, blocks = sealed([[1, 2, 5], [3, 6, 7], [4, 9]])
    proof = Proof(map(leaf, [*events, an_event(8), an_event(10)]), {})
    assert list(proof.findings(blocks)) == []
    assert (proof.events, proof.blocks, proof.unsealed) == (8, 3, 2)
    assert proof.head.sequence == 8
    assert proof.head.gaps == (Gap(8, 8, blocks[-1].sealed_at),)


def test_any_byte_of_any_column_of_any_event_is_found_out() -> None:
    events, blocks = sealed([[1, 2], [4, 5, 6], [3, 8]])
    for place, event in enumerate(events):
        for column, value in enumerate(event):
            for changed in other(value):
                mutant = StoredEvent._make([*event[:column], changed, *event[column + 1 :]])
                assert findings([*events[:place], mutant, *events[place + 1 :]], blocks), mutant


def test_any_byte_of_any_column_of_any_block_is_found_out() -> None:
    events, blocks = sealed([[1, 2], [4, 5, 6], [3, 8]])
    for place, block in enumerate(blocks):
        for column, value in enumerate(block):
            for changed in other(value):
                mutant = Block._make([*block[:column], changed, *block[column + 1 :]])
                assert findings(events, [*blocks[:place], mutant, *blocks[place + 1 :]]), mutant


def test_each_of_a_thousand_records_is_guarded() -> None:
    events, blocks = sealed([range(first, first + 50) for first in range(1, 1001, 50)])
    assert len(events) == 1000
    leaves = list(map(leaf, events))
    for place, event in enumerate(events):
        changed = leaf(event._replace(actor=b"local:mf"))
        log = [*leaves[:place], changed, *leaves[place + 1 :]]
        found = list(Proof(log, {}).findings(blocks))
        assert [one.what for one in found] == [f"block {place // 50 + 1}"]


def test_a_record_that_is_gone_is_named() -> None:
    events, blocks = sealed([[1, 2], [4, 5, 6], [3, 8]])
    for event in events:
        (found,) = findings([one for one in events if one != event], blocks)
        assert found.detail.startswith(f"missing: event ids {event.id} of block")
        assert found.what == f"sequence {[1, 2, 4, 5, 6, 3, 8].index(event.id) + 1}"


def test_of_many_records_that_are_gone_the_first_of_each_run_is_named() -> None:
    events, blocks = sealed([[1, 2], [4, 5, 6, 7], [9, 12, 14, 16, 18]])
    left = [one for one in events if one.id not in (5, 6, 14)]
    assert [(one.what, one.detail) for one in findings(left, blocks)] == [
        ("sequence 4", "missing: event ids 5 to 6 of block 2"),
        ("sequence 9", "missing: event ids 14 of block 3"),
    ]


def test_three_runs_of_many_are_shown() -> None:
    events, blocks = sealed([[1], [20]])
    three = [*events, *map(an_event, (3, 5, 6, 8))]
    old = [block._replace(gaps=b"[]") for block in blocks]  # nothing is late
    found = [one.detail for one in findings(three, old)]
    assert "inserted: event ids 3, 5 to 6, 8, or the block that had it was changed" in found
    found = [one.detail for one in findings([*three, an_event(10)], old)]
    assert (
        "inserted: event ids 3, 5 to 6, 8, and more, or the block that had it was changed" in found
    )


def test_a_block_out_of_its_place_is_named() -> None:
    events, (one, two, three) = sealed([[1, 2], [3, 4], [5, 6]])
    found = findings(events, [one, three, two])
    assert Finding("block 2", "out of its place: 4 should come") in found
    assert findings(events[:2], [one, one])[0] == Finding(
        "block 1", "out of its place: 2 should come"
    )


def test_a_block_that_seals_again_what_was_sealed_is_named() -> None:
    events, (one, two) = sealed([[1, 2], [3, 4]])
    again = two._replace(ids=b"[[2,4]]", count=3)
    assert Finding("block 2", "the block has event ids 2 to 4, sealed before or given up") in (
        findings(events, [one, again])
    )


def test_a_record_that_was_put_between_is_named() -> None:
    events, blocks = sealed([[1, 2], [4, 5, 6], [9]], step=OPEN_MS + 1)
    assert link(blocks[-1]).gaps == (Gap(7, 8, blocks[-1].sealed_at),)
    (found,) = findings([*events, an_event(3)], blocks)
    assert found.what == "event 3"
    assert found.detail.startswith("inserted")
    assert findings([*events, an_event(-5)], blocks)[0].what == "event -5"
    assert findings([*events, an_event(7)], blocks) == []  # it may still be committed


def test_a_record_below_the_first_of_a_log_that_was_never_sealed_is_named() -> None:
    """No id is less than 1: it was put there by hand."""
    events = [an_event(1)._replace(id=one) for one in (-3, -2, 0, 1)]
    proof = Proof(map(leaf, events), {})
    assert list(proof.findings([])) == [
        Finding("event -3", "inserted: event ids -3 to -2, 0 sealed by no block")
    ]
    assert proof.unsealed == 1


def test_a_last_block_that_says_it_came_further_hides_nothing() -> None:
    """What it claims to have passed is told as put in, but for what it calls late."""
    events, blocks = sealed([[1, 2], [3, 4]])
    gaps = msgspec.json.encode([(6, 6, blocks[-1].sealed_at)])
    raised = blocks[-1]._replace(high=7, gaps=gaps)
    log = [*events, *map(an_event, (5, 6, 7, 8))]
    proof = Proof(map(leaf, log), {})
    found = list(proof.findings([blocks[0], raised]))
    assert Finding("event 5", "inserted: event ids 5, 7 sealed by no block") in found
    assert {one.what for one in found} == {"block 2", "event 5"}
    assert proof.unsealed == 2


def test_two_records_or_blocks_that_changed_places_are_found() -> None:
    events, blocks = sealed([[1, 2], [3, 4], [5, 6]])
    swapped = [events[0]._replace(id=2), events[1]._replace(id=1), *events[2:]]
    assert findings(swapped, blocks)
    one, two, three = blocks
    assert findings(events, [two._replace(number=1), one._replace(number=2), three])
    assert findings(events, [two, one, three])


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_block_that_is_gone_is_found_unless_it_is_the_last(gone: int) -> None:
    events, blocks = sealed([[1, 2], [3, 4], [5, 6]])
    left = [block for place, block in enumerate(blocks) if place != gone]
    found = findings(events, left)
    if gone < 2:
        assert found[0] == Finding(
            f"block {gone + 1}", f"removed: block {gone + 1} before block {gone + 2}"
        )
    else:
        assert found == []


def anchors(blocks: Sequence[Block]) -> dict[int, list[Known]]:
    return {
        one.number: [Known(link(one).sequence, one.digest.hex(), one.sealed_at)] for one in blocks
    }


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_log_cut_off_below_an_anchor_is_found(kept: int) -> None:
    events, blocks = sealed([[1, 2], [3, 4], [5, 6]])
    proof = Proof(map(leaf, events[: 2 * kept]), anchors(blocks[-1:]))
    (found,) = proof.findings(blocks[:kept])
    assert found.detail == f"cut off: an anchor is not met: the log ends with block {kept}"
    proof = Proof(map(leaf, events), anchors(blocks))
    assert list(proof.findings(blocks)) == []


def test_a_log_written_anew_is_found_by_an_anchor_only() -> None:
    events, blocks = sealed([[1, 2], [3, 4]])
    forged = [events[0]._replace(actor=b"somebody else"), *events[1:]]
    here, anew = START, []
    for part in (forged[:2], forged[2:]):
        anew.append(seal(here, list(map(leaf, part)), 1_700_000_000_000))
        here = link(anew[-1])
    assert findings(forged, anew) == []
    found = list(Proof(map(leaf, forged), anchors(blocks)).findings(anew))
    assert [one.what for one in found] == ["block 1", "block 2"]


def test_the_anchor_of_an_empty_log_holds_for_every_log() -> None:
    events, blocks = sealed([[1, 2]])
    nothing = {0: [Known(0, "00" * 32, 0)]}
    assert list(Proof(map(leaf, events), nothing).findings(blocks)) == []
    assert list(Proof([], nothing).findings([])) == []
    assert list(Proof([], {0: [Known(7, "00" * 32, 0)]}).findings([]))


def test_a_gap_is_closed_only_after_it_was_looked_at_when_it_was_old() -> None:
    here = link(seal(START, [leaf(an_event(one)) for one in (1, 3)], 1_000))
    assert here.gaps == (Gap(2, 2, 1_000),)
    # Nobody sealed for a long time: what came late meanwhile is sealed none the less.
    late = seal(here, [leaf(an_event(2)), leaf(an_event(4))], 1_000 + 10 * OPEN_MS)
    assert link(late).gaps == ()
    still = seal(here, [leaf(an_event(4))], 1_000 + OPEN_MS)
    assert link(still).gaps == (Gap(2, 2, 1_000),)
    closed = seal(here, [leaf(an_event(4))], 1_001 + OPEN_MS)
    assert link(closed).gaps == ()


def test_gaps_stay_open_while_a_block_has_only_late_events() -> None:
    """It may have been full of them: the last of the gaps were then not looked at."""
    here = link(seal(START, [leaf(an_event(9))], 0))
    some = seal(here, [leaf(an_event(2))], 5 * OPEN_MS)
    assert link(some).gaps == (Gap(1, 1, 0), Gap(3, 8, 0))


def test_time_never_goes_back_in_the_chain() -> None:
    here = link(seal(START, [leaf(an_event(1))], 5_000))
    assert seal(here, [leaf(an_event(2))], 4_000).sealed_at == 5_000


@pytest.mark.parametrize(
    "raw",
    [
        b"[]", b"", b"[[1,2],[3,4]]", b"[[2,1]]", b"[[5,6],[1,2]]", b"[[1, 2]]", b"[[1,2],[2,3]]",
        b"[[1,2]]\n", b"[[1,2,3]]", b"{}", b"\xff", b"[[1,1001]]", "[[1,2]]",
        None, 7,
    ],
)  # fmt: skip
def test_ids_written_in_any_other_way_are_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_ids(raw)


def test_a_block_holds_a_thousand_events_at_the_most() -> None:
    assert read_ids(b"[[1,1000]]") == (Extent(1, 1000),)


@pytest.mark.parametrize("raw", [b"[[5,6,1],[1,2,1]]", b"[[2,1,1]]", b"[[1,2]]", b"[ ]", None])
def test_gaps_written_in_any_other_way_are_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_gaps(raw)


def test_the_form_that_is_hashed_is_the_one_that_was_sealed_before() -> None:
    """Another digest of the same event would say that every log there is was changed."""
    event = an_event(2)
    assert (
        leaf(event).digest.hex()
        == "9b98e0ad7d00f44b296ceb17efcdbbb767b4f5829e59ebab6f72cde747c575a9"
    )
    assert (
        seal(START, [leaf(event)], 1_700_000_000_000).digest.hex()
        == "cf294e1df454ccd184aa8480d75de63b17ee2ca82209d587f01e754067168a42"
    )


def test_memory_holds_no_more_than_what_came_late() -> None:
    """The events are read as the blocks are, not before."""
    events, blocks = sealed([range(first, first + 50) for first in range(1, 1001, 50)])
    taken = []

    def watched() -> Iterator[Leaf]:
        for event in events:
            taken.append(event.id)
            yield leaf(event)

    def followed() -> Iterator[Block]:
        for block in blocks:
            assert len(taken) <= block.first_sequence + 1
            yield block

    assert list(Proof(watched(), {}).findings(followed())) == []
