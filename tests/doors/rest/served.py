"""A server process for tests: `allotment serve`, with a doorkeeper that knows the tests' tokens."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from allotment.bootstrap import open_book
from allotment.doors.rest.server import Listening, Staff, run


def hire(listening: Listening) -> Staff:
    from doors.rest.conftest import KeyRing

    return Staff(open_book(listening.database, create=listening.create), KeyRing())


if __name__ == "__main__":
    import msgspec

    run(
        msgspec.json.decode(sys.argv[1], type=Listening), lambda line: print(line, flush=True), hire
    )
