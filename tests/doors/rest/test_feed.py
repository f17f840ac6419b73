"""Events as they happen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from allotment.doors.rest.settings import Settings
from doors.rest.conftest import House
from doors.rest.process import Process, serving

STREAM = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving("--database", f"sqlite:///{tmp_path_factory.mktemp('feed')}/book.db") as server:
        yield server


def told(lines: Iterator[str]) -> Iterator[tuple[int, Any]]:
    """The events of a stream, with their ids."""
    number = 0
    for line in lines:
        if line.startswith("id: "):
            number = int(line.removeprefix("id: "))
        elif line.startswith("data: "):
            yield number, json.loads(line.removeprefix("data: "))


def test_what_happens_is_told_and_a_stream_goes_on_where_it_was_left(server: Process) -> None:
    with server.client() as client, server.client() as other:
        with client.stream("GET", "/v1/events", headers=STREAM) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"] == "text/event-stream"
            events = told(stream.iter_lines())
            other.post("/v1/projects", json={"name": "a"})
            seen = []
            for number, event in events:
                seen.append((number, event))
                if event["command"].get("name") == "a":
                    break
            numbers = [number for number, _ in seen]
            assert numbers == sorted(set(numbers))
            assert all(number == event["sequence"] for number, event in seen)
        last = numbers[-1]
        other.post("/v1/projects", json={"name": "b"})
        headers = STREAM | {"last-event-id": str(last)}
        with client.stream("GET", "/v1/events", headers=headers) as stream:
            number, event = next(told(stream.iter_lines()))
            assert number > last
            assert event["command"]["name"] == "b"


def test_a_stream_ends_when_its_token_does(server: Process) -> None:
    with server.client() as client:
        secret = client.post("/v1/tokens", json={"name": "watcher"}).json()["secret"]
        client.post("/v1/grants", json={"actor": "token:watcher", "role": "viewer"})
        with (
            server.client(authorization=f"Bearer {secret}") as watcher,
            watcher.stream("GET", "/v1/events", headers=STREAM) as stream,
        ):
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            client.delete("/v1/tokens/watcher")
            rest = list(lines)
        place = rest.index("event: problem")
        assert json.loads(rest[place + 1].removeprefix("data: "))["code"] == "unauthenticated"


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 30])
def test_an_id_that_is_none_is_refused(server: Process, number: str) -> None:
    with server.client() as client:
        answer = client.get("/v1/events", headers=STREAM | {"last-event-id": number})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["header"] == "last-event-id"
        assert client.get("/v1/events?nothing=1", headers=STREAM).status_code == 400


def test_a_page_of_events_is_a_page(server: Process) -> None:
    with server.client() as client:
        time.sleep(1)  # what was done is sealed
        page = client.get("/v1/events?limit=1").json()
        assert len(page["items"]) == 1
        assert page["items"][0]["outcome"] == "done"
    assert httpx.get(f"{server.url}/v1/events", headers=STREAM).status_code == 401


def test_an_end_of_the_server_ends_the_streams(tmp_path: Path) -> None:
    with (
        serving("--database", f"sqlite:///{tmp_path}/book.db") as server,
        server.client() as client,
        client.stream("GET", "/v1/events", headers=STREAM) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10
        list(lines)


def streamed(house: House, parts: int, headers: dict[str, str]) -> tuple[int, list[bytes]]:
    """A stream inside this process, of which so many parts are taken."""
    sent: list[Any] = []
    state: dict[str, Any] = {}
    scope = {
        "type": "http", "method": "GET", "raw_path": b"/v1/events", "query_string": b"",
        "client": ("192.0.2.7", 1), "state": state,
        "headers": [(b"authorization", b"Bearer owner-token"),
                    *((k.encode(), v.encode()) for k, v in headers.items())],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > parts:
            state["over"] = True

    house.portal.call(house.door, scope, receive, send)
    return sent[0]["status"], [one["body"] for one in sent[1:]]


def test_a_quiet_stream_shows_that_it_lives(desk: Any) -> None:
    settings = Settings(poll_seconds=0.01, heartbeat_seconds=0.02, log_requests=False)
    house = House(desk, settings)
    try:
        status, parts = streamed(house, 3, STREAM)
        assert (status, parts[:3]) == (200, [b"retry: 1000\n\n", *[b": still here\n\n"] * 2])
        assert house.door._feed.open_streams == 0
    finally:
        house.close()


def test_streams_are_bounded(desk: Any) -> None:
    house = House(desk, Settings(streams_max=0, log_requests=False))
    try:
        assert house.refused(503, "GET", "/v1/events", headers=STREAM)["code"] == "overloaded"
    finally:
        house.close()
