"""The service as a process that is made to be killed.

Invariant: what runs is `allotment serve`, by its own command line, on a port that stays the same.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress

from faults.victims import Victim, silenced, until

START_SECONDS_MAX = 60.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Service:
    """`allotment serve`, started and killed at will."""

    def __init__(self, database: str, port: int, *words: str) -> None:
        self.database = database
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.words = words
        self.victim: Victim | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            RuntimeError: it is not, after a minute.
        """
        self.victim = Victim(self._serve)
        if not until(self.ready, START_SECONDS_MAX, pause=0.005):
            raise RuntimeError("the service did not come up")

    def kill(self) -> int:
        """Kill it outright; how it ended."""
        assert self.victim is not None
        code = self.victim.kill()
        self.victim = None
        return code

    def stop(self) -> None:
        """End it, if it runs."""
        if self.victim is not None:
            self.kill()

    def ready(self) -> bool:
        """Whether it says that it may be asked."""
        with suppress(OSError, http.client.HTTPException):
            conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                conn.request("GET", "/readyz")
                return conn.getresponse().status == 200
            finally:
                conn.close()
        return False

    def _serve(self) -> None:
        from allotment.doors.cli.app import root

        silenced()
        words = ["serve", "--database", self.database, "--port", str(self.port)]
        root.main([*words, "--no-request-log", *self.words], prog_name="allotment")


def preload() -> None:
    """Load what a service needs before it is forked: its start is then its own work only."""
    import allotment.doors.cli.app
    import allotment.doors.cli.serve
    import allotment.doors.rest.server
    import allotment.store.postgres
    import allotment.store.sqlite  # noqa: F401  (for its effect)
