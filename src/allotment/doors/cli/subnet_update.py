"""Changing a subnet and its allocation pools at once.

Invariant: both change or neither does, and what falls outside the pools is reported.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType, structs

from allotment.doors.cli import json_text, output
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.tables import details, shown
from allotment.errors.counts import counted
from allotment.model.address_range import AddressRange
from allotment.model.commands import Batch, Command, UpdateAllocationPools, UpdateSubnet
from allotment.model.results import PoolsUpdated, Result, Subnet

Steps = tuple[Command[Any], ...]  # Any: each step answers in its own way
Ranges = tuple[AddressRange, ...] | UnsetType


def update(invocation: Invocation, command: UpdateSubnet, ranges: Ranges) -> None:
    """Carry out an update of a subnet, of its pools, or of both."""
    if ranges is UNSET:
        subnet = invocation.do(command)
        output.resource(invocation, subnet, f"subnet {subnet.prefix} updated")
        return
    pools = UpdateAllocationPools(
        subnet=command.subnet, scope=command.scope, ranges=ranges, version=command.version
    )
    steps = _in_order(pools, command)
    if len(steps) == 1:
        _report(invocation, invocation.do(pools), None)
        return
    answers = invocation.do(Batch(commands=steps))
    changed = next(one for one in answers if isinstance(one, PoolsUpdated))
    _report(invocation, changed, answers[-1])


def _in_order(pools: UpdateAllocationPools, command: UpdateSubnet) -> Steps:
    """The steps of a batch: a gateway may have to leave before the pools move, and come after.

    The first step alone asks for a version, and a new name comes with the last.
    """
    rest = structs.replace(command, version=None)
    if not _changes(rest):
        return (pools,)
    if command.gateway is UNSET:
        return (pools, rest)
    away = UpdateSubnet(
        subnet=command.subnet, scope=command.scope, gateway=None, version=command.version
    )
    return (away, structs.replace(pools, version=None), rest)


def _changes(command: UpdateSubnet) -> bool:
    given = structs.asdict(command)
    return any(
        given[field] is not UNSET
        for field in (
            "name",
            "gateway",
            "placement",
            "quarantine_seconds",
            "project",
            "description",
            "tags",
        )
    )


def _report(invocation: Invocation, changed: PoolsUpdated, last: Result | None) -> None:
    """The subnet as it is now, with what changed of its pools."""
    subnet = last if isinstance(last, Subnet) else changed.subnet
    if not invocation.is_table:
        output.plain_resource(invocation, json_text.plain(subnet) | _pools_fields(changed))
        return
    output.said(invocation, f"subnet {subnet.prefix} updated")
    output.fields(
        [
            *details(subnet),
            ("added", shown("added", changed.added)),
            ("removed", shown("removed", changed.removed)),
        ]
    )
    if changed.outside:
        sample = shown("outside", changed.outside_sample)
        output.said(
            invocation,
            f"note: {counted(changed.outside, 'held addresses')} outside the new pools, still held:"
            f" {sample}{', ...' if changed.outside > len(changed.outside_sample) else ''}",
        )


def _pools_fields(changed: PoolsUpdated) -> dict[str, object]:
    fields: dict[str, object] = json_text.plain(changed)
    del fields["subnet"]
    return fields
