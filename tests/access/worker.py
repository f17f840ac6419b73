"""A process that uses a token until it is refused.

Invariant: it tells of every call when it began and ended, by the clock all processes share.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

from allotment import open_book
from allotment.errors import AllotmentError
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress


def elsewhere(url: str, name: str, subnet: str, pipe: Connection) -> None:
    """Ask, and tell when, until it is refused; then tell why."""
    actor = Actor(name=name)
    with open_book(url) as desk:
        while True:
            began = time.monotonic()
            try:
                desk.do(AllocateAddress(subnet=subnet), actor)
                pipe.send((began, time.monotonic(), True))
            except AllotmentError as error:
                pipe.send((began, time.monotonic(), False))
                pipe.send(error.code)
                return
