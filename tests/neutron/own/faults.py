"""Faults of the book's desk and of Neutron's database, each at a chosen step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from neutron_lib.db import api as db_api
from oslo_db import exception as db_exc
from sqlalchemy import event

from allotment.doors.neutron import counter
from allotment.errors import CommitUnknown, StoreUnavailable


class FaultyDesk:
    """A real desk of which one command fails: before it is carried out, or after."""

    def __init__(self, desk: Any, step: int, *, after: bool) -> None:
        self.desk, self.step, self.after = desk, step, after
        self.commands = 0

    @property
    def struck(self) -> bool:
        """Whether the step was reached."""
        return self.commands >= self.step

    def do(self, command: Any, actor: Any, /) -> Any:
        self.commands += 1
        if self.commands != self.step:
            return self.desk.do(command, actor)
        if not self.after:
            raise StoreUnavailable("the book went away", phase="connect")
        self.desk.do(command, actor)
        raise CommitUnknown("the connection was lost", phase="commit")

    def ask(self, query: Any, actor: Any, /) -> Any:
        return self.desk.ask(query, actor)

    def close(self) -> None:
        self.desk.close()


@contextmanager
def desk_fails(step: int, *, after: bool) -> Iterator[FaultyDesk]:
    """The command of this number (from 1) fails, once."""
    at = counter.counter()
    desk = at.seat.desk
    faulty = FaultyDesk(desk, step, after=after)
    object.__setattr__(at.seat, "desk", faulty)
    try:
        yield faulty
    finally:
        object.__setattr__(at.seat, "desk", desk)


class Statements:
    """Neutron's statements that change something, counted; one of them fails."""

    def __init__(self, step: int, error: Callable[[], Exception]) -> None:
        self.step, self.error = step, error
        self.seen = 0

    @property
    def struck(self) -> bool:
        """Whether the step was reached."""
        return self.seen >= self.step

    def on_statement(self, _conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            self._count()

    def on_commit(self, _conn: Any) -> None:
        self._count()

    def _count(self) -> None:
        self.seen += 1
        if self.seen == self.step:
            raise self.error()


@contextmanager
def neutron_fails(
    step: int, error: Callable[[], Exception] = db_exc.DBDeadlock
) -> Iterator[Statements]:
    """The change, or commit, of this number (from 1) fails in Neutron's database, once."""
    engine = db_api.CONTEXT_WRITER.get_engine()
    statements = Statements(step, error)
    listeners = (
        ("before_cursor_execute", statements.on_statement),
        ("commit", statements.on_commit),
    )
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield statements
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)


@contextmanager
def every_error_kept() -> Iterator[list[Exception]]:
    """Errors are kept instead of raised: whatever happens, the books are compared afterwards."""
    kept: list[Exception] = []
    try:
        yield kept
    except Exception as error:  # noqa: BLE001 - any: what matters is what is left behind
        kept.append(error)
