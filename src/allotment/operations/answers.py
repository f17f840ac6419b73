"""What a command happened to, read from its answer.

Invariant: an answer that names no place has none; nothing is guessed.
"""

from __future__ import annotations

from uuid import UUID

from allotment.model.grants import Quota, Token
from allotment.model.results import (
    AddressScope,
    AllocatedAddresses,
    Allocation,
    Deleted,
    PoolsUpdated,
    PrefixAllocation,
    Project,
    Released,
    Subnet,
    SubnetPool,
)

_PLACES: dict[type, str] = {
    Allocation: "subnet_id",
    AllocatedAddresses: "subnet_id",
    PrefixAllocation: "pool_id",
    Subnet: "id",
    SubnetPool: "id",
    AddressScope: "id",
    Project: "id",
    Released: "container_id",
    Deleted: "container_id",
    Quota: "project_id",
    Token: "project_id",
}


def place_of(answer: object) -> UUID | None:
    """What a command happened to, as its answer tells: a subnet, pool, scope or project."""
    if isinstance(answer, PoolsUpdated):
        answer = answer.subnet
    field = _PLACES.get(type(answer))
    found: UUID | None = getattr(answer, field) if field is not None else None
    return found
