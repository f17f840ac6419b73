"""`allotment pool`: subnet pools, and the prefixes held from them.

Invariant: each command is one command or query of the model.
"""

from __future__ import annotations

from typing import Any

import click

from allotment.doors.cli import deletion, options, output
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import pools
from allotment.doors.cli.values import PREFIX, changed, cleared, tags_wish
from allotment.model.commands import (
    AllocatePrefix,
    CreateSubnetPool,
    DeleteSubnetPool,
    ReleasePrefix,
    UpdateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetSubnetPool,
    ListPrefixAllocations,
    ListSubnetPools,
    PreviewDelete,
)
from allotment.model.results import PrefixAllocation, PrefixPlacement, Status, SubnetPool

PLACEMENTS = click.Choice([one.value for one in PrefixPlacement])
STATUSES = click.Choice([one.value for one in Status])

_length = click.option(
    "--default-length", type=int, metavar="L", help="Length of a subnet where none is asked for."
)
_parent = click.option(
    "--parent", metavar="POOL", shell_complete=pools, help="The subnet pool that contains it."
)
_prefixes = click.option(
    "--prefix", "prefixes", type=PREFIX, multiple=True, metavar="PREFIX", help="Repeatable."
)


@click.group("pool", cls=DoorGroup)
def pool_group() -> None:
    """Subnet pools: containers of prefixes from which subnets are carved."""


@pool_group.command()
@click.argument("name")
@_prefixes
@options.in_scope
@_parent
@_length
@options.project
@options.description
@options.tags
@options.key
@click.pass_obj
def create(
    invocation: Invocation,
    name: str,
    *,
    prefixes: tuple[Prefix, ...],
    parent: str | None,
    default_length: int | None,
    project: str | None,
    description: str | None,
    tags: tuple[str, ...],
    key: str | None,
) -> None:
    """Make a subnet pool; what the address scope holds inside it already moves into it.

    \b
    Examples:
      allotment pool create corp-v4 --scope corp --prefix 10.0.0.0/8 --default-length 24
      allotment pool create berlin --scope corp --parent corp-v4 --prefix 10.16.0.0/12
    """
    command = CreateSubnetPool(
        name=name,
        scope=invocation.scope,
        prefixes=prefixes,
        parent=parent,
        default_length=default_length,
        project=project,
        description=description or "",
        tags=tags,
        idempotency_key=key,
    )
    made = invocation.do(command)
    output.resource(invocation, made, f"subnet pool {made.name} created")


@pool_group.command("list")
@options.in_scope
@_parent
@options.project
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@options.paged
@click.pass_obj
def list_pools(
    invocation: Invocation, *, parent: str | None, project: str | None, tag: str | None
) -> None:
    """List subnet pools."""
    query = ListSubnetPools(scope=invocation.scope, parent=parent, project=project, tag=tag)
    output.listing(invocation, query, SubnetPool)


@pool_group.command()
@click.argument("pool", shell_complete=pools)
@options.in_scope
@click.pass_obj
def show(invocation: Invocation, pool: str) -> None:
    """Show one subnet pool, by name, id or prefix."""
    found = invocation.ask(GetSubnetPool(pool=pool, scope=invocation.scope))
    output.resource(invocation, found)


@pool_group.command()
@click.argument("pool", shell_complete=pools)
@options.in_scope
@click.option("--name", help="The new name.")
@_prefixes
@_length
@click.option("--no-default-length", is_flag=True, help="There is no default length.")
@options.project
@options.no_project
@options.description
@options.tags
@options.no_tags
@options.if_version
@click.pass_obj
def update(invocation: Invocation, /, pool: str, **wish: Any) -> None:  # Any: see the options
    """Change a subnet pool; given prefixes replace those it has.

    Only free space can be dropped.

    Example: allotment pool update corp-v4 --prefix 10.0.0.0/8 --prefix 172.16.0.0/12
    """
    command = UpdateSubnetPool(
        pool=pool,
        scope=invocation.scope,
        name=changed(wish["name"]),
        prefixes=changed(wish["prefixes"] or None),
        default_length=cleared(wish["default_length"], wish["no_default_length"], "default-length"),
        project=cleared(wish["project"], wish["no_project"], "project"),
        description=changed(wish["description"]),
        tags=tags_wish(wish["tags"], wish["no_tags"]),
        version=wish["if_version"],
    )
    output.resource(invocation, invocation.do(command), "subnet pool updated")


@pool_group.command()
@click.argument("pool", shell_complete=pools)
@options.in_scope
@options.cascade
@options.dry_run
@options.yes
@click.pass_obj
def delete(invocation: Invocation, pool: str, *, cascade: bool, dry_run: bool, yes: bool) -> None:
    """Remove a subnet pool; refused while it holds something.

    Its space returns to its parent. Example: allotment pool delete berlin --cascade
    """
    deletion.delete(
        invocation,
        f"subnet pool {pool}",
        DeleteSubnetPool(pool=pool, scope=invocation.scope, cascade=cascade),
        PreviewDelete(pool=pool, scope=invocation.scope),
        deletion.Wish(cascade, yes, dry_run),
    )


@pool_group.command()
@click.argument("pool", shell_complete=pools)
@options.in_scope
@click.option("--length", type=int, metavar="L", help="Any free prefix of this length.")
@click.option("--prefix", type=PREFIX, metavar="PREFIX", help="This very prefix.")
@click.option("--placement", type=PLACEMENTS, default="lowest", show_default=True)
@click.option("--status", type=STATUSES, default="active", show_default=True)
@options.owner
@options.identifier
@options.description
@options.tags
@options.key
@click.pass_obj
def allocate(invocation: Invocation, /, pool: str, **wish: Any) -> None:  # Any: see the options
    """Hold a prefix of a subnet pool without making it a subnet of the book.

    \b
    Examples:
      allotment pool allocate corp-v4 --length 24 --identifier cluster-7 --owner payments
      allotment pool allocate corp-v6 --prefix 2001:db8:7::/48
    """
    command = AllocatePrefix(
        pool=pool,
        scope=invocation.scope,
        prefix=wish["prefix"],
        length=wish["length"],
        placement=PrefixPlacement(wish["placement"]),
        status=Status(wish["status"]),
        owner=wish["owner"],
        identifier=wish["identifier"],
        description=wish["description"] or "",
        tags=wish["tags"],
        idempotency_key=wish["key"],
    )
    held = invocation.do(command)
    output.resource(invocation, held, f"prefix {held.prefix} allocated")


@pool_group.command("allocations")
@click.argument("pool", shell_complete=pools)
@options.in_scope
@options.paged
@click.pass_obj
def list_allocations(invocation: Invocation, pool: str) -> None:
    """List the prefixes held from a subnet pool."""
    query = ListPrefixAllocations(pool=pool, scope=invocation.scope)
    output.listing(invocation, query, PrefixAllocation)


@pool_group.command()
@click.argument("pool", shell_complete=pools)
@click.argument("prefix", type=PREFIX)
@options.in_scope
@click.option("--id", "allocation_id", metavar="ID", help="Only if this allocation holds it still.")
@options.key
@click.pass_obj
def release(
    invocation: Invocation, pool: str, prefix: Prefix, allocation_id: str | None, key: str | None
) -> None:
    """Give a prefix back to its subnet pool.

    Example: allotment pool release corp-v4 10.0.7.0/24
    """
    command = ReleasePrefix(
        pool=pool,
        scope=invocation.scope,
        prefix=prefix,
        allocation_id=allocation_id,
        idempotency_key=key,
    )
    done = invocation.do(command)
    if invocation.is_table:
        output.said(invocation, f"released {prefix}")
    else:
        output.resource(invocation, done)
