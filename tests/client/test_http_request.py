"""A command as the HTTP request that stands for it: path, query string, headers, body."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from allotment.client.http_request import http_request
from allotment.model import commands as c
from allotment.model import grants as g
from allotment.model import queries as q
from allotment.model.address import parse_address
from allotment.model.answers import Request
from allotment.model.events import ResolveOperation, VerifyAudit
from allotment.model.prefix import parse_prefix
from allotment.model.results import Status

HOST = parse_address("10.0.0.7")
NET = parse_prefix("10.0.0.0/24")


def sent(request: Request) -> tuple[str, str, Any]:
    made = http_request(request)
    return made.method, made.target, None if made.body is None else json.loads(made.body)


PAIR = (c.CreateProject(name="p"), c.ReleaseAddress(subnet="w", address=HOST))
PAIR_SENT = [
    {"do": "CreateProject", "name": "p"},
    {"do": "ReleaseAddress", "subnet": "w", "address": "10.0.0.7"},
]
HELD = "/v1/subnets/web/allocations"
LOOKS: list[tuple[Request, str]] = [
    (q.ListProjects(), "/v1/projects"),
    (q.ListProjects(limit=7), "/v1/projects?limit=7"),
    (q.GetSubnet(subnet="10.0.0.0/24"), "/v1/subnets/10.0.0.0%2F24"),
    (q.GetSubnet(subnet="a b?c#d", scope="é"), "/v1/subnets/a%20b%3Fc%23d?scope=%C3%A9"),
    (q.GetProject(project=".."), "/v1/projects/%2E%2E"),
    (q.GetProject(project="100%"), "/v1/projects/100%25"),
    (q.GetAllocation(subnet="web", address=HOST), f"{HELD}/10.0.0.7"),
    (q.ListFree(container="w", as_prefixes=True), "/v1/free?container=w&as_prefixes=true"),
    (q.GetUtilisation(containers=("a", "b")), "/v1/usage?containers=a&containers=b"),
    (q.ListAllocations(status=Status.RESERVED), "/v1/allocations?status=reserved"),
    (q.ListAllocations(within=NET), "/v1/allocations?within=10.0.0.0%2F24"),
    (ResolveOperation(key="a/b"), "/v1/operations/a%2Fb"),
]
CHANGES: list[tuple[Request, str, Any]] = [
    (c.AllocateAddress(subnet="web"), f"POST {HELD}", {}),
    (c.AllocateAddress(subnet="web", address=HOST), f"POST {HELD}", {"address": "10.0.0.7"}),
    (c.AllocateAddress(subnet="web", tags=("x",)), f"POST {HELD}", {"tags": ["x"]}),
    (c.AllocateAddresses(subnet="web", count=3), f"POST {HELD}", {"count": 3}),
    (c.UpdateAddressScope(scope="s", project=None), "PATCH /v1/scopes/s", {"project": None}),
    (
        c.UpdateAllocationPools(subnet="web", ranges=()),
        "PUT /v1/subnets/web/allocation-pools",
        {"ranges": []},
    ),
    (g.SetQuota(project="p", addresses=None), "PATCH /v1/projects/p/quota", {"addresses": None}),
    (VerifyAudit(), "POST /v1/audit/verify", {}),
    (c.Batch(commands=PAIR), "POST /v1/batches", {"commands": PAIR_SENT}),
    (c.DeleteSubnet(subnet="web", cascade=True), "DELETE /v1/subnets/web?cascade=true", None),
]


@pytest.mark.parametrize(("query", "target"), LOOKS)
def test_a_question_names_its_fields_once_and_nothing_that_is_as_usual(
    query: Request, target: str
) -> None:
    assert sent(query) == ("GET", target, None)


@pytest.mark.parametrize(("command", "line", "body"), CHANGES)
def test_a_change_names_its_fields_once_and_nothing_that_is_as_usual(
    command: Request, line: str, body: Any
) -> None:
    method, target, document = sent(command)
    assert (f"{method} {target}", document) == (line, body)


def test_a_key_and_a_version_travel_in_headers() -> None:
    made = http_request(c.UpdateProject(project="p", name="q", version=3, idempotency_key="k"))
    assert made.headers["Idempotency-Key"] == "k"
    assert made.headers["If-Match"] == '"3"'
    assert json.loads(made.body or b"") == {"name": "q"}


def test_an_update_without_a_version_says_that_any_will_do() -> None:
    assert http_request(c.UpdateProject(project="p", name="q")).headers["If-Match"] == "*"
    for other in (c.CreateProject(name="p"), g.SetQuota(project="p", addresses=1)):
        assert "If-Match" not in http_request(other).headers


@pytest.mark.parametrize("text", ["..", ".", "a/../b", "%2e", "a;b", "ü/ñ", "\\", "x y"])
def test_a_reference_is_one_segment_whatever_is_in_it(text: str) -> None:
    target = http_request(q.GetProject(project=text)).target
    *_, segment = target.split("/")
    assert unquote(segment) == text
    assert target.count("/") == 3
    assert segment not in (".", "..")
