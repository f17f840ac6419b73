"""`allotment project quota`: how much a project may own.

Invariant: without an option nothing is changed.
"""

from __future__ import annotations

import click
from msgspec import UNSET

from allotment.doors.cli import options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import projects
from allotment.doors.cli.values import cleared
from allotment.model.grants import GetQuota, SetQuota


@click.command("quota", cls=DoorCommand)
@click.argument("project", shell_complete=projects)
@click.option("--addresses", type=int, metavar="N", help="How many addresses it may hold.")
@click.option("--no-addresses", is_flag=True, help="As many addresses as there are.")
@click.option("--prefixes", type=int, metavar="N", help="How many subnets and prefixes.")
@click.option("--no-prefixes", is_flag=True, help="As many subnets and prefixes as there are.")
@options.key
@click.pass_obj
def quota(
    invocation: Invocation,
    project: str,
    *,
    addresses: int | None,
    no_addresses: bool,
    prefixes: int | None,
    no_prefixes: bool,
    key: str | None,
) -> None:
    """Show how much a project may own, and owns; with an option, change it.

    A smaller quota takes nothing away.

    \b
    Examples:
      allotment project quota payments
      allotment project quota payments --addresses 500 --no-prefixes
    """
    command = SetQuota(
        project=project,
        addresses=cleared(addresses, no_addresses, "addresses"),
        prefixes=cleared(prefixes, no_prefixes, "prefixes"),
        idempotency_key=key,
    )
    if command.addresses is UNSET and command.prefixes is UNSET:
        output.resource(invocation, invocation.ask(GetQuota(project=project)))
    else:
        output.resource(invocation, invocation.do(command), "quota changed")
