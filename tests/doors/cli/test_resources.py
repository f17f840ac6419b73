"""Projects, address scopes, subnet pools and subnets: create, list, show, update, delete."""

from __future__ import annotations

from typing import Any

import pytest

NAMED = {"id", "name", "description", "created_at", "version"}
POOL = NAMED | {
    *("scope_id", "scope", "parent_id", "family", "prefixes", "default_length"),
    *("project_id", "project", "tags"),
}
SUBNET = NAMED | {
    *("scope_id", "scope", "pool_id", "family", "prefix", "gateway", "pools", "placement"),
    *("quarantine_seconds", "project_id", "project", "tags"),
}
HELD_PREFIX = {
    *("id", "pool_id", "prefix", "status", "project_id", "project", "identifier"),
    *("description", "tags", "created_at"),
}


@pytest.mark.parametrize("noun", ["scope", "project"])
def test_what_has_only_a_name_is_created_listed_shown_updated_and_deleted(
    line: Any, noun: str
) -> None:
    made = line.json(noun, "create", "corp", "--description", "offices")
    assert set(made) - {"project", "project_id"} == NAMED
    assert (made["name"], made["description"], made["version"]) == ("corp", "offices", 1)
    assert line.items(noun, "list") == [made]
    assert line.json(noun, "show", made["id"]) == line.json(noun, "show", "corp") == made
    updated = line.json(noun, "update", "corp", "--name", "office", "--description", "")
    assert (updated["id"], updated["name"], updated["description"]) == (made["id"], "office", "")
    noun_of = {"scope": "address scopes", "project": "projects"}[noun]
    deleted = line.json(noun, "delete", "office")
    assert deleted["contents"][noun_of] == 1
    assert line.items(noun, "list") == []


def test_a_pool_has_parents_children_and_a_default_length(line: Any) -> None:
    line("scope", "create", "corp")
    line("project", "create", "net")
    pool = line.json(
        *("pool", "create", "corp-v4", "--scope", "corp", "--prefix", "10.0.0.0/8"),
        *("--prefix", "172.16.0.0/12", "--default-length", "24", "--project", "net"),
        *("--description", "all of it", "--tag", "core"),
    )
    assert set(pool) == POOL
    assert pool["prefixes"] == ["10.0.0.0/8", "172.16.0.0/12"]
    assert (pool["default_length"], pool["project"], pool["tags"]) == (24, "net", ["core"])
    child = line.json("pool", "create", "berlin", "--parent", "corp-v4", "--prefix", "10.16.0.0/12")
    assert child["parent_id"] == pool["id"]
    assert [one["name"] for one in line.items("pool", "list", "--parent", "corp-v4")] == ["berlin"]
    assert [one["name"] for one in line.items("pool", "list", "--tag", "core")] == ["corp-v4"]
    assert [one["name"] for one in line.items("pool", "list", "--project", "net")] == ["corp-v4"]
    assert line.json("pool", "show", "corp-v4", "--scope", "corp") == pool


def test_a_pool_is_updated_and_what_is_not_named_stays(planned: Any) -> None:
    before = planned.json("pool", "show", "corp-v4")
    updated = planned.json(
        *("pool", "update", "corp-v4", "--name", "all", "--default-length", "26"),
        *("--project", "payments", "--description", "x", "--tag", "a", "--tag", "b"),
        *("--prefix", "10.0.0.0/8", "--prefix", "192.168.0.0/16"),
    )
    assert updated["prefixes"] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert (updated["name"], updated["default_length"]) == ("all", 26)
    assert (updated["project"], updated["tags"]) == ("payments", ["a", "b"])
    cleared = planned.json(
        "pool", "update", "all", "--no-default-length", "--no-project", "--no-tags"
    )
    assert (cleared["default_length"], cleared["project"], cleared["tags"]) == (None, None, [])
    assert cleared["description"] == "x"
    assert cleared["id"] == before["id"]


def test_a_prefix_of_a_pool_is_held_listed_and_released(planned: Any) -> None:
    wish = ("pool", "allocate", "corp-v4", "--length", "20", "--identifier", "cluster-7")
    held = planned.json(*wish, "--owner", "payments", "--status", "reserved", "--tag", "k8s")
    assert set(held) == HELD_PREFIX
    assert (held["status"], held["project"], held["tags"]) == ("reserved", "payments", ["k8s"])
    assert planned.json(*wish) == held, "the same identifier gets the same prefix"
    exact = planned.json("pool", "allocate", "corp-v4", "--prefix", "10.200.0.0/16")
    assert exact["prefix"] == "10.200.0.0/16"
    assert planned.items("pool", "allocations", "corp-v4") == [held, exact]
    assert (
        planned.json("pool", "release", "corp-v4", held["prefix"], "--id", held["id"])["count"] == 1
    )
    assert "released 10.200.0.0/16" in planned("pool", "release", "corp-v4", "10.200.0.0/16")
    assert planned.items("pool", "allocations", "corp-v4") == []


def test_a_subnet_is_created_of_a_cidr_with_all_that_can_be_said(planned: Any) -> None:
    subnet = planned.json(
        *("subnet", "create", "10.1.0.0/24", "--scope", "corp", "--name", "db"),
        *("--gateway", "10.1.0.254", "--range", "10.1.0.10-10.1.0.19"),
        *("--range", "10.1.0.20-10.1.0.29,10.1.0.50-10.1.0.59"),
        *("--address-placement", "random", "--quarantine", "60", "--project", "payments"),
        *("--description", "databases", "--tag", "prod", "--tag", "db"),
    )
    assert set(subnet) == SUBNET
    assert subnet["prefix"] == "10.1.0.0/24"
    assert subnet["pools"] == ["10.1.0.10-10.1.0.29", "10.1.0.50-10.1.0.59"]
    assert (subnet["gateway"], subnet["placement"]) == ("10.1.0.254", "random")
    assert (subnet["quarantine_seconds"], subnet["project"]) == (60, "payments")
    assert sorted(subnet["tags"]) == ["db", "prod"]
    assert subnet["pool_id"] == planned.json("pool", "show", "corp-v4")["id"]


def test_a_subnet_is_carved_from_a_pool(planned: Any) -> None:
    wish = ("subnet", "create", "--from-pool", "corp-v4", "--length", "26")
    first = planned.json(*wish)
    best = planned.json(*wish, "--placement", "best-fit", "--name", "tight")
    sparse = planned.json(*wish, "--placement", "sparse", "--scope", "corp")
    carved = {one["prefix"] for one in (first, best, sparse)}
    assert len(carved) == 3
    assert all(prefix.startswith("10.") and prefix.endswith("/26") for prefix in carved)


def test_gateway_none_and_no_pools_are_words_of_their_own(planned: Any) -> None:
    bare = planned.json(
        "subnet", "create", "10.2.0.0/24", "--scope", "corp", "--gateway", "none", "--no-pools"
    )
    assert (bare["gateway"], bare["pools"]) == (None, [])


def test_subnets_are_listed_by_every_filter(planned: Any) -> None:
    def prefixes(*words: str) -> list[str]:
        return [one["prefix"] for one in planned.items("subnet", "list", *words)]

    planned("subnet", "update", "v6", "--project", "payments", "--tag", "six")
    assert prefixes() == ["10.0.0.0/24", "10.0.0.0/24", "2001:db8::/64"]
    assert prefixes("--scope", "corp") == ["10.0.0.0/24"]
    assert prefixes("--pool", "corp-v4") == ["10.0.0.0/24"]
    assert prefixes("--within", "2001:db8::/32") == ["2001:db8::/64"]
    assert prefixes("--project", "payments") == prefixes("--tag", "six") == ["2001:db8::/64"]


def test_a_subnet_is_found_by_id_name_and_cidr_with_its_scope(planned: Any) -> None:
    web = planned.json("subnet", "show", "web")
    assert planned.json("subnet", "show", web["id"]) == web
    assert planned.json("subnet", "show", "10.0.0.0/24", "--scope", "corp") == web
    fault = planned.fault("subnet", "show", "10.0.0.0/24", code=2)
    assert fault["code"] == "ambiguous"
    assert fault["facts"]["choices"] == ["corp", "lab"]


def test_an_update_changes_what_is_named_and_nothing_else(planned: Any) -> None:
    before = planned.json("subnet", "show", "web")
    updated = planned.json(
        *("subnet", "update", "web", "--name", "front", "--placement", "least-recently-used"),
        *("--quarantine", "30", "--project", "payments", "--description", "d", "--tag", "t"),
    )
    assert updated["pools"] == before["pools"]
    assert updated["placement"] == "least-recently-used"
    assert (updated["quarantine_seconds"], updated["project"]) == (30, "payments")
    cleared = planned.json("subnet", "update", "front", "--no-name", "--no-project", "--no-tags")
    assert (cleared["name"], cleared["project"], cleared["tags"]) == (None, None, [])
    assert cleared["description"] == "d"


def test_new_pools_report_what_they_leave_outside(planned: Any) -> None:
    planned("allocate", "web", "--count", "3")
    updated = planned.json("subnet", "update", "web", "--range", "10.0.0.100-10.0.0.200")
    assert set(updated) == SUBNET | {"added", "removed", "outside", "outside_sample"}
    assert updated["pools"] == ["10.0.0.100-10.0.0.200"]
    assert updated["outside"] == 3
    assert updated["outside_sample"] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    told = planned("subnet", "update", "web", "--no-pools")
    assert "10.0.0.100-10.0.0.200" in told
    planned("allocate", "web", "--address", "10.0.0.9")
    assert planned.json("subnet", "show", "web")["pools"] == []


def test_a_person_is_told_what_is_outside_the_new_pools(planned: Any) -> None:
    planned("allocate", "web")
    told = planned("subnet", "update", "web", "--range", "10.0.0.100-10.0.0.200")
    assert "1 held address outside the new pools, still held: 10.0.0.2" in told


def test_gateway_and_pools_change_places_in_one_update(planned: Any) -> None:
    planned("subnet", "update", "web", "--range", "10.0.0.10-10.0.0.99", "--gateway", "10.0.0.1")
    swapped = planned.json(
        *("subnet", "update", "web", "--range", "10.0.0.1-10.0.0.9", "--gateway", "10.0.0.50"),
        *("--name", "swapped"),
    )
    assert swapped["pools"] == ["10.0.0.1-10.0.0.9"]
    assert (swapped["gateway"], swapped["name"]) == ("10.0.0.50", "swapped")
    same = planned.fault(
        *("subnet", "update", "swapped", "--range", "10.0.0.1-10.0.0.9", "--name", "half"),
        *("--gateway", "10.0.0.5"),
        code=2,
    )
    assert same["code"] == "invalid-value"
    now = planned.json("subnet", "show", "swapped")
    assert now.items() <= swapped.items(), "all of it or nothing"


def test_an_update_of_another_version_is_refused(planned: Any) -> None:
    assert planned.json("subnet", "update", "web", "--tag", "x", "--if-version", "1")["version"] > 1
    for words in (["--tag", "y"], ["--no-pools"], ["--no-pools", "--tag", "y"]):
        fault = planned.fault("subnet", "update", "web", *words, "--if-version", "1", code=4)
        assert fault["code"] == "version-mismatch"


def test_a_key_makes_a_create_repeatable(line: Any) -> None:
    made = line.json("scope", "create", "corp", "--key", "k1")
    assert line.json("scope", "create", "corp", "--key", "k1") == made
    assert line.fault("scope", "create", "other", "--key", "k1", code=4)["code"] == (
        "idempotency-mismatch"
    )


def test_pages_follow_each_other_to_the_end(line: Any) -> None:
    names = [f"s{number}" for number in range(5)]
    for name in names:
        line("scope", "create", name)
    met, cursor = [], ()
    while True:
        page = line.json("scope", "list", "--limit", "2", *cursor)
        met += [one["name"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = ("--cursor", page["next"])
    assert met == names
    assert [one["name"] for one in line.items("scope", "list", "--limit", "2", "--all")] == names
    told = line("scope", "list", "--limit", "2")
    assert "more: --cursor " in told


def test_deleting_a_project_that_owns_something_is_refused(planned: Any) -> None:
    planned("subnet", "update", "web", "--project", "payments")
    assert planned.fault("project", "delete", "payments", code=4)["code"] == "in-use"
