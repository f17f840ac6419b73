"""`allotment events` and `allotment operation`: what happened.

Invariant: an event is shown once, in the order of the sequence numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import click

from allotment.doors.cli import csv_text, json_text, options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import PAGE_SIZE_MAX, Invocation
from allotment.doors.cli.tables import COLUMNS, rows
from allotment.model import wire
from allotment.model.events import Event, ListEvents, ResolveOperation

_PAUSE_SECONDS: Final = 1.0


@click.command("events", cls=DoorCommand)
@click.option(
    "--after", type=int, default=0, metavar="N", help="Leave out the ones up to number N."
)
@click.option("--actor", metavar="ACTOR", help="Only what this actor did.")
@click.option("--follow", is_flag=True, help="Go on with the ones to come; JSON is one to a line.")
@options.paged
@click.pass_obj
def events(invocation: Invocation, *, after: int, actor: str | None, follow: bool) -> None:
    """List the changes of the book in their order, as far as you may see them.

    \b
    Examples:
      allotment events --after 1200 --all
      allotment events --actor token:deploy --output json
      allotment events --follow --output json | jq .place_id
    """
    query = ListEvents(after=after, actor=actor)
    if not follow:
        output.listing(invocation, query, Event)
        return
    for number, event in enumerate(_followed(invocation, query)):
        _show(invocation, event, first=number == 0)


def _followed(invocation: Invocation, query: ListEvents) -> Iterator[Event]:
    """The events there are, and the ones to come, without an end."""
    from msgspec.structs import replace

    while True:
        page = invocation.ask(replace(query, limit=PAGE_SIZE_MAX))
        for event in page.items:
            query = replace(query, after=event.sequence)
            yield event
        if len(page.items) < PAGE_SIZE_MAX:
            time.sleep(_PAUSE_SECONDS)


def _show(invocation: Invocation, event: Event, *, first: bool) -> None:
    """One line that is out at once."""
    match invocation.output:
        case "json":
            output.write(json_text.line(event))
        case "csv":
            plain = wire.plain(event)
            heading, line = csv_text.lines(list(plain), [list(plain.values())])
            output.write((heading if first else "") + line)
        case _:
            (cells,) = rows([event], COLUMNS[Event])
            output.write("  ".join(cells) + "\n")
    output.flush()


@click.command("operation", cls=DoorCommand)
@click.argument("key", metavar="IDEMPOTENCY-KEY")
@click.pass_obj
def operation(invocation: Invocation, key: str) -> None:
    """Find out what became of your command with an idempotency key.

    The answer is final: where the command was not done, it never will be under that key, and may
    be run again under another.

    Example: allotment operation deploy-4711
    """
    output.resource(invocation, invocation.do(ResolveOperation(key=key)))
