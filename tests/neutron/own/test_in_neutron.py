"""The driver inside Neutron's own operations: its transactions, its ports, its subnet pools."""

from __future__ import annotations

from contextlib import suppress

import netaddr
import pytest
from cloud_process import PROJECT, Cloud
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_db import exception as db_exc

from allotment.doors.neutron import counter
from allotment.doors.neutron.pool import AllotmentPool
from allotment.model.address import Address

OTHER = "fedcba9876543210fedcba9876543210"


def test_a_port_s_address_says_the_port_in_the_book(cloud: Cloud) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
    port = cloud.port(network)
    address = port["fixed_ips"][0]["ip_address"]
    held = counter.counter().addresses.holder(subnet, Address(address))
    assert held is not None
    assert held.identifier == f"port:{port['id']}:0"
    assert str(held.mac) == port["mac_address"]


def test_a_port_of_a_full_subnet_may_change_its_address_for_itself(cloud: Cloud) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/30")["id"]
    port = cloud.port(network)
    with pytest.raises(n_exc.IpAddressGenerationFailure):
        cloud.port(network)
    fixed = [{"subnet_id": subnet}]
    with_mac = cloud.update_port(port["id"], fixed_ips=fixed, mac_address="fa:16:3e:00:00:99")
    assert len(with_mac["fixed_ips"]) == 1


def test_what_is_released_stays_held_until_the_commit(cloud: Cloud) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
    port = cloud.port(network, [{"subnet_id": subnet, "ip_address": "10.0.0.9"}])
    ours = cloud.context
    with db_api.CONTEXT_WRITER.using(ours):
        AllotmentPool(None, ours).get_subnet(subnet).deallocate("10.0.0.9")
        other = AllotmentPool(None, cloud.context).get_subnet(subnet)
        with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
            other.allocate(ipam_req.SpecificAddressRequest("10.0.0.9"))
        ours.session.rollback()
    cloud.delete_port(port["id"])


def test_a_savepoint_that_fails_takes_its_own_address_back(cloud: Cloud) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
    ours = cloud.context
    with db_api.CONTEXT_WRITER.using(ours):
        pool = AllotmentPool(None, ours)
        kept = pool.get_subnet(subnet).allocate(ipam_req.SpecificAddressRequest("10.0.0.8"))
        with suppress(db_exc.DBDuplicateEntry), db_api.CONTEXT_WRITER.savepoint.using(ours):
            pool.get_subnet(subnet).allocate(ipam_req.SpecificAddressRequest("10.0.0.9"))
            raise db_exc.DBDuplicateEntry
        again = pool.get_subnet(subnet).allocate(ipam_req.SpecificAddressRequest("10.0.0.9"))
        assert (kept, again) == ("10.0.0.8", "10.0.0.9")
    for address in (kept, again):
        AllotmentPool(None, cloud.context).get_subnet(subnet).deallocate(address)


def test_many_prefixes_wait_for_delegation_and_one_is_delegated(cloud: Cloud) -> None:
    network = cloud.network()
    facts = {
        "ip_version": 6,
        "enable_dhcp": True,
        "subnetpool_id": "prefix_delegation",
        "ipv6_address_mode": "slaac",
        "ipv6_ra_mode": "slaac",
    }
    waiting = [cloud.subnet(network, **facts) for _ in range(3)]
    home = cloud.network()
    made = [cloud.subnet(home, **facts)]
    assert {one["cidr"] for one in (*waiting, *made)} == {"::/64"}
    port = cloud.port(home, [{"subnet_id": made[0]["id"]}])
    cloud.update_subnet(made[0]["id"], cidr="2001:db8:7::/64")
    found = cloud.plugin.get_port(cloud.context, port["id"])["fixed_ips"]
    addresses = {one["subnet_id"]: one["ip_address"] for one in found}
    assert netaddr.IPAddress(addresses[made[0]["id"]]) in netaddr.IPNetwork("2001:db8:7::/64")


def test_a_quota_is_charged_to_the_project_that_asks(cloud: Cloud) -> None:
    pool = cloud.pool("10.0.0.0/16", default_prefixlen=24, default_quota=256)["id"]

    def ask(project: str) -> str:
        network = cloud.network(project)
        facts = {"tenant_id": project, "project_id": project}
        return str(cloud.subnet(network, subnetpool_id=pool, **facts)["id"])

    own = ask(PROJECT)
    with pytest.raises(n_exc.SubnetPoolQuotaExceeded):
        ask(PROJECT)
    other = ask(OTHER)
    with pytest.raises(n_exc.SubnetPoolQuotaExceeded):
        ask(OTHER)
    cloud.delete_subnet(own)
    own = ask(PROJECT)
    assert own != other


def test_subnets_are_carved_without_gaps_and_come_back(cloud: Cloud) -> None:
    pool = cloud.pool("10.0.0.0/24", default_prefixlen=26)["id"]
    made = [cloud.subnet(cloud.network(), subnetpool_id=pool) for _ in range(4)]
    assert len({one["cidr"] for one in made}) == 4
    with pytest.raises(n_exc.SubnetAllocationError):
        cloud.subnet(cloud.network(), subnetpool_id=pool)
    cloud.delete_subnet(made[2]["id"])
    assert cloud.subnet(cloud.network(), subnetpool_id=pool)["cidr"] == made[2]["cidr"]


@pytest.mark.parametrize("length", [31, 32])
def test_the_smallest_subnets_of_a_pool_have_no_gateway(cloud: Cloud, length: int) -> None:
    """Neutron itself refuses the one that its reference driver would take for a /31."""
    pool = cloud.pool("10.0.0.0/24", default_prefixlen=length)["id"]
    made = cloud.subnet(cloud.network(), subnetpool_id=pool)
    assert netaddr.IPNetwork(made["cidr"]).prefixlen == length
    assert made["gateway_ip"] is None
