"""However often an answer is lost: exactly one effect, and the truth about it."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

import allotment
import live_server
from allotment import RemoteDesk
from allotment.bootstrap import first_token
from allotment.client.patience import Patience
from allotment.errors import CommitUnknown, DeadlineExceeded
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateAddressScope,
    CreateSubnet,
    ReleaseAddress,
)
from allotment.model.events import OperationState, ResolveOperation, VerifyAudit
from allotment.model.grants import CreateToken, ListTokens
from allotment.model.prefix import parse_prefix
from allotment.model.queries import CheckBook, ListAllocations
from cutting_proxy import CuttingProxy, Treatment
from live_server import LiveServer

LOSSES: tuple[Treatment, ...] = ("refuse", "lose the answer", "lose interest", "cut the answer")
WEB = CreateSubnet(prefix=parse_prefix("10.0.0.0/16"), name="web")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A book with one subnet, and its administrator's token."""
    path = tmp_path_factory.mktemp("remote") / "book.db"
    token = live_server.make_book(path)
    with allotment.open_book(f"sqlite:///{path}") as desk:
        desk.do(CreateAddressScope(name="corp"), allotment.local_owner())
        desk.do(WEB, allotment.local_owner())
    return path, token


@pytest.fixture
def live(template: tuple[Path, str], tmp_path: Path) -> Iterator[LiveServer]:
    """A server of a copy of that book."""
    server = LiveServer(live_server.copy_of(template[0], tmp_path / "book.db"))
    yield server
    server.close()


@pytest.fixture
def token(template: tuple[Path, str]) -> str:
    """The administrator's token."""
    return template[1]


def through(proxy: CuttingProxy, token: str, **patience: float) -> RemoteDesk:
    return allotment.connect(proxy.url, token=token, patience=Patience(**patience))


def held(live: LiveServer, token: str) -> list[str]:
    with allotment.connect(live.url, token=token) as desk:
        assert desk.ask(CheckBook(), desk.actor).clean
        page = desk.ask(ListAllocations(subnet="web", limit=1000), desk.actor)
        assert page.next is None
        return [str(one.address) for one in page.items]


@pytest.mark.parametrize("plan", list(itertools.product(LOSSES, LOSSES)), ids=" then ".join)
def test_an_address_is_taken_once_whatever_is_lost(
    live: LiveServer, token: str, plan: tuple[Treatment, ...]
) -> None:
    proxy = CuttingProxy(live.url, list(plan))
    with through(proxy, token) as desk:
        taken = desk.do(AllocateAddress(subnet="web"), desk.actor)
    assert proxy.cut == 2
    assert held(live, token) == [str(taken.address)]
    proxy.close()


@pytest.mark.parametrize(
    ("command", "count"),
    [
        (AllocateAddresses(subnet="web", count=5), 5),
        (Batch(commands=(AllocateAddress(subnet="web"),) * 3), 3),
    ],
    ids=["many at once", "a short batch"],
)
@pytest.mark.parametrize("loss", LOSSES)
def test_more_than_one_address_is_taken_once_too(
    live: LiveServer, token: str, command: Command[object], count: int, loss: Treatment
) -> None:
    proxy = CuttingProxy(live.url, [loss, loss])
    with through(proxy, token) as desk:
        desk.do(command, desk.actor)
    assert len(held(live, token)) == count
    proxy.close()


def test_a_release_whose_answer_was_lost_is_answered_as_the_first_time(
    live: LiveServer, token: str
) -> None:
    with allotment.connect(live.url, token=token) as desk:
        taken = desk.do(AllocateAddress(subnet="web"), desk.actor)
    proxy = CuttingProxy(live.url, ["lose the answer", "cut the answer"])
    with through(proxy, token) as desk:
        done = desk.do(ReleaseAddress(subnet="web", address=taken.address), desk.actor)
    assert done.count == 1
    assert held(live, token) == []
    proxy.close()


@pytest.mark.parametrize("loss", LOSSES[1:])
def test_a_token_is_made_at_most_once_and_the_loss_is_told(
    live: LiveServer, token: str, loss: Treatment
) -> None:
    proxy = CuttingProxy(live.url, [loss])
    with through(proxy, token) as desk:
        with pytest.raises(CommitUnknown):
            desk.do(CreateToken(name="deploy"), desk.actor)
        names = [one.name for one in desk.ask(ListTokens(), desk.actor).items]
    assert names.count("deploy") <= 1
    assert proxy.cut == 1
    proxy.close()


@pytest.mark.parametrize("loss", ["lose the answer", "lose interest"])
def test_at_the_end_of_the_time_the_fate_of_a_command_is_found_out(
    live: LiveServer, token: str, loss: Treatment
) -> None:
    """Everything is lost but the question what became of it."""
    proxy = CuttingProxy(live.url, [loss] * 10_000, passes=b"/v1/operations/")
    command = AllocateAddress(subnet="web", idempotency_key="mine")
    with through(proxy, token, seconds=3.0) as desk:
        try:
            answered = [str(desk.do(command, desk.actor).address)]
        except DeadlineExceeded:  # it says: not done, and never will be
            answered = []
        fate = desk.do(ResolveOperation(key="mine"), desk.actor)
    assert (fate.state is OperationState.DONE) is bool(answered)
    assert held(live, token) == answered
    proxy.close()


def test_what_nobody_can_find_out_is_told_with_the_key_that_finds_out_later(
    live: LiveServer, token: str
) -> None:
    proxy = CuttingProxy(live.url, ["lose the answer"] * 10_000)
    with (
        through(proxy, token, seconds=0.5) as desk,
        pytest.raises(CommitUnknown) as caught,
    ):
        desk.do(AllocateAddress(subnet="web"), desk.actor)
    key = str(caught.value.facts["key"])
    with allotment.connect(live.url, token=token) as desk:
        fate = desk.do(ResolveOperation(key=key), desk.actor)
    assert fate.state is OperationState.DONE
    assert len(held(live, token)) == 1
    proxy.close()


def test_threads_share_a_desk_and_lose_nothing_to_a_network_that_loses_much(
    live: LiveServer, token: str
) -> None:
    plan = [*LOSSES, "pass"] * 12
    proxy = CuttingProxy(live.url, plan)  # type: ignore[arg-type]
    wish = AllocateAddress(subnet="web")
    with through(proxy, token) as desk, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: desk.do(wish, desk.actor), range(100)))
    addresses = sorted(str(one.address) for one in answers)
    assert len(set(addresses)) == 100
    assert sorted(held(live, token)) == addresses
    assert proxy.cut >= 20
    proxy.close()


class ServerProcess:
    """A server in a process of its own, to be killed without warning and started again."""

    def __init__(self, book: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self._book = book
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, live_server.__file__, self._book, str(self.port)]
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Kept(NamedTuple):
    """A book that outlives its servers, its administrator's token, and its subnet's id."""

    url: str
    token: str
    subnet: str


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """On each database: in PostgreSQL, a commit goes on when the server that asked is dead."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/kept.db"
    else:
        url = str(request.getfixturevalue("postgres_url"))
    with allotment.open_book(url, create=True) as desk:
        secret = first_token(desk)
        assert secret is not None
        desk.do(CreateAddressScope(name="corp"), allotment.local_owner())
        made = desk.do(WEB, allotment.local_owner())
    return Kept(url, secret.reveal(), str(made.id))


def test_a_server_that_is_killed_at_work_and_started_again_does_everything_once(
    kept: Kept,
) -> None:
    book, token = kept.url, kept.token
    server = ServerProcess(book)
    wish = AllocateAddress(subnet=kept.subnet)
    patience = Patience(first_seconds=30)
    kills = 3
    try:
        with (
            allotment.connect(server.url, token=token, patience=patience) as desk,
            ThreadPoolExecutor(8) as threads,
        ):
            desk.do(wish, desk.actor)
            work = [threads.submit(desk.do, wish, desk.actor) for _ in range(200)]
            for part in range(1, kills + 1):
                work[len(work) * part // (kills + 2)].result()
                server.kill()
                server.start()
            answers = [one.result() for one in work]
    finally:
        server.kill()
    addresses = {one.address for one in answers}
    assert len(addresses) == 200, "no address was answered twice"
    with allotment.open_book(book) as local:
        owner = allotment.local_owner()
        report = local.ask(CheckBook(), owner)
        assert report.clean
        assert report.allocations == 201, "one effect each"
        assert local.ask(VerifyAudit(), owner).intact
