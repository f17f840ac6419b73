"""A plain HTTP client of the service: one request, one answer, nothing asked again.

Invariant: what was sent and not answered is unknown, and said to be; the product's own client,
which finds out by itself, is not used.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from types import SimpleNamespace
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit
from uuid import UUID

from allotment.errors import AllotmentError, CommitUnknown
from allotment.model.access import Actor
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import AllocateAddress, AllocateAddresses, ReleaseAddress
from allotment.model.events import OperationState, ResolveOperation
from allotment.model.queries import GetAllocation, GetUtilisation

TIMEOUT_SECONDS = 40.0
HURRIED_SHARE = 0.5
HURRIED_SECONDS = (0.005, 0.4)


class Refused(AllotmentError):
    """The service said no, by a problem document."""

    kind = "unavailable"

    def __init__(self, code: str, status: int) -> None:
        super().__init__(f"{status} {code}", status=status)
        self.code = code  # type: ignore[misc]  # each answer has its own


class WireDesk:
    """Asks the service for what a campaign's client needs, and for nothing else.

    With `hurry`, half of the changes are not waited for longer than a moment.
    """

    def __init__(self, url: str, token: str, hurry: random.Random | None = None) -> None:
        self._hurry = hurry
        self._place = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._local = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close every connection."""
        for conn in self._open:
            conn.close()

    def do(self, command: Any, _actor: Actor, /) -> Any:  # Any: one of the commands below
        """Send a command."""
        match command:
            case AllocateAddress():
                body = {"description": command.description}
                if command.address is not None:
                    body["address"] = str(command.address)
                told = self._change(
                    "POST", f"/v1/subnets/{command.subnet}/allocations", command, body
                )
                return SimpleNamespace(address=Address(told["address"]), id=UUID(told["id"]))
            case AllocateAddresses():
                body = {"description": command.description, "count": command.count}
                told = self._change(
                    "POST", f"/v1/subnets/{command.subnet}/allocations", command, body
                )
                runs = tuple(AddressRange(text) for text in told["ranges"])
                return SimpleNamespace(ranges=runs, first_id=UUID(told["first_id"]))
            case ReleaseAddress():
                path = f"/v1/subnets/{command.subnet}/allocations/{command.address}"
                path += f"?allocation_id={command.allocation_id}"
                return self._change("DELETE", path, command, None)
            case ResolveOperation():
                told = self._ask(f"/v1/operations/{quote(command.key, safe='')}")
                return SimpleNamespace(state=OperationState(told["state"]))
        raise AssertionError(command)

    def ask(self, query: Any, _actor: Actor, /) -> Any:  # Any: one of the queries below
        """Send a query."""
        match query:
            case GetAllocation():
                told = self._ask(f"/v1/subnets/{query.subnet}/allocations/{query.address}")
                return SimpleNamespace(id=told["id"])
            case GetUtilisation():
                told = self._ask(f"/v1/usage?containers={query.containers[0]}")
                return SimpleNamespace(items=[SimpleNamespace(held=told["items"][0]["held"])])
        raise AssertionError(query)

    # Any: JSON.
    def _change(self, method: str, path: str, command: Any, body: Any) -> Any:
        key = command.idempotency_key
        headers = self._headers if key is None else self._headers | {"Idempotency-Key": key}
        seconds = TIMEOUT_SECONDS
        if self._hurry is not None and self._hurry.random() < HURRIED_SHARE:
            seconds = self._hurry.uniform(*HURRIED_SECONDS)
        text = None if body is None else json.dumps(body)
        return self._sent(method, path, headers, text, seconds)

    def _ask(self, path: str) -> Any:  # Any: JSON
        return self._sent("GET", path, self._headers, None)

    def _sent(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: str | None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Any:
        conn = self._connection()
        try:
            if conn.sock is None:
                conn.connect()
            conn.sock.settimeout(seconds)
        except OSError as error:
            raise Refused("unreached", 0) from error
        try:
            conn.request(method, path, body, headers)
            answer = conn.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            conn.close()
            raise CommitUnknown("no answer came", phase="commit") from error
        if answer.status >= 400:
            _refuse(answer.status, raw)
        return json.loads(raw)

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "conn", None)
        if found is None:
            found = http.client.HTTPConnection(self._place, timeout=TIMEOUT_SECONDS)
            self._local.conn = found
            self._open.append(found)
        return found


def _refuse(status: int, raw: bytes) -> NoReturn:
    code = json.loads(raw)["code"]
    if code == CommitUnknown.code:
        raise CommitUnknown("the service does not know", phase="commit")
    raise Refused(code, status)
