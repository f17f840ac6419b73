"""`allotment serve` as a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

PATIENCE_SECONDS = 60.0
MARK = "the first administrator's token, shown once: "


class Process:
    """A server, where it listens, and the token it made."""

    def __init__(self, *options: str) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the server
        self.process = subprocess.Popen(
            [sys.executable, "-m", "allotment", "serve", "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.lines: list[str] = []
        self.url = self._until("listening on ")
        made = [line for line in self.lines if line.startswith(MARK)]
        self.token = made[0].removeprefix(MARK) if made else ""

    def _until(self, lead: str) -> str:
        stdout = self.process.stdout
        assert stdout is not None
        end = time.monotonic() + PATIENCE_SECONDS
        while select.select([stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            line = stdout.readline()
            if not line:
                raise AssertionError(f"it ended: {self.logged()}")
            self.lines.append(line.rstrip("\n"))
            if line.startswith(lead):
                return line.removeprefix(lead).strip()
        raise AssertionError("it does not listen")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, verify: ssl.SSLContext | bool = True, **headers: str) -> httpx.Client:
        """A client with the token."""
        import httpx  # not where Neutron is

        known = {"authorization": f"Bearer {self.token}"} | headers
        return httpx.Client(base_url=self.url, headers=known, verify=verify, timeout=30)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def logged(self) -> str:
        """All that it logged so far."""
        self.log.seek(0)
        return self.log.read()

    def requests(self) -> list[Any]:
        """What it logged of requests."""
        lines = [json.loads(line) for line in self.logged().splitlines()]
        return [line for line in lines if line["event"] == "request"]


@contextmanager
def serving(*options: str) -> Iterator[Process]:
    """A server that ends with the test."""
    server = Process(*options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.log.close()


def refused(*words: str) -> subprocess.CompletedProcess[str]:
    """`allotment serve` where it is expected not to serve."""
    return subprocess.run(
        [sys.executable, "-m", "allotment", "serve", *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )
