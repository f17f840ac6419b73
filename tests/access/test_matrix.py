"""The matrix: every operation, by everybody, at every door, against the oracle.

Invariant: it is generated from what is served: an operation without a scene fails, and so does a
cell whose verdict is not the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest

import allotment.operations  # noqa: F401 - registers every handler
from access.book import Book, Who, crowd, plant
from access.scenes import Scene, scenes
from allotment import open_book
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

Verdict = tuple[str, Any]  # the verdict, and the answer of what was let through
Door = Callable[[Book, Who, Any], Verdict]
CELLS_MIN = 2_000  # of one door, on one database


def library(book: Book, who: Who, request: Any) -> Verdict:
    """Ask the desk itself, as an embedding program does."""
    if who.bearer is not None:
        actor = book.desk.authenticate(who.bearer)
    else:
        actor = Actor(name=who.name, kind=ActorKind.USER, groups=who.groups)
    serve = book.desk.do if isinstance(request, Command) else book.desk.ask
    return judged(lambda: serve(request, actor))  # type: ignore[arg-type]


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


class Play(NamedTuple):
    """A book, what is tried on it, and by whom."""

    book: Book
    scenes: list[Scene]
    people: list[Who]


DOORS: dict[str, Door] = {"library": library}


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
        yield Play(made, scenes(made), crowd(made))
    if drop is not None:
        drop(url)


def cells(played: list[Scene], people: list[Who], step: int) -> Iterator[tuple[Scene, Who]]:
    """Every scene by everybody, or by every so-many-th: in turn, so that nobody is left out."""
    for place, scene in enumerate(played):
        yield from ((scene, who) for who in people[place % step :: step])


def faults(book: Book, door: Door, played: Iterable[tuple[Scene, Who]]) -> Iterator[str]:
    """Every cell whose verdict is not the oracle's; mends what was let through."""
    for scene, who in played:
        wanted = book.policy(who).judge(scene.about)
        told, answer = door(book, who, scene.asked())
        if told != wanted:
            yield f"{scene.name} by {who.name}: {told}, and should be {wanted}"
        if answer is not None and scene.mend is not None:
            scene.mend(answer)


@pytest.mark.parametrize("door", DOORS)
def test_every_verdict_is_the_oracles(
    play: Play, door: str, record_property: Callable[[str, object], None]
) -> None:
    step = 3 if play.book.desk.store.dialect.concurrent else 1
    played = list(cells(play.scenes, play.people, step))
    found = list(faults(play.book, DOORS[door], played))
    record_property("cells", len(played))
    print(f"{len(played)} cells at the door {door}")
    assert not found, f"{len(found)} of {len(played)}:\n" + "\n".join(found[:60])
    assert len(played) >= CELLS_MIN


def test_every_operation_that_is_served_has_a_scene(play: Play) -> None:
    commands, queries = registry.served()
    shown = {type(scene.asked()) for scene in play.scenes}
    assert shown >= commands | queries | {Batch}
