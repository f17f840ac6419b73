"""A Neutron's address space becomes the book, whole, once, and told row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from allotment import local_owner, open_book
from allotment.doors.cli.app import root
from allotment.doors.exchange.neutron import import_neutron
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import DeskSeat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.source import Source
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetAllocation,
    GetSubnet,
    GetSubnetPool,
    ListAddressScopes,
    ListAllocations,
    ListSubnets,
)
from neutron_cloud import Cloud


def bring_in(seat: DeskSeat, source: Source, plan: Plan | None = None) -> Report:
    report = Report("neutron", "neutron")
    import_neutron(seat, source, report, plan or Plan())
    assert all(row.outcome is not None for row in report.rows), "every row is told"
    return report


def outcomes(report: Report) -> dict[str, int]:
    return {outcome.value: count for outcome, count in report.counts().items() if count}


def furnish(cloud: Cloud) -> dict[str, str]:
    scope = cloud.scope("backbone")
    pool = cloud.pool("10.0.0.0/16", scope=scope, quota=1024)
    pooled = cloud.subnet("10.0.1.0/24", "10.0.1.2-10.0.1.254", gateway="10.0.1.1", pool=pool)
    plain = cloud.subnet("192.168.0.0/24", "192.168.0.2-192.168.0.9", gateway="192.168.0.1")
    six = cloud.subnet("2001:db8::/64", "2001:db8::1-2001:db8::ff", gateway="2001:db8::")
    port = cloud.port(pooled, "10.0.1.1", "10.0.1.7")
    return {"pool": pool, "pooled": pooled, "plain": plain, "six": six, "port": port}


def test_scopes_pools_subnets_and_addresses_are_taken_over(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    made = furnish(cloud)
    report = bring_in(seat, source)
    assert outcomes(report) == {"imported": 9}
    pool = seat.ask(GetSubnetPool(pool=names.pool_name(made["pool"])))
    subnet = seat.ask(GetSubnet(subnet=names.subnet_name(made["pooled"])))
    assert (pool.prefixes, pool.default_length) == ((Prefix("10.0.0.0/16"),), 26)
    assert subnet.pool_id == pool.id
    assert subnet.scope == pool.scope
    assert subnet.gateway == Address("10.0.1.1")
    assert subnet.pools == (AddressRange("10.0.1.2-10.0.1.254"),)
    assert names.project_of(subnet.tags) == "tenant"
    scopes = {one.name: one.description for one in every(seat, ListAddressScopes())}
    assert scopes[pool.scope] == "backbone"
    held = seat.ask(GetAllocation(subnet=str(subnet.id), address=Address("10.0.1.7")))
    assert names.port_of(held.identifier) == made["port"]
    assert str(held.mac) == "fa:16:3e:00:00:01"


def test_an_ipv6_gateway_may_be_the_anycast_address_as_neutron_has_it(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    six = cloud.subnet("2001:db8::/64", "2001:db8::1-2001:db8::ff", gateway="2001:db8::")
    cloud.port(six, "2001:db8::")
    assert outcomes(bring_in(seat, source)) == {"imported": 3}
    subnet = seat.ask(GetSubnet(subnet=names.subnet_name(six)))
    assert subnet.gateway == Address("2001:db8::")
    held = seat.ask(GetAllocation(subnet=str(subnet.id), address=Address("2001:db8::")))
    assert held.address == Address("2001:db8::")


def test_running_it_again_changes_nothing(cloud: Cloud, source: Source, seat: DeskSeat) -> None:
    furnish(cloud)
    bring_in(seat, source)
    before = list(every(seat, ListAllocations())), list(every(seat, ListSubnets()))
    assert outcomes(bring_in(seat, source)) == {"unchanged": 9}
    assert (list(every(seat, ListAllocations())), list(every(seat, ListSubnets()))) == before


def test_it_goes_on_where_it_was_left(cloud: Cloud, source: Source, seat: DeskSeat) -> None:
    made = furnish(cloud)
    bring_in(seat, source)
    cloud.port(made["plain"], "192.168.0.5")
    assert outcomes(bring_in(seat, source)) == {"unchanged": 9, "imported": 1}


def test_networks_may_overlap_and_so_may_prefixes_that_wait_for_delegation(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    for _ in range(3):
        cloud.subnet("::/64", "::1-::ffff", pool="prefix_delegation", network="one")
        cloud.subnet("10.0.0.0/24", "10.0.0.2-10.0.0.9")
    report = bring_in(seat, source)
    assert report.counts()[Outcome.REFUSED] == 0
    assert len(list(every(seat, ListSubnets()))) == 6


def test_what_two_say_of_one_place_is_refused_and_stops_nothing_else(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    cloud.subnet("10.0.0.0/24", network="one")
    twin = cloud.subnet("10.0.0.0/25", network="one")
    cloud.port(twin, "10.0.0.7")
    cloud.subnet("10.0.0.0/24", network="another")
    report = bring_in(seat, source)
    assert report.counts()[Outcome.REFUSED] >= 1
    told = {row.label: row.code for row in report.rows if row.outcome is Outcome.REFUSED}
    assert "overlap" in told.values()


def test_a_row_that_is_not_valid_is_refused_by_its_rule(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    cloud.subnet("10.0.0.300/24")
    good = cloud.subnet("10.0.1.0/24", "10.0.1.2-10.0.1.9")
    cloud.port(good, "10.0.1.07")
    report = bring_in(seat, source)
    refused = [row for row in report.rows if row.outcome is Outcome.REFUSED]
    assert [row.kind for row in refused] == ["subnet", "address"]
    assert "leading zeros" in refused[1].reason


def test_a_gateway_that_stands_in_a_pool_is_taken_out_and_told(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    subnet = cloud.subnet("10.0.0.0/24", "10.0.0.1-10.0.0.9", gateway="10.0.0.5")
    report = bring_in(seat, source)
    found = seat.ask(GetSubnet(subnet=names.subnet_name(subnet)))
    assert list(map(str, found.pools)) == ["10.0.0.1-10.0.0.4", "10.0.0.6-10.0.0.9"]
    assert any(part.what == "gateway" for row in report.rows for part in row.left_out)


def test_what_nobody_uses_is_told_and_not_held(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    subnet = cloud.subnet("10.0.0.0/24", "10.0.0.2-10.0.0.9")
    cloud.port(subnet, "10.0.0.2")
    cloud.without_port(subnet, "10.0.0.3")
    cloud.held_by_reference(subnet, "10.0.0.2", "10.0.0.4")
    report = bring_in(seat, source)
    told = {row.label or row.source: row.outcome for row in report.rows if "address" in row.kind}
    assert list(told.values()).count(Outcome.NOT_REPRESENTED) == 2
    assert len(list(every(seat, ListAllocations()))) == 1


def test_a_scope_of_the_operator_s_own_is_used(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    scope = cloud.scope("backbone")
    cloud.pool("10.0.0.0/16", scope=scope)
    bring_in(seat, source, Plan(scopes={scope: "corp"}))
    assert [one.name for one in every(seat, ListAddressScopes())] == ["corp"]


# --- as it is typed


def run(*words: str) -> Any:
    return CliRunner().invoke(root, words)


@pytest.fixture
def conf(cloud: Cloud, tmp_path: Path) -> Path:
    path = tmp_path / "neutron.conf"
    path.write_text(
        "[DEFAULT]\nipam_driver = allotment\nipam_driver = allotment\n"
        f"[database]\nconnection = {cloud.url}\n"
        f"[allotment]\ndatabase = sqlite:///{tmp_path}/book.db\nunpooled_subnets = subnet\n"
    )
    return path


def test_neutron_s_own_configuration_says_all_there_is_to_say(
    cloud: Cloud, conf: Path, tmp_path: Path
) -> None:
    furnish(cloud)
    done = run("import", "neutron", str(conf), "--output", "json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["counts"]["imported"] == 9
    with open_book(f"sqlite:///{tmp_path}/book.db") as desk:
        scopes = desk.ask(ListAddressScopes(), local_owner()).items
    assert sum(one.name.startswith("neutron-subnet-") for one in scopes) == 2, "as the file says"


def test_a_dry_run_makes_no_book(cloud: Cloud, conf: Path, tmp_path: Path) -> None:
    furnish(cloud)
    done = run("import", "neutron", str(conf), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "nothing was changed" in done.stdout
    assert not (tmp_path / "book.db").exists()


def test_a_password_is_in_no_report(tmp_path: Path) -> None:
    url = "postgresql://neutron:hunter2@127.0.0.1:1/neutron?password=hunter2"
    done = run("import", "neutron", url, "--database", f"sqlite:///{tmp_path}/b.db")
    assert done.exit_code == 7, done.output
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[DEFAULT]\n", "connection"),
        ("no file at all", "no configuration file"),
        ("[database]\nconnection=sqlite:///x\n[allotment]\nplacement=best\n", "placement"),
        ("[database]\nconnection=sqlite:///x\n[allotment]\nscopes=abc\n", "ID:NAME"),
    ],
)
def test_a_configuration_that_says_too_little_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "neutron.conf"
    path.write_text(text)
    done = run("import", "neutron", str(path))
    assert done.exit_code == 2
    assert told in done.stderr


def test_another_database_is_told_as_such(tmp_path: Path) -> None:
    done = run("import", "neutron", f"sqlite:///{tmp_path}/empty.db", "--dry-run")
    assert done.exit_code == 7
    assert "is it the right one" in done.stderr


def test_database_without_a_source_is_neutron_s_where_the_environment_names_the_book(
    cloud: Cloud, tmp_path: Path
) -> None:
    furnish(cloud)
    book = {"ALLOTMENT_DATABASE": f"sqlite:///{tmp_path}/book.db"}
    words = ["import", "neutron", "--database", cloud.url, "--output", "json"]
    for outcome in ("imported", "unchanged"):
        done = CliRunner().invoke(root, words, env=book)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["counts"][outcome] == 9


def test_database_without_a_source_is_refused_where_nothing_names_the_book(
    cloud: Cloud, tmp_path: Path
) -> None:
    """Else a slip would fill the user's own book."""
    nobody = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    for words in (["--database", cloud.url], []):
        done = CliRunner().invoke(root, ["import", "neutron", *words], env=nobody)
        assert done.exit_code == 2, done.output
    assert [one.name for one in tmp_path.iterdir()] == ["neutron.db"]


def test_an_address_whose_subnet_was_refused_says_by_what_code(
    cloud: Cloud, source: Source, seat: DeskSeat
) -> None:
    cloud.subnet("10.0.0.0/24", network="one")
    cloud.port(cloud.subnet("10.0.0.0/25", network="one"), "10.0.0.7")
    cloud.port(cloud.subnet("10.0.0.0/26", network="one"), "10.0.0.8")
    refused = [row for row in bring_in(seat, source).rows if row.outcome is Outcome.REFUSED]
    assert {row.kind for row in refused} == {"subnet", "address"}
    assert {row.code for row in refused} == {"overlap"}
