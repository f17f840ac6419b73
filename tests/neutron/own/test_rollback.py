"""Whatever fails at whatever step, Neutron and the book say the same afterwards.

Each operation is run again and again, the fault one step later each time, until it is not reached
any more: before a command to the book, after one (its answer lost), before each change in Neutron's
database, and before its commit. Neutron repeats what it may; what it gives up is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cloud_process import Cloud
from faults import desk_fails, every_error_kept, neutron_fails
from neutron_lib import exceptions as n_exc
from oslo_db import exception as db_exc

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
    """As ML2 does it: each port's address in a transaction of its own, before the ports exist."""
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/28")["id"]
    ipam = cloud.plugin.ipam

    def make() -> None:
        context, taken = cloud.context, []
        wanted = [{"subnet_id": subnet}, {"subnet_id": subnet, "ip_address": "10.9.9.9"}]
        try:
            for number, fixed in enumerate(wanted):
                port = {
                    "id": f"{number}" * 8 + "-0000-4000-8000-000000000000",
                    "network_id": network,
                    "fixed_ips": [dict(fixed)],
                    "mac_address": "fa:16:3e:00:00:0" + str(number),
                    "device_owner": "",
                    "device_id": "",
                }
                taken.append((port, ipam.allocate_ips_for_port(context, {"port": port})))
        except n_exc.NeutronException:
            for port, ips in taken:
                ipam.deallocate_ips_from_port(context, {"port": port}, ips)

    return make


OPERATIONS = [
    several_addresses,
    several_at_once,
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
