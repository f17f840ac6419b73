"""Whether the book says what a file says.

Invariant: only what the file says is compared; where it is silent, the book may say anything.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from allotment.doors.exchange.address_sets import union
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.results import AddressPlacement, Result

_NAMED = ("name", "description")
_HELD = ("status", "owner", "identifier", "description", "tags")
_FIELDS: dict[type[Command[Any]], tuple[str, ...]] = {  # Any: whatever the command answers
    CreateProject: _NAMED,
    CreateAddressScope: _NAMED,
    CreateSubnetPool: (*_NAMED, "prefixes", "default_length", "project", "tags"),
    CreateSubnet: (
        *_NAMED,
        "gateway",
        "ranges",
        "placement",
        "quarantine_seconds",
        "project",
        "tags",
    ),
    AllocateAddress: (*_HELD, "hostname", "mac"),
    AllocatePrefix: _HELD,
}
_ELSEWHERE = {"owner": "project", "ranges": "pools"}
_SILENT = (UNSET, None, "", (), 0, AddressPlacement.LOWEST)


def differences(command: Command[Any], found: Result) -> list[str]:  # Any: whatever it answers
    """The fields in which what is in the book is not what the command would make."""
    return [
        name
        for name in _FIELDS[type(command)]
        if not _agrees(name, getattr(command, name), getattr(found, _ELSEWHERE.get(name, name)))
    ]


def _agrees(name: str, wanted: Any, there: Any) -> bool:  # Any: values of the field
    if name == "ranges":
        return wanted is UNSET or union(wanted) == there
    if any(wanted is nothing or wanted == nothing for nothing in _SILENT):
        return True
    match name:
        case "tags":
            return set(wanted) <= set(there)
        case "prefixes":
            return set(wanted) == set(there)
        case "hostname":
            return bool(wanted.lower() == there)
        case _:
            return bool(wanted == there)
