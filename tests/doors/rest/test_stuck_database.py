"""A database that is stuck or gone: the service says so in time, and goes on when it is back."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from allotment import Prefix, open_book
from allotment.bootstrap import first_token
from allotment.doors.rest.settings import Settings
from allotment.model.access import local_owner
from allotment.model.commands import CreateAddressScope, CreateSubnet
from live_server import LiveServer
from postgres_cluster import Cluster

DEADLINE = 2.0
PLACES = 16  # threads and places to wait


class Service:
    """A service on a database server of its own, and a client with the first token."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        url = cluster.url()
        me = local_owner("local:test")
        with open_book(url, create=True) as desk:
            secret = first_token(desk)
            assert secret is not None
            desk.do(CreateAddressScope(name="blue"), me)
            made = desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/16")), me)
        self.path = f"/v1/subnets/{made.id}/allocations"
        settings = Settings(
            log_requests=False, threads=8, waiting_max=PLACES - 8, waiting_seconds_max=DEADLINE
        )
        self.server = LiveServer(url, settings)
        self.client = httpx.Client(
            base_url=self.server.url,
            headers={"authorization": f"Bearer {secret.reveal()}"},
            timeout=30.0,
        )

    def close(self) -> None:
        self.client.close()
        self.server.close()

    def allocate(self, key: str) -> httpx.Response:
        return self.client.post(self.path, json={}, headers={"idempotency-key": key})


@pytest.fixture
def service(postgres_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", DEADLINE)
    monkeypatch.setattr("allotment.reception.LOOK_SECONDS", DEADLINE)
    made = Service(postgres_cluster)
    yield made
    made.close()


def backends(url: str) -> list[int]:
    """The server processes of the service's connections."""
    with psycopg.connect(url) as conn:
        query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        return [row[0] for row in conn.execute(f"{query} AND pid <> pg_backend_pid()")]


def test_a_stuck_database_is_told_in_time_and_nobody_piles_up(service: Service) -> None:
    """The server's processes stand still; more ask than there are places."""
    assert service.allocate("before").status_code == 201
    stopped = backends(service.cluster.url())
    for pid in [service.cluster.pid, *stopped]:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(4 * PLACES) as crowd:
            answers = list(crowd.map(service.allocate, (f"k{n}" for n in range(4 * PLACES))))
        took = time.monotonic() - began
    finally:
        for pid in [service.cluster.pid, *stopped]:
            os.kill(pid, signal.SIGCONT)
    codes = Counter(answer.json()["code"] for answer in answers)
    assert {answer.status_code for answer in answers} <= {503, 504}
    assert codes["overloaded"] >= 2 * PLACES, "who comes to a full line is told at once"
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
    assert took < 4 * DEADLINE + 2
    assert_serves_again(service)
    held = {service.allocate(f"k{n}").json()["address"] for n in range(4 * PLACES)}
    assert len(held) == 4 * PLACES, "each key has one address, whatever became of it before"


def test_a_database_that_is_killed_and_started_again_is_used_again(service: Service) -> None:
    first = service.allocate("once")
    assert first.status_code == 201
    service.cluster.kill()
    gone = service.allocate("meanwhile")
    assert gone.status_code == 503
    assert gone.json()["retryable"] is True
    assert service.client.get("/readyz").status_code == 503
    assert service.client.get("/healthz").status_code == 200
    service.cluster.start()
    assert_serves_again(service)
    assert service.allocate("once").json() == first.json()


def assert_serves_again(service: Service) -> None:
    """Within ten seconds, without anybody's help (L1)."""
    end = time.monotonic() + 10
    while (answer := service.allocate("again")).status_code != 201:
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)
