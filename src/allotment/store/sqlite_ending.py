"""What SQLite does natively when allocations end: their periods, then their rows.

Invariant: what is deleted here was entered in the history before, by the same key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from allotment.model.extent import Extent
from allotment.store.columns import pack
from allotment.store.dialect import SubnetRow

# A holder is one since `changed_at`; where no time passed since, there is no period of it.
_PERIOD = (
    "INSERT INTO allocation_period (scope_id, family, address, until, id, subnet_id, since, status,"
    " project_id, identifier, hostname, mac)"
    " SELECT ?, ?, address, max(coalesce(changed_at, created_at), ?), id, subnet_id,"
    " coalesce(changed_at, created_at), status, project_id, identifier, hostname, mac"
    " FROM allocation WHERE subnet_id = ? AND address BETWEEN ? AND ?"
    " AND (changed_at IS NULL OR changed_at < ?)"
)
_RELEASE = "DELETE FROM allocation WHERE subnet_id = ? AND address BETWEEN ? AND ?"


def end(raw: sqlite3.Connection, subnet: SubnetRow, addresses: Sequence[int], now: int) -> int:
    """End the allocations of some addresses, run by run; how many."""
    scope, family, home = subnet.scope_id.bytes, subnet.family, subnet.id.bytes
    keys = [(home, pack(first), pack(last)) for first, last in _runs(addresses)]
    raw.executemany(_PERIOD, [(scope, family, now, *key, now) for key in keys])
    return raw.executemany(_RELEASE, keys).rowcount


def _runs(addresses: Sequence[int]) -> list[Extent]:
    """Addresses that follow one another, together."""
    runs: list[Extent] = []
    for address in sorted(addresses):
        if runs and runs[-1].last + 1 == address:
            runs[-1] = Extent(runs[-1].first, address)
        else:
            runs.append(Extent(address, address))
    return runs
