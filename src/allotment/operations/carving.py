"""Carving prefixes from a subnet pool, and putting them back.

Invariant: a prefix is carved only out of a free extent of the pool, so free + held is the pool.
"""

from __future__ import annotations

from uuid import UUID

from allotment.engine.placement import carve_largest, carve_lowest, carve_smallest
from allotment.errors import Overlap, PoolExhausted
from allotment.model.address import BITS
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.results import PrefixPlacement
from allotment.operations.free_space import Space, take_out, unaccounted
from allotment.operations.free_space import give_back as put_back
from allotment.store import directory, extents, prefixes
from allotment.store.directory import AnyRow
from allotment.store.session import NeedsPatience, Write

_CARVE = {
    PrefixPlacement.LOWEST: carve_lowest,
    PrefixPlacement.BEST_FIT: carve_smallest,
    PrefixPlacement.SPARSE: carve_largest,
}
HINT = "free a prefix, add one to the pool with 'allotment pool update', or ask for a longer length"


def space_of(pool_id: UUID, family: int) -> Space:
    """The free space of a subnet pool."""
    return Space(pool_id, BITS[family])


def carve(tx: Write, pool: AnyRow, length: int, placement: PrefixPlacement) -> Prefix:
    """Take any prefix of a length out of a subnet pool.

    Raises:
        PoolExhausted: a snapshot had no room for it.
        NeedsPatience: others are at work on the extents.
    """
    bits = BITS[pool.family]
    found = extents.fitting(tx, pool.id, length, placement.value)
    if found is None or found.fits is None or found.fits > length:
        if tx.dialect.concurrent and (not tx.patient or extents.fit_exists(tx, pool.id, length)):
            raise NeedsPatience
        raise PoolExhausted(f"subnet pool {pool.name}", f"a /{length}", None, HINT)
    first = _CARVE[placement](found.extent, length, bits)
    prefix = Prefix.of(pool.family, first, length)
    take_out(tx, space_of(pool.id, pool.family), found, Extent(first, prefix.last))
    return prefix


def carve_exactly(tx: Write, pool_id: UUID, prefix: Prefix) -> None:
    """Take one very prefix out of a subnet pool.

    Raises:
        Overlap: part of it is held.
        NeedsPatience: others are at work on it.
    """
    found = extents.holding(tx, pool_id, prefix.first)
    if found is not None and found.last >= prefix.last:
        run = Extent(prefix.first, prefix.last)
        take_out(tx, space_of(pool_id, prefix.family), found, run)
        return
    if tx.dialect.concurrent and not tx.patient:
        raise NeedsPatience
    other = prefixes.first_overlap(tx, pool_id, prefix)
    if other is not None:
        raise Overlap(str(prefix), f"{other.kind} {other.prefix}")
    raise unaccounted(tx, f"a part of {prefix}")


def give_back(tx: Write, pool_id: UUID, prefix: Prefix) -> None:
    """Put a carved prefix back into its subnet pool."""
    run = Extent(prefix.first, prefix.last)
    # Halves that come back at once must find each other, or the whole would never be whole again.
    directory.lock_to_give_back(tx, pool_id)
    own = prefixes.of_holders(tx, [pool_id])
    bounds = next(one.extent for one in own if one.first <= run.first and run.last <= one.last)
    put_back(tx, space_of(pool_id, prefix.family), run, bounds)
