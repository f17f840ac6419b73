"""The history of addresses: who held one, at any time; and forgetting it.

Invariant: a question costs a few look-ups of an index in each scope, however long the history is.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import structs

from allotment.errors import InvalidValue
from allotment.model.history import ForgetHistory, Forgotten, ListHistory, Period
from allotment.model.prefix import Prefix
from allotment.model.results import Page
from allotment.operations.inquiries import scopes_meant
from allotment.operations.registry import answers, handles
from allotment.store import directory, history, pages, prefixes
from allotment.store.directory import SUBNET, read_id
from allotment.store.history import PRESENT, Spot
from allotment.store.session import Read, Write

FORGOTTEN_AT_ONCE = 50_000

_Place = tuple[int, UUID]


@answers(ListHistory)
def list_history(r: Read, query: ListHistory) -> Page[Period]:
    """The present holder, then the former ones."""
    before = _place(query.cursor)
    found: list[Period] = []
    for spot in _spots(r, query):
        found += _periods(r, spot, query, before)
    found.sort(key=_key, reverse=True)
    named = {row.id: row.name for row in scopes_meant(r, query.scope)} if found else {}
    return pages.paged(
        found,
        query.limit,
        lambda one: (_key(one)[0], str(one.allocation_id)),
        lambda one: structs.replace(one, scope=named.get(one.scope_id)),
    )


def _place(cursor: str | None) -> _Place | None:
    """Where the page before ended."""
    if cursor is None:
        return None
    until, name = pages.read_cursor(cursor, [int, str])
    allocation = read_id(name)
    if allocation is None or not 0 <= until <= PRESENT:
        raise InvalidValue("cursor", cursor, "take it from the `next` of a page")
    return until, allocation


def _key(one: Period) -> _Place:
    return (PRESENT if one.until is None else one.until), one.allocation_id


def _spots(r: Read, query: ListHistory) -> Sequence[Spot]:
    """The address in each scope that is meant; what is seen there is for the periods to say."""
    if query.subnet is not None:
        subnet = directory.find_inside(r, SUBNET, query.subnet, query.scope)
        return [Spot(subnet.scope_id, query.address, subnet.id)]
    if query.scope is not None:
        return [Spot(directory.find_scope(r, query.scope).id, query.address)]
    return [Spot(scope_id, query.address) for scope_id in directory.scope_ids(r)]


def _periods(r: Read, spot: Spot, query: ListHistory, before: _Place | None) -> list[Period]:
    """One more than fits of the periods of an address of a scope, or the one it was in."""
    found = []
    now = _present(r, spot) if before is None or before[0] == PRESENT else None
    if now is not None and (query.at is None or now.since <= query.at):
        found.append(now)
    if query.at is None:
        found += history.former(r, spot, before, query.limit + 1)
    elif not found:
        then = history.at(r, spot, query.at)
        found += [] if then is None else [then]
    return [one for one in found if before is None or _key(one) < before]


def _present(r: Read, spot: Spot) -> Period | None:
    """What holds the address now; an owner sees it whether or not it sees the subnet."""
    if spot.subnet_id is not None:
        return history.present(r, spot)
    address = spot.address
    chain = prefixes.chain(r, spot.scope_id, Prefix.of(address.family, address.value, address.bits))
    around = [one.holder_id for one in chain if one.kind == "subnet"]
    return history.present(r, spot._replace(subnet_id=around[0])) if around else None


@handles(ForgetHistory)
def forget_history(tx: Write, command: ForgetHistory) -> Forgotten:
    """Delete old periods, as many as one transaction should."""
    scope_id = directory.find_scope(tx, command.scope).id if command.scope is not None else None
    count = history.forget(tx, command.before, scope_id, FORGOTTEN_AT_ONCE)
    return Forgotten(count=count, more=count == FORGOTTEN_AT_ONCE)
