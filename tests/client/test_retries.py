"""What a remote desk does when an answer does not come, or says: later."""

from __future__ import annotations

import time
from typing import Any

import pytest

import allotment
from allotment.client.patience import GRACE_SECONDS
from allotment.errors import (
    AddressTaken,
    Busy,
    CommitUnknown,
    DeadlineExceeded,
    IdempotencyMismatch,
    InvalidValue,
    Misconfigured,
    NotFound,
    RateLimited,
    StoreError,
    StoreUnavailable,
    Unauthenticated,
)
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, Batch, CreateProject
from allotment.model.events import ResolveOperation
from allotment.model.grants import CreateToken
from allotment.model.queries import GetProject, ListProjects
from allotment.model.results import Project
from scripted_server import Heard, ScriptedServer, closing, problem, reply, silence

PROJECT = {
    "id": "0b54a1de-3a54-4bb1-9f0a-8c8b6a8f0c11",
    "name": "p",
    "description": "",
    "created_at": 1,
    "version": 1,
}
NEW = CreateProject(name="p")
DONE = reply(200, {"key": "k", "state": "done", "answer": PROJECT})
NOT_DONE = reply(200, {"key": "k", "state": "not-done", "answer": None})
Desk = allotment.RemoteDesk


def keys(server: ScriptedServer) -> list[str | None]:
    return [heard.headers.get("idempotency-key") for heard in server.heard]


def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [silence, silence, reply(201, PROJECT)]
    assert desk.do(NEW, desk.actor).name == "p"
    first, *others = keys(server)
    assert first is not None
    assert first.startswith("client-")
    assert others == [first, first]


def test_every_command_has_a_key_of_its_own_and_the_callers_is_kept(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [reply(201, PROJECT)] * 3
    desk.do(NEW, desk.actor)
    desk.do(NEW, desk.actor)
    desk.do(CreateProject(name="p", idempotency_key="mine"), desk.actor)
    first, second, third = keys(server)
    assert first != second
    assert third == "mine"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_proxy_that_lost_the_server_proves_nothing(
    desk: Desk, server: ScriptedServer, status: int
) -> None:
    server.script = [reply(status, kind="text/html"), reply(201, PROJECT)]
    desk.do(NEW, desk.actor)
    assert len(set(keys(server))) == 1
    assert len(server.heard) == 2


@pytest.mark.parametrize(
    "command",
    [CreateToken(name="t"), Batch(commands=(NEW,) * 11), Batch(commands=(CreateToken(name="t"),))],
    ids=["a secret answer", "a long batch", "a batch with a secret answer"],
)
@pytest.mark.parametrize(
    "lost", [silence, reply(502, kind="text/html"), problem(503, "commit-unknown", retryable=True)]
)
def test_what_takes_no_key_is_never_sent_again_after_it_may_have_been_done(
    desk: Desk, server: ScriptedServer, command: Any, lost: Any
) -> None:
    server.script = [lost, reply(201, PROJECT)]
    with pytest.raises(CommitUnknown):
        desk.do(command, desk.actor)
    assert keys(server) == [None]


def test_what_takes_no_key_is_sent_again_when_the_server_says_that_nothing_was_done(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [problem(429, "rate-limited", retryable=True, facts={"who": "you"})] * 2
    server.script.append(reply(201, None))
    with pytest.raises(StoreError, match="not understood"):
        desk.do(CreateToken(name="t"), desk.actor)
    assert len(server.heard) == 3


def test_the_server_says_how_long_to_wait(desk: Desk, server: ScriptedServer) -> None:
    for later in (
        problem(429, "rate-limited", retryable=True, retry_after_ms=400),
        reply(503, {"code": "busy", "detail": "later", "retryable": True},
              kind="application/problem+json", Retry_After="1"),
    ):  # fmt: skip
        server.script = [later, reply(200, PROJECT)]
        start = time.monotonic()
        desk.ask(GetProject(project="p"), desk.actor)
        assert time.monotonic() - start >= 0.4


def test_a_wait_that_is_longer_than_the_time_left_is_not_begun(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [problem(429, "rate-limited", retryable=True, retry_after_ms=60_000)]
    start = time.monotonic()
    with pytest.raises(RateLimited):
        desk.do(NEW, desk.actor)
    assert time.monotonic() - start < 1


def test_what_will_not_change_is_not_asked_again(desk: Desk, server: ScriptedServer) -> None:
    refusals: list[tuple[Any, type[Exception]]] = [
        (problem(404, "not-found", facts={"what": "project"}), NotFound),
        (problem(401, "unauthenticated"), Unauthenticated),
        (problem(422, "idempotency-mismatch"), IdempotencyMismatch),
        (problem(504, "deadline-exceeded"), DeadlineExceeded),
        (reply(401, kind="text/html"), Unauthenticated),
        (reply(404, kind="text/html"), Misconfigured),
        (reply(302, Location="http://127.0.0.1:1/"), Misconfigured),
    ]
    for said, kind in refusals:
        server.heard.clear()
        server.script = [said, reply(201, PROJECT)]
        with pytest.raises(kind):
            desk.do(NEW, desk.actor)
        assert len(server.heard) == 1


def test_the_facts_of_an_error_come_along(desk: Desk, server: ScriptedServer) -> None:
    facts = {"address": "10.0.0.7", "subnet": "web"}
    server.script = [problem(409, "address-taken", facts=facts)]
    with pytest.raises(AddressTaken) as caught:
        desk.do(AllocateAddress(subnet="web"), desk.actor)
    assert caught.value.facts == facts


def unheard(server: ScriptedServer, and_then: Any) -> None:
    """Answers nothing until the operation is asked about, and then that."""

    def told(heard: Heard) -> bytes | None:
        answer: bytes | None = and_then(heard)
        return answer if "/v1/operations/" in heard.line else None

    server.script = [told] * 1000


def test_a_command_that_was_done_is_answered_at_the_end_of_the_time(
    desk: Desk, server: ScriptedServer
) -> None:
    unheard(server, DONE)
    assert desk.do(NEW, desk.actor).name == "p"
    key = keys(server)[0]
    assert server.heard[-1].line.startswith(f"GET /v1/operations/{key} ")
    assert sum("operations" in heard.line for heard in server.heard) == 1


def test_a_command_that_was_not_done_says_so_at_the_end_of_the_time(
    desk: Desk, server: ScriptedServer
) -> None:
    unheard(server, NOT_DONE)
    with pytest.raises(DeadlineExceeded, match="was not done"):
        desk.do(NEW, desk.actor)


def test_what_nobody_can_find_out_names_the_key(desk: Desk, server: ScriptedServer) -> None:
    unheard(server, problem(403, "forbidden"))
    with pytest.raises(CommitUnknown) as caught:
        desk.do(NEW, desk.actor)
    key = keys(server)[0]
    assert caught.value.facts["key"] == key
    assert str(key) in caught.value.message


def test_finding_out_is_part_of_the_time(desk: Desk, server: ScriptedServer) -> None:
    unheard(server, silence)
    start = time.monotonic()
    with pytest.raises(CommitUnknown):
        desk.do(NEW, desk.actor)
    assert any("operations" in heard.line for heard in server.heard)
    assert time.monotonic() - start < 2 + GRACE_SECONDS


def test_a_server_that_is_silent_to_the_end_is_not_asked_once_more(
    desk: Desk, server: ScriptedServer
) -> None:
    def stuck(_: Heard) -> bytes | None:
        time.sleep(4)
        return None

    server.script = [stuck] * 10
    start = time.monotonic()
    with pytest.raises(CommitUnknown) as caught:
        desk.do(NEW, desk.actor)
    assert time.monotonic() - start < 2 + GRACE_SECONDS + 0.5
    assert caught.value.facts["key"] == keys(server)[0]


def test_a_refusal_after_a_lost_attempt_is_believed_only_once_the_key_is_fenced(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [silence, problem(409, "already-exists"), DONE]
    assert desk.do(NEW, desk.actor) == desk_project(desk, server)
    server.script = [silence, problem(409, "address-taken"), NOT_DONE]
    with pytest.raises(AddressTaken):
        desk.do(AllocateAddress(subnet="web"), desk.actor)


def desk_project(desk: Desk, server: ScriptedServer) -> Project:
    server.script = [reply(200, PROJECT)]
    return desk.ask(GetProject(project="p"), desk.actor)


def test_a_query_is_asked_again_and_is_never_of_unknown_outcome(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [silence, problem(503, "busy", retryable=True), reply(200, PROJECT)]
    assert desk.ask(GetProject(project="p"), desk.actor).version == 1
    with pytest.raises(StoreUnavailable):
        desk.ask(GetProject(project="p"), desk.actor)
    with pytest.raises(StoreUnavailable):
        desk.do(ResolveOperation(key="k"), desk.actor)
    assert set(keys(server)) == {None}


def test_the_last_error_is_told_when_the_time_is_over(desk: Desk, server: ScriptedServer) -> None:
    server.script = [problem(503, "busy", retryable=True)] * 1000
    start = time.monotonic()
    with pytest.raises(Busy):
        desk.do(NEW, desk.actor)
    assert time.monotonic() - start < 3


def test_a_server_never_reached_is_given_up_soon_and_nothing_was_changed() -> None:
    with allotment.connect("http://127.0.0.1:1", token="t") as desk:
        start = time.monotonic()
        with pytest.raises(StoreUnavailable, match="nothing was changed"):
            desk.do(NEW, desk.actor)
        assert time.monotonic() - start < 5


def test_an_answer_that_is_none_is_an_error_of_the_store(
    desk: Desk, server: ScriptedServer
) -> None:
    server.script = [reply(200, {"items": [{"name": "half"}]})]
    with pytest.raises(StoreError, match="not understood"):
        desk.ask(ListProjects(), desk.actor)


def test_only_the_desks_own_actor_may_ask(desk: Desk, server: ScriptedServer) -> None:
    with pytest.raises(InvalidValue, match="actor"):
        desk.ask(ListProjects(), Actor(name="somebody"))
    with pytest.raises(InvalidValue, match="actor"):
        desk.do(NEW, allotment.local_owner())
    assert server.heard == []


def test_what_breaks_a_rule_is_refused_before_it_is_sent(
    desk: Desk, server: ScriptedServer
) -> None:
    with pytest.raises(InvalidValue, match="name"):
        desk.do(CreateProject(name=" p"), desk.actor)
    with pytest.raises(InvalidValue, match="commands are done"):
        desk.do(ListProjects(), desk.actor)  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="queries are asked"):
        desk.ask(NEW, desk.actor)  # type: ignore[arg-type]
    assert server.heard == []


@pytest.mark.parametrize("bytes_kept", [20, 45, 80, -1, -30])
def test_an_answer_that_was_cut_off_is_no_answer(
    desk: Desk, server: ScriptedServer, bytes_kept: int
) -> None:
    def cut(heard: Heard) -> bytes:
        whole = reply(201, PROJECT)(heard)
        assert whole is not None
        return whole[:bytes_kept]

    server.script = [closing(cut), reply(201, PROJECT)]
    assert desk.do(NEW, desk.actor).name == "p"
    assert len(set(keys(server))) == 1
    assert len(server.heard) == 2


def test_a_connection_is_used_again(desk: Desk, server: ScriptedServer) -> None:
    server.script = [reply(200, PROJECT)] * 5
    for _ in range(5):
        desk.ask(GetProject(project="p"), desk.actor)
    assert server.connections == 1


def test_a_closed_desk_says_so(desk: Desk) -> None:
    desk.close()
    with pytest.raises(Misconfigured, match="closed"):
        desk.ask(ListProjects(), desk.actor)
