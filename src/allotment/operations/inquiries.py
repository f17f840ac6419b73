"""Looking around: what an address is, where a word occurs, the tree of a scope, the book itself.

Invariant: a longest match costs one index look-up a scope, whatever the book holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from allotment.errors import InvalidValue
from allotment.model.prefix import Prefix
from allotment.model.queries import GetStatus, ListTree, Lookup
from allotment.model.results import BookStatus, Match, Page, PrefixNode
from allotment.model.version import VERSION
from allotment.operations.registry import answers
from allotment.store import (
    allocation_pools,
    allocations,
    census,
    directory,
    extents,
    pages,
    prefixes,
)
from allotment.store.directory import AnyRow
from allotment.store.prefixes import Held
from allotment.store.schema import HEAD
from allotment.store.session import Read

_SCOPES_MAX = 10_000


def scopes_meant(r: Read, scope: str | None) -> Sequence[AnyRow]:
    """The scope named, or all of them by name, with something in them that is seen."""
    if scope is not None:
        return [directory.find_scope(r, scope)]
    return directory.named_scopes(r, _SCOPES_MAX)


def nodes(r: Read, held: Sequence[Held], scopes: dict[UUID, str]) -> list[PrefixNode]:
    """Prefixes with the names of what holds them."""
    names = directory.names_of(r, held)
    return [
        PrefixNode(
            kind=one.kind,
            holder_id=one.holder_id,
            name=names.get(one.holder_id) or str(one.prefix),
            prefix=one.prefix,
            parent_id=one.parent_id if one.parent_id != one.scope_id else None,
            scope=scopes[one.scope_id],
        )
        for one in held
    ]


@answers(Lookup)
def lookup(r: Read, query: Lookup) -> tuple[Match, ...]:
    """The chain of prefixes around an address or prefix, in every scope that has one."""
    if (query.address is None) == (query.prefix is None):
        raise InvalidValue("address", query.address, "give either an address or a prefix")
    wanted = query.prefix
    if query.address is not None:
        wanted = Prefix.of(query.address.family, query.address.value, query.address.bits)
    assert wanted is not None
    matches = []
    for scope in scopes_meant(r, query.scope):
        chain = prefixes.chain(r, scope.id, wanted)
        seen = directory.seen_among(r, [one.holder_id for one in chain])
        chain = [one for one in chain if one.holder_id in seen]
        if chain:
            matches.append(_match(r, scope, chain, query))
    return tuple(matches)


def _match(r: Read, scope: AnyRow, chain: list[Held], query: Lookup) -> Match:
    deepest = chain[-1]
    allocation, state = None, deepest.kind
    if query.address is not None and deepest.kind == "subnet":
        allocation = allocations.find(r, deepest.holder_id, query.address.value)
        state = "held" if allocation else _state(r, deepest.holder_id, query.address.value)
    return Match(
        scope_id=scope.id,
        scope=scope.name,
        chain=tuple(nodes(r, chain, {scope.id: scope.name})),
        allocation=allocation,
        state=state,
    )


def _state(r: Read, subnet_id: UUID, address: int) -> str:
    """Of an address nobody holds: free, resting, or outside the allocation pools."""
    if allocation_pools.covering(r, subnet_id, address) is None:
        return "outside-pools"
    found = extents.page(r, subnet_id, address - 1, 1)
    rests = bool(found) and found[0].first <= address and found[0].available_at > r.now
    return "quarantined" if rests else "free"


@answers(ListTree)
def list_tree(r: Read, query: ListTree) -> Page[PrefixNode]:
    """All prefixes of the scopes, parents before children."""
    scopes = {row.id: row.name for row in scopes_meant(r, query.scope)}
    after = None
    if query.cursor is not None:
        key = pages.read_cursor(query.cursor, [str, int, int, int, int])
        after = (UUID(key[0]), *key[1:])
    held = prefixes.in_order(r, sorted(scopes), after, query.limit + 1)
    shown = dict(zip(held, nodes(r, held, scopes), strict=True))
    return pages.paged(held, query.limit, prefixes.order_key, shown.__getitem__)


@answers(GetStatus)
def get_status(r: Read, _query: GetStatus) -> BookStatus:
    """What the book holds."""
    counts = census.everything(r)
    return BookStatus(
        complete=r.sight.everything,
        version=VERSION,
        schema=HEAD,
        database=r.dialect.shown if r.sight.everything else "",
        projects=counts["projects"],
        scopes=counts["scopes"],
        pools=counts["pools"],
        subnets=counts["subnets"],
        allocations=counts["allocations"],
    )
