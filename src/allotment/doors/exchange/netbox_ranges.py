"""IP ranges of NetBox: active ones are allocation pools, reserved ones hold their addresses.

Invariant: reserving a range takes only what nobody holds; a range that is held already changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allotment.doors.exchange import netbox_words as words
from allotment.doors.exchange.address_sets import common, contains, host_addresses, without
from allotment.doors.exchange.netbox_addresses import split
from allotment.doors.exchange.netbox_file import IpRange, Item
from allotment.doors.exchange.netbox_move import Move
from allotment.doors.exchange.netbox_prefixes import Plots
from allotment.doors.exchange.report import Outcome
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.address_range import AddressRange
from allotment.model.commands import AllocateAddresses, Batch
from allotment.model.prefix import Prefix
from allotment.model.results import Status, Subnet

RESERVED_MAX: Final = 1_000_000
_UNUSABLE: Final = "network and broadcast address are nobody's"
_TOO_LARGE: Final = (
    f"more than {RESERVED_MAX:,} addresses are not reserved one by one; leave the range out of the"
    " subnet's allocation pools instead: allotment subnet update SUBNET --range FIRST-LAST"
)
_NO_SUBNET: Final = "no single subnet of the file or the book is around it"
_NO_STATUS: Final = "only active and reserved ranges mean something here"


def add_active_ranges(move: Move, plots: Plots) -> None:
    """Tell the plots of the file which allocation pools they have."""
    for item in move.fixture.of("ipam.iprange"):
        try:
            scope, run = _read(move, item)
        except AllotmentError as error:
            move.report.refuse(item.row, error)
            continue
        plot = plots.subnet_around(scope, run)
        if plot is not None and item.fields.status == "active":
            hosts = _hosts(item, plot.prefix, run)
            if hosts is not None:
                plot.ranges.append(hosts)


def _read(move: Move, item: Item[IpRange]) -> tuple[str, AddressRange]:
    """The scope and the addresses of a range.

    Raises:
        InvalidValue: an end is no address, or they do not belong together.
        NotFound: the VRF is not in the file.
    """
    fields = item.fields
    first, _ = split(fields.start_address, "start_address")
    last, _ = split(fields.end_address, "end_address")
    if first.family != last.family or first > last:
        raise InvalidValue("end_address", fields.end_address, f"it does not come after {first}")
    return move.scope_of(fields.vrf), AddressRange.of(first.family, first.value, last.value)


def _hosts(item: Item[IpRange], prefix: Prefix, run: AddressRange) -> AddressRange | None:
    """What of a range a host may bear; the rest is left out."""
    hosts = common(host_addresses(prefix), run)
    if hosts != run:
        item.row.leave_out("range", run, _UNUSABLE)
    return hosts


def bring_ranges(move: Move, plots: Plots) -> None:
    """Reserve the reserved ranges; see whether the active ones are allocation pools."""
    for item in move.fixture.of("ipam.iprange"):
        if item.row.outcome is None:
            try:
                _bring(move, plots, item)
            except AllotmentError as error:
                if error.kind in ("unavailable", "unexpected"):
                    raise
                move.report.refuse(item.row, error)


def _bring(move: Move, plots: Plots, item: Item[IpRange]) -> None:
    scope, run = _read(move, item)
    subnet = move.shelf.subnet_around(scope, run.first_address)
    reason = ""
    if item.fields.status not in ("active", "reserved"):
        reason = _NO_STATUS
    elif subnet is None or not subnet.prefix.contains(run.last_address):
        reason = _NO_SUBNET
    elif item.fields.status == "reserved" and run.size > RESERVED_MAX:
        reason = _TOO_LARGE
    if reason or subnet is None:
        move.report.tell(item.row, Outcome.NOT_REPRESENTED, reason)
    elif item.fields.status == "active":
        plot = plots.subnet_around(scope, run)
        fresh = plot is not None and plot.subnets[0].row.outcome is Outcome.IMPORTED
        _tell_active(move, item, (subnet, fresh), run)
    else:
        _reserve(move, item, subnet, run)


def _tell_active(
    move: Move, item: Item[IpRange], home: tuple[Subnet, bool], run: AddressRange
) -> None:
    """Whether the subnet, which may be fresh from this import, hands out these addresses."""
    subnet, fresh = home
    hosts = common(host_addresses(subnet.prefix), run)
    _note_rest(item)
    if hosts is not None and not contains(subnet.pools, hosts):
        reason = f"the subnet {subnet.prefix} of the book has other allocation pools"
        move.report.tell(item.row, Outcome.DIFFERS, reason)
        return
    move.report.tell(item.row, Outcome.IMPORTED if fresh else Outcome.UNCHANGED)


def _note_rest(item: Item[IpRange]) -> None:
    """An allocation pool has no attributes of its own."""
    row, fields = item.row, item.fields
    for what, given in (("tenant", fields.tenant), ("role", fields.role)):
        if given is not None:
            row.leave_out(what, given, "an allocation pool has none")
    if words.description(row, fields):
        row.leave_out("description", fields.description, "an allocation pool has none")


def _reserve(move: Move, item: Item[IpRange], subnet: Subnet, run: AddressRange) -> None:
    hosts = _hosts(item, subnet.prefix, run)
    gaps = without(hosts, move.shelf.held(subnet)) if hosts is not None else ()
    commands = tuple(_reservations(move, item, subnet, gaps))
    if commands:
        move.seat.do(Batch(commands=commands))
    move.report.tell(item.row, Outcome.IMPORTED if commands else Outcome.UNCHANGED)


def _reservations(
    move: Move, item: Item[IpRange], subnet: Subnet, gaps: tuple[AddressRange, ...]
) -> Iterator[AllocateAddresses]:
    row, fields = item.row, item.fields
    owner = move.owner_of(row, fields.tenant)
    description = words.description(row, fields)
    tags = (
        *move.tags.of(row, row.kind, item.key),
        *move.tags.linked(row, "role", "ipam.role", fields.role),
        f"netbox:range:{item.key}",
    )
    for gap in gaps:
        yield AllocateAddresses(
            subnet=str(subnet.prefix),
            scope=subnet.scope,
            count=gap.size,
            contiguous=True,
            first=gap.first_address,
            status=Status.RESERVED,
            owner=owner,
            description=description,
            tags=tags,
        )
