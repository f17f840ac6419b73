"""`allotment scope`: address scopes.

Invariant: each command is one command or query of the model.
"""

from __future__ import annotations

from typing import Any

import click

from allotment.doors.cli import deletion, options, output
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import scopes
from allotment.doors.cli.values import changed, cleared
from allotment.model.commands import CreateAddressScope, DeleteAddressScope, UpdateAddressScope
from allotment.model.queries import GetAddressScope, ListAddressScopes, PreviewDelete
from allotment.model.results import AddressScope


@click.group("scope", cls=DoorGroup)
def scope_group() -> None:
    """Address scopes: domains in which addresses are unique (VRFs).

    Two address scopes may hold the same prefix; inside one, nothing overlaps.
    """


@scope_group.command()
@click.argument("name")
@options.project
@options.description
@options.key
@click.pass_obj
def create(
    invocation: Invocation,
    name: str,
    *,
    project: str | None,
    description: str | None,
    key: str | None,
) -> None:
    """Open an address scope; what is granted on its project holds inside it.

    Example: allotment scope create corp --description "the office network"
    """
    made = invocation.do(
        CreateAddressScope(
            name=name, project=project, description=description or "", idempotency_key=key
        )
    )
    output.resource(invocation, made, f"address scope {made.name} created")


@scope_group.command("list")
@options.paged
@click.pass_obj
def list_scopes(invocation: Invocation) -> None:
    """List the address scopes by name."""
    output.listing(invocation, ListAddressScopes(), AddressScope)


@scope_group.command()
@click.argument("scope", shell_complete=scopes)
@click.pass_obj
def show(invocation: Invocation, scope: str) -> None:
    """Show one address scope, by name or id."""
    output.resource(invocation, invocation.ask(GetAddressScope(scope=scope)))


@scope_group.command()
@click.argument("scope", shell_complete=scopes)
@click.option("--name", help="The new name.")
@options.project
@options.no_project
@options.description
@options.if_version
@click.pass_obj
def update(invocation: Invocation, /, scope: str, **wish: Any) -> None:  # Any: see the options
    """Change an address scope's name, project or description.

    Example: allotment scope update corp --name office --project network
    """
    command = UpdateAddressScope(
        scope=scope,
        name=changed(wish["name"]),
        project=cleared(wish["project"], wish["no_project"], "project"),
        description=changed(wish["description"]),
        version=wish["if_version"],
    )
    output.resource(invocation, invocation.do(command), "address scope updated")


@scope_group.command()
@click.argument("scope", shell_complete=scopes)
@options.cascade
@options.dry_run
@options.yes
@click.pass_obj
def delete(invocation: Invocation, scope: str, *, cascade: bool, dry_run: bool, yes: bool) -> None:
    """Remove an address scope; refused while something is inside.

    Example: allotment scope delete lab --cascade
    """
    deletion.delete(
        invocation,
        f"address scope {scope}",
        DeleteAddressScope(scope=scope, cascade=cascade),
        PreviewDelete(scope=scope),
        deletion.Wish(cascade, yes, dry_run),
    )
