"""The chain that seals events: what is hashed, in which form, and what a block says.

Invariant: a block's digest covers every column of every event in it, every column of its own row,
and the block before; two different logs have no bytes in common to be hashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, TypeVar

import msgspec

from allotment.engine.extents import canonical, size, subtract
from allotment.model.audit_block import Block, Gap, Stored, StoredEvent
from allotment.model.extent import Extent

T = TypeVar("T")

BLOCK_EVENTS_MAX: Final = 1000
OPEN_MS: Final = 2 * 3600 * 1000
"""How long an id that is not there may still be committed: no transaction lives so long."""

EVENT_TAG: Final = b"allotment event 1"
BLOCK_TAG: Final = b"allotment block 1"


class Leaf(NamedTuple):
    """An event's id and the digest of all of it."""

    id: int
    digest: bytes


class Link(NamedTuple):
    """Where the chain stands after a block: all that the next one depends on."""

    number: int
    sequence: int
    high: int
    gaps: tuple[Gap, ...]
    sealed_at: int
    digest: bytes


START: Final = Link(0, 0, 0, (), 0, bytes(32))


def canonical_bytes(values: Iterable[Stored]) -> bytes:
    """Values one after the other, each with its type and length: no two lists share their bytes."""
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(b"N")
            continue
        if isinstance(value, bytes):
            kind, raw = b"B", value
        elif isinstance(value, int):
            kind, raw = b"I", b"%d" % value
        elif isinstance(value, str):
            kind, raw = b"S", value.encode("utf-8", "surrogatepass")
        else:
            kind, raw = b"F", repr(value).encode()
        parts += (kind, len(raw).to_bytes(8, "big"), raw)
    return b"".join(parts)


def leaf(event: StoredEvent) -> Leaf:
    """The digest of an event: of every column."""
    return Leaf(event.id, sha256(canonical_bytes((EVENT_TAG, *event))).digest())


def block_digest(before: bytes, block: Block, leaves: Iterable[Leaf]) -> bytes:
    """The digest of a block: of all it says, of the one before, and of its events."""
    whole = sha256(canonical_bytes((BLOCK_TAG, before, *block[:-1])))
    for one in leaves:
        whole.update(one.digest)
    return whole.digest()


def seal(before: Link, found: Sequence[Leaf], now: int) -> Block:
    """The next block, of the events that were found, in the order of their ids."""
    assert found, "a block has an event"
    ids = canonical(Extent(one.id, one.id) for one in found)
    assert size(ids) == len(found), "an event is sealed once"
    sealed_at = max(now, before.sealed_at)
    block = follow(before, ids, sealed_at)
    return block._replace(digest=block_digest(before.digest, block, found))


def follow(before: Link, ids: Sequence[Extent], sealed_at: int) -> Block:
    """All that a block of these ids must say, but for its digest.

    Gaps are looked at again by every block, before it takes what is new. One that is too old is
    closed by the first block that comes to what is new: by then it has been looked at once more.
    """
    high = max(before.high, ids[-1].last)
    open_gaps = [
        gap for gap in before.gaps if high == before.high or sealed_at - gap.noticed <= OPEN_MS
    ]
    gaps = [
        Gap(first, last, gap.noticed)
        for gap in open_gaps
        for first, last in subtract((Extent(gap.first, gap.last),), ids)
    ]
    if high > before.high:
        holes = subtract((Extent(before.high + 1, high),), ids)
        gaps += [Gap(first, last, sealed_at) for first, last in holes]
    return Block(
        number=before.number + 1,
        first_sequence=before.sequence + 1,
        count=size(ids),
        ids=write_ids(ids),
        gaps=msgspec.json.encode(gaps),
        high=high,
        sealed_at=sealed_at,
        digest=b"",
    )


def link(block: Block) -> Link:
    """Where the chain stands after a block.

    Raises:
        ValueError: the row is not one that was ever written here.
    """
    for value in (block.number, block.first_sequence, block.count, block.high, block.sealed_at):
        if type(value) is not int:
            raise ValueError("a number is none")
    if type(block.digest) is not bytes or len(block.digest) != len(START.digest):
        raise ValueError("its digest is none")
    return Link(
        number=block.number,
        sequence=block.first_sequence + block.count - 1,
        high=block.high,
        gaps=read_gaps(block.gaps),
        sealed_at=block.sealed_at,
        digest=block.digest,
    )


def write_ids(ids: Sequence[Extent]) -> bytes:
    """Runs of ids as they are stored."""
    return msgspec.json.encode(ids)


def read_ids(raw: object) -> tuple[Extent, ...]:
    """Runs of ids, as they were stored.

    Raises:
        ValueError: they are not written as `write_ids` does, or are more than a block holds.
    """
    ids = tuple(Extent(*run) for run in _read(raw, list[tuple[int, int]]))
    if not ids or any(first > last for first, last in ids) or canonical(ids) != ids:
        raise ValueError("its ids are not in order")
    if write_ids(ids) != raw or size(ids) > BLOCK_EVENTS_MAX:
        raise ValueError("its ids are not those of a block")
    return ids


def read_gaps(raw: object) -> tuple[Gap, ...]:
    """Gaps, as they were stored.

    Raises:
        ValueError: they are not written as a block's are.
    """
    gaps = tuple(Gap(*gap) for gap in _read(raw, list[tuple[int, int, int]]))
    ends = [end for gap in gaps for end in gap[:2]]
    if ends != sorted(ends) or msgspec.json.encode(gaps) != raw:
        raise ValueError("its gaps are not in order")
    return gaps


def _read(raw: object, kind: type[T]) -> T:
    if not isinstance(raw, bytes):
        raise ValueError("what should be text is none")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError("its ids are not readable") from error
