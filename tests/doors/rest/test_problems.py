"""Every error has a status, a page, and an answer that gives nothing away."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from allotment import errors
from allotment.doors.rest import problems
from allotment.errors import AllotmentError, InvalidValue, Kind, StoreError

EVERY = list(problems.every_error())
STATUSES = {
    "address-taken": 409, "already-exists": 409, "ambiguous": 400, "bug": 500, "busy": 503,
    "commit-unknown": 503, "constraint-failed": 409, "deadline-exceeded": 504, "deadlock": 503,
    "forbidden": 403, "headers-too-large": 431, "idempotency-mismatch": 422,
    "identifier-taken": 409, "in-use": 409, "invalid-value": 400, "method-not-allowed": 405,
    "misconfigured": 503, "no-such-path": 404, "not-found": 404, "not-primary": 503,
    "operation-fenced": 409, "overlap": 409, "overloaded": 503, "pool-exhausted": 409,
    "quota-exceeded": 409, "rate-limited": 429, "request-timeout": 408, "schema-mismatch": 503,
    "serialization": 503, "stale-allocation": 409, "store-corrupt": 503, "store-error": 500,
    "store-full": 507, "store-unavailable": 503, "too-large": 413, "unauthenticated": 401,
    "unexpected": 500, "unsupported-media-type": 415, "version-mismatch": 412,
    "version-required": 428,
}  # fmt: skip


def below(kind: type[AllotmentError]) -> set[type[AllotmentError]]:
    return {kind}.union(*(below(child) for child in kind.__subclasses__()))


def test_the_table_of_statuses_is_total() -> None:
    assert {kind.code: problems.status_of(kind) for kind in EVERY} == STATUSES
    assert set(problems.STATUS_OF_KIND) == set(get_args(Kind))
    rooms = ("allotment.errors", "allotment.doors.rest")
    assert set(EVERY) == {
        kind for kind in below(AllotmentError) if kind.__module__.startswith(rooms)
    }


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.code)
def test_every_error_has_a_page(still: Any, kind: type[AllotmentError]) -> None:
    answer = still.get(f"/problems/{kind.code}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert str(problems.status_of(kind)) in answer.text
    assert f"/problems/{kind.code}" in still.get("/problems").text


@pytest.mark.parametrize("kind", [k for k in EVERY if issubclass(k, StoreError)])
def test_a_drivers_words_are_not_passed_on(kind: type[StoreError]) -> None:
    words = "FATAL: password authentication failed for user postgres at 10.0.0.5"
    error = kind(words)
    answer = problems.refusal(error, "/v1/subnets", "r")
    problem = json.loads(answer.body)
    assert "postgres" not in answer.body.decode()
    assert problem["detail"] == problems.summary_of(kind)
    if answer.status == 503:
        assert dict(answer.headers)[b"retry-after"]
        assert ("retry_after_ms" in problem) == kind.retryable


def test_facts_are_told_and_places_are_not_among_them() -> None:
    error = errors.PoolExhausted("office", "3 addresses", 1, "widen its pools")
    problem = json.loads(problems.refusal(error, "/v1/x", "r").body)
    assert problem["facts"]["free"] == 1
    assert problem["facts"]["wanted"] == "3 addresses"
    wrong = InvalidValue("ranges", "x", "no")
    wrong.facts["pointer"] = "/ranges/0"
    problem = json.loads(problems.refusal(wrong, "/v1/x", "r").body)
    assert "pointer" not in problem["facts"]
    assert problem["errors"] == [
        {"pointer": "/ranges/0", "field": "ranges", "value": "'x'", "rule": "no"}
    ]


def test_errors_of_the_book_come_through_with_their_status(planned: Any) -> None:
    held = "/v1/subnets/office/allocations"
    planned.made(held, {"address": "10.1.0.9"})
    assert planned.refused(409, "POST", held, json={"address": "10.1.0.9"})["code"] == (
        "address-taken"
    )
    full = planned.refused(409, "POST", held, json={"count": 300})
    assert (full["code"], full["facts"]["free"]) == ("pool-exhausted", 252)
    assert planned.refused(409, "DELETE", "/v1/subnets/office")["code"] == "in-use"
    body = {"scope": "blue", "prefix": "10.1.0.0/25"}
    assert planned.refused(409, "POST", "/v1/subnets", json=body)["code"] == "overlap"
    planned.made("/v1/scopes", {"name": "red"})
    planned.made("/v1/subnets", {"scope": "red", "prefix": "10.1.0.0/24", "name": "office"})
    assert planned.refused(400, "GET", "/v1/subnets/office")["code"] == "ambiguous"
    assert planned.get("/v1/subnets/office?scope=red").json()["scope"] == "red"
