"""The matrix: every operation, by everybody, at every door, against the oracle.

Invariant: it is generated from what is served: an operation without a scene fails, and so does a
cell whose verdict is not the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import allotment
import allotment.operations
from access.book import Book, Who, crowd, plant
from access.scenes import Scene, scenes
from allotment import Address, LocalDesk, open_book
from allotment.client.remote_desk import RemoteDesk
from allotment.errors import (
    AllotmentError,
    Bug,
    Forbidden,
    InvalidValue,
    NotFound,
    StoreError,
    Unauthenticated,
)
from allotment.model.access import Actor, ActorKind
from allotment.model.commands import Batch, Command
from allotment.operations import registry
from live_server import LiveServer

Verdict = tuple[str, Any]  # the verdict, and the answer of what was let through
Door = Callable[["Play", Who, Any], Verdict]
CELLS_MIN = 2_000  # of one door, on one database


def library(play: Play, who: Who, request: Any) -> Verdict:
    """Ask the desk itself, as an embedding program does."""
    return verdict_of(play.book.desk, who, request)


def verdict_of(desk: LocalDesk, who: Who, request: Any) -> Verdict:
    """What a desk says to somebody."""
    actor = desk.authenticate(who.bearer) if who.bearer is not None else user(who)
    serve = desk.do if isinstance(request, Command) else desk.ask
    return judged(lambda: serve(request, actor))  # type: ignore[arg-type]


def rest(play: Play, who: Who, request: Any) -> Verdict:
    """Ask over HTTP, as the Python client does."""
    desk = play.over_http(who)
    serve = desk.do if isinstance(request, Command) else desk.ask
    return judged(lambda: serve(request, desk.actor))  # type: ignore[arg-type]


def user(who: Who) -> Actor:
    """Whom an identity provider knows."""
    return Actor(name=who.name, kind=ActorKind.USER, groups=who.groups)


def judged(ask: Callable[[], Any]) -> Verdict:
    """What became of a request: what is refused for what the book holds was let through."""
    try:
        return "allowed", ask()
    except Forbidden:
        return "forbidden", None
    except NotFound:
        return "unseen", None
    except (StoreError, Bug, InvalidValue, Unauthenticated):
        raise
    except AllotmentError:
        return "allowed", None


class Provider:
    """A doorkeeper that knows the users of the matrix, and shows API tokens to the desk."""

    def __init__(self, desk: LocalDesk) -> None:
        self._desk = desk
        self.users: dict[str, Actor] = {}

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        known = self.users.get(bearer)
        return known if known is not None else self._desk.authenticate(bearer, source)

    def recognise(self, bearer: str, source: Address | None) -> Actor | None:
        known = self.users.get(bearer)
        return known if known is not None else self._desk.recognise(bearer, source)


class Play:
    """A book, what is tried on it, and by whom; and the service of it, once it is asked for."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.scenes: list[Scene] = scenes(book)
        self.people: list[Who] = crowd(book)
        self._provider = Provider(book.desk)
        self._server: LiveServer | None = None
        self._remote: dict[str, RemoteDesk] = {}

    def over_http(self, who: Who) -> RemoteDesk:
        """The desk of somebody at the service."""
        if self._server is None:
            self._server = LiveServer(self.book.desk, doorkeeper=self._provider)
        if who.name not in self._remote:
            bearer = who.bearer
            if bearer is None:
                bearer = f"of-the-provider-{len(self._provider.users)}"
                self._provider.users[bearer] = user(who)
            self._remote[who.name] = allotment.connect(self._server.url, token=bearer)
        return self._remote[who.name]

    def close(self) -> None:
        """Close what was opened on the way."""
        for desk in self._remote.values():
            desk.close()
        if self._server is not None:
            self._server.close()


DOORS: dict[str, Door] = {"library": library, "rest": rest}


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="module"
)
def play(request: pytest.FixtureRequest) -> Iterator[Play]:
    """The matrix on a book of its own, once for each kind of database."""
    url, drop = "sqlite://", None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url, drop = server.create_database(), server.drop_database
    with open_book(url, create=True) as desk:
        made = Book(desk)
        plant(made)
        play = Play(made)
        yield play
        play.close()
    if drop is not None:
        drop(url)


def cells(played: list[Scene], people: list[Who], step: int) -> Iterator[tuple[Scene, Who]]:
    """Every scene by everybody, or by every so-many-th: in turn, so that nobody is left out."""
    for place, scene in enumerate(played):
        yield from ((scene, who) for who in people[place % step :: step])


def faults(play: Play, door: Door, played: Iterable[tuple[Scene, Who]]) -> Iterator[str]:
    """Every cell whose verdict is not the oracle's; mends what was let through."""
    for scene, who in played:
        wanted = play.book.policy(who).judge(scene.about)
        told, answer = door(play, who, scene.asked())
        if told != wanted:
            yield f"{scene.name} by {who.name}: {told}, and should be {wanted}"
        if answer is not None and scene.mend is not None:
            scene.mend(answer)


@pytest.mark.parametrize("door", DOORS)
def test_every_verdict_is_the_oracles(
    play: Play, door: str, record_property: Callable[[str, object], None]
) -> None:
    step = 1 if door == "library" and not play.book.desk.store.dialect.concurrent else 3
    played = list(cells(play.scenes, play.people, step))
    found = list(faults(play, DOORS[door], played))
    record_property("cells", len(played))
    print(f"{len(played)} cells at the door {door}")
    assert not found, f"{len(found)} of {len(played)}:\n" + "\n".join(found[:60])
    assert len(played) >= CELLS_MIN


def test_every_operation_that_is_served_has_a_scene(play: Play) -> None:
    commands, queries = registry.served()
    shown = {type(scene.asked()) for scene in play.scenes}
    assert shown >= commands | queries | {Batch}
