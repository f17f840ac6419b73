"""What the book answered, as the command that would make it.

Invariant: the made thing differs in its id, its time and its version only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    Command,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.results import (
    Allocation,
    PrefixAllocation,
    Result,
    Subnet,
    SubnetPool,
)

Holder = Callable[[Any], str]  # Any: an id; what the new book calls the subnet or pool of that id


def making(found: Result, holder: Holder) -> Command[Any]:  # Any: whatever it answers
    """The command that makes such a thing in another book."""
    match found:
        case SubnetPool():
            return _pool(found)
        case Subnet():
            return _subnet(found)
        case Allocation():
            return _allocation(found, holder(found.subnet_id))
        case PrefixAllocation():
            return _prefix_allocation(found, holder(found.pool_id))
        case _:
            raise AssertionError(f"a {type(found).__name__} is not made by a command")


def _pool(found: SubnetPool) -> CreateSubnetPool:
    return CreateSubnetPool(
        name=found.name,
        scope=found.scope,
        prefixes=found.prefixes,
        default_length=found.default_length,
        project=found.project,
        description=found.description,
        tags=found.tags,
    )


def _subnet(found: Subnet) -> CreateSubnet:
    return CreateSubnet(
        scope=found.scope,
        prefix=found.prefix,
        name=found.name,
        gateway=found.gateway,
        ranges=found.pools,
        placement=found.placement,
        quarantine_seconds=found.quarantine_seconds,
        project=found.project,
        description=found.description,
        tags=found.tags,
    )


def _allocation(found: Allocation, subnet: str) -> AllocateAddress:
    return AllocateAddress(
        subnet=subnet,
        address=found.address,
        status=found.status,
        owner=found.project,
        identifier=found.identifier,
        hostname=found.hostname,
        mac=found.mac,
        description=found.description,
        tags=found.tags,
    )


def _prefix_allocation(found: PrefixAllocation, pool: str) -> AllocatePrefix:
    return AllocatePrefix(
        pool=pool,
        prefix=found.prefix,
        status=found.status,
        owner=found.project,
        identifier=found.identifier,
        description=found.description,
        tags=found.tags,
    )
