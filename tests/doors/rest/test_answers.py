"""What is answered: versions, keys, pages, secrets, headers."""

from __future__ import annotations

from typing import Any

import pytest

from allotment.doors.rest.answers import Sender
from allotment.doors.rest.settings import Settings
from allotment.model.grants import NewToken, Token
from allotment.model.routes import ROUTES
from allotment.model.secret import Secret

OFFICE = "/v1/subnets/office"
HELD = f"{OFFICE}/allocations"


def test_an_update_names_the_version_it_changes(planned: Any) -> None:
    tag = planned.get(OFFICE).headers["etag"]
    assert tag == '"1"'
    problem = planned.refused(428, "PATCH", OFFICE, json={"description": "x"})
    assert problem["code"] == "version-required"
    answer = planned.ask("PATCH", OFFICE, json={"description": "x"}, headers={"if-match": tag})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    late = planned.refused(412, "PATCH", OFFICE, json={"name": "y"}, headers={"if-match": tag})
    assert late["code"] == "version-mismatch"
    assert planned.get(OFFICE).json()["name"] == "office"


def test_a_star_or_a_version_in_the_body_does_as_well(planned: Any) -> None:
    assert planned.ask("PATCH", OFFICE, json={"tags": ["a"]}, headers={"if-match": "*"}).is_success
    assert planned.ask("PATCH", OFFICE, json={"tags": ["b"], "version": 2}).is_success
    assert planned.refused(412, "PATCH", OFFICE, json={"tags": ["c"], "version": 2})
    assert planned.refused(428, "PATCH", OFFICE, json={"tags": ["c"], "version": None})


@pytest.mark.parametrize("tag", ["1", 'W/"1"', '"1", "2"', '"x"', '"-1"', "", '"1'])
def test_a_tag_that_is_none_of_ours_is_refused(still: Any, tag: str) -> None:
    problem = still.refused(400, "PATCH", OFFICE, json={}, headers={"if-match": tag})
    assert problem["errors"][0]["header"] == "if-match"


def test_if_match_is_refused_where_it_means_nothing(still: Any) -> None:
    for method, path in (("GET", OFFICE), ("POST", HELD), ("DELETE", OFFICE)):
        problem = still.refused(400, method, path, headers={"if-match": '"1"'})
        assert problem["errors"][0]["rule"] == "this request takes none"
    both = still.refused(400, "PATCH", OFFICE, json={"version": 1}, headers={"if-match": '"1"'})
    assert both["errors"][0]["rule"] == "the body names a version already"


def test_pools_are_read_and_replaced_under_the_subnets_version(planned: Any) -> None:
    path = f"{OFFICE}/allocation-pools"
    answer = planned.get(path)
    assert answer.json() == ["10.1.0.2-10.1.0.254"]
    body = {"ranges": ["10.1.0.100-10.1.0.199"]}
    done = planned.ask("PUT", path, json=body, headers={"if-match": answer.headers["etag"]})
    assert done.headers["etag"] == '"2"'
    assert planned.get(path).json() == body["ranges"]


def test_a_key_gives_the_first_answer_again(planned: Any) -> None:
    headers = {"idempotency-key": "deploy-1"}
    first = planned.ask("POST", HELD, json={"hostname": "a"}, headers=headers)
    again = planned.ask("POST", HELD, json={"hostname": "a"}, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = planned.refused(422, "POST", HELD, json={"hostname": "b"}, headers=headers)
    assert other["code"] == "idempotency-mismatch"
    assert len(planned.get(HELD).json()["items"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", OFFICE, None), ("GET", "/v1/operations/k", None),
     ("POST", "/v1/tokens", {"name": "ci"}), ("POST", "/v1/audit/verify", {})],
)  # fmt: skip
def test_a_key_is_refused_where_none_is_taken(
    still: Any, method: str, path: str, body: dict[str, str] | None
) -> None:
    headers = {"idempotency-key": "k"}
    problem = still.refused(400, method, path, json=body, headers=headers)
    assert problem["errors"][0]["header"] == "idempotency-key"


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256])
def test_a_key_that_breaks_its_rule_is_refused(planned: Any, key: str) -> None:
    headers = {"idempotency-key": key.encode("latin-1")}
    problem = planned.refused(400, "POST", HELD, json={}, headers=headers)
    assert problem["errors"][0]["header"] == "idempotency-key"


def paged(house: Any, path: str, **more: Any) -> list[Any]:
    """All items of a listing, by its links."""
    items = []
    while True:
        answer = house.get(path, **more)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["next"] is None)
        if link is None:
            return items
        path, _, rel = link.partition(">; ")
        path = path.removeprefix("<")
        assert rel == 'rel="next"'


def test_links_lead_through_all_pages(planned: Any) -> None:
    planned.made(HELD, {"count": 7})
    found = paged(planned, f"{HELD}?limit=3&status=active")
    assert len({one["address"] for one in found}) == len(found) == 7
    assert len(paged(planned, "/v1/allocations?limit=2")) == 7


@pytest.fixture
def cursor(planned: Any) -> str:
    planned.made(HELD, {"count": 5})
    return str(planned.get(f"{HELD}?limit=2").json()["next"])


def test_a_cursor_is_good_for_its_listing_at_any_size(planned: Any, cursor: str) -> None:
    found = planned.get(f"{HELD}?limit=3&cursor={cursor}").json()["items"]
    assert [one["address"] for one in found] == ["10.1.0.4", "10.1.0.5", "10.1.0.6"]


def test_a_cursor_is_good_for_nothing_else(planned: Any, cursor: str) -> None:
    others = [
        f"/v1/allocations?cursor={cursor}",
        f"/v1/subnets/10.1.0.0%2F24/allocations?cursor={cursor}",
        f"{HELD}?cursor={cursor}&status=active",
        f"{HELD}?cursor={cursor[:-1]}",
        f"{HELD}?cursor={cursor}A",
        f"{HELD}?cursor={cursor}%3D",
        f"{HELD}?cursor=",
        f"{HELD}?cursor={'A' * 5000}",
        f"{HELD}?cursor=%C3%A9",
    ]
    for place in range(0, len(cursor), 5):
        other = "A" if cursor[place] != "A" else "B"
        others.append(f"{HELD}?cursor={cursor[:place]}{other}{cursor[place + 1 :]}")
    for path in others:
        problem = planned.refused(400, "GET", path)
        assert problem["errors"][0]["parameter"] == "cursor", path


def test_a_cursor_is_good_for_its_actor_only(planned: Any, cursor: str) -> None:
    assert planned.get(f"{HELD}?cursor={cursor}").is_success
    assert planned.refused(400, "GET", f"{HELD}?cursor={cursor}", token="other-token")


def test_a_cursor_is_good_at_every_door_that_has_the_key(desk: Any) -> None:
    from doors.rest.conftest import House, plan  # a second house of the same desk

    key = b"k" * 32
    one = House(desk, Settings(cursor_key=key, log_requests=False))
    two = House(desk, Settings(cursor_key=key, log_requests=False))
    three = House(desk, Settings(log_requests=False))
    try:
        plan(one).made(HELD, {"count": 5})
        cursor = one.get(f"{HELD}?limit=2").json()["next"]
        assert two.get(f"{HELD}?cursor={cursor}").is_success
        assert three.refused(400, "GET", f"{HELD}?cursor={cursor}")
    finally:
        for house in (one, two, three):
            house.close()


def test_the_secret_of_a_new_token_is_shown_in_its_answer_and_in_no_other() -> None:
    token = Token(
        id="t", name="ci", actor="token:ci", key_id="k", project_id=None, project=None, sources=(),
        description="", created_by="o", created_at=1, expires_at=2, revoked_at=None,
        last_used_at=None,
    )  # type: ignore[arg-type]  # fmt: skip
    made = NewToken(token=token, secret=Secret("s3cret"))
    for route in ROUTES:
        if route.part is None:
            shown = Sender(route).answer(made, route.path)
            assert (b"s3cret" in shown.body) == (route.request.__name__ == "CreateToken")
            assert (b"cache-control", b"no-store") in shown.all_headers("id")


def test_every_answer_is_locked_up(still: Any) -> None:
    for path in ("/healthz", "/v1/subnets", "/nowhere", "/docs", "/openapi.json", "/metrics"):
        for token in ("owner-token", None):
            headers = still.get(path, token=token).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert "server" not in headers


def test_a_request_keeps_its_name_where_that_is_sane(still: Any) -> None:
    named = still.get("/v1/status", headers={"x-request-id": "deploy/4711"})
    assert named.headers["x-request-id"] == "deploy/4711"
    for bad in ("", "a b", "x" * 129, "é".encode("latin-1")):
        made = still.get("/v1/status", headers={"x-request-id": bad}).headers["x-request-id"]
        assert len(made) == 36


def test_the_settings_show_no_key() -> None:
    assert "secret-key" not in repr(Settings(cursor_key=b"secret-key"))
