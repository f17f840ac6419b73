"""Finding things by a word, an address or a prefix.

Invariant: a search is a few index ranges, never a pattern over every row of `allocation`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allotment.errors import InvalidValue
from allotment.model.address import Address, parse_address
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.queries import Search
from allotment.model.results import Found, Page
from allotment.operations.inquiries import scopes_meant
from allotment.operations.registry import answers
from allotment.store import allocation_search, allocations, directory, prefixes
from allotment.store.directory import read_cidr
from allotment.store.pages import read_cursor, write_cursor
from allotment.store.session import Read

_HITS_MAX = 5000


@answers(Search)
def search(r: Read, query: Search) -> Page[Found]:
    """Hits of every kind: containers first, then allocations."""
    if not query.text.strip():
        raise InvalidValue("text", query.text, "say what to look for")
    scopes = {row.id: row.name for row in scopes_meant(r, query.scope)}
    start = read_cursor(query.cursor, [int])[0] if query.cursor else 0
    if start < 0 or start > _HITS_MAX:
        raise InvalidValue("cursor", query.cursor, "take it from the `next` of a page")
    wanted = min(start + query.limit + 1, _HITS_MAX)
    found = _containers(r, query.text, scopes, wanted)
    if len(found) < wanted:
        found += _held(r, query.text, scopes, wanted - len(found))
    kept = found[start : start + query.limit]
    more = len(found) > start + query.limit
    return Page(items=tuple(kept), next=write_cursor([start + query.limit]) if more else None)


def _containers(r: Read, text: str, scopes: dict[UUID, str], limit: int) -> list[Found]:
    hits = []
    for kind, row, matched in directory.matching(r, text, sorted(scopes), limit):
        prefix = ""
        if kind == "subnet":
            prefix = str(Prefix.of(row.family, row.first, row.length))
        hits.append(
            Found(
                kind=kind,
                id=row.id,
                name=row.name or prefix,
                scope=scopes.get(getattr(row, "scope_id", row.id), ""),
                where=prefix,
                matched=matched,
            )
        )
    return hits


def _held(r: Read, text: str, scopes: dict[UUID, str], limit: int) -> list[Found]:
    place = _place(text)
    if place is not None:
        return _by_place(r, place, scopes, limit)
    hits = []
    for row in allocation_search.matching(r, text, sorted(scopes), limit):
        one = allocations.made(row)
        hits.append(_hit(one, row.scope, _matched(one, text)))
    return hits


def _hit(one: Any, scope: str, matched: str) -> Found:  # Any: an allocation
    return Found(
        kind="allocation",
        id=one.id,
        name=one.hostname or one.identifier or str(one.address),
        scope=scope,
        where=str(one.address),
        matched=matched,
        allocation=one,
    )


def _matched(one: Any, text: str) -> str:  # Any: an allocation
    fields = {
        "hostname": (one.hostname or "").startswith(text.lower()),
        "identifier": (one.identifier or "").startswith(text),
        "mac": str(one.mac or "").startswith(text.lower()),
    }
    return next((field for field, hit in fields.items() if hit), "tag")


def _place(text: str) -> Prefix | None:
    """The address or prefix that a text is, if it is one."""
    cidr = read_cidr(text)
    if cidr is not None:
        return cidr
    try:
        address: Address = parse_address(text)
    except InvalidValue:
        return None
    return Prefix.of(address.family, address.value, address.bits)


def _by_place(r: Read, place: Prefix, scopes: dict[UUID, str], limit: int) -> list[Found]:
    hits: list[Found] = []
    for scope_id, name in scopes.items():
        # Allocations are found by sight; one that an owner sees may lie in a subnet it does not.
        wanted = allocations.Filter(
            subnet_ids=prefixes.subnets_around_or_within(r, scope_id, place),
            run=Extent(place.first, place.last),
        )
        page = allocations.listed(r, wanted, None, limit - len(hits))
        hits += [_hit(one, name, "address") for one in page.items]
        if len(hits) >= limit:
            break
    return hits
