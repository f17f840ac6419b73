"""`allotment release`: give addresses back.

Invariant: several addresses go back all or none, and one that nobody holds is told.
"""

from __future__ import annotations

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import projects, subnets
from allotment.doors.cli.values import ADDRESS
from allotment.errors.counts import counted
from allotment.model.address import Address
from allotment.model.commands import (
    Command,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
)
from allotment.model.results import Released


@click.command("release", cls=DoorCommand)
@click.argument("subnet", required=False, shell_complete=subnets)
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, type=ADDRESS)
@options.in_scope
@click.option("--identifier", metavar="I", help="What has this identifier in SUBNET.")
@click.option(
    "--owner",
    metavar="PROJECT",
    shell_complete=projects,
    help="All that the project holds in SUBNET; without SUBNET: everywhere.",
)
@click.option("--id", "allocation_id", metavar="ID", help="Only if this allocation holds it still.")
@options.key
@click.pass_obj
def release(
    invocation: Invocation,
    subnet: str | None,
    addresses: tuple[Address, ...],
    *,
    identifier: str | None,
    owner: str | None,
    allocation_id: str | None,
    key: str | None,
) -> None:
    """Give addresses back to their subnet: named ones, or all of an identifier or a project.

    \b
    Examples:
      allotment release web 10.0.0.7
      allotment release web 10.0.0.7 --id 0b54a1de-3a54-4bb1-9f0a-8c8b6a8f0c11
      allotment release web 10.0.0.7 10.0.0.8
      allotment release web --identifier vm-4711
      allotment release --owner payments
    """
    _check(addresses, identifier, owner, allocation_id)
    scope = invocation.scope
    command: Command[Released]
    if not addresses:
        command = ReleaseMatching(
            subnet=subnet, scope=scope, owner=owner, identifier=identifier, idempotency_key=key
        )
    elif subnet is None:
        raise AssertionError("an address comes after a subnet")
    elif len(addresses) == 1:
        command = ReleaseAddress(
            subnet=subnet,
            scope=scope,
            address=addresses[0],
            allocation_id=allocation_id,
            idempotency_key=key,
        )
    else:
        command = ReleaseAddresses(
            subnet=subnet, scope=scope, addresses=addresses, idempotency_key=key
        )
    done = invocation.do(command)
    if invocation.is_table:
        output.said(invocation, f"released {counted(done.count, 'addresses')}")
    else:
        output.resource(invocation, done)


def _check(
    addresses: tuple[Address, ...],
    identifier: str | None,
    owner: str | None,
    allocation_id: str | None,
) -> None:
    """Refuse what says too little or too much.

    Raises:
        click.UsageError: saying what to write.
    """
    named = [bool(addresses), identifier is not None, owner is not None]
    if sum(named) == 0:
        raise click.UsageError("say what to release: SUBNET ADDRESS..., --identifier or --owner")
    if sum(named) > 1:
        raise click.UsageError("give addresses, --identifier or --owner: one of the three")
    if allocation_id is not None and len(addresses) != 1:
        raise click.UsageError("--id guards the release of one address: SUBNET ADDRESS --id ID")
