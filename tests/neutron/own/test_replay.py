"""Every call of the driver made once more, as Neutron does when it repeats a request.

A repetition has the same port and the same request of the API, and finds what its first attempt
left; another request for the same port never takes that for its own.
"""

from __future__ import annotations

from typing import Any

import netaddr
import pytest
from cloud_process import PROJECT, Cloud
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_utils import uuidutils

from allotment.doors.neutron.pool import AllotmentPool

MAC = "fa:16:3e:00:00:01"
KINDS = {
    "any": {},
    "specific": {"ip_address": "2001:db8::9"},
    "eui-64": {"eui64_address": True, "subnet_cidr": "2001:db8::/64", "mac": MAC},
    "prefer-next": {},
}


class Caller:
    """Who asks the driver for one subnet, always for the same port."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.context = cloud, cloud.context
        self.subnet_id = uuidutils.generate_uuid()
        self.port = {"id": uuidutils.generate_uuid(), "mac_address": MAC, "device_owner": ""}

    def pool(self, context: Any = None) -> AllotmentPool:
        return AllotmentPool(None, context or self.context)

    def request(self, **facts: Any) -> Any:
        return ipam_req.SpecificSubnetRequest(PROJECT, self.subnet_id, "2001:db8::/64", **facts)

    def allocate(self, kind: str, context: Any = None) -> tuple[str, str]:
        context = context or self.context
        owner = "network:dhcp" if kind == "prefer-next" else ""
        pool = self.pool(context)
        factory = pool.get_address_request_factory()
        request = factory.get_request(context, self.port | {"device_owner": owner}, KINDS[kind])
        found: tuple[str, str] = pool.get_allocator([self.subnet_id]).allocate(request)
        return found


@pytest.fixture
def caller(cloud: Cloud) -> Any:
    made = Caller(cloud)
    made.pool().allocate_subnet(made.request())
    yield made
    made.pool().remove_subnet(made.subnet_id)


@pytest.mark.parametrize("kind", KINDS)
def test_an_allocation_that_is_repeated_finds_its_own(caller: Caller, kind: str) -> None:
    first = caller.allocate(kind)
    assert caller.allocate(kind) == first
    assert caller.allocate(kind) == first


@pytest.mark.parametrize("kind", ["any", "prefer-next"])
def test_another_request_for_the_same_port_gets_another_address(caller: Caller, kind: str) -> None:
    first = caller.allocate(kind)
    other = caller.allocate(kind, caller.cloud.context)
    assert other != first
    assert caller.allocate(kind) == first


@pytest.mark.parametrize("kind", ["specific", "eui-64"])
def test_another_request_for_the_same_port_does_not_get_the_same_address(
    caller: Caller, kind: str
) -> None:
    caller.allocate(kind)
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        caller.allocate(kind, caller.cloud.context)


def test_a_release_that_is_repeated_is_silent(caller: Caller) -> None:
    address, _ = caller.allocate("any")
    subnet = caller.pool().get_subnet(caller.subnet_id)
    subnet.deallocate(address)
    subnet.deallocate(address)
    assert caller.allocate("any", caller.cloud.context)[0] == address, "it is free"


def test_what_a_failed_transaction_took_is_not_taken_from_the_next_holder(caller: Caller) -> None:
    """Somebody released it meanwhile, and another port has it now: that one keeps it."""
    context = caller.cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        address, _ = caller.allocate("specific", context)
        caller.pool(caller.cloud.context).get_subnet(caller.subnet_id).deallocate(address)
        caller.port["id"] = uuidutils.generate_uuid()
        assert caller.allocate("specific")[0] == address
        context.session.rollback()
    with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
        caller.allocate("specific", caller.cloud.context)


def test_a_subnet_is_entered_and_changed_once_however_often_it_is_asked_for(
    caller: Caller,
) -> None:
    address, _ = caller.allocate("any")
    caller.pool().allocate_subnet(caller.request())
    runs = [netaddr.IPRange("2001:db8::10", "2001:db8::1f")]
    for _ in range(2):
        changed = caller.pool().update_subnet(caller.request(allocation_pools=runs))
        (found,) = changed.get_details().allocation_pools
        assert str(netaddr.IPAddress(found.first)) == "2001:db8::10"
    assert caller.allocate("any")[0] == address, "it is held all the while"


def test_a_removal_that_is_repeated_is_told_that_there_is_no_such_subnet(caller: Caller) -> None:
    caller.pool().remove_subnet(caller.subnet_id)
    with pytest.raises(n_exc.SubnetNotFound):
        caller.pool().remove_subnet(caller.subnet_id)
    caller.pool().allocate_subnet(caller.request())


def test_a_bulk_that_is_repeated_takes_others_and_never_the_same(caller: Caller) -> None:
    """It names no port: what the first attempt took goes back with its transaction."""
    subnet = caller.pool().get_subnet(caller.subnet_id)
    once, again = (set(subnet.bulk_allocate(ipam_req.BulkAddressRequest(5))) for _ in range(2))
    assert len(once) == len(again) == 5
    assert not once & again
