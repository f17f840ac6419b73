"""Commands of a file handed to the desk: some hundreds in one transaction, singly where refused.

Invariant: the book ends up as if the commands had been done one by one, in order; a refused one
changes nothing and spoils none of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from allotment.doors.exchange.comparing import differences
from allotment.doors.exchange.report import Outcome, Report, Row
from allotment.doors.exchange.runs import joined
from allotment.doors.exchange.seat import Seat
from allotment.doors.exchange.shelf import Place, Shelf, place_of
from allotment.errors import AllotmentError
from allotment.model.commands import Batch, Command
from allotment.model.results import Result

BATCH: Final = 250
# Not about the command: going on would refuse row after row for a reason that is none of theirs.
_FATAL: Final = ("unavailable", "unexpected")


class Wish(NamedTuple):
    """A row of the file, and the command that would bring it into the book."""

    row: Row
    command: Command[Any]  # Any: whatever it answers


class Intake:
    """What stands between a file's rows and the desk."""

    def __init__(self, seat: Seat, shelf: Shelf, report: Report) -> None:
        self._seat = seat
        self._shelf = shelf
        self._report = report
        self._waiting: list[Wish] = []
        self._places: set[Place] = set()

    def take_all(self, wishes: Iterable[Wish]) -> None:
        """Bring all of them in, and tell each row what became of it.

        Raises:
            AllotmentError: the store cannot serve; running the import again goes on from there.
        """
        for wish in wishes:
            self._take(wish)
        self._flush()

    def _take(self, wish: Wish) -> None:
        place = place_of(wish.command)
        if place in self._places:
            self._flush()
        there = self._shelf.find(wish.command)
        if there is None:
            self._places.add(place)
            self._waiting.append(wish)
            if len(self._waiting) >= BATCH:
                self._flush()
            return
        other = differences(wish.command, there)
        if other:
            self._report.tell(wish.row, Outcome.DIFFERS, f"the book has another {', '.join(other)}")
        else:
            self._report.tell(wish.row, Outcome.UNCHANGED)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._places.clear()
        if waiting:
            self._send(waiting)

    def _send(self, wishes: Sequence[Wish]) -> None:
        sent = list(joined(wish.command for wish in wishes))
        try:
            answers = _done(self._seat, [run.command for run in sent])
        except AllotmentError as error:
            if error.kind in _FATAL:
                raise
            if len(wishes) == 1:
                self._report.refuse(wishes[0].row, error)
                return
            middle = len(wishes) // 2
            self._send(wishes[:middle])
            self._send(wishes[middle:])
            return
        made = (
            result
            for run, answer in zip(sent, answers, strict=True)
            for result in run.answers(answer)
        )
        for wish, result in zip(wishes, made, strict=True):
            self._shelf.put(wish.command, result)
            self._report.tell(wish.row, Outcome.IMPORTED)


def _done(seat: Seat, commands: Sequence[Command[Any]]) -> tuple[Result, ...]:
    if len(commands) == 1:
        return (seat.do(commands[0]),)
    return seat.do(Batch(commands=tuple(commands)))
