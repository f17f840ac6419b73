"""The plainest request - any address of one subnet, by its id - in one statement.

Invariant: it writes exactly what the transaction of the same command writes, or nothing.
"""

from __future__ import annotations

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
    "idempotency_key": None,
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


def allocate(store: Store, permit: Permit[Any], deadline: float) -> Allocation | None:
    """Hold an address at once; None when it takes a transaction (nothing was changed)."""
    command = permit.request
    subnet_id = _plain_subnet(command)
    if subnet_id is None or not store.dialect.concurrent:
        return None
    now = store.clock()
    made = Allocation(
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
    head, _, tail = wire.encode(made).decode().partition(_MARK)
    wish = PlainAllocation(
        subnet_id,
        now,
        made.id,
        command.status.value,
        made.hostname,
        str(command.mac) if command.mac else None,
        command.description or None,
        permit.actor.name,
        wire.encode(command).decode(),
        head + _MARK[:11],
        '"' + tail,
    )
    taken = store.allocate_at_once(wish, deadline)
    if taken is None:
        return None
    return structs.replace(made, address=Address.of(*taken))


def _plain_subnet(command: Any) -> UUID | None:  # Any: a command of any kind
    """The subnet, named by its id, of a request that asks for nothing but any address of it."""
    if type(command) is AllocateAddress and _asked(command) == _PLAINLY:
        return read_id(command.subnet)
    return None
