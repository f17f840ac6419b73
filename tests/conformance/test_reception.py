"""Who presents a token, at the desk itself: when it was used is known, however it was looked at."""

from __future__ import annotations

import time

import pytest

from allotment import LocalDesk, open_book
from allotment import reception as reception_module
from allotment.errors import InvalidValue
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.grants import CreateToken, GetToken


@pytest.fixture
def lasting_url(database_url: str) -> str:
    """A database that is still there when nobody is connected."""
    if database_url == "sqlite://":
        pytest.skip("a book in memory ends with its one connection")
    return database_url


def last_used(url: str, me: Actor) -> int | None:
    with open_book(url) as desk:
        return desk.ask(GetToken(token="ci"), me).last_used_at


def test_a_desk_that_closes_leaves_when_each_token_was_used(lasting_url: str, me: Actor) -> None:
    with open_book(lasting_url, create=True) as desk:
        bearer = desk.do(CreateToken(name="ci"), me).secret.reveal()
    assert last_used(lasting_url, me) is None
    before = int(time.time() * 1000)
    with open_book(lasting_url) as desk:
        desk.authenticate(bearer)
    used = last_used(lasting_url, me)
    assert used is not None
    assert before <= used <= int(time.time() * 1000)


def test_a_use_that_the_database_was_not_asked_about_counts(lasting_url: str, me: Actor) -> None:
    with open_book(lasting_url, create=True) as desk:
        bearer = desk.do(CreateToken(name="ci"), me).secret.reveal()
        desk.authenticate(bearer)
        time.sleep(0.05)
        between = int(time.time() * 1000)
        assert desk.recognise(bearer) is not None
    used = last_used(lasting_url, me)
    assert used is not None
    assert used >= between


def test_a_token_recognised_without_end_is_entered_in_time(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer = desk.do(CreateToken(name="ci"), me).secret.reveal()
    desk.authenticate(bearer)
    assert desk.recognise(bearer) is not None
    monkeypatch.setattr(reception_module, "USE_ENTERED_SECONDS", 0.0)
    assert desk.recognise(bearer) is None, "somebody has to come in by the door that enters it"
    desk.authenticate(bearer)
    assert desk.ask(GetToken(token="ci"), me).last_used_at is not None


def test_what_is_served_alone_is_not_answered_soon(desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(InvalidValue):
        desk.do_soon(CreateProject(name="p"), me, lambda _: None)
