"""`demo`: an invented enterprise, entered into a book.

Invariant: nothing that is in the book already is changed; the demo's scopes are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from allotment.doors.exchange.demo_names import SCOPES
from allotment.doors.exchange.demo_plan import SIZES, AnyCommand, Plan
from allotment.doors.exchange.seat import Seat
from allotment.errors import AllotmentError, AlreadyExists, NotFound
from allotment.model.commands import Batch, CreateProject
from allotment.model.queries import GetAddressScope, GetProject, GetStatus

_BATCH: Final = 200


class BookNotEmpty(AllotmentError):
    """There is something in the book, and nobody said that the demo may be added to it."""

    code = "book-not-empty"
    kind = "refused"

    def __init__(self, database: str) -> None:
        super().__init__(
            f"the book {database} is not empty: build the demo in a new one, as in --database"
            " sqlite:///demo.db, or add it to this one with --yes",
            database=database,
        )


def check_room(seat: Seat, *, add: bool) -> None:
    """Refuse to mix the demo with what somebody has.

    Raises:
        BookNotEmpty: the book holds something, and `add` was not said.
        AlreadyExists: a scope of the demo's name is there.
    """
    status = seat.ask(GetStatus())
    if (status.scopes or status.projects) and not add:
        raise BookNotEmpty(status.database)
    for name in SCOPES:
        try:
            seat.ask(GetAddressScope(scope=name))
        except NotFound:
            continue
        raise AlreadyExists("address scope", name)


def planned(seat: Seat, seed: int, size: str) -> list[AnyCommand]:
    """The commands of the demo, without the projects that are there."""
    plan = Plan(seed, SIZES[size])
    return [one for one in plan.commands() if not _is_there(seat, one)]


def _is_there(seat: Seat, command: AnyCommand) -> bool:
    if not isinstance(command, CreateProject):
        return False
    try:
        seat.ask(GetProject(project=command.name))
    except NotFound:
        return False
    return True


def build(seat: Seat, commands: Sequence[AnyCommand], done: Callable[[int], None]) -> None:
    """Carry the commands out, some hundreds in a transaction; `done` hears how many each time."""
    for start in range(0, len(commands), _BATCH):
        some = tuple(commands[start : start + _BATCH])
        seat.do(Batch(commands=some))
        done(len(some))
