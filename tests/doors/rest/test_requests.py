"""What a request may say, and how it is understood."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

HELD = "/v1/subnets/office/allocations"


def test_an_address_is_allocated_read_changed_and_released(planned: Any) -> None:
    answer = planned.ask("POST", HELD, json={"hostname": "web-1"})
    assert answer.status_code == 201
    held = answer.json()
    assert (held["address"], held["hostname"]) == ("10.1.0.2", "web-1")
    where = answer.headers["location"]
    assert where == f"{HELD}/10.1.0.2"
    assert planned.get(where).json() == held
    changed = planned.ask("PATCH", where, json={"hostname": None})
    assert changed.json()["hostname"] is None
    assert planned.ask("DELETE", where, params={"allocation_id": held["id"]}).status_code == 200
    assert planned.refused(404, "GET", where)["code"] == "not-found"


def test_a_count_in_the_body_asks_for_many(planned: Any) -> None:
    answer = planned.ask("POST", HELD, json={"count": 3})
    assert answer.status_code == 201
    assert len(planned.get(HELD).json()["items"]) == 3


@pytest.mark.parametrize("body", ['{"hostname": "count"}', '{"tags": ["\\"count\\": 1"]}'])
def test_the_word_count_elsewhere_asks_for_one(planned: Any, body: str) -> None:
    headers = {"content-type": "application/json"}
    answer = planned.ask("POST", HELD, content=body, headers=headers)
    assert "address" in answer.json()


def test_a_slash_inside_a_segment_is_part_of_the_reference(planned: Any) -> None:
    subnet = planned.get(f"/v1/subnets/{quote('10.1.0.0/24', safe='')}").json()
    assert subnet["name"] == "office"
    assert planned.ask("POST", "/v1/subnets/10.1.0.0%2F24/allocations", json={}).is_success
    held = planned.made("/v1/subnet-pools/corp/allocations", {"length": 26})
    gone = f"/v1/subnet-pools/corp/allocations/{quote(held['prefix'], safe='')}"
    assert planned.ask("DELETE", gone).is_success


def test_a_slash_outside_a_segment_is_a_border(still: Any) -> None:
    assert still.refused(404, "GET", "/v1/subnets/10.1.0.0/24")["code"] == "no-such-path"


@pytest.mark.parametrize(
    "path",
    [
        "//v1/subnets", "/v1//subnets", "/v1/subnets/", "/v1/subnets//", "/v1/./subnets",
        "/v1/../v1/subnets", "/v1/subnets/office/../office", "/", "", "/V1/subnets",
        "/v1/subnets%2Foffice", "/v1%2Fsubnets", "/v1/subnets/office/allocation-pools/x/y",
        "/healthz/", "/problems/no-such-code", "/healthz/..", "/docs/",
    ],
)  # fmt: skip
def test_a_path_has_one_spelling(still: Any, path: str) -> None:
    scope_path = path or "/"
    found = raw(still, "GET", scope_path)
    assert found["status"] == 404
    assert found["code"] == "no-such-path"


@pytest.mark.parametrize(
    "path",
    ["/v1/subnets/%00", "/v1/subnets/%ff", "/v1/subnets/%", "/v1/subnets/%2", "/v1/subnets/%zz",
     "/v1/subnets/a b", "/v1/subnets/\x00", "/v1/subnets/é", "/v1/subnets/%0a",
     "/v1/subnets/" + "a" * 301],
)  # fmt: skip
def test_a_segment_that_is_no_reference_is_refused(still: Any, path: str) -> None:
    assert raw(still, "GET", path)["code"] == "invalid-value"


def test_an_overlong_path_or_header_is_refused(still: Any) -> None:
    assert raw(still, "GET", "/v1/subnets/" + "a" * 20_000)["code"] == "headers-too-large"
    long = {"x-anything": "a" * 20_000}
    assert still.refused(431, "GET", "/v1/subnets", headers=long)["code"] == "headers-too-large"
    many = {f"x-{number}": "a" for number in range(200)}
    assert still.refused(431, "GET", "/v1/subnets", headers=many)["code"] == "headers-too-large"


def raw(house: Any, method: str, path: str, query: str = "", body: bytes = b"") -> Any:
    """The problem that a request meets whose path no client library would send."""
    import json

    sent: list[Any] = []
    scope = {
        "type": "http", "method": method, "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"), "client": ("192.0.2.7", 1),
        "headers": [(b"authorization", b"Bearer owner-token")],
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    house.portal.call(house.door, scope, receive, send)
    problem = json.loads(sent[1]["body"])
    assert sent[0]["status"] == problem["status"]
    return problem


@pytest.mark.parametrize("path", ["/v1/subnets", "/v1/subnets/office", "/healthz", "/docs"])
def test_a_method_that_is_not_served_is_told_with_those_that_are(still: Any, path: str) -> None:
    for method in ("PUT", "OPTIONS", "TRACE", "BREW"):
        answer = still.ask(method, path)
        assert answer.status_code == 405
        assert "GET" in answer.headers["allow"]


REFUSED_BODIES = [
    ('{"adress": "10.1.0.9"}', "/adress", "there is no such field"),
    ('{"address": "10.1.0.009"}', "/address", ""),
    ('{"address": 7}', "/address", ""),
    ('{"hostname": 7}', "/hostname", "Expected `str | null`, got `int`"),
    ('{"tags": ["a", "b,c"]}', "/tags/1", "a comma separates tags"),
    ('{"tags": ["a", 7]}', "/tags/1", "Expected `str`, got `int`"),
    ('{"fallbacks": "web"}', "/fallbacks", "Expected `array`, got `str`"),
    ('{"count": 0}', "/count", "must be from 1"),
    ('{"count": 1.5}', "/count", "Expected `int`"),
    ('{"count": true}', "/count", "Expected `int`"),
    ('{"count": "1"}', "/count", "Expected `int`"),
    ('{"count": 1, "address": "10.1.0.9"}', "/address", "there is no such field"),
    ('{"status": "gone"}', "/status", "Invalid enum value"),
    ('{"hostname": "a", "hostname": "b"}', "", "is there twice"),
    ('{"subnet": "office"}', "/subnet", "there is no such field"),
    ('{"idempotency_key": "k"}', "/idempotency_key", "there is no such field"),
    ('{"do": "AllocateAddress"}', "/do", "there is no such field"),
    ('{"hostname": "a"', "", "it must be JSON, in UTF-8"),
    ('{"hostname": "\\ud800"}', "", "it must be JSON, in UTF-8"),
    ("[]", "", "Expected `object`, got `array`"),
    ("null", "", "Expected `object`, got `null`"),
    ('{"hostname": NaN}', "", "it must be JSON, in UTF-8"),
    ('{"x": ' + "[" * 33 + "]" * 33 + "}", "", "nested 32 deep"),
    ('{"x": ' + "[" * 100_000, "", "nested 32 deep"),
    ("{" + ", ".join(f'"x{n}": 1' for n in range(1001)) + "}", "", "may have 1000 members"),
]


@pytest.mark.parametrize(("body", "pointer", "rule"), REFUSED_BODIES, ids=lambda one: one[:40])
def test_a_body_is_refused_with_the_place_and_the_rule(
    still: Any, body: str, pointer: str, rule: str
) -> None:
    headers = {"content-type": "application/json"}
    problem = still.refused(400, "POST", HELD, content=body, headers=headers)
    assert problem["code"] == "invalid-value"
    (wrong,) = problem["errors"]
    assert wrong["pointer"] == pointer
    assert rule in wrong["rule"]
    assert still.get(HELD).json()["items"] == []


def test_broken_utf_8_is_refused(still: Any) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"description": "\xff"}'
    assert still.refused(400, "POST", HELD, content=body, headers=headers)["errors"]


def test_a_range_is_pointed_at_by_its_place(still: Any) -> None:
    body = {"ranges": ["10.1.0.9-10.1.0.5"]}
    path = "/v1/subnets/office/allocation-pools"
    problem = still.refused(400, "PUT", path, json=body, headers={"if-match": "*"})
    assert problem["errors"][0]["pointer"] == "/ranges/0"


def test_a_part_of_a_batch_is_pointed_at(planned: Any) -> None:
    parts = [{"do": "CreateProject", "name": "a"}, {"do": "CreateProject", "name": " b"}]
    problem = planned.refused(400, "POST", "/v1/batches", json={"commands": parts})
    assert problem["errors"][0]["pointer"] == "/commands/1/name"
    parts[1] = {"do": "Format", "disk": "c"}
    problem = planned.refused(400, "POST", "/v1/batches", json={"commands": parts})
    assert problem["errors"][0]["pointer"] == "/commands/1/do"
    parts[1] = {"do": "AllocateAddress", "subnet": "office", "address": "10.1.0.01"}
    problem = planned.refused(400, "POST", "/v1/batches", json={"commands": parts})
    assert problem["errors"][0]["pointer"] == "/commands/1/address"
    assert planned.get("/v1/projects").json()["items"] == []


def test_a_batch_is_done_in_one(planned: Any) -> None:
    parts = [
        {"do": "CreateProject", "name": "payments"},
        {"do": "AllocateAddress", "subnet": "office", "owner": "payments"},
    ]
    answer = planned.ask("POST", "/v1/batches", json={"commands": parts})
    assert answer.status_code == 200
    assert [one.get("name") or one.get("address") for one in answer.json()] == [
        "payments",
        "10.1.0.2",
    ]


@pytest.mark.parametrize("hidden", ["Batch", "CreateToken", "ResolveOperation", "SealAudit"])
def test_what_cannot_be_part_of_a_batch_is_refused(still: Any, hidden: str) -> None:
    parts = [{"do": hidden, "commands": [], "name": "a", "key": "a"}]
    problem = still.refused(400, "POST", "/v1/batches", json={"commands": parts})
    assert problem["errors"][0]["pointer"] == "/commands/0/do"


@pytest.mark.parametrize(
    ("query", "parameter", "rule"),
    [
        ("nothing=1", "nothing", "there is no such parameter"),
        ("scope=blue&scope=blue", "scope", "give it once"),
        ("limit=x", "limit", "whole number"),
        ("limit=%2B1", "limit", "whole number"),
        ("limit=01", "limit", "whole number"),
        ("limit=%D9%A1", "limit", "whole number"),
        ("limit=0", "limit", "from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("within=10.1.0.1/24", "within", ""),
        ("cursor=abc", "cursor", "take it from `next`"),
        ("limit", "query string", ""),
        ("scope=%zz", "query string", ""),
        ("scope=%ff", "query string", ""),
        ("ask=ListSubnets", "ask", "there is no such parameter"),
    ],
)
def test_a_parameter_is_refused_with_its_name_and_the_rule(
    still: Any, query: str, parameter: str, rule: str
) -> None:
    problem = still.refused(400, "GET", f"/v1/subnets?{query}")
    (wrong,) = problem["errors"]
    assert wrong["parameter"] == parameter
    assert rule in wrong["rule"]


@pytest.mark.parametrize("text", ["1", "True", "yes", ""])
def test_a_truth_is_true_or_false(still: Any, text: str) -> None:
    problem = still.refused(400, "GET", f"/v1/free?container=office&as_prefixes={text}")
    assert problem["errors"][0]["rule"] == "must be true or false"
    assert still.get("/v1/free?container=office&as_prefixes=true").is_success


def test_a_parameter_given_several_times_is_a_list_where_it_may_be(still: Any) -> None:
    uses = still.get("/v1/usage?containers=office&containers=corp&scope=blue").json()["items"]
    assert [use["name"] for use in uses] == ["office", "corp"]


def test_a_parameter_that_is_missing_is_named(still: Any) -> None:
    problem = still.refused(400, "GET", "/v1/search")
    assert problem["errors"][0] == {
        "parameter": "text", "field": "text", "value": "'(none)'", "rule": "it is required",
    }  # fmt: skip


def test_a_plus_and_a_blank_are_told_apart(planned: Any) -> None:
    for name in ("a+b", "a b"):
        planned.made(HELD, {"identifier": name})
    for text, name in (("a%2Bb", "a+b"), ("a+b", "a b"), ("a%20b", "a b")):
        found = planned.get(f"/v1/allocations?identifier={text}").json()["items"]
        assert [one["identifier"] for one in found] == [name]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_plain_json_is_refused(still: Any, headers: dict[str, str]) -> None:
    problem = still.refused(415, "POST", HELD, content=b"{}", headers=headers)
    assert problem["code"] == "unsupported-media-type"


def test_a_body_without_a_type_is_refused_and_no_body_is_an_empty_one(planned: Any) -> None:
    assert planned.refused(415, "POST", HELD, content=b"{}")
    assert planned.ask("POST", HELD).status_code == 201


def test_a_query_has_no_body_and_a_command_no_query_string(still: Any) -> None:
    assert still.refused(400, "GET", "/v1/subnets", content=b"{}")["errors"][0]["pointer"] == ""
    problem = still.refused(400, "POST", f"{HELD}?hostname=a", json={})
    assert problem["errors"][0]["parameter"] == "query string"


def test_a_large_body_is_refused_before_it_is_read_and_while_it_is(still: Any) -> None:
    body = b'{"description": "' + b"a" * (1 << 20) + b'"}'
    headers = {"content-type": "application/json"}
    assert still.refused(413, "POST", HELD, content=body, headers=headers)["code"] == "too-large"

    async def parts() -> Any:
        for _ in range(20):
            yield body[:100_000]

    headers["transfer-encoding"] = "chunked"
    assert still.refused(413, "POST", HELD, content=parts(), headers=headers)


def test_a_batch_may_be_larger(planned: Any) -> None:
    parts = [
        {"do": "CreateProject", "name": f"p{n}", "description": "d" * 4000} for n in range(300)
    ]
    assert planned.ask("POST", "/v1/batches", json={"commands": parts}).is_success


def test_a_header_given_twice_is_refused(still: Any) -> None:
    twice = [("if-match", '"1"'), ("if-match", '"2"')]
    problem = still.refused(400, "PATCH", "/v1/subnets/office", json={}, headers=twice)
    assert problem["errors"][0]["header"] == "if-match"
