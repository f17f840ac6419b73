"""Comparing the subnet pools of a Neutron with the book's.

Invariant: a pool from which something is still carved is never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from allotment.doors.exchange.seat import Seat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.findings import Fate, Finding, Kind
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.source import facts_of
from allotment.doors.neutron.subnet_pools import PoolBook, PoolFacts
from allotment.errors import InvalidValue, NotFound
from allotment.model.commands import DeleteSubnetPool
from allotment.model.neutron_rows import PoolRow
from allotment.model.queries import ListSubnetPools
from allotment.model.results import SubnetPool


def compare_pools(
    seat: Seat, book: PoolBook, plan: Plan, rows: Mapping[str, PoolRow]
) -> Iterator[Finding]:
    """What differs in subnet pools; one that the book does not have yet is no difference."""
    for pool in every(seat, ListSubnetPools()):
        pool_id = names.pool_of(pool.name)
        if pool_id is None:
            continue
        row = rows.get(pool_id)
        subject = f"subnet pool {pool_id}"
        if row is None:
            yield Finding(Kind.POOL_LEFT, subject, "-", _prefixes(pool), _remove(seat, pool))
            continue
        try:
            facts = facts_of(row)
        except InvalidValue as error:
            yield Finding(Kind.NOT_VALID, subject, error.message, "-", fate=Fate.KEPT)
            continue
        if set(facts.prefixes) != set(pool.prefixes):
            told = ", ".join(map(str, facts.prefixes))
            yield Finding(Kind.POOL_DIFFERS, subject, told, _prefixes(pool), _enter(book, facts))
        wanted = plan.scope_of_pool(pool_id, facts.address_scope_id)
        if wanted != pool.scope:
            yield Finding(Kind.POOL_ELSEWHERE, subject, wanted, pool.scope)


def _prefixes(pool: SubnetPool) -> str:
    return ", ".join(map(str, pool.prefixes))


def _enter(book: PoolBook, facts: PoolFacts) -> Callable[[], bool]:
    def mend() -> bool:
        book.enter(facts)
        return True

    return mend


def _remove(seat: Seat, pool: SubnetPool) -> Callable[[], bool]:
    def mend() -> bool:
        try:
            seat.do(DeleteSubnetPool(pool=str(pool.id)))
        except NotFound:
            return False
        return True

    return mend
