"""`allotment audit`: the log of what was done, refused and failed, and the proof that it is whole.

Invariant: `verify` ends with 0 only when nothing was changed since it was sealed.
"""

from __future__ import annotations

from typing import BinaryIO, Final

import click

from allotment.doors.cli import json_text, options, output
from allotment.doors.cli.failures import DONE, UNCLEAN
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.tables import COLUMNS, details
from allotment.errors import InvalidValue
from allotment.errors.counts import counted
from allotment.model import wire
from allotment.model.events import Anchor, AuditReport, Event, ListAudit, SealAudit, VerifyAudit
from allotment.model.results import Fault

_ANCHORS_BYTES_MAX: Final = 16 << 20


@click.group("audit", cls=DoorGroup)
def audit_group() -> None:
    """The audit log: who did what, and the proof that nobody changed it afterwards."""


@audit_group.command()
@click.option(
    "--anchors",
    type=click.File("rb"),
    metavar="FILE",
    help="What the log was known to be: lines that 'allotment audit anchor' printed.",
)
@click.pass_obj
def verify(invocation: Invocation, anchors: BinaryIO | None) -> int:
    """Prove that no event was changed, added or removed since it was sealed.

    Ends with 0 only when the log is intact, else with 8. Somebody who can write the whole database
    can seal it anew: only anchors kept elsewhere show that.

    \b
    Examples:
      allotment audit verify
      allotment audit verify --anchors anchors.jsonl
    """
    known = _anchors(anchors) if anchors is not None else ()
    report = invocation.ask(VerifyAudit(anchors=known))
    if invocation.is_table:
        _tell(invocation, report)
    else:
        output.resource(invocation, report)
    return DONE if report.intact else UNCLEAN


def _anchors(file: BinaryIO) -> tuple[Anchor, ...]:
    """The anchors in a file, one to a line.

    Raises:
        InvalidValue: a line is none.
    """
    raw = file.read(_ANCHORS_BYTES_MAX + 1)
    if len(raw) > _ANCHORS_BYTES_MAX:
        raise InvalidValue("anchors", file.name, f"it is larger than {_ANCHORS_BYTES_MAX} bytes")
    found = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(wire.decode(Anchor, line))
        except InvalidValue as error:
            raise InvalidValue("anchors", file.name, f"line {number} is no anchor") from error
    return tuple(found)


def _tell(invocation: Invocation, report: AuditReport) -> None:
    blocks, events = counted(report.blocks, "blocks"), counted(report.events, "events")
    output.said(invocation, f"read {events} in {blocks}; {report.unsealed:,} not sealed yet")
    if report.intact:
        output.said(invocation, "the log is intact")
    else:
        output.table(report.faults, COLUMNS[Fault])
        output.said(invocation, f"{counted(len(report.faults), 'faults')} found")
    if report.anchor is not None:
        output.fields(details(report.anchor))


@audit_group.command()
@click.option(
    "--after", type=int, default=0, metavar="N", help="Leave out the ones up to number N."
)
@click.option("--actor", metavar="ACTOR", help="Only what this actor asked for.")
@click.option("--outcome", metavar="CODE", help="Only these: done, or an error's code (forbidden).")
@click.pass_obj
def export(invocation: Invocation, *, after: int, actor: str | None, outcome: str | None) -> None:
    """Write the whole log to the standard output: changes, refusals and failures.

    JSON is one event to a line.

    Example: allotment audit export --output json > log.jsonl
    """
    events = invocation.every(ListAudit(after=after, actor=actor, outcome=outcome))
    if invocation.output == "json":
        output.write_all(map(json_text.line, events))
    else:
        output.resources(invocation, events, Event)


@audit_group.command("list")
@click.option(
    "--after", type=int, default=0, metavar="N", help="Leave out the ones up to number N."
)
@click.option("--actor", metavar="ACTOR", help="Only what this actor asked for.")
@click.option("--outcome", metavar="CODE", help="Only these: done, or an error's code (forbidden).")
@options.paged
@click.pass_obj
def list_audit(
    invocation: Invocation, *, after: int, actor: str | None, outcome: str | None
) -> None:
    """List the log a page at a time.

    Example: allotment audit list --outcome forbidden
    """
    output.listing(invocation, ListAudit(after=after, actor=actor, outcome=outcome), Event)


@audit_group.command()
@click.pass_obj
def seal(invocation: Invocation) -> None:
    """Seal the events there are now; a server does so by itself, every moment."""
    output.resource(invocation, invocation.do(SealAudit()), "sealed")


@audit_group.command()
@click.pass_obj
def anchor(invocation: Invocation) -> None:
    """Seal the log, and print where it stands as one line of JSON, to keep elsewhere.

    Example: allotment audit anchor >> anchors.jsonl
    """
    output.write(json_text.line(invocation.do(SealAudit())))
