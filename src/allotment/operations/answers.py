"""The answer type of each command, read from its type parameter.

Invariant: nothing is listed by hand, so no command can be forgotten.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args, get_origin
from uuid import UUID

from allotment.model.commands import Command
from allotment.model.grants import Quota, Token
from allotment.model.queries import Query
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


@cache
def answer_type(kind: type[Command[Any]] | type[Query[Any]]) -> Any:  # Any: a type expression
    """What a command or query of this kind is answered with."""
    for parent in kind.__orig_bases__:  # type: ignore[union-attr]  # set by typing on generics
        if get_origin(parent) in (Command, Query):
            return get_args(parent)[0]
    raise AssertionError(f"{kind.__name__} does not say what it answers")


def place_of(answer: object) -> UUID | None:
    """What a command happened to, as its answer tells: a subnet, pool, scope or project."""
    if isinstance(answer, PoolsUpdated):
        answer = answer.subnet
    field = _PLACES.get(type(answer))
    found: UUID | None = getattr(answer, field) if field is not None else None
    return found
