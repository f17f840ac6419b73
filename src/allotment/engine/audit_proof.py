"""The proof that the events are the ones that were sealed, as one pass over events and blocks.

Invariant: memory holds one block and the events that were committed late; what is not proven is
said to be a fault, and one fault does not hide the next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from allotment.engine.audit_chain import START, Leaf, Link, block_digest, follow, link, read_ids
from allotment.engine.extents import canonical, subtract
from allotment.model.audit_block import Block, Gap
from allotment.model.extent import Extent

_BEYOND = 1 << 64


class Finding(NamedTuple):
    """What is wrong, and with what: `block 3`, `sequence 17` or `event 20`."""

    what: str
    detail: str


class Known(NamedTuple):
    """What is known of a block from outside: an anchor."""

    sequence: int
    digest: str
    at: int


class Proof:
    """Checks a log; the counts are right when the findings have been read to their end.

    `events` are in the order of ids; `known` are the anchors, by number of block.
    """

    def __init__(self, events: Iterable[Leaf], known: Mapping[int, Sequence[Known]]) -> None:
        self._events = iter(events)
        self._known = known
        self._next = next(self._events, None)
        self._late: list[Leaf] = []
        self._link: Link | None = START
        self._number: object = START.number
        self.head = START
        self.events = 0
        self.blocks = 0
        self.unsealed = 0

    def findings(self, blocks: Iterable[Block]) -> Iterator[Finding]:
        """Everything that is not as it was sealed; `blocks` in the order of their numbers."""
        yield from self._unmet(START)
        for block in blocks:
            self.blocks += 1
            yield from self._place(block)
            try:
                after, ids = link(block), read_ids(block.ids)
            except ValueError as error:
                yield Finding(f"block {block.number}", f"the block was changed: {error}")
                self._link = None
                continue
            yield from self._block(block, after, ids)
            yield from self._unmet(after)
            self._link = self.head = after
        yield from self._rest()

    def _place(self, block: Block) -> Iterator[Finding]:
        """That no block is missing before this one, and it is not out of its place."""
        before, self._number = self._number, block.number
        if type(before) is not int or block.number == before + 1:
            return
        self._link = None
        expected = before + 1
        if type(block.number) is int and block.number > expected:
            last = block.number - 1
            named = f"block {expected}" if last == expected else f"blocks {expected} to {last}"
            yield Finding(f"block {expected}", f"removed: {named} before block {block.number}")
        else:
            yield Finding(f"block {block.number}", f"out of its place: {expected} should come")

    def _block(self, block: Block, after: Link, ids: Sequence[Extent]) -> Iterator[Finding]:
        """One block against what the one before allows, and against its events."""
        name = f"block {block.number}"
        if self._link is not None:
            yield from _out_of_order(block, ids, self._link)
        found, strangers = self._claim(ids, after)
        if strangers:
            detail = f"inserted: {_ids(strangers)}, or the block that had it was changed"
            yield Finding(f"event {strangers[0].first}", detail)
        self.events += len(found)
        missing = subtract(ids, [Extent(one.id, one.id) for one in found])
        for run in missing:
            sequence = block.first_sequence + _position(ids, run.first)
            yield Finding(f"sequence {sequence}", f"missing: {_ids([run])} of {name}")
        if self._link is None or missing:
            return
        if block_digest(self._link.digest, block, found) != block.digest:
            detail = (
                f"the digest does not hold: an event of the sequence {block.first_sequence} to"
                f" {after.sequence}, or the block itself, was changed"
            )
            yield Finding(name, detail)

    def _claim(self, ids: Sequence[Extent], after: Link) -> tuple[list[Leaf], tuple[Extent, ...]]:
        """The block's events that are there, and the ones that are there and sealed by nobody."""
        found: list[Leaf] = []
        waiting: list[Leaf] = []
        strangers: list[Extent] = []
        for one in chain(self._late, self._up_to(ids[-1].last)):
            if _inside(one.id, ids):
                found.append(one)
            elif _inside(one.id, after.gaps):
                waiting.append(one)
            else:
                _append(strangers, one.id)
        self._late = waiting
        return sorted(found), canonical(strangers)

    def _up_to(self, last: int) -> Iterator[Leaf]:
        while self._next is not None and self._next.id <= last:
            yield self._next
            self._next = next(self._events, None)

    def _unmet(self, here: Link) -> Iterator[Finding]:
        """Anchors of this block that it does not meet."""
        own = Known(here.sequence, here.digest.hex(), here.sealed_at)
        for anchor in self._known.get(here.number, ()):
            if anchor != own:
                yield Finding(f"block {here.number}", "an anchor is not met: the log is another")

    def _rest(self) -> Iterator[Finding]:
        """What comes after the last block: new events, and anchors that are not reached."""
        strangers: list[Extent] = []
        for one in self._up_to(self.head.high):
            if _inside(one.id, self.head.gaps):
                self.unsealed += 1
            else:
                _append(strangers, one.id)
        self.unsealed += len(self._late)
        while self._next is not None:
            self.unsealed += 1
            self._next = next(self._events, None)
        if strangers:
            detail = f"inserted: {_ids(strangers)} sealed by no block"
            yield Finding(f"event {strangers[0].first}", detail)
        for number in sorted(self._known):
            if number > self.head.number:
                detail = f"an anchor is not met: the log ends with block {self.head.number}"
                yield Finding(f"block {number}", f"cut off: {detail}")


def _out_of_order(block: Block, ids: Sequence[Extent], before: Link) -> Iterator[Finding]:
    """What a block says that does not follow from the one before."""
    name = f"block {block.number}"
    expected = follow(before, ids, max(block.sealed_at, before.sealed_at))
    for field in ("first_sequence", "count", "gaps", "high", "sealed_at"):
        if getattr(block, field) != getattr(expected, field):
            yield Finding(name, f"the block was changed: its {field} does not follow")
    again = [run for run in ids if not _allowed(run, before)]
    if again:
        yield Finding(name, f"the block has {_ids(again)}, sealed before or given up")


def _append(runs: list[Extent], one: int) -> None:
    if runs and runs[-1].last == one - 1:
        runs[-1] = Extent(runs[-1].first, one)
    else:
        runs.append(Extent(one, one))


def _inside(one: int, runs: Sequence[Extent] | Sequence[Gap]) -> bool:
    """Whether an id is in one of some runs, which are in order."""
    at = bisect_right(runs, (one, _BEYOND)) - 1
    return at >= 0 and one <= runs[at][1]


def _allowed(run: Extent, before: Link) -> bool:
    """Whether a block may have these ids: new ones, or ones of a gap."""
    gaps = [Extent(gap.first, gap.last) for gap in before.gaps]
    return run.first > before.high or not subtract((run,), gaps)


def _position(ids: Sequence[Extent], one: int) -> int:
    """How many ids of a block come before one of them."""
    return sum(min(run.last + 1, one) - run.first for run in ids if run.first < one)


def _ids(runs: Sequence[Extent]) -> str:
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in runs[:3]]
    more = ", and more" if len(runs) > len(shown) else ""
    return f"event ids {', '.join(shown)}{more}"
