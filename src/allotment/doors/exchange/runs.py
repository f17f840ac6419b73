"""Many single allocations that differ in nothing but the address, as one bulk allocation.

Invariant: the book ends up as if each had been done by itself, and each has its own answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import structs

from allotment.model.commands import AllocateAddress, AllocateAddresses, Command
from allotment.model.results import AllocatedAddresses, Allocation, Result

AnyCommand = Command[Any]  # Any: whatever it answers


class Run(NamedTuple):
    """What is sent, and the commands it stands for."""

    command: AnyCommand
    parts: Sequence[AnyCommand]

    def answers(self, answer: Result) -> Iterable[Result]:
        """The answer to each part."""
        if isinstance(answer, AllocatedAddresses):
            return (
                _allocation(part, answer, place)
                for place, part in enumerate(self.parts)
                if isinstance(part, AllocateAddress)
            )
        return (answer,)


def joined(commands: Iterable[AnyCommand]) -> Iterator[Run]:
    """The commands in their order, neighbours that can be one made one."""
    waiting: list[AnyCommand] = []
    for command in commands:
        if waiting and not _continues(waiting[-1], command):
            yield _run(waiting)
            waiting = []
        waiting.append(command)
    if waiting:
        yield _run(waiting)


def _continues(one: AnyCommand, other: AnyCommand) -> bool:
    """Whether a command asks for the very next address, in the same words."""
    if not isinstance(one, AllocateAddress) or not isinstance(other, AllocateAddress):
        return False
    if one.address is None or other.address is None or other.identifier or other.mac:
        return False
    if other.address.value != one.address.value + 1:
        return False
    return structs.replace(one, address=other.address) == other


def _run(parts: list[AnyCommand]) -> Run:
    first = parts[0]
    if len(parts) == 1 or not isinstance(first, AllocateAddress):
        return Run(first, parts)
    bulk = AllocateAddresses(
        subnet=first.subnet,
        scope=first.scope,
        count=len(parts),
        contiguous=True,
        first=first.address,
        status=first.status,
        owner=first.owner,
        hostname=first.hostname,
        description=first.description,
        tags=first.tags,
    )
    return Run(bulk, parts)


def _allocation(part: AllocateAddress, answer: AllocatedAddresses, place: int) -> Allocation:
    """What a bulk allocation says of one of its addresses."""
    assert part.address is not None, "only such commands are joined"
    return Allocation(
        id=UUID(int=answer.first_id.int + place),
        subnet_id=answer.subnet_id,
        address=part.address,
        status=answer.status,
        project_id=None,
        project=part.owner,
        identifier=None,
        hostname=part.hostname,
        mac=None,
        description=part.description,
        tags=part.tags,
        created_at=answer.created_at,
    )
