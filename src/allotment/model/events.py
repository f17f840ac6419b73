"""What happened: events, the audit's proof, and what became of a keyed command.

Invariant: an event's sequence number is given once, when it is sealed, without gaps; what is
sealed is not changed any more without being found out.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from allotment.model.access import Role
from allotment.model.command import Command
from allotment.model.limits import Bounds
from allotment.model.names import ActorName, IdempotencyKey, Reference
from allotment.model.queries import PageSize, Query
from allotment.model.results import Fault, Page, Result

Sequence = Annotated[int, Bounds(0, 1 << 62)]


class Event(Result, frozen=True, kw_only=True):
    """One request that changed the book (`outcome` is `done`), or was refused or failed.

    `outcome` of the latter is the error's code. `command` and `answer` are JSON, as the doors
    take and give them (secrets are stars); `place_id` is the subnet, pool, scope or project it
    happened to.
    """

    sequence: int
    at: int
    actor: str
    source: str | None
    request_id: str | None
    outcome: str
    place_id: UUID | None
    command: msgspec.Raw
    answer: msgspec.Raw


class ListEvents(Query[Page[Event]], frozen=True, kw_only=True):
    """Changes in their order, of what the actor may see; `after` leaves out the ones up to it."""

    sealed = True
    after: Sequence = 0
    actor: ActorName | None = None
    limit: PageSize = 100
    cursor: str | None = None


class ListAudit(Query[Page[Event]], frozen=True, kw_only=True):
    """The whole log: changes, refusals and failures, in their order."""

    needs = Role.ADMIN
    sealed = True
    after: Sequence = 0
    actor: ActorName | None = None
    outcome: Reference | None = None
    limit: PageSize = 100
    cursor: str | None = None


class Anchor(Result, frozen=True, kw_only=True):
    """Where the log stood: kept outside the database, it proves that nothing before was changed.

    `digest` is of the last block, in hexadecimal, `at` when it was sealed. `signature` is Ed25519
    over `signed_bytes`, in base64, where the installation has a signing key.
    """

    block: int
    sequence: int
    digest: str
    at: int
    signature: str | None = None

    def signed_bytes(self) -> bytes:
        """What is signed: five lines that any tool can write."""
        fields = (self.block, self.sequence, self.digest, self.at)
        return "".join(f"{line}\n" for line in ("allotment anchor 1", *fields)).encode()


class AuditReport(Result, frozen=True, kw_only=True):
    """Whether the log is as it was sealed, and what is not."""

    intact: bool
    events: int
    blocks: int
    unsealed: int
    anchor: Anchor | None
    faults: tuple[Fault, ...]


class VerifyAudit(Query[AuditReport], frozen=True, kw_only=True):
    """Prove that no event was changed, added or removed since it was sealed.

    `anchors` are what the log was known to be: each must still hold.
    """

    takes_long = True
    reads_all = True
    needs = Role.ADMIN
    anchors: tuple[Anchor, ...] = ()


class SealAudit(Command[Anchor], frozen=True, kw_only=True):
    """Seal the events there are now, up to 200,000; the service does so by itself, all the time."""

    journaled = False
    needs = Role.ADMIN


class OperationState(StrEnum):
    """What became of a keyed command: `done`, or `not-done` and never will be."""

    DONE = "done"
    NOT_DONE = "not-done"


def _nothing() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class Operation(Result, frozen=True, kw_only=True):
    """A keyed command's fate, which never changes afterwards; `answer` is its JSON when done."""

    key: str
    state: OperationState
    # No union with None, of which msgspec would decode nothing but null.
    answer: msgspec.Raw = msgspec.field(default_factory=_nothing)


class ResolveOperation(Command[Operation], frozen=True, kw_only=True):
    """Find out what became of the actor's command with a key.

    Where it was not done, the key is fenced: a late commit of it is refused for ever, so running
    the command again under a new key is safe.
    """

    takes_key = False
    journaled = False
    needs = Role.VIEWER
    key: IdempotencyKey
