"""Neutron's database is read alike wherever it is, and what is none is told as such."""

from __future__ import annotations

import psycopg
import pytest

from allotment.bootstrap import open_neutron
from allotment.errors import InvalidValue, Misconfigured, StoreUnavailable
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
