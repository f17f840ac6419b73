"""Neutron's database is read alike wherever it is, and what is none is told as such."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from allotment.bootstrap import open_neutron
from allotment.errors import InvalidValue, Misconfigured, StoreUnavailable
from allotment.model.neutron_rows import AddressRow, PoolRow, ScopeRow, SubnetRow
from neutron_cloud import SCHEMA, Cloud


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_neutron_on_postgresql_is_read(blank_postgres_url: str, snapshot: bool) -> None:
    with psycopg.connect(blank_postgres_url) as conn:
        conn.execute(SCHEMA.encode())
        conn.execute("INSERT INTO subnets VALUES ('s', 'n', 't', 'net', NULL, 4, '10.0.0.0/24')")
        conn.execute("INSERT INTO ipallocationpools VALUES ('p', 's', '10.0.0.2', '10.0.0.9')")
        conn.execute("INSERT INTO ports VALUES ('port', 'fa:16:3e:00:00:01', 'compute:nova')")
        conn.execute("INSERT INTO ipallocations VALUES ('port', '10.0.0.2', 's', 'net')")
    url = blank_postgres_url.replace("postgresql:", "postgresql+psycopg2:")  # as Neutron has it
    with open_neutron(url, snapshot=snapshot) as tables:
        (subnet,) = tables.subnets()
        (address,) = tables.addresses("s")
        assert (subnet.prefix, subnet.pools) == ("10.0.0.0/24", (("10.0.0.2", "10.0.0.9"),))
        assert (address.address, address.port_id) == ("10.0.0.2", "port")
        assert tables.has_subnet("s")
        assert tables.has_address("s", "10.0.0.2")
        assert not tables.has_address("s", "10.0.0.3")


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A Neutron with nothing in it."""
    return Cloud(tmp_path / "neutron.db")


@pytest.mark.parametrize("snapshot", [True, False])
def test_all_that_a_neutron_says_of_addresses_is_read(cloud: Cloud, snapshot: bool) -> None:
    scope = cloud.scope("blue")
    pool = cloud.pool("10.2.0.0/16", "10.1.0.0/16", scope=scope, quota=9)
    subnet = cloud.subnet(
        "10.1.0.0/24", "10.1.0.2-10.1.0.9", gateway="10.1.0.1", network="net", pool=pool
    )
    port = cloud.port(subnet, "10.1.0.3")
    cloud.without_port(subnet, "10.1.0.4")
    with open_neutron(cloud.url, snapshot=snapshot) as tables:
        assert tables.address_scopes() == [ScopeRow(scope, "blue", "admin")]
        prefixes = ("10.1.0.0/16", "10.2.0.0/16")
        assert tables.subnet_pools() == [PoolRow(pool, "pool", "admin", scope, 26, 9, prefixes)]
        ranges = (("10.1.0.2", "10.1.0.9"),)
        told = SubnetRow(subnet, "net", "tenant", "net", pool, "10.1.0.0/24", "10.1.0.1", ranges)
        assert tables.subnets() == [told]
        assert sorted(tables.addresses(subnet)) == [
            AddressRow("10.1.0.3", port, "fa:16:3e:00:00:01", "compute:nova"),
            AddressRow("10.1.0.4", None, None, None),
        ]


def test_questions_see_what_is_there_at_each_of_them(cloud: Cloud) -> None:
    with open_neutron(cloud.url, snapshot=False) as tables:
        assert tables.subnets() == []
        cloud.subnet("10.0.0.0/24")
        assert len(tables.subnets()) == 1


@pytest.mark.parametrize("url", ["oracle://host/neutron", "postgresql", "not a url"])
def test_what_is_no_database_of_neutron_s_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        open_neutron(url, snapshot=True)


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(StoreUnavailable) as told:
        open_neutron("postgresql://neutron:hunter2@127.0.0.1:1/neutron", snapshot=True)
    assert "hunter2" not in str(told.value)


def test_a_database_whose_driver_is_missing_says_which_to_install() -> None:
    with pytest.raises(Misconfigured, match="pymysql"):
        open_neutron("mysql+pymysql://neutron@db/neutron", snapshot=True)
