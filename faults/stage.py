"""The book every campaign plays on: small pools that run dry, one that rests, one that is large.

Invariant: pools are named by the ids of their subnets, in ledgers as in the database.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from allotment.bootstrap import local_owner, open_book  # noqa: E402
from allotment.desk import LocalDesk  # noqa: E402
from allotment.model.commands import CreateAddressScope, CreateSubnet  # noqa: E402
from allotment.model.prefix import Prefix  # noqa: E402
from allotment.model.results import AddressPlacement  # noqa: E402

REST_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One subnet: its id, its first address for clients, and how many there are."""

    id: str
    first: int
    size: int
    rests: bool = False


def build(url: str, small: int = 6, *, large: bool = True) -> tuple[Pool, ...]:
    """Make a book with so many small pools, one with quarantine and one large."""
    with open_book(url, create=True) as desk:
        return furnish(desk, small, large=large)


def furnish(desk: LocalDesk, small: int, *, large: bool = True) -> tuple[Pool, ...]:
    """Enter the pools into an empty book."""
    me = local_owner()
    desk.do(CreateAddressScope(name="stage"), me)
    wanted = [(f"10.0.{n}.0/28", AddressPlacement.LOWEST, 0) for n in range(small)]
    wanted.append(("10.1.0.0/28", AddressPlacement.LEAST_RECENTLY_USED, REST_SECONDS))
    if large:
        wanted.append(("10.64.0.0/12", AddressPlacement.LOWEST, 0))
    pools = []
    for number, (text, placement, rest) in enumerate(wanted):
        prefix = Prefix(text)
        subnet = desk.do(
            CreateSubnet(
                scope="stage",
                prefix=prefix,
                name=f"p{number}",
                placement=placement,
                quarantine_seconds=rest,
            ),
            me,
        )
        size = sum(run.last - run.first + 1 for run in subnet.pools)
        first = subnet.pools[0].first
        pools.append(Pool(id=str(subnet.id), first=first, size=size, rests=bool(rest)))
    return tuple(pools)
