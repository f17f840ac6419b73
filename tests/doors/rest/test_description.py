"""The service's description of itself is what is served."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from allotment.doors.rest import openapi
from allotment.doors.rest.app import _paths
from allotment.doors.rest.bodies import Body
from allotment.doors.rest.examples import body_example
from allotment.doors.rest.forms import body_type
from allotment.doors.rest.pages import PAGES
from allotment.model.routes import ROUTES, Route

SNAPSHOT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"
TOLD = openapi.description()
WITH_BODY = [route for route in ROUTES if route.has_body]


def name(route: Route) -> str:
    return f"{route.method} {route.path} {route.when or ''}"


def test_it_is_valid_openapi() -> None:
    validate(TOLD)
    assert TOLD["openapi"].startswith("3.1")


def test_the_committed_description_is_the_current_one() -> None:
    assert SNAPSHOT.read_bytes() == openapi.encoded(), "run docs/make_reference.py"


def test_exactly_what_is_served_is_described() -> None:
    described = {(method.upper(), path) for path, item in TOLD["paths"].items() for method in item}
    served = {(route.method, route.path) for route in ROUTES}
    served |= {("GET", page.path) for page in PAGES} | {("GET", "/healthz"), ("GET", "/readyz")}
    assert described == served
    for method, path in served - {("GET", "/healthz"), ("GET", "/readyz")}:
        assert _paths().find(method, re.sub(r"\{\w+\}", "x", path)).target


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_an_operation_says_all_there_is_to_know(route: Route) -> None:
    operation = TOLD["paths"][route.path][route.method.lower()]
    codes = set(operation["responses"])
    assert {str(route.success), "400", "401", "403", "429", "500", "503"} <= codes
    assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == set(route.in_path)
    assert all("example" in p or p["in"] == "header" for p in operation["parameters"])
    assert ("requestBody" in operation) == route.has_body
    fields = set(route.request.__struct_fields__) - {"idempotency_key"} - set(route.in_path)
    if not route.has_body:
        assert {p["name"] for p in operation["parameters"] if p["in"] == "query"} == fields
    else:
        body = TOLD["components"]["schemas"][f"{route.request.__name__}Body"]
        assert set(body["properties"]) == fields
        assert body["additionalProperties"] is False
    headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
    assert ("If-Match" in headers) == ({"412", "428"} <= codes)


def test_operations_have_names_of_their_own() -> None:
    names = [op["operationId"] for item in TOLD["paths"].values() for op in item.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("route", WITH_BODY, ids=name)
def test_the_example_of_a_body_is_taken_by_its_reader_and_its_schema(route: Route) -> None:
    example = body_example(route)
    Body(body_type(route)).read(json.dumps(example).encode())
    schema = {"$ref": f"#/components/schemas/{route.request.__name__}Body"}
    jsonschema.validate(example, schema | {"components": TOLD["components"]})


def test_answers_are_as_their_schemas_say(planned: Any) -> None:
    held = planned.made("/v1/subnets/office/allocations", {"mac": "02:00:5e:10:00:01"})
    asked = {
        "/v1/subnets/{subnet}": "/v1/subnets/office",
        "/v1/subnets": "/v1/subnets",
        "/v1/subnet-pools/{pool}": "/v1/subnet-pools/corp",
        "/v1/scopes": "/v1/scopes",
        "/v1/subnets/{subnet}/allocations": "/v1/subnets/office/allocations",
        "/v1/subnets/{subnet}/allocations/{address}": f"/v1/subnets/office/allocations/"
        f"{held['address']}",
        "/v1/usage": "/v1/usage",
        "/v1/tree": "/v1/tree",
        "/v1/free": "/v1/free?container=office&as_prefixes=true",
        "/v1/lookup": "/v1/lookup?address=10.1.0.2",
        "/v1/search": "/v1/search?text=off",
        "/v1/status": "/v1/status",
        "/v1/check": "/v1/check",
    }
    for path, url in asked.items():
        responses = TOLD["paths"][path]["get"]["responses"]
        schema = responses["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(planned.get(url).json(), schema | {"components": TOLD["components"]})
    problem = planned.refused(404, "GET", "/v1/subnets/none")
    schema = {"$ref": "#/components/schemas/Problem"}
    jsonschema.validate(problem, schema | {"components": TOLD["components"]})


class Reader(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_the_pages_load_nothing_and_run_nothing(still: Any) -> None:
    for path in ("/docs", "/problems", "/problems/overlap"):
        answer = still.get(path)
        reader = Reader()
        reader.feed(answer.text)
        assert not {"script", "link", "img", "iframe", "form"} & set(reader.tags)
        assert not [one for one, _ in reader.attributes if one.startswith("on") or one == "style"]
        links = [value for one, value in reader.attributes if one == "href"]
        assert all(link is not None and link[0] in "/#" for link in links)
        assert "style-src 'sha256-" in answer.headers["content-security-policy"]


def test_the_documentation_names_every_route_and_every_link_leads_somewhere(still: Any) -> None:
    text = still.get("/docs").text
    for route in ROUTES:
        assert f"<code>{route.method} {route.path}</code>" in text
    ids = set(re.findall(r'id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= ids


def test_the_description_is_served(still: Any) -> None:
    assert still.get("/openapi.json").json() == TOLD
