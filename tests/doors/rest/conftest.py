"""A desk of its own for each test, and a client at its REST door.

Invariant: desk, door and database are real; the doorkeeper knows the tokens that the tests name.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest

from allotment import LocalDesk, open_book
from allotment.doors.rest.app import Door, create_app
from allotment.doors.rest.settings import Rates, Settings
from allotment.model.access import Actor, local_owner
from allotment.model.address import Address

OWNER = "owner-token"
OTHER = "other-token"


@dataclass
class KeyRing:
    """A doorkeeper that knows two owners' tokens by heart; others it shows to the desk."""

    desk: LocalDesk
    actors: dict[str, Actor] = field(
        default_factory=lambda: {
            OWNER: local_owner("test:owner"),
            OTHER: local_owner("test:other"),
        }
    )
    sources: list[Address | None] = field(default_factory=list)

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        self.sources.append(source)
        known = self.actors.get(bearer)
        return known if known is not None else self.desk.authenticate(bearer, source)

    def recognise(self, bearer: str, source: Address | None) -> Actor | None:
        known = self.actors.get(bearer)
        return known if known is not None else self.desk.recognise(bearer, source)


QUIET = Settings(log_requests=False, rates=Rates(failures=None))


class House:
    """A door, and a client that knocks."""

    def __init__(self, desk: LocalDesk, settings: Settings | None = None) -> None:
        self.desk = desk
        self.ring = KeyRing(desk)
        self.door: Door = create_app(desk, self.ring, settings or QUIET)
        self._portal = anyio.from_thread.start_blocking_portal()
        self.portal = self._portal.__enter__()
        transport = httpx.ASGITransport(app=self.door, client=("192.0.2.7", 4711))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://door")

    def close(self) -> None:
        self.portal.call(self.client.aclose)
        self._portal.__exit__(None, None, None)
        self.door.counter.room.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request with the owner's token, unless `token` says otherwise."""
        token = more.pop("token", OWNER)
        headers = httpx.Headers(more.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token}"

        async def work() -> httpx.Response:
            return await self.client.request(method, path, headers=headers, **more)

        return self.portal.call(work)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def made(self, path: str, body: dict[str, Any]) -> Any:
        """What a POST made."""
        answer = self.ask("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def refused(self, status: int, method: str, path: str, **more: Any) -> Any:
        """The problem that a request meets."""
        answer = self.ask(method, path, **more)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert problem["type"] == f"/problems/{problem['code']}"
        assert problem["request_id"] == answer.headers["x-request-id"]
        return problem


@pytest.fixture(scope="session")
def empty_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty book."""
    path = tmp_path_factory.mktemp("rest") / "book.db"
    open_book(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def desk(empty_book: Path, tmp_path: Path) -> Iterator[LocalDesk]:
    """A desk of an empty book."""
    path = shutil.copy(empty_book, tmp_path / "book.db")
    with open_book(f"sqlite:///{path}") as desk:
        yield desk


@pytest.fixture
def settings() -> Settings:
    """The settings of the house; a test module may have others."""
    return QUIET


@pytest.fixture
def house(desk: LocalDesk, settings: Settings) -> Iterator[House]:
    """A door of an empty book."""
    house = House(desk, settings)
    yield house
    house.close()


@pytest.fixture
def planned(house: House) -> House:
    """A door of a book with a scope, a pool and a subnet."""
    return plan(house)


@pytest.fixture(scope="module")
def still(empty_book: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A door of such a book, shared by the tests that change nothing."""
    path = shutil.copy(empty_book, tmp_path_factory.mktemp("still") / "book.db")
    with open_book(f"sqlite:///{path}") as desk:
        house = House(desk)
        yield plan(house)
        house.close()


def plan(house: House) -> House:
    """Enter a scope, a pool and a subnet."""
    house.made("/v1/scopes", {"name": "blue"})
    house.made("/v1/subnet-pools", {"name": "corp", "scope": "blue", "prefixes": ["10.0.0.0/8"]})
    house.made("/v1/subnets", {"scope": "blue", "prefix": "10.1.0.0/24", "name": "office"})
    return house
