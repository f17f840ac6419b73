"""`allotment allocate`: hold one address of a subnet, or many at once.

Invariant: the answer is always a listing, and a million addresses are never a list in memory.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import click

from allotment.doors.cli import allocated, options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import subnets
from allotment.doors.cli.values import ADDRESS, MAC
from allotment.model.commands import AllocateAddress, AllocateAddresses, Method
from allotment.model.results import AddressPlacement, Allocation, Status

_MANY: Final = 10_000
_SINGLE_ONLY: Final = ("identifier", "mac", "interface", "fallbacks", "placement", "eui64")
_METHODS: Final = click.Choice([one.value for one in Method])
_PLACEMENTS: Final = click.Choice([one.value for one in AddressPlacement])
_STATUSES: Final = click.Choice([one.value for one in Status])


@click.command("allocate", cls=DoorCommand)
@click.argument("subnet", shell_complete=subnets)
@options.in_scope
@click.option("--address", type=ADDRESS, metavar="A", help="This very address, in a pool or not.")
@click.option("--next", "take_next", is_flag=True, help="The lowest that is free.")
@click.option("--mac", type=MAC, metavar="M", help="The interface that will have it.")
@click.option("--eui64", is_flag=True, help="Made from the MAC (modified EUI-64).")
@click.option("--method", type=_METHODS, help="stable-private: made by RFC 7217.")
@click.option("--interface", metavar="NAME", help="For stable-private, instead of the MAC.")
@click.option("--placement", type=_PLACEMENTS, help="Which free one. Default: the subnet's own.")
@click.option(
    "--fallback",
    "fallbacks",
    multiple=True,
    metavar="SUBNET",
    shell_complete=subnets,
    help="Where to go on when SUBNET has none; repeatable, in order.",
)
@click.option("--count", type=int, default=1, metavar="N", help="So many, all or none.")
@click.option(
    "--contiguous", is_flag=True, help="With --count: as one run, from --address if given."
)
@click.option("--hostname", metavar="H", help="The name of the host that will have it.")
@options.identifier
@options.owner
@click.option("--status", type=_STATUSES, default="active", show_default=True)
@options.description
@options.tags
@options.key
@click.pass_obj
def allocate(invocation: Invocation, /, subnet: str, **wish: Any) -> None:  # Any: see the options
    """Hold an address of a subnet: any, the next, a certain one, or one made from an interface.

    The JSON answer is {"items": [...], "next": null}, also for one address. As a table, more than
    256 addresses are shown as ranges.

    \b
    Examples:
      allotment allocate web --hostname www
      allotment allocate web --address 10.0.0.53 --status reserved
      allotment allocate v6 --mac 00:53:00:12:ab:cd --eui64
      allotment allocate web --fallback web-2 --identifier vm-4711 --owner payments
      allotment allocate big --count 1000 --contiguous --output csv
    """
    if wish["count"] == 1:
        held = invocation.do(_one(invocation, subnet, wish))
        output.resources(invocation, [held], Allocation)
        return
    command = _many(invocation, subnet, wish)
    with _patience(command.count):
        answer = invocation.do(command)
    allocated.show(invocation, answer)


def _one(invocation: Invocation, subnet: str, wish: dict[str, Any]) -> AllocateAddress:
    placement = wish["placement"]
    return AllocateAddress(
        subnet=subnet,
        scope=invocation.scope,
        fallbacks=wish["fallbacks"],
        address=wish["address"],
        method=_method(wish),
        placement=AddressPlacement(placement) if placement else None,
        interface=wish["interface"],
        status=Status(wish["status"]),
        owner=wish["owner"],
        identifier=wish["identifier"],
        hostname=wish["hostname"],
        mac=wish["mac"],
        description=wish["description"] or "",
        tags=wish["tags"],
        idempotency_key=wish["key"],
    )


def _method(wish: dict[str, Any]) -> Method:
    """The one method asked for.

    Raises:
        click.UsageError: several are.
    """
    asked = {
        Method.NEXT: wish["take_next"],
        Method.EUI_64: wish["eui64"],
        Method(wish["method"] or Method.ANY): wish["method"],
    }
    chosen = [method for method, given in asked.items() if given]
    if len(chosen) > 1:
        raise click.UsageError(f"--method {chosen[0]} and {chosen[1]} exclude each other")
    return chosen[0] if chosen else Method.ANY


def _many(invocation: Invocation, subnet: str, wish: dict[str, Any]) -> AllocateAddresses:
    for name in _SINGLE_ONLY:
        if wish[name]:
            option = {"fallbacks": "fallback"}.get(name, name)
            raise click.UsageError(
                f"--{option} is for one address, not for --count {wish['count']}"
            )
    if _method(wish) not in (Method.ANY, Method.NEXT):
        raise click.UsageError(f"--method {wish['method']} is for one address")
    if wish["address"] is not None and not wish["contiguous"]:
        raise click.UsageError("--address with --count needs --contiguous: the run begins there")
    return AllocateAddresses(
        subnet=subnet,
        scope=invocation.scope,
        count=wish["count"],
        contiguous=wish["contiguous"],
        first=wish["address"],
        status=Status(wish["status"]),
        owner=wish["owner"],
        hostname=wish["hostname"],
        description=wish["description"] or "",
        tags=wish["tags"],
        idempotency_key=wish["key"],
    )


def _patience(count: int) -> AbstractContextManager[object]:
    """A sign of life on a terminal while many addresses are entered."""
    if count < _MANY or not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(f"allocating {count:,} addresses")
