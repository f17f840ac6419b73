"""Comparing a Neutron with the book, and mending the book.

Invariant: Neutron's database is only read; the book is asked before Neutron, so that what Neutron
commits meanwhile is no finding; before something is released, Neutron is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from allotment.doors.exchange.seat import Seat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.addresses import DEAD_SECONDS, AddressBook
from allotment.doors.neutron.compare_addresses import SubnetPair, compare_addresses
from allotment.doors.neutron.compare_pools import compare_pools
from allotment.doors.neutron.findings import Fate, Finding, Kind
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.source import Source, by_id, facts_of, shown, wish_of
from allotment.doors.neutron.subnet_pools import PoolBook
from allotment.doors.neutron.subnets import SubnetBook, SubnetWish
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.neutron_rows import PoolRow, SubnetRow
from allotment.model.queries import ListSubnets
from allotment.model.results import Subnet

YOUNG_SECONDS: Final = DEAD_SECONDS
_FATAL: Final = ("unavailable", "unexpected")
Advance = Callable[[int, int], None]


class Reconciliation:
    """One comparison of a Neutron with the book."""

    def __init__(
        self,
        seat: Seat,
        source: Source,
        plan: Plan,
        *,
        young_seconds: int = YOUNG_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seat = seat
        self._source = source
        self._plan = plan
        self._subnets = SubnetBook(seat, plan)
        self._pools = PoolBook(seat, plan)
        self._addresses = AddressBook(seat)
        self._rows: dict[str, PoolRow] = {}
        self._young_from = (clock() - young_seconds) * 1000

    def findings(self, advance: Advance = lambda _done, _all: None) -> Iterator[Finding]:
        """All that differs, found as it is asked for."""
        there = {
            subnet_id: subnet
            for subnet in every(self._seat, ListSubnets())
            if (subnet_id := names.subnet_of(subnet.name)) is not None
        }
        self._rows = by_id(self._source.subnet_pools())
        rows = {row.id: row for row in self._source.subnets()}
        yield from compare_pools(self._seat, self._pools, self._plan, self._rows)
        both = sorted(rows.keys() | there.keys())
        for done, subnet_id in enumerate(both):
            advance(done, len(both))
            yield from self._of_subnet(subnet_id, rows.get(subnet_id), there.get(subnet_id))
        advance(len(both), len(both))

    def _of_subnet(
        self, subnet_id: str, row: SubnetRow | None, subnet: Subnet | None
    ) -> Iterator[Finding]:
        if row is None:
            assert subnet is not None, "one of the two has it"
            yield self._left(subnet_id, subnet)
            return
        try:
            wish = wish_of(row, self._rows)
        except InvalidValue as error:
            subject = f"subnet {subnet_id}"
            yield Finding(Kind.NOT_VALID, subject, error.message, "-", fate=Fate.KEPT)
            return
        yield from self._compare(row, wish, subnet)

    def _left(self, subnet_id: str, subnet: Subnet) -> Finding:
        def mend() -> bool:
            if self._source.has_subnet(subnet_id):
                return False
            self._subnets.remove(subnet)
            return True

        return Finding(
            Kind.SUBNET_LEFT,
            f"subnet {subnet_id}",
            "-",
            str(subnet.prefix),
            mend,
            young=self._is_young(subnet.created_at),
        )

    def _compare(
        self, row: SubnetRow, wish: SubnetWish, subnet: Subnet | None
    ) -> Iterator[Finding]:
        if subnet is None:
            yield self._missing(wish)
        else:
            other = _differences(wish, subnet)
            if other:
                neutron, book = zip(*other, strict=True)
                yield Finding(
                    Kind.SUBNET_DIFFERS,
                    f"subnet {row.id}",
                    ", ".join(neutron),
                    ", ".join(book),
                    self._change(wish),
                )
        yield from compare_addresses(
            self._seat, self._source, self._addresses, SubnetPair(row.id, subnet), self._is_young
        )

    def _missing(self, wish: SubnetWish) -> Finding:
        pool = self._rows.get(wish.place.pool_id or "")

        def mend() -> bool:
            if pool is not None:
                self._pools.enter(facts_of(pool))
            return self._subnets.enter(wish).fresh

        return Finding(
            Kind.SUBNET_MISSING, f"subnet {wish.place.subnet_id}", str(wish.prefix), "-", mend
        )

    def _change(self, wish: SubnetWish) -> Callable[[], bool]:
        def mend() -> bool:
            found = self._subnets.find(wish.place.subnet_id)
            self._addresses.forget(wish.place.subnet_id)
            return self._subnets.change(found, wish) is not found

        return mend

    def _is_young(self, created_at: int) -> bool:
        return created_at > self._young_from


def _differences(wish: SubnetWish, subnet: Subnet) -> list[tuple[str, str]]:
    """What Neutron says of a subnet and what the book says, where that is not the same."""
    found = []
    if wish.prefix != subnet.prefix:
        found.append((str(wish.prefix), str(subnet.prefix)))
    if wish.gateway != subnet.gateway:
        found.append((f"gateway {wish.gateway}", f"gateway {subnet.gateway}"))
    assert isinstance(wish.ranges, tuple), "Neutron always says the pools"
    if wish.ranges != subnet.pools:
        found.append((f"pools {shown(wish.ranges)}", f"pools {shown(subnet.pools)}"))
    return found


def mend(finding: Finding) -> None:
    """Mend what a finding says, if it can be mended and is not under way.

    Raises:
        AllotmentError: the store cannot serve; going on would fail for a reason of its own.
    """
    if finding.fate is not Fate.FOUND:
        return
    if finding.young:
        finding.fate = Fate.YOUNG
        return
    if finding.mend is None:
        finding.fate = Fate.KEPT
        return
    try:
        finding.fate = Fate.REPAIRED if finding.mend() else Fate.VANISHED
    except AllotmentError as error:
        if error.kind in _FATAL:
            raise
        finding.fate, finding.detail, finding.code = Fate.FAILED, error.message, error.code
