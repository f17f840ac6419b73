"""`import netbox`: a NetBox fixture becomes scopes, projects, subnet pools, subnets, allocations.

Invariant: running it again changes nothing; every object of the file is told what became of it.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from allotment.doors.exchange import netbox_words as words
from allotment.doors.exchange.intake import Intake
from allotment.doors.exchange.netbox_addresses import bring_addresses
from allotment.doors.exchange.netbox_file import read_fixture
from allotment.doors.exchange.netbox_move import Move, bring_projects, bring_scopes
from allotment.doors.exchange.netbox_prefixes import bring_prefixes, plots_of
from allotment.doors.exchange.netbox_ranges import add_active_ranges, bring_ranges
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import Seat
from allotment.doors.exchange.shelf import Shelf

FORMAT: Final = "netbox"

# Objects that have become tags of others.
_AS_TAGS: Final = (
    *("ipam.role", "ipam.rir", "ipam.vlan", "extras.tag"),
    *("dcim.site", "dcim.region", "dcim.sitegroup", "dcim.location"),
)
_NO_HOME: Final = {
    "ipam.routetarget": "the book holds addresses, not routes",
    "ipam.asn": "the book holds addresses, not AS numbers",
    "ipam.asnrange": "the book holds addresses, not AS numbers",
    "ipam.vlangroup": "VLANs are kept as tags, which are not grouped",
    "ipam.vlantranslationpolicy": "VLANs are kept as tags, which are not translated",
    "ipam.fhrpgroup": "its addresses are imported as such; the protocol is not kept",
    "ipam.fhrpgroupassignment": "the book knows no devices and interfaces",
    "ipam.service": "the book holds addresses, not services",
    "ipam.servicetemplate": "the book holds addresses, not services",
    "tenancy.tenantgroup": "projects are not grouped",
    "extras.taggeditem": words.TAGGED,
}
_OTHER: Final = "it is not part of the address space"


def import_netbox(seat: Seat, stream: BinaryIO, report: Report) -> None:
    """Bring the address space of a NetBox fixture into the book.

    Raises:
        InvalidValue: the file is no fixture; nothing was changed.
        AllotmentError: the store cannot serve; running it again goes on from there.
    """
    fixture = read_fixture(stream, report)
    shelf = Shelf(seat)
    move = Move(seat, fixture, shelf, Intake(seat, shelf, report), words.TagSource(fixture))
    bring_scopes(move)
    bring_projects(move)
    plots = plots_of(move)
    add_active_ranges(move, plots)
    bring_prefixes(move, plots)
    bring_addresses(move)
    bring_ranges(move, plots)
    for model in fixture.models():
        _tell_rest(move, model)


def _tell_rest(move: Move, model: str) -> None:
    """Objects that have no place of their own in the book."""
    for item in move.fixture.of(model):
        if item.row.outcome is None:
            why = _NO_HOME.get(model, _OTHER)
            if model in _AS_TAGS:
                why = words.USED if move.tags.is_used(model, item.key) else words.UNUSED
            move.report.tell(item.row, Outcome.NOT_REPRESENTED, why)
