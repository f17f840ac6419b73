"""Deleting: what would go is shown first, and somebody says yes.

Invariant: nothing that holds something is deleted without `--cascade` and a yes.
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from allotment.doors.cli import output
from allotment.doors.cli.confirming import confirm
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.tables import shown
from allotment.model.commands import Command
from allotment.model.queries import PreviewDelete
from allotment.model.results import Deleted


@dataclass(frozen=True)
class Wish:
    """How a delete was asked for."""

    cascade: bool
    yes: bool
    dry_run: bool


def delete(
    invocation: Invocation, what: str, command: Command[Deleted], preview: PreviewDelete, wish: Wish
) -> None:
    """Delete something, and all that is in it when the wish says so."""
    if wish.dry_run:
        would = invocation.ask(preview)
        output.said(invocation, f"would remove {shown('contents', would.contents)}")
        if not invocation.is_table:
            output.resource(invocation, would)
        return
    if wish.cascade and not wish.yes:
        _confirm(what, invocation.ask(preview))
    report(invocation, what, invocation.do(command))


def report(invocation: Invocation, what: str, deleted: Deleted) -> None:
    """Say what was removed."""
    if invocation.is_table:
        output.said(invocation, f"{what} deleted; removed: {shown('contents', deleted.contents)}")
    else:
        output.resource(invocation, deleted)


def _confirm(what: str, would: Deleted) -> None:
    """Ask, when something besides the thing itself would go.

    Raises:
        NotConfirmed: nobody said yes.
    """
    if sum(would.contents.values()) <= 1:
        return
    asked = f"deleting {what} with all that is inside"
    click.echo(f"This would remove {shown('contents', would.contents)}.", err=True)
    confirm(asked, f"Delete {visible(what)}?")
