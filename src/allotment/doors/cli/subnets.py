"""`allotment subnet`: prefixes whose single addresses are handed out.

Invariant: an update is one command, or one batch: all of it or nothing.
"""

from __future__ import annotations

from typing import Any

import click

from allotment.doors.cli import deletion, options, output, subnet_update
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import pools, subnets
from allotment.doors.cli.values import (
    GATEWAY,
    PREFIX,
    RANGES,
    changed,
    cleared,
    gateway_wish,
    ranges_wish,
    tags_wish,
)
from allotment.model.commands import CreateSubnet, DeleteSubnet, UpdateSubnet
from allotment.model.prefix import Prefix
from allotment.model.queries import GetSubnet, ListSubnets, PreviewDelete
from allotment.model.results import AddressPlacement, PrefixPlacement, Subnet

ADDRESS_PLACEMENTS = click.Choice([one.value for one in AddressPlacement])
PREFIX_PLACEMENTS = click.Choice([one.value for one in PrefixPlacement])

_gateway = click.option(
    "--gateway", type=GATEWAY, metavar="IP|none", help="Default: the first usable address."
)
_ranges = click.option(
    "--range",
    "ranges",
    type=RANGES,
    multiple=True,
    metavar="FIRST-LAST",
    help="An allocation pool; repeatable.",
)
_no_pools = click.option("--no-pools", is_flag=True, help="No allocation pool at all.")
_quarantine = click.option(
    "--quarantine", type=int, metavar="SECONDS", help="How long a released address rests."
)


@click.group("subnet", cls=DoorGroup)
def subnet_group() -> None:
    """Subnets: prefixes whose single addresses are handed out."""


@subnet_group.command()
@click.argument("prefix", metavar="[CIDR]", required=False, type=PREFIX)
@click.option("--from-pool", "pool", metavar="POOL", shell_complete=pools, help="Carve it here.")
@click.option("--length", type=int, metavar="L", help="With --from-pool: any of this length.")
@click.option(
    "--placement", type=PREFIX_PLACEMENTS, help="With --from-pool: where. Default: lowest."
)
@options.in_scope
@click.option("--name", help="A name to call it by.")
@_gateway
@_ranges
@_no_pools
@click.option(
    "--address-placement",
    type=ADDRESS_PLACEMENTS,
    default="lowest",
    show_default=True,
    help="Which free address is handed out.",
)
@_quarantine
@options.project
@options.description
@options.tags
@options.key
@click.pass_obj
def create(
    invocation: Invocation, /, prefix: Prefix | None, **wish: Any
) -> None:  # Any: see the options
    """Enter a subnet: of a given CIDR, or any of a length from a subnet pool.

    \b
    Examples:
      allotment subnet create 10.0.0.0/24 --scope corp --name web
      allotment subnet create 10.0.1.0/24 --gateway none --range 10.0.1.10-10.0.1.99
      allotment subnet create --from-pool corp-v4 --length 26 --placement best-fit
    """
    if prefix is None and wish["pool"] is None:
        raise click.UsageError("give a CIDR, or --from-pool POOL (and --length L)")
    if prefix is not None and wish["placement"] is not None:
        raise click.UsageError("--placement chooses a prefix, and the CIDR says it already")
    command = CreateSubnet(
        scope=invocation.scope,
        pool=wish["pool"],
        prefix=prefix,
        length=wish["length"],
        prefix_placement=PrefixPlacement(wish["placement"] or "lowest"),
        name=wish["name"],
        gateway=gateway_wish(wish["gateway"]),
        ranges=ranges_wish(wish["ranges"], wish["no_pools"]),
        placement=AddressPlacement(wish["address_placement"]),
        quarantine_seconds=wish["quarantine"] or 0,
        project=wish["project"],
        description=wish["description"] or "",
        tags=wish["tags"],
        idempotency_key=wish["key"],
    )
    made = invocation.do(command)
    output.resource(invocation, made, f"subnet {made.prefix} created")


@subnet_group.command("list")
@options.in_scope
@click.option("--pool", metavar="POOL", shell_complete=pools, help="Only those of a subnet pool.")
@click.option("--within", type=PREFIX, metavar="PREFIX", help="Only those inside a prefix.")
@options.project
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@options.paged
@click.pass_obj
def list_subnets(
    invocation: Invocation,
    *,
    pool: str | None,
    within: Prefix | None,
    project: str | None,
    tag: str | None,
) -> None:
    """List subnets in the order of their prefixes."""
    query = ListSubnets(scope=invocation.scope, pool=pool, within=within, project=project, tag=tag)
    output.listing(invocation, query, Subnet)


@subnet_group.command()
@click.argument("subnet", shell_complete=subnets)
@options.in_scope
@click.pass_obj
def show(invocation: Invocation, subnet: str) -> None:
    """Show one subnet, by id, name or CIDR."""
    found = invocation.ask(GetSubnet(subnet=subnet, scope=invocation.scope))
    output.resource(invocation, found)


@subnet_group.command()
@click.argument("subnet", shell_complete=subnets)
@options.in_scope
@click.option("--name", help="The new name.")
@click.option("--no-name", is_flag=True, help="It has no name.")
@_gateway
@_ranges
@_no_pools
@click.option(
    "--placement",
    "--address-placement",
    type=ADDRESS_PLACEMENTS,
    help="Which free address is handed out.",
)
@_quarantine
@options.project
@options.no_project
@options.description
@options.tags
@options.no_tags
@options.if_version
@click.pass_obj
def update(invocation: Invocation, /, subnet: str, **wish: Any) -> None:  # Any: see the options
    """Change a subnet; given ranges replace all its allocation pools.

    Addresses held outside the new pools stay held, and are reported.

    \b
    Examples:
      allotment subnet update web --range 10.0.0.10-10.0.0.99 --range 10.0.0.200-10.0.0.250
      allotment subnet update web --gateway none --quarantine 3600
      allotment subnet update web --no-pools
    """
    placement = wish["placement"]
    command = UpdateSubnet(
        subnet=subnet,
        scope=invocation.scope,
        name=cleared(wish["name"], wish["no_name"], "name"),
        gateway=gateway_wish(wish["gateway"]),
        placement=changed(AddressPlacement(placement) if placement else None),
        quarantine_seconds=changed(wish["quarantine"]),
        project=cleared(wish["project"], wish["no_project"], "project"),
        description=changed(wish["description"]),
        tags=tags_wish(wish["tags"], wish["no_tags"]),
        version=wish["if_version"],
    )
    subnet_update.update(invocation, command, ranges_wish(wish["ranges"], wish["no_pools"]))


@subnet_group.command()
@click.argument("subnet", shell_complete=subnets)
@options.in_scope
@options.cascade
@options.dry_run
@options.yes
@click.pass_obj
def delete(invocation: Invocation, subnet: str, *, cascade: bool, dry_run: bool, yes: bool) -> None:
    """Remove a subnet; refused while addresses of it are held.

    Its prefix returns to its subnet pool. Example: allotment subnet delete web --cascade
    """
    deletion.delete(
        invocation,
        f"subnet {subnet}",
        DeleteSubnet(subnet=subnet, scope=invocation.scope, cascade=cascade),
        PreviewDelete(subnet=subnet, scope=invocation.scope),
        deletion.Wish(cascade, yes, dry_run),
    )
