"""`allocate`, `release` and `allocation`: what is held, by whom, and how it goes back."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any
from uuid import UUID

import pytest

ALLOCATION = {
    *("id", "subnet_id", "address", "status", "project_id", "project", "identifier"),
    *("hostname", "mac", "description", "tags", "created_at"),
}
OF_MANY = {"id", "address", "subnet_id", "status", "created_at"}


def one(line: Any, *words: str) -> Any:
    (item,) = line.items("allocate", *words)
    assert set(item) == ALLOCATION
    return item


def test_one_address_is_a_listing_of_one(planned: Any) -> None:
    held = one(
        planned,
        *("web", "--hostname", "www", "--identifier", "vm-1", "--owner", "payments"),
        *("--mac", "00-53-00-12-AB-CD", "--description", "d", "--tag", "a", "--status", "reserved"),
    )
    assert (held["address"], held["status"], held["hostname"]) == ("10.0.0.2", "reserved", "www")
    assert (held["mac"], held["project"]) == ("00:53:00:12:ab:cd", "payments")
    assert (held["identifier"], held["tags"]) == ("vm-1", ["a"])
    assert one(planned, "web", "--identifier", "vm-1") == held


def test_a_certain_address_may_lie_outside_the_pools(planned: Any) -> None:
    planned("subnet", "update", "web", "--range", "10.0.0.10-10.0.0.19")
    assert one(planned, "web", "--address", "10.0.0.200")["address"] == "10.0.0.200"
    fault = planned.fault("allocate", "web", "--address", "10.0.0.200", code=4)
    assert fault["code"] == "address-taken"


def test_next_is_the_lowest_whatever_the_placement(planned: Any) -> None:
    planned("subnet", "update", "web", "--placement", "random")
    assert [one(planned, "web", "--next")["address"] for _ in range(2)] == ["10.0.0.2", "10.0.0.3"]
    assert one(planned, "web", "--placement", "lowest")["address"] == "10.0.0.4"


def test_an_address_is_made_of_a_mac_or_an_interface(planned: Any) -> None:
    made = one(planned, "v6", "--mac", "00:53:00:12:ab:cd", "--eui64")
    assert made["address"] == "2001:db8::253:ff:fe12:abcd"
    private = one(planned, "v6", "--method", "stable-private", "--interface", "eth0")
    planned("release", "v6", private["address"])
    again = one(planned, "v6", "--method", "stable-private", "--interface", "eth0")
    assert again["address"] == private["address"]


def test_a_full_subnet_falls_back_in_order(planned: Any) -> None:
    planned("subnet", "create", "10.9.0.0/30", "--scope", "corp", "--name", "tiny")
    assert one(planned, "tiny", "--fallback", "web")["address"] == "10.9.0.2"
    assert one(planned, "tiny", "--fallback", "web")["address"] == "10.0.0.2"
    fault = planned.fault("allocate", "tiny", code=5)
    assert fault["code"] == "pool-exhausted"
    assert "allotment free" in fault["hint"]


def test_a_key_gets_the_first_answer_again(planned: Any) -> None:
    held = one(planned, "web", "--key", "k")
    assert one(planned, "web", "--key", "k") == held
    assert planned.fault("allocate", "web", "--next", "--key", "k", code=4)["code"] == (
        "idempotency-mismatch"
    )


def test_many_addresses_have_ids_that_count_up_and_are_really_held(planned: Any) -> None:
    one(planned, "web", "--address", "10.0.0.4")
    items = planned.items("allocate", "web", "--count", "4", "--owner", "payments", "--tag", "t")
    assert all(set(item) == OF_MANY for item in items)
    assert [item["address"] for item in items] == ["10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"]
    ids = [UUID(item["id"]).int for item in items]
    assert ids == [ids[0] + number for number in range(4)]
    for item in items:
        shown = planned.json("allocation", "show", "web", item["address"])
        assert {field: shown[field] for field in OF_MANY} == item
        assert (shown["project"], shown["tags"]) == ("payments", ["t"])


def test_a_run_may_begin_at_a_given_address(planned: Any) -> None:
    one(planned, "web", "--address", "10.0.0.4")
    run = planned.items("allocate", "web", "--count", "3", "--contiguous")
    assert [item["address"] for item in run] == ["10.0.0.5", "10.0.0.6", "10.0.0.7"]
    fixed = ("allocate", "web", "--count", "2", "--contiguous", "--address", "10.0.0.100")
    assert [item["address"] for item in planned.items(*fixed)] == ["10.0.0.100", "10.0.0.101"]


def test_too_many_are_refused_as_a_whole(planned: Any) -> None:
    fault = planned.fault("allocate", "web", "--count", "254", code=5)
    assert fault["code"] == "pool-exhausted"
    assert fault["facts"]["free"] == 253
    assert planned.items("allocation", "list", "web") == []


@pytest.mark.parametrize(
    "words",
    [
        ("--count", "2", "--identifier", "i"),
        ("--count", "2", "--mac", "00:53:00:00:00:01"),
        ("--count", "2", "--fallback", "v6"),
        ("--count", "2", "--placement", "random"),
        ("--count", "2", "--method", "stable-private"),
        ("--count", "2", "--address", "10.0.0.7"),
        ("--next", "--eui64"),
        ("--next", "--method", "any"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(planned: Any, words: tuple[str, ...]) -> None:
    assert planned.fault("allocate", "web", *words, code=2)["code"] == "usage"


def test_many_are_told_a_person_one_by_one_and_very_many_as_ranges(planned: Any) -> None:
    few = planned("allocate", "web", "--count", "2")
    assert few.startswith("2 addresses allocated\n")
    assert "10.0.0.2" in few
    planned("subnet", "create", "10.20.0.0/20", "--scope", "corp", "--name", "big")
    many = planned("allocate", "big", "--count", "300")
    assert many.splitlines()[2].split() == ["10.20.0.2", "10.20.1.45", "300"]


def test_csv_of_many_has_the_same_fields(planned: Any) -> None:
    rows = list(
        csv.DictReader(io.StringIO(planned("allocate", "web", "--count", "3", "--output", "csv")))
    )
    assert [row["address"] for row in rows] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert set(rows[0]) == OF_MANY


def test_a_great_many_are_streamed_not_collected() -> None:
    from allotment.doors.cli import allocated, json_text
    from allotment.model.address_range import AddressRange
    from allotment.model.results import AllocatedAddresses, Status

    count = 20_000
    answer = AllocatedAddresses(
        subnet_id=UUID(int=7),
        count=count,
        ranges=(AddressRange.of(6, 5, 9), AddressRange.of(6, 1 << 64, (1 << 64) + count - 6)),
        first_id=UUID(int=(1 << 100) + 3),
        status=Status.ACTIVE,
        created_at=1,
    )
    tracemalloc.start()
    texts = json_text.listing_of_texts(allocated._json_items(answer), None)
    length = sum(len(text) for text in texts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 100 * count
    assert peak < 300_000
    document = json.loads("".join(json_text.listing_of_texts(allocated._json_items(answer), None)))
    assert document["items"][5]["address"] == "0:0:0:1::"
    assert document["items"][-1]["id"] == str(UUID(int=(1 << 100) + 3 + count - 1))


def test_a_release_counts_and_tells_what_nobody_holds(planned: Any) -> None:
    planned("allocate", "web", "--count", "4")
    assert planned.json("release", "web", "10.0.0.2")["count"] == 1
    assert planned.json("release", "web", "10.0.0.3", "10.0.0.4")["count"] == 2
    assert planned("release", "web", "10.0.0.5") == "released 1 address\n"
    assert planned.fault("release", "web", "10.0.0.5", code=3)["code"] == "not-found"


def test_several_go_back_all_or_none(planned: Any) -> None:
    planned("allocate", "web")
    assert planned.fault("release", "web", "10.0.0.2", "10.0.0.99", code=3)["code"] == "not-found"
    assert len(planned.items("allocation", "list", "web")) == 1


def test_a_late_release_does_not_free_the_next_holder(planned: Any) -> None:
    held = one(planned, "web")
    planned("release", "web", held["address"], "--id", held["id"])
    one(planned, "web", "--address", held["address"])
    fault = planned.fault("release", "web", held["address"], "--id", held["id"], code=4)
    assert fault["code"] == "stale-allocation"


def test_all_of_an_identifier_or_a_project_go_back(planned: Any) -> None:
    one(planned, "web", "--identifier", "vm-1")
    assert planned.json("release", "web", "--identifier", "vm-1")["count"] == 1
    for subnet in ("web", "web", "bench"):
        one(planned, subnet, "--owner", "payments")
    assert planned.json("release", "web", "--owner", "payments")["count"] == 2
    assert planned.json("release", "--owner", "payments")["count"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("release", "web"),
        ("release",),
        ("release", "web", "10.0.0.2", "--owner", "payments"),
        ("release", "web", "--owner", "p", "--identifier", "i"),
        ("release", "web", "10.0.0.2", "10.0.0.3", "--id", "x"),
    ],
)
def test_a_release_says_exactly_one_thing(planned: Any, words: tuple[str, ...]) -> None:
    assert planned.fault(*words, code=2)["code"] == "usage"


def test_allocations_are_listed_by_every_filter(planned: Any) -> None:
    one(planned, "web", "--hostname", "db1", "--tag", "t", "--owner", "payments")
    one(planned, "web", "--mac", "00:53:00:00:00:01", "--identifier", "i", "--status", "reserved")
    one(planned, "bench", "--hostname", "lab1")

    def addresses(*words: str) -> list[str]:
        return [item["address"] for item in planned.items("allocation", "list", *words)]

    assert sorted(addresses()) == ["10.0.0.2", "10.0.0.2", "10.0.0.3"]
    assert addresses("web") == addresses("--scope", "corp") == ["10.0.0.2", "10.0.0.3"]
    assert addresses("--owner", "payments") == addresses("--hostname", "DB") == ["10.0.0.2"]
    assert addresses("web", "--tag", "t") == ["10.0.0.2"]
    assert addresses("web", "--identifier", "i") == ["10.0.0.3"]
    assert addresses("--mac", "0053.0000.0001") == addresses("--status", "reserved")
    assert addresses("web", "--within", "10.0.0.3/32") == ["10.0.0.3"]
    assert addresses("web", "--range", "10.0.0.0-10.0.0.2") == ["10.0.0.2"]


def test_without_a_subnet_a_person_sees_which_scope_each_address_is_of(planned: Any) -> None:
    one(planned, "web")
    one(planned, "bench")
    told = planned("allocation", "list")
    assert told.splitlines()[0].split()[:3] == ["SCOPE", "SUBNET", "ADDRESS"]
    assert {told_line.split()[0] for told_line in told.splitlines()[1:]} == {"corp", "lab"}


def test_what_is_said_about_an_address_changes(planned: Any) -> None:
    held = one(planned, "web", "--hostname", "www", "--owner", "payments", "--tag", "a")
    where = ("allocation", "update", "web", held["address"])
    changed = planned.json(
        *where, "--hostname", "db", "--status", "reserved", "--identifier", "i",
        "--mac", "00:53:00:00:00:02", "--description", "d", "--tag", "b", "--id", held["id"],
    )  # fmt: skip
    assert (changed["hostname"], changed["status"], changed["identifier"]) == (
        "db",
        "reserved",
        "i",
    )
    assert (changed["project"], changed["tags"]) == ("payments", ["b"])
    cleared = planned.json(
        *where, "--no-hostname", "--no-owner", "--no-identifier", "--no-mac", "--no-tags"
    )
    assert [cleared[name] for name in ("hostname", "project", "identifier", "mac")] == [None] * 4
    assert (cleared["tags"], cleared["description"]) == ([], "d")
    assert (
        planned.fault(*where, "--mac", "00:53:00:00:00:02", "--no-mac", code=2)["code"] == "usage"
    )
