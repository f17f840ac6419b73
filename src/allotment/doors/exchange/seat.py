"""A desk together with who stands at it.

Invariant: whoever brings something in or takes it along is named to the desk at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from msgspec import structs

from allotment.desk import Desk
from allotment.model.access import Actor
from allotment.model.commands import Command
from allotment.model.limits import PAGE_SIZE_MAX
from allotment.model.queries import Query
from allotment.model.results import Page

R = TypeVar("R")
T = TypeVar("T")


class Seat(Protocol):
    """Where commands are handed in and questions asked, in somebody's name."""

    def do(self, command: Command[R], /) -> R:
        """Carry a command out, all of it or nothing; raises AllotmentError."""
        ...

    def ask(self, query: Query[R], /) -> R:
        """Answer a query from one snapshot; raises AllotmentError."""
        ...


@dataclass(frozen=True, slots=True)
class DeskSeat:
    """An actor at a desk."""

    desk: Desk
    actor: Actor

    def do(self, command: Command[R], /) -> R:
        """Carry a command out as this actor."""
        return self.desk.do(command, self.actor)

    def ask(self, query: Query[R], /) -> R:
        """Answer a query to this actor."""
        return self.desk.ask(query, self.actor)


def every(seat: Seat, query: Query[Page[T]]) -> Iterator[T]:
    """All items of a listing; each page is a snapshot of its own."""
    cursor: str | None = None
    while True:
        page = seat.ask(structs.replace(query, limit=PAGE_SIZE_MAX, cursor=cursor))
        yield from page.items
        cursor = page.next
        if cursor is None:
            return
