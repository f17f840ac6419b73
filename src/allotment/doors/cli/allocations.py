"""`allotment allocation`: the addresses that are held.

Invariant: each command is one command or query of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.suggestions import subnets
from allotment.doors.cli.tables import COLUMNS, Column
from allotment.doors.cli.values import ADDRESS, MAC, PREFIX, RANGE, changed, cleared, tags_wish
from allotment.errors import NotFound
from allotment.model.address import Address
from allotment.model.commands import UpdateAllocation
from allotment.model.queries import GetAllocation, GetSubnet, ListAllocations
from allotment.model.results import Allocation, Status

STATUSES = click.Choice([one.value for one in Status])

_hostname = click.option("--hostname", metavar="H", help="The name of the host that has it.")
_mac = click.option("--mac", type=MAC, metavar="M", help="The interface that has it.")


@click.group("allocation", cls=DoorGroup)
def allocation_group() -> None:
    """Allocations: the addresses that are held, by whom and for what."""


@allocation_group.command("list")
@click.argument("subnet", required=False, shell_complete=subnets)
@options.in_scope
@options.owner
@options.identifier
@click.option("--hostname", metavar="H", help="Those whose hostname begins so.")
@_mac
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--status", type=STATUSES, help="Only those of this status.")
@click.option("--within", type=PREFIX, metavar="PREFIX", help="Only those inside a prefix.")
@click.option("--range", type=RANGE, metavar="FIRST-LAST", help="Only those inside a range.")
@options.paged
@click.pass_obj
def list_allocations(
    invocation: Invocation, /, subnet: str | None, **wish: Any
) -> None:  # Any: see the options
    """List held addresses in order; every filter given must hold.

    \b
    Examples:
      allotment allocation list web --status reserved
      allotment allocation list --owner payments --hostname db --all --output csv
    """
    query = ListAllocations(
        subnet=subnet,
        scope=invocation.scope,
        owner=wish["owner"],
        identifier=wish["identifier"],
        hostname=wish["hostname"],
        mac=wish["mac"],
        tag=wish["tag"],
        status=Status(wish["status"]) if wish["status"] else None,
        within=wish["within"],
        range=wish["range"],
    )
    if subnet is not None:
        output.listing(invocation, query, Allocation)
    else:
        output.listing(invocation, query, Allocation, columns=partial(_with_subnets, invocation))


def _with_subnets(invocation: Invocation, held: Sequence[Allocation]) -> list[Column]:
    """The usual columns, after the address scope and the subnet, which the ids stand for."""
    places = {one: _place(invocation, str(one)) for one in {one.subnet_id for one in held}}
    return [
        Column("scope", lambda one: places[one.subnet_id][0]),
        Column("subnet", lambda one: places[one.subnet_id][1]),
        *COLUMNS[Allocation],
    ]


def _place(invocation: Invocation, subnet_id: str) -> tuple[str, str]:
    """A subnet's scope and prefix; of one that is not seen, or gone by now, nothing."""
    try:
        subnet = invocation.ask(GetSubnet(subnet=subnet_id))
    except NotFound:
        return "", ""
    return visible(subnet.scope), str(subnet.prefix)


@allocation_group.command()
@click.argument("subnet", shell_complete=subnets)
@click.argument("address", type=ADDRESS)
@options.in_scope
@click.pass_obj
def show(invocation: Invocation, subnet: str, address: Address) -> None:
    """Show the allocation that holds an address."""
    query = GetAllocation(subnet=subnet, scope=invocation.scope, address=address)
    output.resource(invocation, invocation.ask(query))


@allocation_group.command()
@click.argument("subnet", shell_complete=subnets)
@click.argument("address", type=ADDRESS)
@options.in_scope
@click.option("--id", "allocation_id", metavar="ID", help="Only if this allocation holds it still.")
@click.option("--status", type=STATUSES, help="In use, or set aside.")
@options.owner
@click.option("--no-owner", is_flag=True, help="No project holds it.")
@options.identifier
@click.option("--no-identifier", is_flag=True, help="It has no identifier.")
@_hostname
@click.option("--no-hostname", is_flag=True, help="It has no hostname.")
@_mac
@click.option("--no-mac", is_flag=True, help="It has no MAC.")
@options.description
@options.tags
@options.no_tags
@options.key
@click.pass_obj
def update(
    invocation: Invocation, /, subnet: str, address: Address, **wish: Any
) -> None:  # Any: see the options
    """Change what is said about a held address.

    Example: allotment allocation update web 10.0.0.7 --hostname db7 --tag production
    """
    command = UpdateAllocation(
        subnet=subnet,
        scope=invocation.scope,
        address=address,
        allocation_id=wish["allocation_id"],
        status=changed(Status(wish["status"]) if wish["status"] else None),
        owner=cleared(wish["owner"], wish["no_owner"], "owner"),
        identifier=cleared(wish["identifier"], wish["no_identifier"], "identifier"),
        hostname=cleared(wish["hostname"], wish["no_hostname"], "hostname"),
        mac=cleared(wish["mac"], wish["no_mac"], "mac"),
        description=changed(wish["description"]),
        tags=tags_wish(wish["tags"], wish["no_tags"]),
        idempotency_key=wish["key"],
    )
    output.resource(invocation, invocation.do(command), f"allocation of {address} updated")
