"""One transaction's worth of commands: stored answers, permits, handlers, quotas, journal.

Invariant: each command that has an effect has one event, and its stored answer if it is keyed, in
the transaction of the effect; whoever is served was let through in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from allotment.engine.access import Permit
from allotment.errors import AllotmentError, IdempotencyMismatch, OperationFenced
from allotment.model import wire
from allotment.model.access import Actor
from allotment.model.answers import decode_answer
from allotment.model.commands import Batch, Command, ReleaseAddress
from allotment.model.queries import Query
from allotment.operations import registry
from allotment.operations.answers import place_of
from allotment.operations.gate import Gate
from allotment.operations.registry import AGAIN, Outcome
from allotment.store import journal, quotas
from allotment.store.dialect import EventRow
from allotment.store.journal import StoredAnswer
from allotment.store.session import NeedsPatience, Write

DONE = "done"
STRANGER = "stranger"
AnyPermit = Permit[Any]  # Any: whatever the command answers


class Asked(NamedTuple):
    """A request, and who asks for it."""

    actor: Actor
    request: Any  # Any: a command or query, whatever it answers


def perform_one(tx: Write, gate: Gate, asked: Asked) -> Any:
    """Serve one command, or all commands of a batch, all or none.

    Raises:
        AllotmentError: the caller rolls back.
        NeedsPatience: the caller rolls back and runs it again, waiting for locks.
    """
    rights = gate.rights(tx, asked.actor)
    replayed = _replayed(tx, {0: asked})
    if replayed:
        return _unwrapped(replayed[0])
    permit = gate.permit(tx, rights, asked.request)
    if isinstance(asked.request, Batch):
        result: Any = tuple(_served_in_turn(tx, gate, permit, part) for part in _parts(permit))
    else:
        result = _unwrapped(_served_alone(tx, permit))
    quotas.settle(tx)
    _record(tx, [(permit, result)])
    return result


def perform_many(tx: Write, gate: Gate, asked: Sequence[Asked]) -> list[Outcome]:
    """Serve hot commands together; an outcome for each, whatever became of the others."""
    outcomes: dict[int, Outcome] = {}
    rights = {}
    for place, one in enumerate(asked):
        try:
            rights[place] = gate.rights(tx, one.actor)
        except AllotmentError as error:
            outcomes[place] = error
    outcomes.update(_replayed(tx, {place: asked[place] for place in rights}))
    replayed = frozenset(outcomes).intersection(rights)
    permits: dict[int, AnyPermit] = {}
    keys: set[tuple[str, str]] = set()
    for place in sorted(rights.keys() - replayed):
        one = asked[place]
        key = (one.actor.name, one.request.idempotency_key or "")
        if key[1] and key in keys:
            outcomes[place] = AGAIN
            continue
        keys.add(key)
        try:
            permits[place] = gate.permit(tx, rights[place], one.request)
        except AllotmentError as error:
            outcomes[place] = error
    outcomes.update(_served(tx, permits))
    quotas.settle(tx)
    failed = {place for place, outcome in outcomes.items() if registry.failed(outcome)}
    _record(tx, [(permits[place], outcomes[place]) for place in permits if place not in failed])
    refused = [place for place in sorted(failed) if outcomes[place] is not AGAIN]
    record_failures(tx, [(asked[place], outcomes[place]) for place in refused])
    return [outcomes[place] for place in range(len(asked))]


def _served(tx: Write, permits: dict[int, AnyPermit]) -> dict[int, Outcome]:
    """The outcomes of hot commands, kind by kind."""
    outcomes: dict[int, Outcome] = {}
    groups: dict[type, list[int]] = {}
    for place, permit in permits.items():
        groups.setdefault(type(permit.request), []).append(place)
    for kind in sorted(groups, key=_releases_first):
        places = groups[kind]
        found = registry.run_many(tx, [permits[place] for place in places])
        outcomes.update(zip(places, found, strict=True))
    return outcomes


def _releases_first(kind: type[Command[Any]]) -> int:
    return 0 if issubclass(kind, ReleaseAddress) else 1


def _served_alone(tx: Write, permit: AnyPermit) -> Outcome:
    if permit.request.together:
        return registry.run_many(tx, [permit])[0]
    return registry.run(tx, permit)


def _parts(permit: AnyPermit) -> tuple[Command[Any], ...]:
    assert isinstance(permit.request, Batch)
    return permit.request.commands


def _served_in_turn(tx: Write, gate: Gate, whole: AnyPermit, part: Command[Any]) -> Any:
    """One part of a batch, let through in its turn: it may be about what a part before made."""
    rights = gate.rights(tx, whole.actor) if tx.new_rules else whole.rights
    permit = gate.permit(tx, rights, part)
    result = _unwrapped(_served_alone(tx, permit))
    tx.flush()
    return result


def _unwrapped(outcome: Outcome) -> Any:
    if outcome is AGAIN:
        raise NeedsPatience
    if isinstance(outcome, AllotmentError):
        raise outcome
    return outcome


def _replayed(tx: Write, asked: dict[int, Asked]) -> dict[int, Outcome]:
    """The outcomes of keyed commands that were answered before, or never will be."""
    keyed = {
        place: (one.actor.name, one.request.idempotency_key)
        for place, one in asked.items()
        if one.request.idempotency_key is not None
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
            outcomes[place] = _answered_before(asked[place].request, before)
    return outcomes


def _answered_before(command: Command[Any], before: StoredAnswer) -> Outcome:
    if before.fenced:
        return OperationFenced(before.key)
    if wire.request_hash(command) != before.request_hash:
        return IdempotencyMismatch(before.key)
    return decode_answer(command, before.answer)


def _record(tx: Write, effects: Sequence[tuple[AnyPermit, Any]]) -> None:
    """The events of what was done, and the answers to keep."""
    answers, events = [], []
    for permit, result in effects:
        command = permit.request
        encoded = wire.encode(result)
        if command.idempotency_key is not None:
            digest = wire.request_hash(command)
            answers.append(
                StoredAnswer(permit.actor.name, command.idempotency_key, digest, encoded)
            )
        if command.journaled:
            place = place_of(result)
            events.append(_event(tx, permit.actor, command, encoded)._replace(place_id=place))
    journal.store(tx, answers)
    if events:
        tx.dialect.record_events(tx, events)


def record_failures(tx: Write, failures: Sequence[tuple[Asked, AllotmentError]]) -> None:
    """The events of what was refused, or failed."""
    events = []
    for asked, error in failures:
        if isinstance(asked.request, Query) or asked.request.journaled:
            told = wire.encode({"code": error.code, "message": error.message})
            event = _event(tx, asked.actor, asked.request, told)
            events.append(event._replace(outcome=error.code))
    if events:
        tx.dialect.record_events(tx, events)


def record_stranger(
    tx: Write, key_id: str | None, source: str | None, error: AllotmentError
) -> None:
    """The event of somebody whose token was refused; `key_id` is the part that may be shown."""
    told = wire.encode({"do": "Authenticate", "key_id": key_id}).decode()
    answer = wire.encode({"code": error.code, "message": error.message}).decode()
    row = EventRow(tx.now, STRANGER, told, answer, error.code, source, None, None)
    tx.dialect.record_events(tx, [row])


def _event(tx: Write, actor: Actor, request: Any, answer: bytes) -> EventRow:
    told = wire.encode(request).decode()
    return EventRow(
        tx.now, actor.name, told, answer.decode(), DONE, actor.source, actor.request_id, None
    )
