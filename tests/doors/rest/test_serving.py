"""`allotment serve`: sockets, TLS, workers, signals, streams, logs."""

from __future__ import annotations

import signal
import socket
import sqlite3
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from allotment.bootstrap import FIRST_TOKEN
from doors.rest.process import Process, refused, serving


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/book.db"


@pytest.fixture
def server(url: str) -> Iterator[Process]:
    with serving("--database", url) as server:
        yield server


def plan(client: httpx.Client) -> str:
    """Enter a scope and a subnet; where its addresses are asked for."""
    assert client.post("/v1/scopes", json={"name": "blue"}).is_success
    subnet = {"scope": "blue", "prefix": "10.0.0.0/16", "name": "office"}
    found = client.post("/v1/subnets", json=subnet)
    assert found.status_code == 201, found.text
    return f"/v1/subnets/{found.json()['id']}/allocations"


def test_a_new_book_is_served_to_its_first_administrator(server: Process, url: str) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert server.token.startswith("allot_")
    with server.client() as client:
        held = plan(client)
        assert client.post(held, json={"hostname": "a"}).json()["address"] == "10.0.0.2"
        me = client.get("/v1/whoami").json()
        assert (me["actor"], me["kind"]) == (f"token:{FIRST_TOKEN}", "token")
    assert httpx.get(f"{server.url}/v1/status").status_code == 401
    assert server.stop() == 0
    with serving("--database", url) as again:
        assert again.token == "", "the first token is made once"
        again.token = server.token
        with again.client() as client:
            assert client.get("/v1/subnets/office").is_success


def test_a_token_of_an_actor_sees_what_it_was_granted_and_no_longer_than_it_lives(
    server: Process,
) -> None:
    with server.client() as client:
        plan(client)
        made = client.post("/v1/tokens", json={"name": "ci"}).json()
        with server.client(authorization=f"Bearer {made['secret']}") as ci:
            assert ci.get("/v1/subnets/office").status_code in (403, 404)
            grant = {"actor": "token:ci", "role": "viewer", "target": "subnet"}
            grant |= {"reference": "office"}
            assert client.post("/v1/grants", json=grant).status_code == 201
            assert ci.get("/v1/subnets/office").is_success
            assert ci.post("/v1/subnets/office/allocations").status_code == 403
            assert ci.get("/metrics").status_code == 403
            assert client.delete("/v1/tokens/ci").is_success
            assert ci.get("/v1/subnets/office").status_code == 401
        assert made["secret"] not in client.get("/v1/tokens/ci").text
    assert server.stop() == 0
    assert made["secret"] not in server.logged()


def test_a_stop_lets_the_accepted_have_their_answers(server: Process, tmp_path: Path) -> None:
    """The database is locked by somebody else while the server is told to stop."""
    with server.client() as client:
        held = plan(client)
    locked = sqlite3.connect(tmp_path / "book.db", isolation_level=None, check_same_thread=False)
    locked.execute("begin immediate")

    def ask() -> httpx.Response:
        with server.client() as client:
            return client.post(held, json={})

    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(ask) for _ in range(4)]
        wait_for(lambda: connections(server) >= 4)
        time.sleep(0.5)  # the requests are inside
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not listens(server))
        assert not any(one.done() for one in waiting)
        locked.execute("rollback")
        answers = [one.result(30) for one in waiting]
    assert {one.status_code for one in answers} == {201}
    assert len({one.json()["address"] for one in answers}) == 4
    assert server.process.wait(30) == 0


def test_a_stop_is_bounded(url: str, tmp_path: Path) -> None:
    with serving("--database", url, "--grace", "1") as server:
        with server.client() as client:
            held = plan(client)
        locked = sqlite3.connect(tmp_path / "book.db", isolation_level=None)
        locked.execute("begin immediate")
        with ThreadPoolExecutor(1) as threads, server.client() as client:
            lost = threads.submit(client.post, held, json={})
            time.sleep(0.5)
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 10
            assert lost.exception() is not None or lost.result().status_code == 500
        locked.execute("rollback")
        assert locked.execute("select count(*) from allocation").fetchone() == (0,)


def listens(server: Process) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), 1).close()
    except OSError:
        return False
    return True


def connections(server: Process) -> int:
    """How many connections are open at the server's port."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    end = f":{server.port:04X}"
    return sum(row.split()[1].endswith(end) and row.split()[3] == "01" for row in rows)


def wait_for(truth: Any) -> None:
    end = time.monotonic() + 30
    while not truth():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)


def test_ctrl_c_ends_it_in_order(server: Process) -> None:
    assert server.stop(signal.SIGINT) == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_is_served_from_1_2_on(url: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    options = ("--database", url, "--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(*options) as server:
        assert server.url.startswith("https://")
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        with server.client(verify=trusting) as client:
            assert client.get("/v1/status").is_success
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/healthz")
        old = ssl.create_default_context()
        authority.configure_trust(old)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((httpx.ConnectError, httpx.ReadError)):
            httpx.get(f"{server.url}/healthz", verify=old)
        assert server.stop() == 0


REFUSED = [
    (("--host", "0.0.0.0"), "plain HTTP is for 127.0.0.1"),
    (("--host", "::"), "plain HTTP is for 127.0.0.1"),
    (("--host", "192.0.2.1"), "plain HTTP is for 127.0.0.1"),
    (("--host", "nowhere.invalid", "--allow-plain-http"), "cannot listen there"),
    (("--workers", "2"), "several processes need PostgreSQL"),
    (("--tls-cert", "a.pem"), "--tls-cert and --tls-key together"),
    (("--tls-cert", "none.pem", "--tls-key", "none.key"), "it must be a certificate"),
    (("--rate", "token=fast"), "write WHO=RATE"),
    (("--rate", "token=0"), "must be above 0"),
    (("--trusted-proxy", "10.0.0.1/8"), "trusted-proxy"),
    (("--oidc-issuer", "https://id.example.com"), "go together"),
]


@pytest.mark.parametrize(("options", "told"), REFUSED, ids=lambda one: " ".join(one))
def test_what_is_not_safe_is_not_served(url: str, options: tuple[str, ...], told: str) -> None:
    done = refused("--database", url, *options)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_told(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = refused("--database", url, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen there: Address already in use" in done.stderr


def test_a_database_that_is_not_there_is_told() -> None:
    done = refused("--database", "postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 7
    assert "listening" not in done.stdout


def test_plain_http_to_others_is_served_where_somebody_says_so(url: str) -> None:
    with serving("--database", url, "--host", "0.0.0.0", "--allow-plain-http") as server:
        assert httpx.get(f"http://127.0.0.1:{server.port}/readyz").is_success


def test_several_processes_serve_one_book(postgres_url: str) -> None:
    with serving("--database", postgres_url, "--workers", "2") as server:
        with server.client() as client:
            held = plan(client)

        def ask(count: int) -> list[str]:
            with server.client(connection="close") as client:
                return [client.post(held, json={}).json()["address"] for _ in range(count)]

        with ThreadPoolExecutor(4) as threads:
            found = [one for batch in threads.map(ask, [10] * 4) for one in batch]
        assert len(set(found)) == 40
        with server.client(connection="close") as client:
            assert client.get("/v1/check").json()["clean"] is True
            page = client.get(f"{held}?limit=15")
            pages = [client.get(page.links["next"]["url"]) for _ in range(6)]
            assert {one.status_code for one in pages} == {200}, "either process reads the cursor"
            told = client.get("/metrics").text
            assert 'allotment_allocations_total{kind="address"} 40.0' in told
        assert server.stop() == 0


def test_workers_end_when_their_supervisor_was_killed(postgres_url: str) -> None:
    """Before: they served on, and nobody could stop them or start others in their place."""
    with serving("--database", postgres_url, "--workers", "2") as server:
        with server.client() as client:
            assert client.get("/v1/status").status_code == 200
        server.process.kill()
        server.process.wait()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("somebody still listens")


def test_the_log_tells_each_request_and_no_token(server: Process) -> None:
    with server.client() as client:
        plan(client)
        client.get("/v1/subnets/none", headers={"x-request-id": "r-1"})
    httpx.get(f"{server.url}/v1/subnets", headers={"authorization": "Bearer my-secret"})
    assert server.stop() == 0
    logged = {line["request_id"]: line for line in server.requests()}
    line = logged["r-1"]
    assert (line["route"], line["status"]) == ("GET /v1/subnets/{subnet}", 404)
    assert (line["code"], line["source"]) == ("not-found", "127.0.0.1")
    assert line["actor"].startswith("token:")
    assert line["duration_ms"] > 0
    assert "my-secret" not in server.logged()
    assert server.token not in server.logged()


def exchanged(server: Process, sent: bytes) -> bytes:
    """What a connection gets for some bytes."""
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(sent)
        connection.settimeout(30)
        got = b""
        while b"\r\n\r\n" not in got:
            part = connection.recv(65536)
            if not part:
                break
            got += part
        return got


SMUGGLED = (
    b"POST /v1/scopes HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/subnets/%2e%2e HTTP/1.1\r\nhost: x\r\n\r\n", b"401"),
        (b"GET /../healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"401"),
        (b"GET //healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"401"),
        (b"GET /healthz?x=1 HTTP/1.1\r\nhost: x\r\n\r\n", b"200"),
        (b"GET /health\x00z HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n", b"400"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\n" + b"x: " + b"a" * 70_000 + b"\r\n\r\n", b"400"),
        (SMUGGLED, b"400"),
    ],
    ids=lambda one: str(one[:30]),
)
def test_tricks_with_the_first_line_and_headers_lead_nowhere(
    still_server: Process, sent: bytes, status: bytes
) -> None:
    got = exchanged(still_server, sent)
    assert got.split(b" ")[1] == status, got
    if status == b"400":
        assert b"application/problem+json" in got
    assert httpx.get(f"{still_server.url}/healthz").is_success


@pytest.fixture(scope="module")
def still_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with serving("--database", f"sqlite:///{tmp_path_factory.mktemp('s')}/book.db") as server:
        yield server


def test_one_who_never_says_what_they_want_is_hung_up_on(
    still_server: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_connection(("127.0.0.1", still_server.port), 30) as silent:
        silent.sendall(b"GET /healthz HTTP/1.1\r\nhost:")
        silent.settimeout(30)
        began = time.monotonic()
        assert silent.recv(100) == b""
        assert 10 < time.monotonic() - began < 25
