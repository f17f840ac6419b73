"""The REST door of a book in a process of its own, for P3: the real desk, or one that does nothing.

Invariant: both are the same application, with the same reading, token check and answer; only what
the desk does in between differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import uvicorn

from allotment import Address, open_book
from allotment.desk import LocalDesk
from allotment.doors.rest.app import create_app
from allotment.doors.rest.connection import Connection
from allotment.doors.rest.settings import Settings
from allotment.model.results import Allocation, Status
from allotment.sealing import Sealer

NOTHING = UUID(int=1)


class ReadyDesk:
    """Answers every hot command at once with the same allocation."""

    def __init__(self) -> None:
        self._answer = Allocation(
            id=NOTHING,
            subnet_id=NOTHING,
            address=Address("10.200.200.200"),
            status=Status.ACTIVE,
            project_id=None,
            project=None,
            identifier=None,
            hostname=None,
            mac=None,
            description="",
            tags=(),
            created_at=1_767_225_600_000,
        )

    def do_soon(self, _command: object, _actor: object, tell: Callable[[Any], None], /) -> None:
        tell(self._answer)

    def do(self, _command: object, _actor: object, /) -> Any:
        return self._answer

    ask = do

    def close(self) -> None:
        """Nothing is open."""

    def watch_groups(self, _observe: Callable[[int], None]) -> None:
        """There are none."""


def main() -> None:
    """Serve: `p3_door.py URL PORT desk|nothing`."""
    url, port, kind = sys.argv[1:]
    book: LocalDesk = open_book(url)
    desk: Any = book if kind == "desk" else ReadyDesk()
    if kind == "desk":
        Sealer(book).start()
    door = create_app(desk, book, Settings(log_requests=False))
    uvicorn.run(
        door,
        host="127.0.0.1",
        port=int(port),
        http=Connection,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
    )


if __name__ == "__main__":
    main()
