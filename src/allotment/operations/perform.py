"""One transaction's worth of commands: stored answers, handlers, journal.

Invariant: each command that has an effect has one event, and its stored answer if it is keyed, in
the transaction of the effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from allotment.engine.access import Permit
from allotment.errors import AllotmentError, IdempotencyMismatch
from allotment.model import wire
from allotment.model.answers import decode_answer
from allotment.model.commands import Batch, Command, ReleaseAddress
from allotment.operations import registry
from allotment.operations.answers import place_of
from allotment.operations.registry import AGAIN, Outcome
from allotment.store import journal
from allotment.store.dialect import EventRow
from allotment.store.journal import StoredAnswer
from allotment.store.session import NeedsPatience, Write

DONE = "done"
AnyPermit = Permit[Any]  # Any: whatever the command answers


def perform_one(tx: Write, permit: AnyPermit, parts: Sequence[AnyPermit]) -> Any:
    """Serve one command, or all commands of a batch (`parts`), all or none.

    Raises:
        AllotmentError: the caller rolls back.
        NeedsPatience: the caller rolls back and runs it again, waiting for locks.
    """
    replayed = _replayed(tx, [permit])
    if replayed:
        return _unwrapped(replayed[0])
    if isinstance(permit.request, Batch):
        result: Any = tuple(_served_in_turn(tx, part) for part in parts)
    else:
        result = _unwrapped(_served_alone(tx, permit))
    _record(tx, [(permit, result)])
    return result


def perform_many(tx: Write, permits: Sequence[AnyPermit]) -> list[Outcome]:
    """Serve hot commands together; an outcome for each, whatever became of the others."""
    outcomes: dict[int, Outcome] = dict(_replayed(tx, permits))
    done = set(outcomes)
    keys: set[tuple[str, str]] = set()
    groups: dict[type, list[int]] = {}
    for place, permit in enumerate(permits):
        if place in done:
            continue
        key = (permit.actor.name, permit.request.idempotency_key)
        if key[1] is not None and key in keys:
            outcomes[place] = AGAIN
            continue
        keys.add(key)
        groups.setdefault(type(permit.request), []).append(place)
    effects = []
    for kind in sorted(groups, key=_releases_first):
        places = groups[kind]
        found = registry.run_many(tx, [permits[place] for place in places])
        for place, outcome in zip(places, found, strict=True):
            outcomes[place] = outcome
            if not registry.failed(outcome):
                effects.append((permits[place], outcome))
    _record(tx, effects)
    return [outcomes[place] for place in range(len(permits))]


def _releases_first(kind: type[Command[Any]]) -> int:
    return 0 if issubclass(kind, ReleaseAddress) else 1


def _served_alone(tx: Write, permit: AnyPermit) -> Outcome:
    if registry.is_hot(type(permit.request)):
        return registry.run_many(tx, [permit])[0]
    return registry.run(tx, permit)


def _served_in_turn(tx: Write, permit: AnyPermit) -> Any:
    """One part of a batch; the next part must see what it wrote."""
    result = _unwrapped(_served_alone(tx, permit))
    tx.flush()
    return result


def _unwrapped(outcome: Outcome) -> Any:
    if outcome is AGAIN:
        raise NeedsPatience
    if isinstance(outcome, AllotmentError):
        raise outcome
    return outcome


def _replayed(tx: Write, permits: Sequence[AnyPermit]) -> dict[int, Outcome]:
    """The outcomes of keyed commands that were answered before."""
    keyed = {
        place: (permit.actor.name, permit.request.idempotency_key)
        for place, permit in enumerate(permits)
        if permit.request.idempotency_key is not None
    }
    if not keyed:
        return {}
    wanted = sorted(set(keyed.values()))
    tx.dialect.lock_keys(tx, wanted)
    known = journal.stored(tx, wanted)
    outcomes: dict[int, Outcome] = {}
    for place, key in keyed.items():
        before = known.get(key)
        if before is not None:
            outcomes[place] = _answered_before(permits[place].request, before)
    return outcomes


def _answered_before(command: Command[Any], before: StoredAnswer) -> Outcome:
    if wire.request_hash(command) != before.request_hash:
        return IdempotencyMismatch(before.key)
    return decode_answer(command, before.answer)


def _record(tx: Write, effects: Sequence[tuple[AnyPermit, Any]]) -> None:
    answers, events = [], []
    for permit, result in effects:
        command = permit.request
        encoded = wire.encode(result)
        if command.idempotency_key is not None:
            digest = wire.request_hash(command)
            answers.append(
                StoredAnswer(permit.actor.name, command.idempotency_key, digest, encoded)
            )
        events.append(
            EventRow(
                tx.now,
                permit.actor.name,
                wire.encode(command).decode(),
                encoded.decode(),
                DONE,
                permit.actor.source,
                permit.actor.request_id,
                place_of(result),
            )
        )
    journal.store(tx, answers)
    if events:
        tx.dialect.record_events(tx, events)
