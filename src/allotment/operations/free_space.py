"""Free extents taken apart and put together.

Invariant: what is taken from an extent and the pieces left are exactly the extent; what is given
back merges only with a neighbour inside the same bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from allotment.engine.extents import cut, largest_block, stripe_bits
from allotment.engine.placement import remainder
from allotment.errors import Bug
from allotment.model.extent import NEVER, Extent
from allotment.store import extents
from allotment.store.extents import FreeExtent
from allotment.store.session import NeedsPatience, Write


class Space(NamedTuple):
    """A container's free space: of a subnet (`block_bits` None), or of a subnet pool of a family.

    `keep_age`: extents of different age never merge (least-recently-used placement).
    """

    container_id: UUID
    block_bits: int | None = None
    keep_age: bool = False

    def fits(self, extent: Extent) -> int | None:
        """The shortest length of a prefix that fits, for a subnet pool."""
        return None if self.block_bits is None else largest_block(extent, self.block_bits)


def unaccounted(tx: Write, what: object) -> Exception:
    """What to raise of space that one snapshot shows neither free nor held.

    Where there are other writers, a release is on its way: look again. Elsewhere the book is wrong.
    """
    if tx.dialect.concurrent:
        return NeedsPatience()
    return Bug(f"{what} is neither free nor held: run 'allotment check'")


def open_up(tx: Write, space: Space, runs: Sequence[Extent], available_at: int = NEVER) -> None:
    """Enter new free space, a subnet's cut into stripes."""
    pieces = []
    for run in runs:
        parts = cut(run, stripe_bits(run.size)) if space.block_bits is None else iter((run,))
        pieces += [(part, available_at, space.fits(part)) for part in parts]
    extents.insert_all(tx, space.container_id, pieces)


def take_out(tx: Write, space: Space, found: FreeExtent, run: Extent) -> None:
    """Take a run out of a locked extent, leaving the pieces around it."""
    left = remainder(found.extent, run.first, run.last)
    keeper = [piece for piece in left if piece.last == found.last]
    if keeper:
        piece = keeper[0]
        shape = (piece, found.available_at, space.fits(piece))
        extents.reshape(tx, space.container_id, found.last, shape)
    else:
        extents.delete_at(tx, space.container_id, found.last)
    others = [piece for piece in left if piece.last != found.last]
    extents.insert_all(
        tx,
        space.container_id,
        [(piece, found.available_at, space.fits(piece)) for piece in others],
    )


def close_off(tx: Write, space: Space, run: Extent) -> list[Extent]:
    """Take whatever of a run is free out of the free space; what that was."""
    freed = []
    for found in extents.within(tx, space.container_id, run):
        common = Extent(max(found.first, run.first), min(found.last, run.last))
        take_out(tx, space, found, common)
        freed.append(common)
    return freed


def give_back(
    tx: Write, space: Space, run: Extent, bounds: Extent, available_at: int = NEVER
) -> None:
    """Put a run back, merged with its free neighbours inside the bounds and the stripe."""
    if space.block_bits is not None:
        _put_back(tx, space, run, bounds, available_at)
        return
    bits = stripe_bits(bounds.size)
    for part in cut(run, bits):
        stripe = Extent(part.first >> bits << bits, part.first | (1 << bits) - 1)
        within = Extent(max(stripe.first, bounds.first), min(stripe.last, bounds.last))
        _put_back(tx, space, part, within, available_at)


def _put_back(tx: Write, space: Space, run: Extent, bounds: Extent, available_at: int) -> None:
    whole_matters = space.block_bits is not None
    before, after = extents.neighbours(tx, space.container_id, run, wait=whole_matters)
    first, last, age = run.first, run.last, available_at
    if before and before.last >= bounds.first and _same_age(tx, space, before, age):
        first, age = before.first, min(before.available_at, age)
        extents.delete_at(tx, space.container_id, before.last)
    if after and after.first <= bounds.last and _same_age(tx, space, after, age):
        last, age = after.last, min(after.available_at, age)
        whole = Extent(first, last)
        extents.reshape(tx, space.container_id, after.last, (whole, age, space.fits(whole)))
    else:
        whole = Extent(first, last)
        extents.insert_all(tx, space.container_id, [(whole, age, space.fits(whole))])


def _same_age(tx: Write, space: Space, neighbour: FreeExtent, available_at: int) -> bool:
    if neighbour.available_at == available_at:
        return True
    rested = neighbour.available_at <= tx.now and available_at <= tx.now
    return rested and not space.keep_age
