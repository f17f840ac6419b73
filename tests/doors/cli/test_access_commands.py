"""Tokens, grants, quotas and the fate of commands, here and at a server."""

from __future__ import annotations

import csv
import io
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from allotment.doors.cli.values import DURATION

TOKEN = re.compile(r"allot_[A-Za-z0-9_]{20,}")

EVERYWHERE = ("--on-installation",)


def test_a_token_shows_its_secret_once_in_every_form(line: Any) -> None:
    told = line("token", "create", "deploy", "--expires", "30d", "--description", "rollouts")
    (secret,) = TOKEN.findall(told)
    assert "it is not shown again" in told
    made = line.json("token", "create", "ci", "--from", "10.0.0.0/8", "--from", "2001:db8::/32")
    assert TOKEN.fullmatch(made["secret"])
    assert made["token"]["sources"] == ["10.0.0.0/8", "2001:db8::/32"]
    (row,) = csv.DictReader(io.StringIO(line("token", "create", "x", "--output", "csv")))
    assert TOKEN.fullmatch(row["secret"])
    assert row["name"] == "x"
    for words in (("token", "list"), ("token", "show", "deploy"), ("token", "list", "--live")):
        for form in ("table", "json", "csv"):
            shown = line(*words, "--output", form)
            assert "deploy" in shown
            assert secret not in shown
    lifetime = line.json("token", "show", "deploy")
    assert lifetime["expires_at"] - lifetime["created_at"] == 30 * 86_400_000


def test_a_token_belongs_to_a_project(line: Any) -> None:
    line("project", "create", "payments")
    made = line.json("token", "create", "deploy", "--project", "payments")
    assert made["token"]["project"] == "payments"


def test_a_token_is_revoked_for_good_after_a_yes(line: Any) -> None:
    line("token", "create", "deploy")
    assert line.fault("token", "revoke", "deploy", code=6)["code"] == "not-confirmed"
    assert line.json("token", "show", "deploy")["revoked_at"] is None
    assert line.json("token", "revoke", "deploy", "--yes")["revoked_at"] is not None
    names = [one["name"] for one in line.items("token", "list", "--live")]
    assert "deploy" not in names
    assert line.fault("token", "create", "deploy", code=4)["code"] == "already-exists"


@pytest.mark.parametrize(
    ("words", "target", "name"),
    [
        (EVERYWHERE, "installation", ""),
        (("--on-project", "payments"), "project", "payments"),
        (("--on-scope", "corp"), "scope", "corp"),
        (("--on-pool", "corp-v4"), "pool", "corp-v4"),
        (("--on-subnet", "web"), "subnet", "web"),
        (("--on-subnet", "10.0.0.0/24", "--scope", "corp"), "subnet", "web"),
    ],
)
def test_a_grant_is_on_what_is_named(
    planned: Any, words: tuple[str, ...], target: str, name: str
) -> None:
    planned("token", "create", "deploy")
    made = planned.json("grant", "create", "token:deploy", "allocator", *words)
    assert (made["actor"], made["role"], made["deny"]) == ("token:deploy", "allocator", False)
    assert made["target"] == target
    assert made["target_name"] == name or target == "installation"
    assert planned.json("grant", "show", made["id"]) == made
    assert planned.items("grant", "list", "--actor", "token:deploy") == [made]
    assert made in planned.items("grant", "list", *words)
    told = planned("grant", "list")
    assert "token:deploy" in told
    assert "allocator" in told
    assert planned.fault("grant", "revoke", made["id"], code=6)["code"] == "not-confirmed"
    planned("grant", "revoke", made["id"], "--yes")
    assert planned.items("grant", "list", "--actor", "token:deploy") == []


def test_a_grant_may_deny_and_may_end(planned: Any) -> None:
    planned("token", "create", "deploy")
    denied = planned.json(
        "grant", "create", "token:deploy", "viewer", "--deny", "--on-installation"
    )
    assert denied["deny"] is True
    before = time.time_ns() // 1_000_000
    ending = planned.json(
        "grant", "create", "token:deploy", "viewer", "--expires", "12h", "--on-installation"
    )
    assert 0 <= ending["expires_at"] - before - 12 * 3_600_000 < 60_000
    told = planned("grant", "create", "token:deploy", "operator", "--on-scope", "lab")
    assert told.startswith("operator granted to token:deploy on address scope lab\n")


def test_a_grant_is_on_one_thing(planned: Any) -> None:
    words = ("grant", "create", "token:deploy", "viewer", "--on-scope", "corp")
    fault = planned.fault(*words, "--on-subnet", "web", code=2)
    assert "one --on-... option" in fault["message"]
    assert planned.fault("grant", "create", "token:deploy", "king", code=2)["code"] == "usage"
    nowhere = planned.fault("grant", "create", "token:deploy", "admin", code=2)
    assert "say on what" in nowhere["message"]


def test_a_quota_is_shown_changed_and_lifted(line: Any) -> None:
    line("project", "create", "payments")
    free = line.json("project", "quota", "payments")
    assert (free["addresses"], free["prefixes"]) == (None, None)
    set_ = line.json("project", "quota", "payments", "--addresses", "2", "--prefixes", "0")
    assert (set_["addresses"], set_["prefixes"]) == (2, 0)
    kept = line.json("project", "quota", "payments", "--no-prefixes")
    assert (kept["addresses"], kept["prefixes"]) == (2, None)
    line("scope", "create", "corp")
    line("subnet", "create", "10.0.0.0/24", "--name", "web")
    line("allocate", "web", "--count", "2", "--owner", "payments")
    fault = line.fault("allocate", "web", "--owner", "payments", code=5)
    assert (fault["code"], fault["facts"]["limit"]) == ("quota-exceeded", 2)
    assert "allotment project quota" in fault["hint"]
    words = ("project", "quota", "payments", "--addresses", "1", "--no-addresses")
    assert "exclude each other" in line.fault(*words, code=2)["message"]


def test_a_scope_belongs_to_a_project_and_is_taken_away_from_it(line: Any) -> None:
    line("project", "create", "net")
    assert line.json("scope", "create", "corp", "--project", "net")["project"] == "net"
    assert line.json("scope", "update", "corp", "--no-project")["project"] is None
    assert line.json("scope", "update", "corp", "--project", "net")["project"] == "net"


def test_what_became_of_a_command_is_found_by_its_key(planned: Any) -> None:
    (held,) = planned.items("allocate", "web", "--key", "mine")
    fate = planned.json("operation", "mine")
    assert (fate["key"], fate["state"], fate["answer"]) == ("mine", "done", held)
    assert planned.items("allocate", "web", "--key", "mine") == [held]
    assert planned.json("operation", "theirs")["state"] == "not-done"
    fenced = planned.fault("allocate", "web", "--key", "theirs", code=4)
    assert fenced["code"] == "operation-fenced"
    assert "not-done" in planned("operation", "theirs")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 7_776_000), ("12h", 43_200), ("30m", 1800), ("5s", 5), ("2w", 1_209_600), ("0s", 0)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["90", "d", "-1d", "1.5h", "1d12h", "1 d", "1D", "٣d", "1d\n", ""])
def test_what_is_no_duration_is_refused(planned: Any, text: str) -> None:
    fault = planned.fault("token", "create", "x", "--expires", text, code=2)
    assert fault["facts"]["field"] == "expires"


def test_what_a_project_holds_is_listed_to_who_sees_no_more_than_the_project(line: Any) -> None:
    """The table names the subnet of each address, as far as that is seen."""
    if not line.is_remote:
        pytest.skip("at the book itself everything is seen")
    for words in (
        ["scope", "create", "corp"],
        ["subnet", "create", "10.0.0.0/24", "--name", "web"],
        ["project", "create", "payments"],
        ["allocate", "web", "--owner", "payments", "--hostname", "till"],
        ["grant", "create", "token:clerk", "viewer", "--on-project", "payments"],
    ):
        if words[0] == "grant":
            token = line.json("token", "create", "clerk")["secret"]
        line(*words)
    clerk = replace(line, token=token)
    assert [one["hostname"] for one in clerk.items("allocation", "list")] == ["till"]
    assert "till" in clerk("allocation", "list")
    assert "web" not in clerk("allocation", "list")
    assert "10.0.0.0/24" not in clerk("allocation", "list")


def test_what_is_seen_of_a_scope_is_drawn_whether_the_scope_is_seen_or_not(line: Any) -> None:
    if not line.is_remote:
        pytest.skip("at the book itself everything is seen")
    line("scope", "create", "corp")
    line("subnet", "create", "10.0.0.0/24", "--name", "web")
    line("subnet", "create", "10.0.1.0/24", "--name", "secret")
    token = line.json("token", "create", "clerk")["secret"]
    line("grant", "create", "token:clerk", "viewer", "--on-subnet", "web")
    clerk = replace(line, token=token)
    for words in (["tree"], ["tree", "--scope", "corp"]):
        drawn = clerk(*words)
        assert "10.0.0.0/24" in drawn
        assert "10.0.1.0/24" not in drawn
