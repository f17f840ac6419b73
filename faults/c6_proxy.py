"""A proxy before PostgreSQL that understands enough of its protocol to cut exactly at COMMIT.

Invariant: a COMMIT is the message that ends a transaction: the statement COMMIT, or, for a
statement that is its own transaction, the Sync after it; whatever else passes as it came.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple

Cut = Literal["before", "during", "after", "late", "reset", "half-open", "slow"]
AT_COMMIT: tuple[Cut, ...] = ("before", "during", "after", "late", "reset")
OWN_TRANSACTION = b"allotment_allocate"
_LINGER_NOT = struct.pack("ii", 1, 0)


class Message(NamedTuple):
    """One message of a client: its kind, and all of its bytes."""

    kind: bytes
    raw: bytes


class Proxy:
    """Takes connections, and cuts those that the plan hits.

    `share` is how many of the COMMITs are cut; `elsewhere` how many of the other batches are.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        self._upstream = ("127.0.0.1", port)
        self._chance = chance
        self._mutex = threading.Lock()
        self.share = 0.0
        self.elsewhere = 0.0
        self.kinds: tuple[Cut, ...] = AT_COMMIT
        self.late_seconds_max = 1.0
        self.half_open_seconds = 40.0
        self.cuts: Counter[str] = Counter()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._door.getsockname()[1]
        self._over = threading.Event()
        self._host = threading.Thread(target=self._welcome, daemon=True)
        self._host.start()

    def close(self) -> None:
        """Take no more connections."""
        self._over.set()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._host.join()

    def _welcome(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._door.accept()
                far = socket.create_connection(self._upstream)
            except OSError:
                if self._over.is_set():
                    return
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            strand = Strand(self, near, far)
            threading.Thread(target=strand.run, daemon=True).start()

    def planned(self, *, commit: bool) -> Cut | None:
        """How this batch is cut, if it is."""
        with self._mutex:
            if self._chance.random() >= (self.share if commit else self.elsewhere):
                return None
            cut = self._chance.choice(self.kinds if commit else ("before", "after", "slow"))
            self.cuts[f"{cut}, {'at commit' if commit else 'elsewhere'}"] += 1
            return cut

    def wait_seconds(self) -> float:
        """How late a late COMMIT comes."""
        with self._mutex:
            return self._chance.uniform(0, self.late_seconds_max)


class Strand:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._near, self._far = near, far
        self._read = b""
        self._started = False
        self._own: set[bytes] = set()

    def run(self) -> None:
        """Hand on what comes, until one end is closed, or the strand is cut."""
        with suppress(OSError):
            while self._step():
                pass
        for end in (self._near, self._far):
            end.close()

    def _step(self) -> bool:
        ready, _, _ = select.select([self._near, self._far], [], [])
        if self._far in ready:
            told = self._far.recv(1 << 16)
            if not told:
                return False
            self._near.sendall(told)
        if self._near in ready:
            said = self._near.recv(1 << 16)
            if not said:
                return False
            self._read += said
            return self._batches()
        return True

    def _batches(self) -> bool:
        """Hand on whole batches: up to a Sync, or a simple query."""
        if not self._started:
            return self._greeting()
        while (found := self._batch()) is not None:
            commit = any(self._commits(one) for one in found)
            cut = self._proxy.planned(commit=commit) if found[-1].kind in (b"S", b"Q") else None
            if cut is not None and not self._cut(cut, found, commit=commit):
                return False
            if cut is None:
                self._far.sendall(b"".join(one.raw for one in found))
        return True

    def _greeting(self) -> bool:
        """The first message has no kind; a wish for encryption is answered by the server."""
        if len(self._read) >= 8:
            length, code = struct.unpack_from("!II", self._read)
            if len(self._read) >= length:
                self._far.sendall(self._read[:length])
                self._read = self._read[length:]
                self._started = code not in (80877103, 80877104)
        return True

    def _batch(self) -> list[Message] | None:
        """The messages up to the one that asks for an answer; nothing, while that is not here."""
        found, place = [], 0
        while len(self._read) >= place + 5:
            (length,) = struct.unpack_from("!I", self._read, place + 1)
            end = place + 1 + length
            if len(self._read) < end:
                return None
            found.append(Message(self._read[place : place + 1], self._read[place:end]))
            place = end
            if found[-1].kind in (b"S", b"Q", b"X", b"p", b"H"):
                self._read = self._read[place:]
                return found
        return None

    def _commits(self, message: Message) -> bool:
        """Whether a message commits; remembers which prepared statements do."""
        body = message.raw[5:]
        if message.kind == b"Q":
            return body.rstrip(b"\0").strip().upper() == b"COMMIT"
        if message.kind == b"P":
            name, _, rest = body.partition(b"\0")
            text = rest.partition(b"\0")[0]
            if OWN_TRANSACTION in text:
                self._own.add(name)
            return text.strip().upper() == b"COMMIT"
        if message.kind == b"B":
            _, _, rest = body.partition(b"\0")
            return rest.partition(b"\0")[0] in self._own
        return False

    def _cut(self, cut: Cut, found: list[Message], *, commit: bool) -> bool:
        """Cut here; whether the strand goes on."""
        raw = b"".join(one.raw for one in found)
        if cut == "before":
            return False
        if cut == "during":
            self._far.sendall(raw[: len(raw) - 3])
            return False
        if cut == "slow":
            time.sleep(self._proxy.wait_seconds())
            self._far.sendall(raw)
            return True
        if cut == "late":
            self._near.close()
            time.sleep(self._proxy.wait_seconds())
            self._far.sendall(raw)
            self._drain()
            return False
        self._far.sendall(raw)
        if cut == "half-open":
            time.sleep(self._proxy.half_open_seconds)
            return False
        self._drain()
        if cut == "reset":
            for end in (self._near, self._far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        return False

    def _drain(self) -> None:
        """Hear the server out, up to the end of its answer, and tell nobody."""
        heard = b""
        self._far.settimeout(30)
        while not any(kind == b"Z" for kind in _kinds(heard)):
            more = self._far.recv(1 << 16)
            if not more:
                return
            heard += more


def _kinds(heard: bytes) -> Iterator[bytes]:
    """The kinds of the whole messages in what a server said."""
    place = 0
    while len(heard) >= place + 5:
        (length,) = struct.unpack_from("!I", heard, place + 1)
        if len(heard) < place + 1 + length:
            return
        yield heard[place : place + 1]
        place += 1 + length
