"""Who presents a token, at the desk itself: when it was used is known, however it was looked at."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment import reception as reception_module
from allotment.engine import token_text
from allotment.engine.token_text import make
from allotment.errors import InvalidValue, Unauthenticated
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.events import ListAudit
from allotment.model.grants import CreateToken, GetToken, RevokeToken
from allotment.operations.gate import FRESH_SECONDS
from conformance.callers import waiting


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


def test_what_is_known_of_uses_is_entered_when_it_is_due_and_not_before(
    desk: LocalDesk, me: Actor
) -> None:
    """A write for each request would make of every query a change."""
    bearer = desk.do(CreateToken(name="ci"), me).secret.reveal()
    desk.authenticate(bearer)
    assert desk.ask(GetToken(token="ci"), me).last_used_at is None
    desk._reception._used_entered_at -= reception_module.USE_ENTERED_SECONDS
    desk.authenticate(bearer)
    entered = desk.ask(GetToken(token="ci"), me).last_used_at
    assert entered is not None
    desk.authenticate(bearer)
    assert desk.ask(GetToken(token="ci"), me).last_used_at == entered


@contextmanager
def locked_for_a_moment(url: str, *tables: str) -> Iterator[None]:
    """Another session has these tables to itself, until a lock has been waited for."""
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        other.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        freed = pool.submit(lambda: (waiting(url), other.rollback()))
        yield
        freed.result()


def test_a_token_is_looked_up_though_others_are_at_work(
    postgres_desk: LocalDesk, me: Actor, postgres_url: str
) -> None:
    bearer = postgres_desk.do(CreateToken(name="ci"), me).secret.reveal()
    with open_book(postgres_url) as desk, locked_for_a_moment(postgres_url, "token"):
        assert desk.authenticate(bearer).name == "token:ci"


def test_uses_are_entered_though_others_are_at_work(
    postgres_desk: LocalDesk, me: Actor, postgres_url: str
) -> None:
    bearer = postgres_desk.do(CreateToken(name="ci"), me).secret.reveal()
    postgres_desk.authenticate(bearer)
    with locked_for_a_moment(postgres_url, "token"):
        postgres_desk._reception.enter_uses()
    assert postgres_desk.ask(GetToken(token="ci"), me).last_used_at is not None


def test_a_stranger_is_noted_though_others_are_at_work(
    postgres_desk: LocalDesk, me: Actor, postgres_url: str
) -> None:
    with locked_for_a_moment(postgres_url, "event"), pytest.raises(Unauthenticated):
        postgres_desk.authenticate("nonsense")
    assert len(postgres_desk.ask(ListAudit(outcome="unauthenticated"), me).items) == 1


def test_what_is_served_alone_is_not_answered_soon(desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(InvalidValue):
        desk.do_soon(CreateProject(name="p"), me, lambda _: None)


def with_another_secret(bearer: str) -> str:
    """A token of the same key id, whose check fits."""
    number = 0
    for digit in bearer.split("_")[1]:
        number = number * 62 + token_text._DIGITS.index(digit)
    other = make((number * 62**token_text.SECRET_LENGTH + 1).to_bytes(48, "big"))
    assert other.text.split("_")[1] == bearer.split("_")[1]
    return other.text


@pytest.mark.parametrize("seen", [False, True], ids=["unknown", "remembered"])
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no token", "the token"),
        ("of another book", "the token is not known"),
        ("with another secret", "the token is not known"),
        ("revoked", "the token was revoked, or its time is over"),
        ("expired", "the token was revoked, or its time is over"),
        ("from elsewhere", "the token is not valid from this address"),
        ("from nowhere", "the token is not valid from this address"),
    ],
)
def test_a_token_that_is_not_valid_is_refused_and_noted_without_its_secret(
    desk: LocalDesk, me: Actor, case: str, reason: str, seen: bool
) -> None:
    command = CreateToken(name="ci", lifetime_seconds=3600, sources=(Prefix("192.0.2.0/24"),))
    bearer, source = desk.do(command, me).secret.reveal(), Address("192.0.2.7")
    if seen:
        actor = desk.authenticate(bearer, source)
        assert (actor.name, actor.source) == ("token:ci", "192.0.2.7")
        assert desk.recognise(bearer, source) is not None
    now = desk.store.clock()
    match case:
        case "no token":
            bearer = bearer[:-1]
        case "of another book":
            bearer = make(bytes(range(48))).text
        case "with another secret":
            bearer = with_another_secret(bearer)
        case "revoked":
            desk.do(RevokeToken(token="ci"), me)
        case "expired":
            desk.store.clock = lambda: now + 3_600_001
        case _:
            source = Address("198.51.100.7") if case == "from elsewhere" else None  # type: ignore[assignment]
    if seen and case == "revoked":
        time.sleep(FRESH_SECONDS)
    assert desk.recognise(bearer, source) is None
    with pytest.raises(Unauthenticated) as refused:
        desk.authenticate(bearer, source)
    assert str(refused.value.facts["reason"]).startswith(reason)
    (noted,) = desk.ask(ListAudit(outcome="unauthenticated"), me).items
    assert (noted.actor, noted.source) == ("stranger", str(source) if source else None)
    said = json.loads(bytes(noted.command))
    assert said["key_id"] == (None if case == "no token" else bearer.split("_")[1])
    assert bearer.split("_")[2] not in f"{noted} {refused.value}"


def test_of_a_flood_of_strangers_some_are_noted(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception_module, "STRANGERS_NOTED_SECONDS", 600.0)
    desk._reception._stranger_noted_at = -math.inf
    for _ in range(20):
        with pytest.raises(Unauthenticated):
            desk.authenticate("nonsense")
    assert len(desk.ask(ListAudit(outcome="unauthenticated"), me).items) == 1


def test_what_is_kept_of_tokens_is_bounded_and_each_is_known_again(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.gate._KEPT_MAX", 1)
    bearers = {name: desk.do(CreateToken(name=name), me).secret.reveal() for name in "abc"}
    for _ in range(2):
        for name, bearer in bearers.items():
            assert desk.authenticate(bearer).name == f"token:{name}"
    assert len(desk._gate._known.tokens) == 1
