"""The contract of server and client: each request has a route, and nothing has two meanings."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from allotment.model.commands import Command
from allotment.model.queries import Query
from allotment.model.routes import ROUTES, Route, by_request

REQUESTS = [
    kind
    for root in (Command, Query)
    for kind in root.__subclasses__()
    if kind.__module__.startswith("allotment.")
]


def name(value: object) -> str:
    return f"{value.method} {value.path}" if isinstance(value, Route) else str(value)


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_every_command_and_query_has_a_route_and_the_first_stands_for_all_of_it(
    kind: type,
) -> None:
    """A client takes the first: it must not be one that sends a part of the answer."""
    first, *others = by_request()[kind]
    assert first.part is None
    assert all(other.request is kind for other in others)


def test_there_is_a_route_for_requests_only() -> None:
    assert set(by_request()) == set(REQUESTS)


def test_no_two_routes_are_the_same_whatever_their_fields_are_called() -> None:
    met = Counter((one.method, re.sub(r"\{\w+\}", "{}", one.path), one.when) for one in ROUTES)
    assert [place for place, count in met.items() if count > 1] == []


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_what_a_route_names_its_request_has(route: Route) -> None:
    fields = set(route.request.__struct_fields__)
    named = [*route.in_path, *([route.when] if route.when else ())]
    assert len(set(named)) == len(named)
    assert set(named) <= fields
    assert route.path.count("{") == len(route.in_path), "each is one whole segment"
    for segment in route.path.split("/"):
        assert re.fullmatch(r"|[a-z0-9-]+|\{\w+\}", segment)


@pytest.mark.parametrize("route", [one for one in ROUTES if one.when], ids=name)
def test_a_route_for_a_field_of_the_body_stands_beside_one_for_the_rest(route: Route) -> None:
    twins = [one for one in ROUTES if (one.method, one.path) == (route.method, route.path)]
    assert route.has_body
    assert [one.when for one in twins].count(None) == 1


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_only_what_changes_nothing_is_got(route: Route) -> None:
    """Whoever sends a GET again, a cache or a proxy, changes nothing by it."""
    if route.method != "GET":
        return
    assert issubclass(route.request, Query) or not route.request.journaled
