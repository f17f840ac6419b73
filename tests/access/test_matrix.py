"""The matrix: every operation, by everybody, at every door, against the oracle.

Invariant: it is generated from what is served: an operation or a command of the command line
without a scene fails, and so does a cell whose verdict is not the oracle's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from access import lines
from access.book import Book, Who, plant
from access.doors import DOORS, EXITS, Door, Play
from access.oracle import Policy
from access.scenes import Scene, scenes
from access.terms import ALL, Grant
from allotment import open_book
from allotment.doors.cli.app import root
from allotment.model.commands import Batch
from allotment.operations import registry


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
    """Every cell that is not the oracle's; mends what was let through."""
    for scene, who in played:
        book, policy = play.book, play.book.policy(who)
        wanted = scene.judged(policy)
        told, answer = door.ask(play, who, scene.asked())
        if told != wanted:
            yield f"{scene.name} by {who.name}: {told}, and should be {wanted}"
        if answer is not None and scene.shows is not None:
            known = {*book.ids.values(), *book.tree}
            differs = (answer & known) ^ scene.shows(book, policy)
            if differs:
                yield f"{scene.name} by {who.name}: tells, or does not tell, of {sorted(differs)}"
        if answer is not None and scene.mend is not None:
            scene.mend(answer)


def check(play: Play, name: str, step: int) -> None:
    door = DOORS[name]
    played = list(cells(door.scenes(play), play.people, step))
    found = list(faults(play, door, played))
    print(f"{len(played)} cells at the door {name}")
    assert not found, f"{len(found)} of {len(played)}:\n" + "\n".join(found[:60])
    assert len(played) >= door.cells_min // step


@pytest.mark.parametrize("door", DOORS)
def test_every_verdict_is_the_oracles(play: Play, door: str) -> None:
    is_fast = not play.book.desk.store.dialect.concurrent
    check(play, door, DOORS[door].on_sqlite if is_fast else DOORS[door].on_postgresql)


@pytest.mark.long
@pytest.mark.parametrize("door", DOORS)
def test_every_verdict_of_every_cell_is_the_oracles(play: Play, door: str) -> None:
    check(play, door, 1)


def test_every_operation_that_is_served_has_a_scene(play: Play) -> None:
    commands, queries = registry.served()
    shown = {type(scene.asked()) for scene in play.scenes}
    assert shown >= commands | queries | {Batch}
    assert set(lines.SAID) == commands | queries, "and a line"


def test_every_command_of_the_command_line_has_a_cell(play: Play) -> None:
    every = set(lines.commands())
    played = DOORS["command line"].scenes(play)
    said = [scene.asked().words for scene in played]
    shown = {words for words in every if any(lines.begins(one, words) for one in said)}
    silent = {*lines.ASKS_NOBODY, *lines.AT_THE_BOOK_ONLY}
    assert every - shown == silent, "what is not said asks nobody, and it is known why"


def test_the_owner_of_a_book_at_hand_is_let_through_everywhere(tmp_path: Path) -> None:
    """The same lines in this process, on a book in a file, as whoever may write to it."""
    url, every = f"sqlite:///{tmp_path}/book.db", list(lines.commands())
    owner = Policy({}, (Grant("admin", ALL),))
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    with open_book(url) as desk:
        book = Book(desk)
        plant(book)
        policy = owner._replace(tree=book.tree)
        played = list(lines.lines(book, scenes(book)))
        played += [lines.only(list(words), played[0].about) for words in lines.AT_THE_BOOK_ONLY]
        seen: set[tuple[str, ...]] = {("login",)}  # that is to a server
        for scene in played:
            line = scene.asked()
            command = next(words for words in every if lines.begins(line.words, words))
            if command in seen:
                continue
            seen.add(command)
            words = ["--database", url, *line.words, "--output", "json"]
            done = CliRunner().invoke(root, words, env=home, input=line.input)
            verdict = EXITS[done.exit_code] if line.words != ["demo"] else "allowed"
            assert verdict == scene.judged(policy) == "allowed", (line.words, done.output)
            if done.exit_code == 0 and scene.mend is not None:
                scene.mend(line.answer(json.loads(done.stdout)))
    assert seen == {*every} - {*lines.ASKS_NOBODY}


def test_what_asks_nobody_asks_nobody(tmp_path: Path) -> None:
    """Without a book and without a server, those that were left out do as they do with one."""
    away = {"ALLOTMENT_SERVER": "http://127.0.0.1:9", "ALLOTMENT_TOKEN": "none"}
    for words in (["completion", "bash"], ["logout"]):
        done = CliRunner().invoke(root, words, env={**away, "XDG_CONFIG_HOME": str(tmp_path)})
        assert done.exit_code == 0, done.output
