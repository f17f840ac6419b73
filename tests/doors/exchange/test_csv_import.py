"""CSV files: any with a column `prefix`, and those of `export csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from allotment import local_owner, open_book
from allotment.doors.exchange import csv_file
from allotment.doors.exchange.rehearsal import Rehearsal
from allotment.doors.exchange.report import Outcome
from allotment.doors.exchange.seat import DeskSeat, every
from allotment.errors import Ambiguous, InvalidValue
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import CreateAddressScope, CreateSubnet
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetAllocation,
    GetStatus,
    GetSubnet,
    GetSubnetPool,
    ListAddressScopes,
    ListPrefixAllocations,
    ListSubnetPools,
)
from allotment.model.results import Status


def told(report: Any) -> dict[str, tuple[str, str]]:
    return {row.source: (str(row.outcome), row.reason) for row in report.rows}


def test_prefixes_become_pools_and_the_other_columns_their_tags(
    seat: DeskSeat, files: Path, from_csv: Any
) -> None:
    from_csv(seat, files / "plan.csv")
    pools = {str(one.prefixes[0]): one for one in every(seat, ListSubnetPools(scope="port"))}
    assert set(pools) == {"10.20.0.0/16", "10.20.4.0/24", "10.20.4.0/26", "2001:db8:20::/48"}
    harbour = pools["10.20.0.0/16"]
    assert (harbour.name, harbour.description) == ("harbour", "All of the harbour")
    assert (harbour.project, harbour.tags) == ("operations", ("site:harbour",))
    assert pools["2001:db8:20::/48"].name == "2001:db8:20::/48"


def test_nested_prefixes_become_child_pools(seat: DeskSeat, files: Path, from_csv: Any) -> None:
    from_csv(seat, files / "plan.csv")
    pools = {str(one.prefixes[0]): one for one in every(seat, ListSubnetPools(scope="port"))}
    assert pools["10.20.0.0/16"].parent_id is None
    assert pools["10.20.4.0/24"].parent_id == pools["10.20.0.0/16"].id
    assert pools["10.20.4.0/26"].parent_id == pools["10.20.4.0/24"].id


def test_a_repeated_prefix_is_one_pool_with_the_tags_of_all_its_rows(
    seat: DeskSeat, files: Path, from_csv: Any
) -> None:
    report = from_csv(seat, files / "plan.csv")
    assert told(report)["line 4"] == ("merged", "the same prefix as line 3")
    pool = seat.ask(GetSubnetPool(pool="10.20.4.0/24", scope="port"))
    assert pool.tags == ("service:cranes", "site:harbour")
    assert pool.description == "Twice in the file"


def test_a_value_that_makes_no_tag_is_left_out_and_named(
    seat: DeskSeat, files: Path, from_csv: Any
) -> None:
    report = from_csv(seat, files / "plan.csv")
    row = next(row for row in report.rows if row.source == "line 4")
    assert [(part.what, part.value) for part in row.left_out] == [("service", "lights, pumps")]
    assert "comma" in row.left_out[0].why


def test_an_invalid_row_is_refused_by_its_line_and_the_others_are_imported(
    seat: DeskSeat, files: Path, from_csv: Any
) -> None:
    report = from_csv(seat, files / "plan.csv")
    outcome, reason = told(report)["line 8"]
    assert outcome == "refused"
    assert "host bits are set; write 10.20.9.0/24" in reason
    assert report.counts()[Outcome.REFUSED] == 1
    assert seat.ask(GetStatus()).pools == 5


def test_importing_again_changes_nothing(
    seat: DeskSeat, files: Path, from_csv: Any, contents: Any
) -> None:
    from_csv(seat, files / "plan.csv")
    before = contents(seat)
    again = from_csv(seat, files / "plan.csv")
    assert contents(seat) == before
    assert again.counts()[Outcome.IMPORTED] == 0


def test_a_name_that_a_formula_would_be_was_not_run_and_is_not_changed(
    seat: DeskSeat, files: Path, from_csv: Any
) -> None:
    from_csv(seat, files / "plan.csv")
    assert seat.ask(GetSubnetPool(pool="10.20.4.0/26", scope="port")).name.startswith("=cmd|")


@pytest.mark.parametrize(("cell", "name"), [("'=a", "=a"), ("''=a", "'=a"), ("'a", "'a")])
def test_the_apostrophe_of_our_own_export_is_taken_off(
    seat: DeskSeat, from_csv: Any, cell: str, name: str
) -> None:
    from_csv(seat, f"prefix,name\n10.0.0.0/8,{cell}\n")
    assert seat.ask(GetSubnetPool(pool="10.0.0.0/8")).name == name


def test_rows_without_a_scope_go_where_they_are_told(seat: DeskSeat, from_csv: Any) -> None:
    from_csv(seat, "prefix\n10.0.0.0/8\n", "lab")
    assert [one.name for one in every(seat, ListAddressScopes())] == ["lab"]
    from_csv(seat, "prefix\n192.0.2.0/24\n")
    assert seat.ask(GetSubnetPool(pool="192.0.2.0/24")).scope == "lab", "the only one there is"


def test_an_empty_book_gets_a_scope_called_global(seat: DeskSeat, from_csv: Any) -> None:
    from_csv(seat, "prefix\n10.0.0.0/8\n")
    assert [one.name for one in every(seat, ListAddressScopes())] == ["Global"]


def test_where_several_scopes_could_be_meant_nothing_is_imported(
    seat: DeskSeat, from_csv: Any
) -> None:
    seat.do(CreateAddressScope(name="one"))
    seat.do(CreateAddressScope(name="two"))
    with pytest.raises(Ambiguous):
        from_csv(seat, "prefix\n10.0.0.0/8\n")
    assert seat.ask(GetStatus()).pools == 0


def test_a_rehearsal_knows_what_is_in_the_way_and_changes_nothing(
    seat: DeskSeat, from_csv: Any, contents: Any
) -> None:
    seat.do(CreateAddressScope(name="corp"))
    seat.do(CreateSubnet(scope="corp", prefix=Prefix("10.0.0.0/16")))
    before = contents(seat)
    text = "prefix\n10.0.0.0/8\n10.0.1.0/24\n10.1.0.0/16\n"
    with open_book("sqlite://") as memory:
        stage = DeskSeat(memory, local_owner())
        would = from_csv(Rehearsal(seat, stage), text)
    assert contents(seat) == before
    assert [told(would)[f"line {number}"][0] for number in (2, 3, 4)] == [
        *("imported", "refused", "imported")
    ]
    did = from_csv(seat, text)
    assert [row.plain() for row in would.rows] == [row.plain() for row in did.rows]


def test_a_column_kind_brings_in_subnets_and_allocations(seat: DeskSeat, from_csv: Any) -> None:
    report = from_csv(
        seat,
        "kind,scope,prefix,address,name,gateway,ranges,hostname,mac,status,tags,default_length,rack\n"
        'subnet,corp,10.0.1.0/24,,web,10.0.1.254,10.0.1.10-10.0.1.19,,,,"a,b",,7\n'
        "subnet,corp,10.0.2.0/24,,,none,none,,,,,,\n"
        "subnet,corp,10.0.3.0/24,,,,,,,,,,\n"
        'pool,corp,"10.0.0.0/16,10.9.0.0/16",,all,,,,,,,24,\n'
        "allocation,corp,,10.0.1.7,,,,www.example.net,02:00:00:00:00:01,reserved,,,\n"
        "allocation,corp,10.9.3.0/24,,,,,,,,,,\n",
    )
    assert report.counts()[Outcome.REFUSED] == 0, [row.reason for row in report.rows]
    web = seat.ask(GetSubnet(subnet="web"))
    assert (str(web.gateway), web.pools) == ("10.0.1.254", (AddressRange("10.0.1.10-10.0.1.19"),))
    assert web.tags == ("a", "b", "rack:7")
    closed = seat.ask(GetSubnet(subnet="10.0.2.0/24"))
    assert (closed.gateway, closed.pools) == (None, ())
    usual = seat.ask(GetSubnet(subnet="10.0.3.0/24"))
    assert str(usual.gateway) == "10.0.3.1", "where nothing is said, the book decides"
    pool = seat.ask(GetSubnetPool(pool="all"))
    assert (pool.default_length, len(pool.prefixes)) == (24, 2)
    held = seat.ask(GetAllocation(subnet="web", address=Address("10.0.1.7")))
    assert (held.hostname, str(held.mac)) == ("www.example.net", "02:00:00:00:00:01")
    assert held.status is Status.RESERVED
    carved = seat.ask(ListPrefixAllocations(pool="all")).items
    assert [str(one.prefix) for one in carved] == ["10.9.3.0/24"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("router,corp,10.0.0.0/8,,,", "one of project, scope, pool"),
        ("pool,corp,,,,", "it is empty"),
        ("pool,corp,10.0.0.0/8,,\tname,", "name"),
        ("pool,,10.0.0.0/8 ,,,", "plain decimal number"),
        ("scope,,,,,", "a scope has one"),
        ('subnet,corp,"10.0.0.0/8,10.1.0.0/16",,,', "prefix"),
        ("allocation,corp,,10.0.0.1,,", "no subnet around '10.0.0.1'"),
        ("allocation,corp,10.0.0.0/24,,,", "no subnet pool around '10.0.0.0/24'"),
        ("allocation,corp,,10.0.0.1,,borrowed", "it is one of active, reserved"),
        ("allocation,corp,,,,", "it is empty"),
    ],
)
def test_a_row_of_a_kind_with_a_wrong_value_is_refused_with_its_reason(
    seat: DeskSeat, from_csv: Any, row: str, why: str
) -> None:
    report = from_csv(seat, f"kind,scope,prefix,address,name,status\n{row}\n", "corp")
    outcome, reason = told(report)["line 2"]
    assert outcome == "refused"
    assert why in reason


@pytest.mark.parametrize(
    ("raw", "line", "why"),
    [
        (b"", "line 1", "empty"),
        (b"region,service\na,b\n", "line 1", "no column is called 'prefix'"),
        (b"prefix,,service\n", "line 1", "no printable name"),
        (b"prefix,a,a\n", "line 1", "two columns"),
        (b"prefix,Prefix\n", "line 1", "two columns"),
        (b"prefix,a\n10.0.0.0/8,b\n10.1.0.0/16\n", "line 3", "1 cells, and the header 2"),
        (b"prefix,a\n10.0.0.0/8,b,c\n", "line 2", "3 cells, and the header 2"),
        (b'prefix,a\n"10.0.0.0/8"x,b\n', "line 2", "not CSV"),
        (b'prefix,a\n"10.0.0.0/8,b\n', "line 2", "not CSV"),
        (b"prefix,a\n10.0.0.0/8,\xe9t\xe9\n", "line 2", "byte 12 is not UTF-8"),
        (b"prefix,a\n10.0.0.0/8,\x00\n", "line 2", "NUL"),
        ("prefix\n10.0.0.0/8\n".encode("utf-16"), "line 1", "UTF-8"),
        (b"prefix,a\r10.0.0.0/8,b\r", "line 1", "not CSV"),
        (b"prefix\n" + b"1" * (csv_file.LINE_BYTES_MAX + 1), "line 2", "longer than"),
        (b",".join(b"c%d" % n for n in range(65)) + b"\n", "line 1", "more than 64 columns"),
        (b'prefix,a\n10.0.0.0/8,"' + b"x" * 200_000 + b'"\n', "line 2", "not CSV"),
    ],
)
def test_a_file_of_broken_shape_is_refused_whole_with_the_line(
    seat: DeskSeat, from_csv: Any, contents: Any, raw: bytes, line: str, why: str
) -> None:
    with pytest.raises(InvalidValue, match=why) as refused:
        from_csv(seat, raw, "corp")
    assert str(refused.value).startswith(f"{line} ")
    assert not any(contents(seat).values())


def test_a_file_has_its_own_limits(
    seat: DeskSeat, from_csv: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "prefix\n" + "10.0.0.0/8\n" * 4
    monkeypatch.setattr(csv_file, "ROWS_MAX", 3)
    with pytest.raises(InvalidValue, match="more than 3 rows"):
        from_csv(seat, text)
    monkeypatch.setattr(csv_file, "BYTES_MAX", 20)
    with pytest.raises(InvalidValue, match="larger than 20 bytes"):
        from_csv(seat, text)


def test_a_byte_order_mark_blank_lines_and_any_line_end_are_no_matter(
    seat: DeskSeat, from_csv: Any
) -> None:
    report = from_csv(seat, b"\xef\xbb\xbfPrefix,Region\r\n10.0.0.0/8,a\r\n\r\n192.0.2.0/24,b\n")
    assert told(report)["line 4"][0] == "imported"
    assert seat.ask(GetSubnetPool(pool="192.0.2.0/24")).tags == ("Region:b",)


def test_line_numbers_count_the_lines_inside_quotes(seat: DeskSeat, from_csv: Any) -> None:
    report = from_csv(seat, 'prefix,description\n10.0.0.0/8,"a\nb"\nnonsense,\n')
    assert told(report)["line 4"][0] == "refused"
    assert seat.ask(GetSubnetPool(pool="10.0.0.0/8")).description == "a\nb"


def test_the_prefixes_of_a_cloud_are_pools_with_their_regions_and_services(
    seat: DeskSeat, aws_prefixes: Path, from_csv: Any
) -> None:
    """Some of them; `--long` takes all."""
    lines = aws_prefixes.read_text("utf-8").splitlines(keepends=True)
    some = "".join([lines[0], *lines[1::12]])
    counts = from_csv(seat, some, "aws").kinds()["pool"]
    assert sum(counts.values()) == len(lines[1::12])
    taken = counts[Outcome.IMPORTED]
    assert seat.ask(GetStatus()).pools == taken > 500
    assert from_csv(seat, some, "aws").kinds()["pool"][Outcome.UNCHANGED] == taken


@pytest.mark.long
def test_each_of_the_prefixes_of_a_cloud_is_a_pool_with_its_regions_and_services(
    seat: DeskSeat, aws_prefixes: Path, from_csv: Any
) -> None:
    report = from_csv(seat, aws_prefixes, "aws")
    counts = report.kinds()["pool"]
    assert sum(counts.values()) == 13_344
    assert (counts[Outcome.IMPORTED], counts[Outcome.MERGED]) == (9_066, 4_278)
    assert seat.ask(GetStatus()).pools == 9_066
    pool = seat.ask(GetSubnetPool(pool="3.5.140.0/22"))
    assert pool.tags == ("region:ap-northeast-2", "service:AMAZON", "service:EC2", "service:S3")
    again = from_csv(seat, aws_prefixes, "aws")
    assert again.kinds()["pool"][Outcome.UNCHANGED] == 9_066
