"""No secret is in what the book keeps, says or logs (A5): a canary is put there and looked for."""

from __future__ import annotations

import logging
import subprocess
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError
from allotment.model import wire
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, CreateAddressScope, CreateSubnet
from allotment.model.events import ListAudit, SealAudit, VerifyAudit
from allotment.model.grants import NewToken
from allotment.model.queries import GetStatus
from allotment.model.secret import MASK, Secret

CANARY = "canary-7Jq2yellowbird"  # no harm in it: it is looked for, and opens nothing


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that was logged by anybody, however unimportant."""
    caplog.set_level(logging.DEBUG)
    for name in ("sqlalchemy.engine", "sqlalchemy.pool", "psycopg", "psycopg.pool", "allotment"):
        caplog.set_level(logging.DEBUG, logger=name)
    return lambda: caplog.text


def shown(error: BaseException) -> str:
    """All that an error says: itself, its facts, and what caused it."""
    told = "".join(traceback.format_exception(error)) + repr(error)
    if isinstance(error, AllotmentError):
        told += repr(error.facts)
    return told


def appearance(desk: LocalDesk) -> str:
    """How a desk and its parts look in a debugger's or a log's hands."""
    parts = [desk, desk.store, desk.store.dialect, desk.store.dialect.engine]
    return "".join(repr(part) + str(part) for part in parts) + desk.store.dialect.shown


def in_its_place(url: str) -> str:
    return make_url(url).set(password=CANARY).render_as_string(hide_password=False)


def as_a_parameter(url: str) -> str:
    place = make_url(url).update_query_dict({"password": CANARY})
    return place.render_as_string(hide_password=False)


WithPassword = pytest.mark.parametrize("with_password", [in_its_place, as_a_parameter])


def test_the_canary_would_be_seen_where_it_is(said: Callable[[], str]) -> None:
    logging.getLogger("allotment").debug("with %s", CANARY)
    assert CANARY in said()
    assert CANARY in shown(ValueError(CANARY))


@WithPassword
def test_the_databases_password_is_nowhere(
    postgres_url: str,
    me: Actor,
    said: Callable[[], str],
    dump: Callable[[LocalDesk], Any],
    with_password: Callable[[str], str],
) -> None:
    with open_book(with_password(postgres_url)) as desk:
        desk.do(CreateAddressScope(name="blue"), me)
        desk.do(CreateSubnet(scope="blue", prefix=Prefix("10.0.0.0/30"), name="office"), me)
        desk.do(AllocateAddress(subnet="office", idempotency_key="k"), me)
        with pytest.raises(AllotmentError) as refused:
            desk.do(AllocateAddress(subnet="elsewhere"), me)
        desk.do(SealAudit(), me)
        told = [repr(desk.ask(query, me)) for query in (ListAudit(), VerifyAudit(), GetStatus())]
        told += [repr(dump(desk)), appearance(desk), shown(refused.value), said()]
    assert CANARY not in "".join(told)
    assert len(said()) > 100, "nothing was logged: nothing was looked at"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{CANARY}@127.0.0.1:9/book",
        f"postgresql://me:{CANARY}@localhost:9/book?connect_timeout=1",
        f"postgresql://me@127.0.0.1:9/book?password={CANARY}",
        f"mysql://me:{CANARY}@127.0.0.1/book",
        f"postgresql:/me:{CANARY}@127.0.0.1/book",
        f"me:{CANARY}@127.0.0.1/book",
        f"postgresql://me:{CANARY}@127.0.0.1:port/book",
        f"mysql://127.0.0.1/book?password={CANARY}",
        f"127.0.0.1/book?password={CANARY}",
    ],
)
def test_the_password_of_a_database_that_is_not_there_is_not_told(
    url: str, said: Callable[[], str]
) -> None:
    with pytest.raises(AllotmentError) as refused:
        open_book(url)
    error = refused.value
    assert CANARY not in error.message + repr(error) + repr(error.facts) + said()
    assert CANARY not in shown(error)


@WithPassword
def test_a_wrong_schema_is_told_without_the_password(
    blank_postgres_url: str, said: Callable[[], str], with_password: Callable[[str], str]
) -> None:
    with pytest.raises(AllotmentError) as refused:
        open_book(with_password(blank_postgres_url))
    assert CANARY not in shown(refused.value) + said()


def test_a_secret_is_stars_wherever_it_is_printed_or_encoded() -> None:
    secret = Secret(CANARY)
    fields = dict.fromkeys(NewToken.__struct_fields__)
    token = NewToken(**(fields | {"secret": secret}))
    for told in (repr(secret), str(secret), f"{secret!s:>60}", repr(token), repr([secret])):
        assert CANARY not in told
    assert CANARY.encode() not in wire.encode(secret)
    assert MASK.encode() in wire.encode(secret)
    assert CANARY.encode() in wire.encode_revealing(secret)


def test_the_audits_private_key_is_nowhere(
    tmp_path: Path, me: Actor, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    key = tmp_path / "key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    secret = key.read_text().splitlines()[1]
    monkeypatch.setenv("ALLOTMENT_AUDIT_KEY_FILE", str(key))
    with open_book("sqlite://") as desk:
        desk.do(CreateAddressScope(name="blue"), me)
        told = repr(desk.do(SealAudit(), me)) + appearance(desk) + repr(vars(desk.store)) + said()
    assert secret not in told
    key.write_text(f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n")
    with pytest.raises(AllotmentError) as refused:
        open_book("sqlite://")
    assert CANARY not in shown(refused.value) + said()
