"""Events and stored answers, written in the transaction of their effect.

Invariant: each committed command has exactly one event; a keyed command's answer is stored with
its effect or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, tuple_

from allotment.store import schema
from allotment.store.session import Read, Write

I = schema.idempotency  # noqa: E741 - one letter per table, as in every module of this floor

_FIND = select(I.c.actor, I.c.key, I.c.request_hash, I.c.answer, I.c.fenced).where(
    tuple_(I.c.actor, I.c.key).in_(bindparam("wanted", expanding=True))
)


class StoredAnswer(NamedTuple):
    """What a keyed command was and what it was answered; `fenced`: that it never will be."""

    actor: str
    key: str
    request_hash: bytes
    answer: bytes
    fenced: bool = False


def fence(actor: str, key: str) -> StoredAnswer:
    """What keeps a key from ever being used."""
    return StoredAnswer(actor, key, bytes(32), b"", fenced=True)


def stored(r: Read, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredAnswer]:
    """The stored answers of some (actor, key)."""
    if not wanted:
        return {}
    rows = r.run(_FIND, {"wanted": list(wanted)})
    return {(row.actor, row.key): StoredAnswer._make(row) for row in rows}


def store(tx: Write, answers: Sequence[StoredAnswer]) -> None:
    """Store answers; a key that another transaction stored first is `idempotency_pkey`."""
    if answers:
        tx.run(insert(I), [{**one._asdict(), "created_at": tx.now} for one in sorted(answers)])


def forget(tx: Write, before: int) -> int:
    """Delete the answers stored before a moment (UTC milliseconds); how many."""
    return tx.run(delete(I).where(I.c.created_at < before)).rowcount
