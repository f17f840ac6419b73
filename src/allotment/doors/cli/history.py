"""`allotment history` and `forget`: who held an address, and no longer keeping it.

Invariant: nothing is forgotten without a yes.
"""

from __future__ import annotations

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.confirming import confirm
from allotment.doors.cli.figures import moment
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.progress import progress
from allotment.doors.cli.suggestions import subnets
from allotment.doors.cli.values import ADDRESS, MOMENT
from allotment.errors.counts import counted
from allotment.model.address import Address
from allotment.model.history import ForgetHistory, Forgotten, ListHistory, Period


@click.command("history", cls=DoorCommand)
@click.argument("address", type=ADDRESS)
@options.in_scope
@click.option("--subnet", metavar="SUBNET", shell_complete=subnets, help="Only while it was here.")
@click.option("--at", type=MOMENT, metavar="TIME", help="Who held it then: one in a scope at most.")
@options.paged
@click.pass_obj
def history(
    invocation: Invocation, address: Address, *, subnet: str | None, at: int | None
) -> None:
    """List who holds an address and who held it, the newest first, in every address scope.

    A TIME is a date, or a date and a time of day; without an offset it is in UTC.

    \b
    Examples:
      allotment history 10.0.0.7
      allotment history 10.0.0.7 --at 2026-03-01T14:00:00+01:00
      allotment history 10.0.0.7 --scope corp --all --output csv
    """
    query = ListHistory(address=address, scope=invocation.scope, subnet=subnet, at=at)
    output.listing(invocation, query, Period)


@click.command("forget", cls=DoorCommand)
@click.option("--before", type=MOMENT, required=True, metavar="TIME", help="What ended before.")
@options.in_scope
@options.yes
@click.pass_obj
def forget(invocation: Invocation, *, before: int, yes: bool) -> None:
    """Forget who held addresses, up to a time: of one address scope, or of all.

    What is held is not changed, and the audit log is not. It is done 50,000 periods at a time.

    \b
    Examples:
      allotment forget --before 2025-01-01
      allotment forget --before 2025-01-01 --scope lab --yes
    """
    where = f"of address scope {invocation.scope}" if invocation.scope else "of every address scope"
    what = f"forget the history {where} before {moment(before)}"
    confirm(what, f"{what[0].upper()}{what[1:]}?", yes=yes)
    command = ForgetHistory(before=before, scope=invocation.scope)
    count, more = 0, True
    with progress("forget periods") as advance:
        while more:
            done = invocation.do(command)
            count, more = count + done.count, done.more
            advance(count, None)
    if invocation.is_table:
        output.said(invocation, f"forgot {counted(count, 'periods')}")
    else:
        output.resource(invocation, Forgotten(count=count, more=False))
