"""Handing out single addresses, many commands at a time.

Invariant: an address leaves the free space and enters `allocation` in one transaction; "exhausted"
is said only when a committed snapshot showed too little.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from uuid import UUID, uuid4

from allotment.engine.access import Permit
from allotment.errors import (
    AllotmentError,
    Forbidden,
    IdentifierTaken,
    InvalidValue,
    NotFound,
    PoolExhausted,
)
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, Method
from allotment.model.extent import Extent
from allotment.model.results import AddressPlacement, Allocation
from allotment.operations import specific
from allotment.operations.free_space import Space, take_out
from allotment.operations.hand import Hand
from allotment.operations.owners import check_touch
from allotment.operations.references import References
from allotment.operations.registry import AGAIN, Outcome, handles_many
from allotment.store import allocations, directory, extents, quotas
from allotment.store.dialect import AllocationRow, SubnetRow
from allotment.store.quotas import Counted
from allotment.store.session import Write

EXHAUSTED_HINT = "release addresses, or add a range with 'allotment subnet update'"


class _Wish:
    """One command on its way: what it named, and what became of it."""

    __slots__ = ("command", "outcome", "owner", "rights", "subnets")

    def __init__(self, permit: Permit[AllocateAddress]) -> None:
        self.command = permit.resolved
        self.rights = permit.rights
        self.subnets: list[UUID] = []
        self.owner: tuple[UUID | None, str | None] = (None, None)
        self.outcome: Outcome = None

    @property
    def open(self) -> bool:
        return self.outcome is None

    @property
    def named(self) -> bool:
        """Whether it wants one very address."""
        made = self.command.method in (Method.EUI_64, Method.STABLE_PRIVATE)
        return made or self.command.address is not None

    @property
    def plain(self) -> bool:
        """Whether the subnet's own placement serves it."""
        return (
            self.command.placement is None and self.command.method is Method.ANY and not self.named
        )


@handles_many(AllocateAddress)
def allocate_addresses(tx: Write, permits: Sequence[Permit[AllocateAddress]]) -> list[Outcome]:
    """Hold an address for each command: find, look up identifiers, lock, take, enter."""
    wishes = [_Wish(permit) for permit in permits]
    _resolve(tx, wishes)
    _refuse_too_much(tx, wishes)
    _answer_identified(tx, wishes)
    hands = _lock(tx, wishes)
    rows: list[AllocationRow] = []
    named = sorted((wish for wish in wishes if wish.open and wish.named), key=_place)
    for wish in named + [wish for wish in wishes if wish.open and not wish.named]:
        try:
            wish.outcome = _serve(tx, wish, hands)
        except AllotmentError as error:
            wish.outcome = error
        if isinstance(wish.outcome, tuple):
            rows.append(_hold(tx, wish))
    assert all(hand.empty for hand in hands.values()), "an address was taken for nobody"
    tx.dialect.record_allocations(tx, rows)
    return [wish.outcome for wish in wishes]


def _place(wish: _Wish) -> tuple[list[UUID], int]:
    """Named addresses are taken in this order, the order of locks."""
    return wish.subnets, wish.command.address.value if wish.command.address else -1


def _resolve(tx: Write, wishes: Sequence[_Wish]) -> None:
    references = References(tx)
    for wish in wishes:
        command = wish.command
        try:
            _check_sense(command)
            wish.owner = references.project(command.owner)
            wish.subnets = [
                references.subnet(reference, command.scope)
                for reference in (command.subnet, *command.fallbacks)
            ]
        except AllotmentError as error:
            wish.outcome = error


def _refuse_too_much(tx: Write, wishes: Sequence[_Wish]) -> None:
    """Refuse early what a project may not own; what others take meanwhile is seen at the end."""
    owned = [(wish, wish.owner[0]) for wish in wishes if wish.open]
    limited = quotas.find(tx, [owner for _, owner in owned if owner is not None])
    for wish, owner in owned:
        row = limited.get(owner) if owner is not None else None
        if row is not None:
            try:
                quotas.check(row, Counted(addresses=1))
            except AllotmentError as error:
                wish.outcome = error


def _check_sense(command: AllocateAddress) -> None:
    """Refuse fields that contradict each other."""
    if command.address is not None:
        for field, given in (
            ("method", command.method is not Method.ANY),
            ("placement", command.placement is not None),
            ("fallbacks", bool(command.fallbacks)),
        ):
            if given:
                raise InvalidValue(
                    field, getattr(command, field), "a specific address leaves no choice"
                )
    elif command.placement is not None and command.method is not Method.ANY:
        raise InvalidValue("placement", command.placement, f"method {command.method} decides")


def _answer_identified(tx: Write, wishes: Sequence[_Wish]) -> None:
    """An identifier that holds an address here already gets that allocation."""
    asking = [wish for wish in wishes if wish.open and wish.command.identifier is not None]
    if not asking:
        return
    grouped = {subnet for wish in asking if len(wish.subnets) > 1 for subnet in wish.subnets}
    if grouped:
        directory.lock_to_identify(tx, sorted(grouped))
    subnets = sorted({subnet for wish in asking for subnet in wish.subnets})
    identifiers = sorted({wish.command.identifier or "" for wish in asking})
    known = allocations.identified(tx, subnets, identifiers)
    met: set[tuple[UUID, str]] = set()
    for wish in asking:
        keys = [(subnet, wish.command.identifier or "") for subnet in wish.subnets]
        before = next((known[key] for key in keys if key in known), None)
        if before is not None:
            wish.outcome = _again_or_conflict(tx, wish, before)
        elif met.intersection(keys):
            wish.outcome = AGAIN
        met.update(keys)


def _again_or_conflict(tx: Write, wish: _Wish, before: Allocation) -> Outcome:
    command = wish.command
    try:
        check_touch(tx, wish.rights, before.subnet_id, [before.project_id])
    except Forbidden:
        return IdentifierTaken(command.identifier or "", "somebody else's allocation")
    if command.address is not None and command.address != before.address:
        return IdentifierTaken(command.identifier or "", str(before.address))
    return before


def _lock(tx: Write, wishes: Sequence[_Wish]) -> dict[UUID, Hand]:
    wanted: dict[UUID, int] = {}
    for wish in wishes:
        if wish.open:
            for subnet in wish.subnets:
                wanted.setdefault(subnet, 0)
            if wish.plain and len(wish.subnets) == 1:
                wanted[wish.subnets[0]] += 1
    if not wanted:
        return {}
    locked = tx.dialect.lock_subnets(tx, dict(sorted(wanted.items())))
    for wish in wishes:
        missing = [subnet for subnet in wish.subnets if subnet not in locked]
        if wish.open and missing:
            wish.outcome = NotFound("subnet", missing[0], "'allotment subnet list' shows them")
    return {subnet_id: Hand(subnet) for subnet_id, subnet in locked.items()}


def _serve(tx: Write, wish: _Wish, hands: dict[UUID, Hand]) -> Outcome:
    """The first subnet of the group that gives an address, with the address."""
    outcome: Outcome = AGAIN
    for subnet_id in wish.subnets:
        hand = hands[subnet_id]
        outcome = _serve_from(tx, wish, hand)
        if isinstance(outcome, Address):
            hand.give(outcome.value)
            return hand.row, outcome
        if outcome is AGAIN:
            return AGAIN
    return outcome


def _serve_from(tx: Write, wish: _Wish, hand: Hand) -> Outcome:
    row, command = hand.row, wish.command
    if command.address is not None:
        return specific.take(tx, hand, command.address)
    if wish.named:
        return specific.take_made(tx, hand, command)
    placement = command.placement or row.placement
    if command.method is Method.NEXT or placement == AddressPlacement.LOWEST:
        value = hand.pop()
        if value is None:
            taken = tx.dialect.take_lowest(tx, row.id, 1)
            value = taken[0].first if taken else None
    else:
        value = _take_placed(tx, row, AddressPlacement(placement))
    return _too_little(tx, row) if value is None else Address.of(row.family, value)


def _take_placed(tx: Write, row: SubnetRow, placement: AddressPlacement) -> int | None:
    """One address by `random` or `least-recently-used`."""
    if placement is AddressPlacement.RANDOM:
        size = 1 << (32 if row.family == 4 else 128) - row.length
        pivot = row.first + secrets.randbelow(size)
        found = extents.eligible_from(tx, row.id, pivot)
        if found is None:
            found = extents.eligible_from(tx, row.id, 0)
    else:
        found = extents.oldest(tx, row.id)
        pivot = 0
    if found is None:
        return None
    value = max(found.first, min(pivot, found.last))
    take_out(tx, Space(row.id), found, Extent(value, value))
    return value


def _too_little(tx: Write, row: SubnetRow) -> Outcome:
    """Nothing was to be had: exhausted, if a snapshot says so; else others are at work."""
    if tx.dialect.concurrent and not tx.patient:
        return AGAIN
    if extents.free_at_least(tx, row.id, 1, tx.now):
        return AGAIN
    name = f"subnet {specific.prefix_of(row)}"
    return PoolExhausted(name, "an address", 0, EXHAUSTED_HINT)


def _hold(tx: Write, wish: _Wish) -> AllocationRow:
    """Make the address the wish's own: the row to enter, and the answer of the same facts."""
    row, address = wish.outcome
    command = wish.command
    project_id, project = wish.owner
    quotas.note(tx, project_id, Counted(addresses=1))
    entry = AllocationRow(
        row.id,
        address.value,
        uuid4(),
        tx.now,
        command.status.value,
        project_id,
        command.identifier,
        command.hostname.lower() if command.hostname else None,
        str(command.mac) if command.mac else None,
        command.description or None,
        tuple(sorted(set(command.tags))),
    )
    wish.outcome = Allocation(
        id=entry.id,
        subnet_id=row.id,
        address=address,
        status=command.status,
        project_id=project_id,
        project=project,
        identifier=command.identifier,
        hostname=entry.hostname,
        mac=command.mac,
        description=command.description,
        tags=entry.tags,
        created_at=tx.now,
    )
    return entry
