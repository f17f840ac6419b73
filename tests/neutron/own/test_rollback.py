"""Whatever fails at whatever step, Neutron and the book say the same afterwards.

Each operation is run again and again, the fault one step later each time, until it is not reached
any more: before a command to the book, after one (its answer lost), before each change in Neutron's
database, and before its commit. Neutron repeats what it may; what it gives up is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import netaddr
import pytest
from cloud_process import PROJECT, Cloud
from faults import desk_fails, every_error_kept, neutron_fails
from neutron.objects import ports as port_obj
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

STEPS_MAX = 200
Run = Callable[[], object]


def several_addresses(cloud: Cloud) -> Run:
    network = cloud.network()
    one, two = cloud.subnet(network, "10.0.0.0/28"), cloud.subnet(network, "10.0.1.0/28")
    six = cloud.subnet(network, "2001:db8::/64", ip_version=6)
    wanted = [
        {"subnet_id": one["id"]},
        {"subnet_id": one["id"]},
        {"subnet_id": two["id"], "ip_address": "10.0.1.7"},
        {"subnet_id": six["id"]},
    ]

    def create() -> None:
        port = cloud.port(network, [dict(each) for each in wanted])
        cloud.delete_port(port["id"])

    return create


def a_port_that_moves(cloud: Cloud) -> Run:
    network = cloud.network()
    one, two = cloud.subnet(network, "10.0.0.0/28"), cloud.subnet(network, "10.0.1.0/28")
    port = cloud.port(network, [{"subnet_id": one["id"]}])
    places = [one["id"], two["id"]]

    def move() -> None:
        places.reverse()
        cloud.update_port(port["id"], fixed_ips=[{"subnet_id": places[0]}])

    return move


def a_port_that_swaps_its_address(cloud: Cloud) -> Run:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/29")["id"]
    port = cloud.port(network, [{"subnet_id": subnet, "ip_address": "10.0.0.3"}])
    wanted = ["10.0.0.4", "10.0.0.3"]

    def swap() -> None:
        found = [{"subnet_id": subnet, "ip_address": wanted[0]}]
        cloud.update_port(port["id"], fixed_ips=found)
        wanted.reverse()

    return swap


def a_subnet_that_comes_and_goes(cloud: Cloud) -> Run:
    network = cloud.network()

    def make() -> None:
        cloud.delete_subnet(cloud.subnet(network, "10.0.0.0/24")["id"])

    return make


def a_subnet_of_a_pool(cloud: Cloud) -> Run:
    pool = cloud.pool("10.0.0.0/16", default_prefixlen=24, default_quota=1024)

    def make() -> None:
        cloud.delete_subnet(cloud.subnet(cloud.network(), subnetpool_id=pool["id"])["id"])

    return make


def a_subnet_that_changes(cloud: Cloud) -> Run:
    subnet = cloud.subnet(cloud.network(), "10.0.0.0/24")
    wanted = [("10.0.0.10", "10.0.0.99", "10.0.0.1"), ("10.0.0.5", "10.0.0.50", "10.0.0.254")]

    def change() -> None:
        wanted.reverse()
        first, last, gateway = wanted[0]
        pools = [{"start": first, "end": last}]
        cloud.update_subnet(subnet["id"], allocation_pools=pools, gateway_ip=gateway)

    return change


def several_at_once(cloud: Cloud) -> Run:
    """As ML2 does it: each port's address in a transaction of its own, then all ports in one."""
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/28")["id"]
    return lambda: Bulk(cloud, network, [{"subnet_id": subnet}] * 3).make_and_remove()


def several_of_which_one_cannot_be(cloud: Cloud) -> Run:
    """Likewise; the last address is of no subnet, so those before it are given back."""
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/28")["id"]
    bulk = Bulk(cloud, network, [{"subnet_id": subnet}] * 2 + [{"ip_address": "10.9.9.9"}])

    def refused() -> None:
        with suppress(n_exc.InvalidIpForNetwork):
            bulk.make_and_remove()

    return refused


class Bulk:
    """A bulk creation of ports, in the order of ML2's plug-in and with its clean-up."""

    def __init__(self, cloud: Cloud, network: str, wanted: list[dict[str, str]]) -> None:
        self.cloud, self.network, self.wanted = cloud, network, wanted
        self.ipam = cloud.plugin.ipam

    def make_and_remove(self) -> None:
        context = self.cloud.context
        ports = [self.port(fixed) for fixed in self.wanted]
        taken: list[Any] = []
        try:
            # One by one into the list: what came before a failure is what has to go back.
            taken.extend(self.ipam.allocate_ips_for_port(context, {"port": port}) for port in ports)
            self.write(context, ports, taken)
        except Exception:
            for port, ips in zip(ports, taken, strict=False):
                self.ipam.deallocate_ips_from_port(context, {"port": port}, ips)
            raise
        for port in ports:
            self.cloud.delete_port(port["id"])

    def port(self, fixed: dict[str, str]) -> dict[str, Any]:
        made = uuidutils.generate_uuid()
        return {
            "id": made,
            "network_id": self.network,
            "fixed_ips": [dict(fixed)],
            "mac_address": f"fa:16:3e:{made[:2]}:{made[2:4]}:{made[4:6]}",
            "device_owner": "",
            "device_id": "",
        }

    @db_api.retry_if_session_inactive()
    def write(self, context: Any, ports: list[dict[str, Any]], taken: list[Any]) -> None:
        with db_api.CONTEXT_WRITER.using(context):
            for port, ips in zip(ports, taken, strict=True):
                row = {key: port[key] for key in ("id", "network_id", "device_owner", "device_id")}
                mac = netaddr.EUI(port["mac_address"], dialect=netaddr.mac_unix_expanded)
                facts = {"admin_state_up": True, "status": "ACTIVE", "project_id": PROJECT}
                port_obj.Port(context, mac_address=mac, **row, **facts).create()
                self.ipam.store_ip_allocation_for_port(context, ips, self.network, {"port": port})


OPERATIONS = [
    several_addresses,
    several_at_once,
    several_of_which_one_cannot_be,
    a_port_that_moves,
    a_port_that_swaps_its_address,
    a_subnet_that_comes_and_goes,
    a_subnet_of_a_pool,
    a_subnet_that_changes,
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "answer-lost"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.__name__)
def test_a_fault_of_the_book_at_any_step_leaves_nothing_behind(
    cloud: Cloud, auditor: Any, operation: Callable[[Cloud], Run], after: bool
) -> None:
    run = operation(cloud)
    for step in range(1, STEPS_MAX):
        with every_error_kept() as kept, desk_fails(step, after=after) as faulty:
            run()
        told = auditor.told()
        # What is completed after the commit cannot be done any more: it is named, and mended.
        assert all(one.startswith(("address-left", "subnet-left")) for one in told), (step, told)
        if told:
            auditor.differences(repair=True)
            assert auditor.told() == [], (step, kept)
        if not faulty.struck:
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.__name__)
def test_a_fault_of_neutron_s_database_at_any_step_leaves_nothing_behind(
    cloud: Cloud, auditor: Any, operation: Callable[[Cloud], Run]
) -> None:
    run = operation(cloud)
    for step in range(1, STEPS_MAX):
        with every_error_kept() as kept, neutron_fails(step) as statements:
            run()
        assert auditor.told() == [], (step, kept)
        if not statements.struck:
            assert not kept, "without a fault it works"
            return
    pytest.fail("it never ended")


def test_a_commit_that_was_lost_is_left_as_it_is_and_then_found(cloud: Cloud, auditor: Any) -> None:
    """Nobody knows whether it happened, so nothing is released that may be in use."""
    network = cloud.network()
    cloud.subnet(network, "10.0.0.0/28")
    step = 1
    while True:
        with every_error_kept(), neutron_fails(step, db_exc.DBConnectionError) as statements:
            port = cloud.port(network)
            cloud.delete_port(port["id"])
        told = auditor.told()
        assert all(one.startswith("address-left") for one in told), (step, told)
        if told:
            assert all("port " in one for one in told), "it says for which port"
            auditor.differences(repair=True)
        if not statements.struck:
            return
        step += 1


def test_an_error_that_no_repetition_mends_is_told_and_undone(cloud: Cloud) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/28")["id"]
    taken = {"subnet_id": subnet, "ip_address": "10.0.0.5"}
    cloud.port(network, [dict(taken)])
    with pytest.raises(n_exc.NeutronException):
        cloud.port(network, [{"subnet_id": subnet}, dict(taken)])
