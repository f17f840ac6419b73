"""What became of a keyed command whose answer was lost.

Invariant: what is answered here never changes: a command that was not done is fenced in the
transaction that says so.
"""

from __future__ import annotations

from msgspec import Raw

from allotment.engine.access import Rights, Want
from allotment.model.events import Operation, OperationState, ResolveOperation
from allotment.operations.aims import Aim, aims_at
from allotment.operations.registry import handles
from allotment.store import journal
from allotment.store.session import Read, Write


@aims_at(ResolveOperation)
def _own(r: Read, rights: Rights, request: ResolveOperation) -> Aim[ResolveOperation]:
    return Aim(request, [Want(None, None)])


@handles(ResolveOperation, with_rights=True)
def resolve(tx: Write, command: ResolveOperation, rights: Rights) -> Operation:
    """Wait until nobody is at work under the key, then look; fence it if nothing was done."""
    key = (rights.actor.name, command.key)
    tx.dialect.lock_keys(tx, [key])
    found = journal.stored(tx, [key]).get(key)
    if found is None:
        journal.store(tx, [journal.fence(*key)])
    if found is None or found.fenced:
        return Operation(key=command.key, state=OperationState.NOT_DONE)
    return Operation(key=command.key, state=OperationState.DONE, answer=Raw(found.answer))
