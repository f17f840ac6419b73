"""IP addresses of NetBox as allocations.

Invariant: an address is held once in a scope, and carries the identifier `netbox:ip:KEY`, by which
the next import knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from allotment.doors.exchange import netbox_words as words
from allotment.doors.exchange.intake import Wish
from allotment.doors.exchange.netbox_file import IpAddress, Item
from allotment.doors.exchange.netbox_move import Move
from allotment.doors.exchange.report import Outcome, Row
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.address import Address, parse_address
from allotment.model.commands import AllocateAddress, AllocatePrefix, Command
from allotment.model.prefix import Prefix
from allotment.model.results import Status

_HOMELESS: Final = "no prefix of the file or the book is around it in its VRF"
_ALONE: Final = "no subnet is around it: held as a prefix of one address, which has no hostname"


def bring_addresses(move: Move) -> None:
    """Hold the addresses."""
    move.intake.take_all(_wishes(move))


def _wishes(move: Move) -> Iterator[Wish]:
    met: dict[tuple[str, Address], Row] = {}
    for item in move.fixture.of("ipam.ipaddress"):
        try:
            scope = move.scope_of(item.fields.vrf)
            address, mask = split(item.fields.address, "address")
        except AllotmentError as error:
            move.report.refuse(item.row, error)
            continue
        before = met.setdefault((scope, address), item.row)
        if before is not item.row:
            reason = f"an address is held once in a scope: {before.source} has it"
            move.report.tell(item.row, Outcome.NOT_REPRESENTED, reason)
            continue
        command = _command(move, item, scope, address)
        if command is None:
            move.report.tell(item.row, Outcome.NOT_REPRESENTED, _HOMELESS)
            continue
        _note_mask(item.row, command, mask)
        yield Wish(item.row, command)


def split(text: str, what: str) -> tuple[Address, str]:
    """An address as NetBox writes it, and its mask.

    Raises:
        InvalidValue: it is no address.
    """
    head, slash, mask = text.partition("/")
    address = parse_address(head, what)
    if slash and not (mask.isascii() and mask.isdigit() and int(mask[:4]) <= address.bits):
        raise InvalidValue(what, text, f"its mask is none of IPv{address.family}")
    return address, mask


def _note_mask(row: Row, command: Command[Any], mask: str) -> None:  # Any: whatever it answers
    if isinstance(command, AllocateAddress):
        own = command.subnet.partition("/")[2]
        if mask and mask != own:
            row.leave_out("mask", f"/{mask}", "the subnet around it has the mask")


def _command(
    move: Move, item: Item[IpAddress], scope: str, address: Address
) -> AllocateAddress | AllocatePrefix | None:
    row, fields = item.row, item.fields
    subnet = move.shelf.subnet_around(scope, address)
    pool = move.shelf.pool_around(scope, address) if subnet is None else None
    if subnet is None and pool is None:
        return None
    _note_links(row, fields)
    hostname = words.hostname(row, fields.dns_name)
    common: dict[str, Any] = {  # Any: fields of either command
        "scope": scope,
        "status": Status.RESERVED if fields.status == "reserved" else Status.ACTIVE,
        "owner": move.owner_of(row, fields.tenant),
        "identifier": f"netbox:ip:{item.key}",
        "description": words.description(row, fields),
        "tags": tuple(_tags(move, item)),
    }
    if subnet is not None:
        place = str(subnet.prefix)
        return AllocateAddress(subnet=place, address=address, hostname=hostname, **common)
    if hostname is not None:
        row.leave_out("dns_name", hostname, _ALONE)
    alone = Prefix.of(address.family, address.value, address.bits)
    return AllocatePrefix(pool=str(pool), prefix=alone, **common)


def _note_links(row: Row, fields: IpAddress) -> None:
    if fields.assigned_object_id is not None:
        kind = fields.assigned_object_type
        shown = ".".join(map(str, kind)) if isinstance(kind, list) else kind
        what = f"{shown} {fields.assigned_object_id}"
        row.leave_out("assigned_object", what, "the book knows no devices and interfaces")
    if fields.nat_inside is not None:
        row.leave_out("nat_inside", fields.nat_inside, "the book knows no translations")


def _tags(move: Move, item: Item[IpAddress]) -> Iterator[str]:
    row, fields = item.row, item.fields
    yield from move.tags.of(row, row.kind, item.key)
    if fields.role:
        yield from move.tags.checked(row, "role", f"role:{fields.role}")
    if fields.status not in ("active", "reserved"):
        yield from move.tags.checked(row, "status", f"status:{fields.status}")
