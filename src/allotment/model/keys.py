"""Which commands get an idempotency key from whoever sends them, where nobody gave one.

Invariant: a key is never made for a command that refuses it.
"""

from __future__ import annotations

from typing import Any

from allotment.model.commands import Batch, Command

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
