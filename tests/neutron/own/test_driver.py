"""The driver's objects as Neutron's backend uses them, and beyond what its API lets through."""

from __future__ import annotations

from typing import Any

import netaddr
import pytest
from cloud_process import PROJECT, Cloud
from neutron.ipam import driver as ipam_driver
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from oslo_utils import uuidutils

from allotment.doors.neutron import counter
from allotment.doors.neutron.pool import AllotmentPool


class Bare:
    """The driver without Neutron's database: what it is asked outside any transaction."""

    def __init__(self, cloud: Cloud) -> None:
        self.context = cloud.context
        self.subnets: list[str] = []

    @property
    def pool(self) -> AllotmentPool:
        return AllotmentPool(None, self.context)

    def subnet(self, cidr: str, **facts: Any) -> Any:
        request = ipam_req.SpecificSubnetRequest(PROJECT, uuidutils.generate_uuid(), cidr, **facts)
        self.subnets.append(request.subnet_id)
        return self.pool.allocate_subnet(request)

    def update(self, cidr: str, **facts: Any) -> Any:
        request = ipam_req.SpecificSubnetRequest(PROJECT, self.subnets[-1], cidr, **facts)
        return self.pool.update_subnet(request)

    def address(self, said: str) -> Any:
        return ipam_req.SpecificAddressRequest(said)

    def tidy(self) -> None:
        for subnet_id in self.subnets:
            try:
                self.pool.remove_subnet(subnet_id)
            except n_exc.SubnetNotFound:
                continue


@pytest.fixture
def bare(cloud: Cloud) -> Any:
    made = Bare(cloud)
    yield made
    made.tidy()


def shown(pools: Any) -> list[str]:
    return [f"{netaddr.IPAddress(one.first)}-{netaddr.IPAddress(one.last)}" for one in pools]


def test_neutron_loads_it_by_its_name(cloud: Cloud) -> None:
    found = ipam_driver.Pool.get_instance(None, cloud.context)
    assert type(found) is AllotmentPool
    assert found.needs_rollback()


def test_making_an_object_opens_nothing(fresh_counter: None, plugin: Cloud) -> None:
    AllotmentPool(None, plugin.context)
    assert counter._open is None


@pytest.mark.parametrize("set_gateway", [True, False])
def test_details_keep_whether_there_is_a_gateway(bare: Bare, set_gateway: bool) -> None:
    gateway = "10.0.0.1" if set_gateway else None
    made = bare.subnet("10.0.0.0/24", gateway_ip=gateway, set_gateway_ip=set_gateway)
    found = bare.pool.get_subnet(bare.subnets[0]).get_details()
    for details in (made.get_details(), found):
        assert details.set_gateway_ip is set_gateway
        assert (details.gateway_ip is not None) is set_gateway
        assert str(details.subnet_cidr) == "10.0.0.0/24"
        assert details.project_id == PROJECT


@pytest.mark.parametrize("cidr", ["10.0.0.0/31", "10.0.0.0/32", "2001:db8::/127", "2001:db8::/128"])
def test_every_address_of_a_small_subnet_is_given_by_name_and_by_any(bare: Bare, cidr: str) -> None:
    subnet = bare.subnet(cidr, set_gateway_ip=False)
    size = netaddr.IPNetwork(cidr).size
    by_any = {subnet.allocate(ipam_req.AnyAddressRequest()) for _ in range(size)}
    with pytest.raises(ipam_exc.IpAddressGenerationFailure):
        subnet.allocate(ipam_req.AnyAddressRequest())
    for address in by_any:
        subnet.deallocate(address)
    assert {subnet.allocate(bare.address(one)) for one in by_any} == by_any


@pytest.mark.parametrize("cidr", ["10.0.0.0/24", "2001:db8::/64"])
def test_an_off_subnet_gateway_is_kept_and_takes_nothing_away(bare: Bare, cidr: str) -> None:
    far = "192.0.2.1" if "." in cidr else "fe80::1"
    details = bare.subnet(cidr, gateway_ip=far).get_details()
    assert str(details.gateway_ip) == far
    assert len(details.allocation_pools) == 1


def test_pools_stay_without_any_and_go_with_an_empty_list(bare: Bare) -> None:
    bare.subnet("10.0.0.0/24", gateway_ip="10.0.0.1")
    before = shown(bare.pool.get_subnet(bare.subnets[0]).get_details().allocation_pools)
    bare.update("10.0.0.0/24", gateway_ip="10.0.0.1", allocation_pools=None)
    assert shown(bare.pool.get_subnet(bare.subnets[0]).get_details().allocation_pools) == before
    empty = bare.update("10.0.0.0/24", gateway_ip="10.0.0.1", allocation_pools=[])
    assert shown(empty.get_details().allocation_pools) == []


def test_the_order_and_the_split_of_pools_change_nothing(bare: Bare) -> None:
    runs = [netaddr.IPRange("10.0.0.10", "10.0.0.19"), netaddr.IPRange("10.0.0.40", "10.0.0.49")]
    bare.subnet("10.0.0.0/24", allocation_pools=list(reversed(runs)))
    split = [netaddr.IPRange("10.0.0.10", "10.0.0.14"), netaddr.IPRange("10.0.0.15", "10.0.0.19")]
    made = bare.update("10.0.0.0/24", allocation_pools=[*split, runs[1]])
    assert shown(made.get_details().allocation_pools) == shown(runs)
    request = ipam_req.PreferNextAddressRequest()
    assert made.allocate(request) == "10.0.0.10"


@pytest.mark.parametrize("garbage", ["10.9.9.9", "2001:db8::1", "nonsense", "", "10.0.0.7"])
def test_giving_back_what_is_nobody_s_is_silent(bare: Bare, garbage: str) -> None:
    assert bare.subnet("10.0.0.0/24").deallocate(garbage) is None


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("10.0.0.0", ipam_exc.InvalidIpForSubnet),
        ("10.0.0.255", ipam_exc.InvalidIpForSubnet),
        ("10.0.1.1", ipam_exc.InvalidIpForSubnet),
        ("2001:db8::1", ipam_exc.InvalidIpForSubnet),
        ("10.0.0.9", ipam_exc.IpAddressAlreadyAllocated),
    ],
)
def test_an_address_that_cannot_be_given_is_told_as_neutron_tells_it(
    bare: Bare, said: str, error: type[Exception]
) -> None:
    subnet = bare.subnet("10.0.0.0/24")
    subnet.allocate(bare.address("10.0.0.9"))
    with pytest.raises(error):
        subnet.allocate(bare.address(said))


def test_the_gateway_and_what_is_outside_the_pools_may_be_had_by_name(bare: Bare) -> None:
    run = netaddr.IPRange("10.0.0.10", "10.0.0.19")
    subnet = bare.subnet("10.0.0.0/24", gateway_ip="10.0.0.1", allocation_pools=[run])
    assert subnet.allocate(bare.address("10.0.0.1")) == "10.0.0.1"
    assert subnet.allocate(bare.address("10.0.0.200")) == "10.0.0.200"


def test_the_router_s_gateway_is_the_subnet_s(bare: Bare) -> None:
    subnet = bare.subnet("10.0.0.0/24", gateway_ip="10.0.0.1")
    assert subnet.allocate(ipam_req.RouterGatewayAddressRequest()) == "10.0.0.1"


def test_an_address_made_from_the_mac_is_a_very_address(bare: Bare) -> None:
    subnet = bare.subnet("2001:db8::/64")
    request = ipam_req.AutomaticAddressRequest(prefix="2001:db8::/64", mac="fa:16:3e:00:00:01")
    assert subnet.allocate(request) == "2001:db8::f816:3eff:fe00:1"
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        subnet.allocate(request)


def test_a_bulk_is_all_or_nothing(bare: Bare) -> None:
    subnet = bare.subnet("10.0.0.0/28", gateway_ip="10.0.0.1")
    found = subnet.bulk_allocate(ipam_req.BulkAddressRequest(10))
    assert len(set(found)) == 10
    with pytest.raises(ipam_exc.IpAddressGenerationFailure):
        subnet.bulk_allocate(ipam_req.BulkAddressRequest(4))
    assert len(subnet.bulk_allocate(ipam_req.BulkAddressRequest(3))) == 3


def test_a_bulk_of_more_than_100000_is_served(bare: Bare) -> None:
    subnet = bare.subnet("10.0.0.0/14", gateway_ip="10.0.0.1")
    assert len(set(subnet.bulk_allocate(ipam_req.BulkAddressRequest(100_001)))) == 100_001


def test_a_bulk_for_a_group_is_refused_and_not_answered_with_one(bare: Bare) -> None:
    bare.subnet("10.0.0.0/28")
    group = bare.pool.get_allocator(bare.subnets)
    for ask in (group.allocate, bare.pool.get_subnet(bare.subnets[0]).allocate):
        with pytest.raises(ipam_exc.InvalidAddressType):
            ask(ipam_req.BulkAddressRequest(3))


def test_a_group_goes_on_to_the_next_only_when_one_is_full(bare: Bare) -> None:
    for cidr in ("10.0.0.0/30", "10.0.1.0/30"):
        bare.subnet(cidr, gateway_ip=cidr.replace("0/30", "1"))
    group = bare.pool.get_allocator(bare.subnets)
    found = [group.allocate(ipam_req.AnyAddressRequest()) for _ in range(2)]
    assert found == [("10.0.0.2", bare.subnets[0]), ("10.0.1.2", bare.subnets[1])]
    with pytest.raises(ipam_exc.IpAddressGenerationFailureAllSubnets):
        group.allocate(ipam_req.AnyAddressRequest())
    with pytest.raises(ipam_exc.IpAddressGenerationFailureAllSubnets):
        bare.pool.get_allocator([]).allocate(ipam_req.AnyAddressRequest())


def test_what_is_not_there_is_told_as_neutron_tells_it(bare: Bare) -> None:
    stranger = uuidutils.generate_uuid()
    for ask in (bare.pool.get_subnet, bare.pool.remove_subnet):
        with pytest.raises(n_exc.SubnetNotFound):
            ask(stranger)
    bare.subnet("10.0.0.0/24")
    with pytest.raises(ipam_exc.InvalidSubnetRequest):
        bare.pool.update_subnet(ipam_req.SpecificSubnetRequest(PROJECT, None, "10.0.0.0/24"))
    with pytest.raises(ipam_exc.InvalidSubnetRequestType):
        bare.pool.allocate_subnet(ipam_req.AnySubnetRequest(PROJECT, stranger, "IPv4", 24))


def test_one_subnet_is_entered_once_however_often_it_is_asked_for(bare: Bare) -> None:
    request = ipam_req.SpecificSubnetRequest(PROJECT, uuidutils.generate_uuid(), "10.0.0.0/24")
    bare.subnets.append(request.subnet_id)
    first, again = bare.pool.allocate_subnet(request), bare.pool.allocate_subnet(request)
    first.allocate(bare.address("10.0.0.9"))
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        again.allocate(bare.address("10.0.0.9"))
