"""`lookup`, `search`, `tree`, `usage`, `free`, `init`, `status`, `check`: what the book holds."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import pytest

from allotment import open_book

MATCH = {"scope_id", "scope", "chain", "allocation", "state"}
FOUND = {"kind", "id", "name", "scope", "where", "matched", "allocation"}
NODE = {"kind", "holder_id", "name", "prefix", "parent_id", "scope"}
USAGE = {"size", "pool_size", "free", "quarantined", "held", "held_outside", "reserved"}
UTILISATION = USAGE | {"kind", "id", "name", "scope", "prefixes"}
FREE = {"container_id", "container", "range", "prefix", "size"}
STATUS = {
    *(
        "complete",
        "version",
        "schema",
        "database",
        "projects",
        "scopes",
        "pools",
        "subnets",
        "allocations",
    ),
}
REPORT = {
    *("clean", "scopes", "pools", "subnets", "allocations", "extents", "faults", "repaired"),
}


def test_an_address_is_told_by_its_chain_in_every_scope(planned: Any) -> None:
    planned("allocate", "web", "--hostname", "www")
    in_corp, in_lab = planned.items("lookup", "10.0.0.2")
    assert set(in_corp) == MATCH
    assert [node["prefix"] for node in in_corp["chain"]] == ["10.0.0.0/8", "10.0.0.0/24"]
    assert (in_corp["state"], in_corp["allocation"]["hostname"]) == ("held", "www")
    assert (in_lab["scope"], in_lab["state"], in_lab["allocation"]) == ("lab", "free", None)
    told = planned("lookup", "10.0.0.2", "--scope", "corp")
    assert "10.0.0.0/8 corp-v4 > 10.0.0.0/24 web" in told
    assert "www" in told


def test_a_prefix_and_a_name_are_looked_up_too(planned: Any) -> None:
    (match,) = planned.items("lookup", "10.4.0.0/16")
    assert match["state"] == "pool"
    (found,) = planned.items("lookup", "web")
    assert set(found) == FOUND
    assert (found["kind"], found["where"]) == ("subnet", "10.0.0.0/24")


@pytest.mark.parametrize("word", ["9.9.9.9", "9.0.0.0/8", "nobody"])
def test_what_is_not_in_the_book_is_not_found(planned: Any, word: str) -> None:
    assert planned.fault("lookup", word, code=3)["code"] == "not-found"


def test_an_ill_written_address_is_told_how_to_write_it(planned: Any) -> None:
    fault = planned.fault("lookup", "010.0.0.1", code=2)
    assert fault["facts"]["field"] == "address"
    assert "write 10.0.0.1" in fault["message"]


def test_a_hostname_of_hexadecimal_letters_is_a_name(planned: Any) -> None:
    planned("allocate", "web", "--hostname", "db.cafe")
    (found,) = planned.items("lookup", "db.cafe")
    assert found["matched"] == "hostname"
    planned("allocate", "web", "--mac", "00:53:00:12:ab:cd")
    assert planned.items("lookup", "00:53:00:12:ab:cd")[0]["matched"] == "mac"


def test_a_search_finds_by_the_beginning_and_may_find_nothing(planned: Any) -> None:
    planned("allocate", "web", "--hostname", "worker-7")
    assert {found["name"] for found in planned.items("search", "w")} == {"web", "worker-7"}
    assert planned.items("search", "nobody") == []
    assert planned("search", "nobody") == "(none)\n"


def test_usage_adds_up_and_keeps_every_digit(planned: Any) -> None:
    planned("allocate", "v6", "--count", "3")
    use = planned.json("usage", "v6")
    assert set(use) == UTILISATION
    assert use["size"] == 2**64
    assert use["free"] + use["quarantined"] + use["held"] == use["pool_size"]
    assert (use["kind"], use["held"]) == ("subnet", 3)
    told = planned("usage", "v6")
    assert "2^64" in told
    assert "<0.1%" in told


def test_usage_is_of_all_scopes_or_of_a_kind_or_of_what_is_named(planned: Any) -> None:
    assert [use["name"] for use in planned.items("usage")] == ["corp", "lab"]
    kinds = planned.items("usage", "--kind", "subnet", "--all")
    assert {use["name"] for use in kinds} == {"web", "bench", "v6"}
    assert [use["name"] for use in planned.items("usage", "web", "v6")] == ["web", "v6"]
    assert planned.json("usage", "corp", "--kind", "scope")["kind"] == "scope"
    assert "16,77" in planned("usage", "corp-v4")


def test_free_space_is_listed_as_ranges_or_prefixes(planned: Any) -> None:
    planned("allocate", "web", "--address", "10.0.0.9")
    ranges = planned.items("free", "web")
    assert all(set(item) == FREE for item in ranges)
    assert [item["range"] for item in ranges] == ["10.0.0.2-10.0.0.8", "10.0.0.10-10.0.0.254"]
    cidrs = planned.items("free", "web", "--cidr", "--limit", "1000")
    assert cidrs[0]["prefix"] == "10.0.0.2/31"
    room = planned.json("free", "corp", "--length", "22", "--limit", "1")
    assert room["items"][0]["prefix"] == "10.0.4.0/22"
    assert room["next"] is not None


def test_a_tree_hangs_each_prefix_under_the_one_around_it(planned: Any) -> None:
    planned("pool", "create", "berlin", "--parent", "corp-v4", "--prefix", "10.16.0.0/12")
    planned("subnet", "create", "--from-pool", "berlin", "--length", "24")
    planned("pool", "allocate", "corp-v4", "--prefix", "10.200.0.0/16")
    told = planned("tree", "--scope", "corp").splitlines()
    assert [re.sub(r"  +(pool|subnet|held|address scope)\b.*", "", line) for line in told] == [
        "corp",
        "└── 10.0.0.0/8 corp-v4",
        "    ├── 10.0.0.0/24 web",
        "    ├── 10.16.0.0/12 berlin",
        "    │   └── 10.16.0.0/24",
        "    └── 10.200.0.0/16",
    ]
    assert "253 free" in told[2]


def test_a_tree_is_cut_at_a_depth_and_says_so(planned: Any) -> None:
    told = planned("tree", "--depth", "1").splitlines()
    assert told[2] == "    └── 1 prefix below"
    nodes = planned.items("tree", "--depth", "1")
    assert [node["prefix"] for node in nodes if node["scope"] == "corp"] == ["10.0.0.0/8"]


def test_a_tree_has_all_nodes_with_their_usage_for_a_program(planned: Any) -> None:
    nodes = planned.items("tree")
    assert all(set(node) == NODE | {"usage"} for node in nodes)
    assert {node["prefix"] for node in nodes} == {"10.0.0.0/8", "10.0.0.0/24", "2001:db8::/64"}
    (six,) = [node for node in nodes if node["name"] == "v6"]
    assert set(six["usage"]) == USAGE
    assert six["usage"]["size"] == 2**64
    heading = planned("tree", "--output", "csv").splitlines()[0].split(",")
    assert set(heading) == NODE | USAGE


def test_a_tree_of_nothing_says_how_to_begin(line: Any) -> None:
    assert "allotment scope create" in line("tree")
    assert line.items("tree") == []


def test_status_says_where_and_how_much(planned: Any) -> None:
    status = planned.json("status")
    assert set(status) == STATUS
    assert (status["database"], status["scopes"], status["subnets"]) == (planned.in_database, 2, 3)


def test_init_says_where_the_book_is_and_may_be_repeated(local_line: Any) -> None:
    assert local_line("init").startswith(f"the book is ready: {local_line.url}\n")
    assert set(local_line.json("init")) == STATUS


def test_init_is_for_databases_and_says_so_of_a_server(line: Any) -> None:
    if line.is_remote:
        fault = line.fault("init", code=2)
        assert "a server makes its own" in fault["message"]
        assert line.url in fault["message"]
        assert "serves the book in a database" in line.fault("serve", code=2)["message"]
    else:
        line("init")


def test_init_says_that_sqlite_has_no_partitions(local_line: Any) -> None:
    fault = local_line.fault("init", "--partitions", "4", code=2)
    assert "only a book on PostgreSQL" in fault["message"]


def test_a_clean_book_is_proved_clean(planned: Any) -> None:
    planned("allocate", "web", "--count", "20")
    report = planned.json("check")
    assert set(report) == REPORT
    assert (report["clean"], report["allocations"]) == (True, 20)
    told = planned("check")
    assert "20 allocations" in told
    assert told.endswith("the book is clean\n")


def test_a_fault_is_named_and_what_is_derived_is_repaired(planned: Any) -> None:
    with sqlite3.connect(planned.book) as raw:
        raw.execute("DELETE FROM free_extent WHERE container_id IN (SELECT id FROM subnet)")
    raw.close()
    report = planned.json("check", code=8)
    assert report["clean"] is False
    assert {fault["repairable"] for fault in report["faults"]} == {True}
    told = planned("check", code=8)
    assert "--repair" in told
    assert "faults found" in told
    repaired = planned.json("check", "--repair")
    assert repaired["clean"] is True
    assert repaired["repaired"] >= 1
    with sqlite3.connect(planned.book) as raw:
        raw.execute("DELETE FROM free_extent WHERE container_id IN (SELECT id FROM subnet)")
    raw.close()
    assert "repaired 3 containers\nthe book is clean\n" in planned("check", "--repair")


def test_a_desk_of_the_library_sees_what_the_command_line_did(planned: Any) -> None:
    from allotment import local_owner
    from allotment.model.queries import GetStatus

    planned("allocate", "web")
    with open_book(planned.in_database) as desk:
        assert desk.ask(GetStatus(), local_owner()).allocations == 1
