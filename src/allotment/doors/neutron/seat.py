"""The driver's seat at a desk: whoever loses an answer finds it out before it says so.

Invariant: a command is repeated only if that cannot do it twice: it has a key, names the
allocation it means, or asks for what an identifier already has.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import uuid4

from msgspec import structs

from allotment.desk import Desk
from allotment.errors import CommitUnknown
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, Command, ReleaseAddress
from allotment.model.keys import wants_key
from allotment.model.queries import Query

R = TypeVar("R")

_PAUSES: Final = (0.05, 0.2, 1.0)


@dataclass(frozen=True, slots=True)
class BookSeat:
    """Neutron's driver as an actor at a desk.

    `loses_answers`: a commit can be lost on its way to the database, and the desk leaves it to us
    to give commands a key (a server's desk does that by itself).
    """

    desk: Desk
    actor: Actor
    loses_answers: bool = False

    def ask(self, query: Query[R], /) -> R:
        """Answer a query from one snapshot; raises AllotmentError."""
        return self.desk.ask(query, self.actor)

    def do(self, command: Command[R], /) -> R:
        """Carry a command out, all of it or nothing; raises AllotmentError."""
        if not self.loses_answers:
            return self.desk.do(command, self.actor)
        if _tells_itself_apart(command):
            return self._until_known(command)
        if wants_key(command):
            command = structs.replace(command, idempotency_key=f"neutron-{uuid4()}")
        return self.desk.do(command, self.actor)

    def _until_known(self, command: Command[R]) -> R:
        """A command whose repetition finds its first effect, without the cost of a key."""
        for pause in _PAUSES:
            try:
                return self.desk.do(command, self.actor)
            except CommitUnknown:
                time.sleep(pause)
        return self.desk.do(command, self.actor)


def _tells_itself_apart(command: object) -> bool:
    match command:
        case AllocateAddress():
            return command.identifier is not None
        case ReleaseAddress():
            return command.allocation_id is not None
        case _:
            return False
