"""A TCP proxy that loses answers: what the network does at the worst moment.

Invariant: each connection is treated as the plan says, in order; what comes after it passes.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Literal

Treatment = Literal["pass", "refuse", "lose the answer", "lose interest", "cut the answer"]
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class CuttingProxy:
    """Stands between a client and a server on this machine."""

    def __init__(self, upstream: str, plan: list[Treatment], passes: bytes | None = None) -> None:
        """`passes`: a request with that in its first line is not lost, whatever the plan says."""
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self.plan = list(plan)
        self._passes = passes
        self.cut = 0
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            treatment = self.plan.pop(0) if self.plan else "pass"
            threading.Thread(target=self._treat, args=(client, treatment), daemon=True).start()

    def _treat(self, client: socket.socket, treatment: Treatment) -> None:
        with client, contextlib.suppress(OSError):
            if treatment == "refuse":
                self.cut += 1
                return
            with socket.create_connection(self._upstream) as server:
                if treatment == "pass":
                    _pump_both(client, server)
                    return
                request = _request(client)
                server.sendall(request)
                if self._passes is not None and self._passes in request.partition(b"\r\n")[0]:
                    _pump_both(client, server)
                    return
                self.cut += 1
                if treatment == "lose interest":
                    return
                answer = server.recv(65536)
                assert answer.startswith(b"HTTP/1.1 "), answer
                if treatment == "cut the answer":
                    client.sendall(answer[: len(answer) // 2])


def _request(client: socket.socket) -> bytes:
    """A whole request, so that the server has all of it."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += client.recv(65536)
    head, _, body = read.partition(b"\r\n\r\n")
    match = _LENGTH.search(head)
    wanted = int(match[1]) if match else 0
    while len(body) < wanted:
        more = client.recv(65536)
        body += more
        read += more
    return read


def _pump_both(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_pump, args=(other, one), daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            sink.sendall(part)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
