"""Idempotency keys: which commands take one, and which get one where nobody gave it.

Invariant: a key is never made for a command that refuses it, nor hidden in a part of a batch.
"""

from __future__ import annotations

from typing import Any

from allotment.errors import InvalidValue
from allotment.model import wire
from allotment.model.commands import Batch, Command
from allotment.model.limits import BATCH_MAX

LONG_BATCH = 10


def wants_key(command: Command[Any]) -> bool:  # Any: whatever it answers
    """Whether a sender that may lose the answer makes a key, so that asking again is safe.

    A long batch gets none: its stored answer would be as large, and an import that is run again
    finds what is there. What changes nothing is asked again without one.
    """
    if command.idempotency_key is not None or not _takes_key(command) or not command.journaled:
        return False
    return not isinstance(command, Batch) or len(command.commands) <= LONG_BATCH


def _takes_key(command: Command[Any]) -> bool:  # Any: as above
    if isinstance(command, Batch):
        return all(part.takes_key for part in command.commands)
    return command.takes_key


def check_keys(command: Command[Any]) -> None:
    """Refuse keys where no answer may be kept, and batches that are none.

    Raises:
        InvalidValue: naming the part.
    """
    keyed = command.idempotency_key is not None
    if keyed and not command.takes_key:
        rule = "its answer is not kept: ask without a key"
        raise InvalidValue("idempotency_key", command.idempotency_key, rule)
    if not isinstance(command, Batch):
        return
    if not 1 <= len(command.commands) <= BATCH_MAX:
        raise InvalidValue("commands", len(command.commands), f"a batch has 1 to {BATCH_MAX}")
    parts: tuple[Command[Any], ...] = command.commands
    for place, part in enumerate(parts):
        if isinstance(part, Batch) or part.idempotency_key is not None or not part.journaled:
            rule = "a part of a batch is no batch, changes something, and has no key of its own"
            raise InvalidValue(f"commands[{place}]", type(part).__name__, rule)
        if keyed and not part.takes_key:
            rule = "its answer is not kept: it fits no batch with a key"
            raise InvalidValue(f"commands[{place}]", type(part).__name__, rule)
        wire.check(part)
