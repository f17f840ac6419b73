"""Who is let in, from where, and how often."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from allotment import open_book
from allotment.doors.rest.counter import Counter
from allotment.doors.rest.pace import Pace, cost_of
from allotment.doors.rest.settings import Rate, Rates, Settings
from allotment.doors.rest.visit import Visit
from allotment.errors import RateLimited
from allotment.model.access import local_owner
from allotment.model.address import Address
from allotment.model.commands import AllocateAddresses, Batch, CreateProject
from allotment.model.prefix import Prefix
from allotment.model.queries import CheckBook, GetSubnet
from allotment.model.routes import ROUTES
from doors.rest.conftest import House

SERVICE = ["/metrics", "/docs", "/openapi.json", "/problems", "/problems/overlap", "/nowhere", "/"]
EVERY = [(route.method, route.path) for route in ROUTES] + [("GET", path) for path in SERVICE]
STRANGERS = [
    None, "", "wrong-token", "two tokens", "owner-token ", "owner-token,owner-token", "é",
    "x" * 9000,
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), sorted(set(EVERY)))
def test_a_stranger_hears_401_everywhere(still: Any, method: str, path: str) -> None:
    answer = still.ask(method, path, token="wrong-token", json={"nonsense": 1})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("token", STRANGERS, ids=lambda one: str(one)[:20])
def test_what_is_no_token_of_ours_is_refused(still: Any, token: str | None) -> None:
    headers = {} if token is None else {"authorization": f"Bearer {token}".encode("latin-1")}
    if token == "owner-token ":
        headers = {"authorization": b"Basic b3duZXItdG9rZW4="}
    answer = still.ask("GET", "/v1/subnets", token=None, headers=headers)
    assert answer.status_code == 401


def test_two_authorization_headers_are_one_too_many(still: Any) -> None:
    twice = [("authorization", "Bearer owner-token"), ("authorization", "Bearer owner-token")]
    assert still.ask("GET", "/v1/subnets", token=None, headers=twice).status_code == 401


def test_whether_the_service_lives_is_told_to_everybody(still: Any) -> None:
    assert still.get("/healthz", token=None).json() == {"alive": True}
    assert still.get("/readyz", token=None).json() == {"ready": True}


def test_a_desk_that_cannot_answer_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "book.db"
    with open_book(f"sqlite:///{path}") as desk:
        house = House(desk)
        try:
            assert house.get("/readyz", token=None).status_code == 200
            with sqlite3.connect(path) as other:
                other.execute("alter table project rename to elsewhere")
            house.door._health._looked_at = -10.0
            answer = house.get("/readyz", token=None)
            assert answer.status_code == 503
            assert answer.json()["code"] == "schema-mismatch"
            assert "elsewhere" not in answer.text
            assert house.get("/healthz", token=None).status_code == 200
        finally:
            house.close()


def test_a_token_without_grants_is_known_and_may_do_nothing(house: House) -> None:
    made = house.made("/v1/tokens", {"name": "ci"})
    for path in ("/v1/status", "/metrics", "/v1/check"):
        assert house.refused(403, "GET", path, token=made["secret"])["code"] == "forbidden"
    assert house.get("/v1/whoami", token=made["secret"]).json()["actor"] == "token:ci"
    assert house.ask("DELETE", "/v1/tokens/ci").is_success
    assert house.refused(401, "GET", "/v1/whoami", token=made["secret"])


def test_a_token_is_good_from_its_sources_only(house: House) -> None:
    near = house.made("/v1/tokens", {"name": "near", "sources": ["192.0.2.0/24"]})
    far = house.made("/v1/tokens", {"name": "far", "sources": ["198.51.100.0/24"]})
    assert house.get("/v1/whoami", token=near["secret"]).is_success
    assert house.refused(401, "GET", "/v1/whoami", token=far["secret"])


def test_a_large_body_of_a_stranger_is_not_read(still: Any) -> None:
    read = 0

    async def parts() -> Any:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b" " * 65_536

    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    answer = still.ask("POST", "/v1/batches", token="wrong", content=parts(), headers=headers)
    assert answer.status_code == 401
    assert read < 10


class Watch:
    """A clock that goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


ACTOR = local_owner("test")
HERE = Address("192.0.2.1")


def test_a_bucket_fills_again_with_time() -> None:
    watch = Watch()
    pace = Pace(Rates(token=Rate(10, 2)), watch)
    for _ in range(2):
        pace.pay("t", ACTOR, HERE, 1)
    with pytest.raises(RateLimited) as caught:
        pace.pay("t", ACTOR, HERE, 1)
    assert caught.value.facts["retry_after_ms"] == 100
    pace.pay("other", ACTOR, HERE, 1)
    watch.now += 0.1
    pace.pay("t", ACTOR, HERE, 1)


def test_what_costs_more_than_a_whole_bucket_takes_a_whole_one() -> None:
    watch = Watch()
    pace = Pace(Rates(actor=Rate(1, 5)), watch)
    pace.pay("t", ACTOR, HERE, 1000)
    with pytest.raises(RateLimited):
        pace.pay("u", ACTOR, HERE, 1)
    watch.now += 5
    pace.pay("t", ACTOR, HERE, 1000)


def test_a_network_of_ipv6_shares_a_bucket_and_ipv4_addresses_do_not() -> None:
    pace = Pace(Rates(source=Rate(1, 1)), Watch())
    pace.pay("t", ACTOR, Address("2001:db8::1"), 1)
    with pytest.raises(RateLimited):
        pace.pay("t", ACTOR, Address("2001:db8::ffff"), 1)
    pace.pay("t", ACTOR, Address("2001:db8:0:1::1"), 1)
    pace.pay("t", ACTOR, Address("192.0.2.1"), 1)
    pace.pay("t", ACTOR, Address("192.0.2.2"), 1)


def test_failed_logins_of_a_source_are_limited_and_proven_tokens_are_not() -> None:
    pace = Pace(Rates(failures=Rate(1, 3)), Watch())
    pace.may_try("good", HERE)
    pace.worked("good", HERE)
    for number in range(3):
        pace.may_try(f"bad-{number}", HERE)
        pace.failed(f"bad-{number}")
    with pytest.raises(RateLimited):
        pace.may_try("bad-4", HERE)
    pace.may_try("good", HERE)
    pace.may_try("bad-5", Address("192.0.2.2"))
    pace.failed("good")
    with pytest.raises(RateLimited):
        pace.may_try("good", HERE)


def test_what_does_the_work_of_many_costs_more() -> None:
    assert cost_of(GetSubnet(subnet="a")) == 1
    assert cost_of(AllocateAddresses(subnet="a", count=10_000)) == 101
    assert cost_of(Batch(commands=(CreateProject(name="a"),) * 7)) == 7
    assert cost_of(CheckBook()) > 1


@pytest.fixture
def limited(desk: Any) -> Iterator[House]:
    rates = Rates(token=Rate(0.5, 3), failures=Rate(0.5, 2))
    house = House(desk, Settings(rates=rates, log_requests=False))
    yield house
    house.close()


def test_one_who_asks_too_often_is_told_when_to_come_again(limited: House) -> None:
    for _ in range(3):
        assert limited.get("/v1/projects").is_success
    answer = limited.get("/v1/projects")
    assert answer.status_code == 429
    assert answer.json()["code"] == "rate-limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 2
    assert 0 < answer.json()["retry_after_ms"] <= 2000
    assert limited.get("/v1/projects", token="other-token").is_success


@pytest.mark.parametrize(
    ("method", "path", "status", "more"),
    [
        ("GET", "/docs", 200, {}),
        ("GET", "/problems/not-found", 200, {}),
        ("GET", "/problems/none", 404, {}),
        ("GET", "/nothing-here", 404, {}),
        ("DELETE", "/v1/projects", 405, {}),
        ("GET", "/v1/projects?unknown=1", 400, {}),
        ("POST", "/v1/projects", 400, {"json": {"name": 7}}),
        ("POST", "/v1/subnets/a/allocations", 400, {"json": {"hostname": 7}}),
        ("POST", "/v1/projects", 413, {"content": b" " * (2 << 20)}),
        ("GET", "/v1/events?unknown=1", 400, {"headers": {"accept": "text/event-stream"}}),
    ],
)
def test_whatever_is_asked_counts_once(
    limited: House, method: str, path: str, status: int, more: dict[str, Any]
) -> None:
    found = [limited.ask(method, path, **more).status_code for _ in range(4)]
    assert found == [status] * 3 + [429]


def test_one_who_guesses_tokens_is_stopped(limited: House) -> None:
    assert limited.get("/v1/projects").is_success
    found = [limited.get("/v1/projects", token=f"guess-{n}").status_code for n in range(4)]
    assert found == [401, 401, 429, 429]
    tried = len(limited.ring.sources)
    assert limited.get("/v1/projects").is_success, "a token that worked is let in still"
    assert len(limited.ring.sources) == tried + 1, "it is looked at, the guesses are not"


def source_of(client: str, trusted: tuple[str, ...], *forwarded: str) -> str:
    scope = {
        "method": "GET", "raw_path": b"/", "query_string": b"", "client": (client, 1),
        "headers": [(b"x-forwarded-for", one.encode()) for one in forwarded],
    }  # fmt: skip
    return str(Visit(scope, tuple(map(Prefix, trusted))).source)


def test_only_trusted_proxies_are_believed() -> None:
    proxy = ("10.0.0.0/8",)
    assert source_of("192.0.2.9", proxy, "198.51.100.1") == "192.0.2.9"
    assert source_of("10.0.0.1", (), "198.51.100.1") == "10.0.0.1"
    assert source_of("10.0.0.1", proxy, "198.51.100.1") == "198.51.100.1"
    assert source_of("10.0.0.1", proxy, "203.0.113.5, 198.51.100.1") == "198.51.100.1"
    assert source_of("10.0.0.1", proxy, "203.0.113.5, 198.51.100.1, 10.9.9.9") == "198.51.100.1"
    assert source_of("10.0.0.1", proxy, "203.0.113.5", "198.51.100.1") == "198.51.100.1"
    assert source_of("10.0.0.1", proxy, "203.0.113.5, nonsense") == "10.0.0.1"
    assert source_of("10.0.0.1", proxy, "010.1.1.1") == "10.0.0.1"
    assert source_of("10.0.0.1", proxy) == "10.0.0.1"
    assert source_of("::ffff:192.0.2.9", ()) == "192.0.2.9"
    assert source_of("fe80::1%eth0", ()) == "fe80::1"


def test_the_doorkeeper_hears_where_the_request_came_from(house: House) -> None:
    house.get("/v1/projects")
    assert house.ring.sources == [Address("192.0.2.7")]


def test_the_actor_knows_the_source_and_the_request(planned: House) -> None:
    visit = Visit(
        {
            "method": "GET", "raw_path": b"/", "query_string": b"", "client": ("192.0.2.7", 1),
            "headers": [(b"authorization", b"Bearer owner-token"), (b"x-request-id", b"deploy-9")],
        },
        (),
    )  # fmt: skip
    actor = planned.portal.call(planned.door.counter.known, visit)
    assert (actor.name, actor.source, actor.request_id) == ("test:owner", "192.0.2.7", "deploy-9")


def test_a_full_room_says_so_at_once(desk: Any) -> None:
    house = House(desk, Settings(threads=1, waiting_max=0, log_requests=False))
    counter: Counter = house.door.counter
    counter.room.inside = 1  # somebody is in
    try:
        answer = house.get("/v1/projects")
        assert answer.status_code == 503
        assert answer.json()["code"] == "overloaded"
        assert answer.json()["retryable"] is True
        assert answer.headers["retry-after"] == "1"
        counter.room.inside = 0
        assert house.get("/v1/projects").is_success
    finally:
        house.close()


def test_long_work_leaves_room_for_the_rest(desk: Any) -> None:
    house = House(desk, Settings(threads=4, long_max=0, log_requests=False))
    try:
        assert house.get("/v1/check").status_code == 503
        assert house.get("/v1/projects").is_success
    finally:
        house.close()


def test_a_failure_of_ours_shows_nothing_of_its_insides(house: House) -> None:
    class Broken:
        def authenticate(self, bearer: str, source: Address | None) -> Any:
            raise RuntimeError("driver says: password=hunter2")

    house.door.counter._doorkeeper = Broken()
    with structlog.testing.capture_logs() as logged:
        problem = house.refused(500, "GET", "/v1/projects")
    assert problem["code"] == "unexpected"
    assert "hunter2" not in str(problem)
    assert [one["log_level"] for one in logged] == ["error"], "the log has it"
