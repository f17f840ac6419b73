"""The plainest requests - any address of one subnet, by its id - in one round trip.

Invariant: it writes exactly what the transaction of the same command writes, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4

from msgspec import structs

from allotment.engine.access import Permit
from allotment.model import wire
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, Method
from allotment.model.results import Allocation
from allotment.store.dialect import PlainAllocation
from allotment.store.directory import read_id
from allotment.store.session import Store

_NOWHERE = Address.of(4, 0)
_MARK = '"address":"0.0.0.0"'
_PLAIN = {
    "scope": None,
    "fallbacks": (),
    "address": None,
    "method": Method.ANY,
    "placement": None,
    "interface": None,
    "owner": None,
    "identifier": None,
    "tags": (),
}
_asked = attrgetter(*_PLAIN)
_PLAINLY = tuple(_PLAIN.values())


def allocate(
    store: Store, permits: Sequence[Permit[AllocateAddress] | None], deadline: float
) -> list[Allocation | None]:
    """Hold an address for each plain request that was let through, all in one transaction.

    Returns:
        The allocation for each; None where it takes another transaction (nothing was changed).

    Raises:
        StoreError: nothing was changed, except after CommitUnknown.
    """
    served: list[Allocation | None] = [None] * len(permits)
    now = store.clock()
    places, drafts, wishes = [], [], []
    for place, permit in enumerate(permits):
        subnet_id = plain_subnet(permit.request) if permit is not None else None
        if permit is not None and subnet_id is not None:
            draft = _draft(permit.request, subnet_id, now)
            places.append(place)
            drafts.append(draft)
            wishes.append(_wish(permit, draft))
    if not wishes:
        return served
    taken = store.allocate_at_once(wishes, deadline)
    for place, draft, one in zip(places, drafts, taken, strict=True):
        if one is not None:
            served[place] = structs.replace(draft, address=Address.of(*one))
    return served


def _draft(command: AllocateAddress, subnet_id: UUID, now: int) -> Allocation:
    """The allocation as it will be, but for its address."""
    return Allocation(
        id=uuid4(),
        subnet_id=subnet_id,
        address=_NOWHERE,
        status=command.status,
        project_id=None,
        project=None,
        identifier=None,
        hostname=command.hostname.lower() if command.hostname else None,
        mac=command.mac,
        description=command.description,
        tags=(),
        created_at=now,
    )


def _wish(permit: Permit[AllocateAddress], draft: Allocation) -> PlainAllocation:
    key = permit.request.idempotency_key
    head, _, tail = wire.encode(draft).decode().partition(_MARK)
    return PlainAllocation(
        draft.subnet_id,
        draft.created_at,
        draft.id,
        draft.status.value,
        draft.hostname,
        str(draft.mac) if draft.mac else None,
        draft.description or None,
        permit.actor.name,
        permit.actor.source,
        permit.actor.request_id,
        wire.encode(permit.request).decode(),
        head + _MARK[:11],
        '"' + tail,
        key,
        wire.request_hash(permit.request) if key is not None else None,
        permit.epoch,
    )


def plain_subnet(command: Any) -> UUID | None:  # Any: a command of any kind
    """The subnet, named by its id, of a request that asks for nothing but any address of it."""
    if type(command) is AllocateAddress and _asked(command) == _PLAINLY:
        return read_id(command.subnet)
    return None
