"""Aggregates and prefixes of NetBox as subnet pools and subnets.

Invariant: one prefix of one scope is at most one pool and one subnet, however often the file has
it; a subnet has no prefix of the file inside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

from msgspec import UNSET, UnsetType

from allotment.doors.exchange import netbox_words as words
from allotment.doors.exchange.address_sets import union
from allotment.doors.exchange.intake import Wish
from allotment.doors.exchange.netbox_file import Aggregate, Item, NetBoxPrefix
from allotment.doors.exchange.netbox_move import PRESENT, Move
from allotment.doors.exchange.prefix_index import PrefixIndex
from allotment.doors.exchange.report import Outcome, Row
from allotment.errors import AllotmentError
from allotment.model.address_range import AddressRange
from allotment.model.commands import CreateSubnet, CreateSubnetPool
from allotment.model.prefix import Prefix, parse_prefix

AnyItem = Item[Any]  # Any: an aggregate or a prefix
# Of these, nothing is to be handed out by itself.
_IDLE: Final = ("reserved", "deprecated")
_HAS_CHILDREN: Final = (
    "it has child prefixes, so it became a subnet pool: addresses are handed out by its children"
)


@dataclass
class Plot:
    """A prefix of a scope: what of the file makes it a pool, what a subnet."""

    scope: str
    prefix: Prefix
    pools: list[AnyItem] = field(default_factory=list)
    subnets: list[AnyItem] = field(default_factory=list)
    ranges: list[AddressRange] = field(default_factory=list)


class Plots:
    """The prefixes of the file, by scope."""

    def __init__(self) -> None:
        self._by_scope: defaultdict[str, PrefixIndex[Plot]] = defaultdict(PrefixIndex)
        self._all: list[Plot] = []

    def at(self, scope: str, prefix: Prefix) -> Plot:
        """The plot of a prefix."""
        found = self._by_scope[scope].get(prefix)
        if found is None:
            found = Plot(scope, prefix)
            self._by_scope[scope].put(prefix, found)
            self._all.append(found)
        return found

    def subnet_around(self, scope: str, run: AddressRange) -> Plot | None:
        """The plot that is a subnet and holds all of a range."""
        for prefix, plot in self._by_scope[scope].around(run.first_address):
            if plot.subnets and prefix.contains(run.last_address):
                return plot
        return None

    def in_order(self) -> list[Plot]:
        """Parents before children."""
        return sorted(self._all, key=lambda plot: (plot.scope, plot.prefix))


def plots_of(move: Move) -> Plots:
    """Where the aggregates and prefixes of the file stand; what is not valid is refused."""
    plots = Plots()
    for aggregate in move.fixture.of("ipam.aggregate"):
        plot = _plot(move, plots, aggregate, None)
        if plot is not None:
            plot.pools.append(aggregate)
    for prefix in move.fixture.of("ipam.prefix"):
        plot = _plot(move, plots, prefix, prefix.fields.vrf)
        if plot is not None:
            is_container = prefix.fields.status == "container"
            (plot.pools if is_container else plot.subnets).append(prefix)
    for one, after in pairwise(plots.in_order()):
        if one.scope == after.scope and one.prefix.contains(after.prefix):
            _make_pool(one)
    return plots


def _plot(move: Move, plots: Plots, item: AnyItem, vrf: Any) -> Plot | None:  # Any: a link
    try:
        return plots.at(move.scope_of(vrf), parse_prefix(item.fields.prefix))
    except AllotmentError as error:
        move.report.refuse(item.row, error)
        return None


def _make_pool(plot: Plot) -> None:
    for item in plot.subnets:
        item.row.leave_out("status", item.fields.status, _HAS_CHILDREN)
    plot.pools += plot.subnets
    plot.subnets = []


def bring_prefixes(move: Move, plots: Plots) -> None:
    """Enter the pools, large ones first, and then the subnets."""
    ordered = plots.in_order()
    pools = [(plot.pools, _pool(move, plot)) for plot in ordered if plot.pools]
    subnets = [(plot.subnets, _subnet(move, plot)) for plot in ordered if plot.subnets]
    for group in (pools, subnets):
        move.intake.take_all(Wish(items[0].row, command) for items, command in group)
        for items, _ in group:
            _tell_others(move, items)


def _tell_others(move: Move, items: Sequence[AnyItem]) -> None:
    """Several rows for one prefix: the others share what became of the first."""
    first = items[0].row
    for item in items[1:]:
        if first.outcome in PRESENT:
            reason = f"a prefix stands once in a scope: see {first.source}"
            move.report.tell(item.row, Outcome.MERGED, reason)
        else:
            move.report.tell(item.row, Outcome.REFUSED, first.reason, first.code)


class _Said(NamedTuple):
    """What all rows for one prefix say of it together."""

    description: str
    project: str | None
    tags: tuple[str, ...]


def _said(move: Move, items: Sequence[AnyItem]) -> _Said:
    """Tags of all; description and project of the first that has one, the others left out."""
    description, project, tags = "", None, set[str]()
    for item in items:
        row, fields = item.row, item.fields
        text, owner = words.description(row, fields), move.owner_of(row, fields.tenant)
        tags.update(_tags(move, item))
        description = _first(row, "description", description, text)
        project = _first(row, "tenant", project, owner)
    return _Said(description, project, tuple(sorted(tags)))


def _first(row: Row, what: str, known: Any, new: Any) -> Any:  # Any: text or none
    if known and new and known != new:
        row.leave_out(what, new, "another row for the same prefix says otherwise")
    return known or new


def _tags(move: Move, item: AnyItem) -> Iterator[str]:
    row, fields = item.row, item.fields
    yield from move.tags.of(row, row.kind, item.key)
    if isinstance(fields, Aggregate):
        yield from move.tags.linked(row, "rir", "ipam.rir", fields.rir)
        if fields.date_added:
            yield from move.tags.checked(row, "date_added", f"date-added:{fields.date_added}")
        return
    yield from move.tags.linked(row, "role", "ipam.role", fields.role)
    yield from move.tags.linked(row, "vlan", "ipam.vlan", fields.vlan)
    yield from _site(move, row, fields)
    if fields.status not in ("active", "container"):
        yield from move.tags.checked(row, "status", f"status:{fields.status}")
    if fields.is_pool:
        yield "is-pool"
        if fields.prefix.partition("/")[2] not in ("31", "32", "127", "128"):
            why = "kept as the tag is-pool; network and broadcast address stay unusable"
            row.leave_out("is_pool", True, why)
    if fields.mark_utilized:
        yield "mark-utilized"
        row.leave_out("mark_utilized", True, "kept as the tag mark-utilized; use is counted here")


def _site(move: Move, row: Row, fields: NetBoxPrefix) -> Iterator[str]:
    yield from move.tags.linked(row, "site", "dcim.site", fields.site)
    kind = fields.scope_type
    if fields.scope_id is None or kind is None:
        return
    if isinstance(kind, list) and len(kind) == 2:
        app, model = map(str, kind)
        yield from move.tags.linked(row, model, f"{app}.{model}", fields.scope_id)
    else:
        row.leave_out("scope_type", f"{kind} {fields.scope_id}", words.NUMBERED)


def _pool(move: Move, plot: Plot) -> CreateSubnetPool:
    said = _said(move, plot.pools)
    return CreateSubnetPool(
        name=str(plot.prefix),
        scope=plot.scope,
        prefixes=(plot.prefix,),
        project=said.project,
        description=said.description,
        tags=said.tags,
    )


def _subnet(move: Move, plot: Plot) -> CreateSubnet:
    said = _said(move, plot.subnets)
    return CreateSubnet(
        scope=plot.scope,
        prefix=plot.prefix,
        gateway=None,
        ranges=_ranges(plot),
        project=said.project,
        description=said.description,
        tags=said.tags,
    )


def _ranges(plot: Plot) -> tuple[AddressRange, ...] | UnsetType:
    """The active ranges; none for a prefix out of use; all addresses where nothing is said."""
    idle = [item for item in plot.subnets if item.fields.status in _IDLE]
    for item in idle:
        why = "kept as a tag; no allocation pools, so that nothing is handed out by itself"
        item.row.leave_out("status", item.fields.status, why)
    if plot.ranges:
        return union(plot.ranges)
    return () if idle else UNSET
