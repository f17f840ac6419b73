"""A process of Neutron's of its own: it does one kind of work, and tells what came of it.

`python worker.py NEUTRON_URL BOOK_URL JOB NETWORK SUBNET COUNT`, on the standard input a line to
begin, on the standard output a line of JSON for each thing done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import cloud_process
from cloud_process import Cloud
from neutron_lib import exceptions as n_exc
from neutron_lib.db import api as db_api
from sqlalchemy import event


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def make_ports(cloud: Cloud, network: str, _: str, count: int) -> None:
    """Ports, until there are enough or no address is left."""
    for _turn in range(count):
        try:
            port = cloud.port(network)
        except n_exc.IpAddressGenerationFailure:
            tell(full=True)
            return
        tell(port=port["id"], address=port["fixed_ips"][0]["ip_address"])


def make_dhcp_ports(cloud: Cloud, network: str, _: str, count: int) -> None:
    """Ports that want the next address in order."""
    for _turn in range(count):
        try:
            port = cloud.port(network, device_owner="network:dhcp")
        except n_exc.IpAddressGenerationFailure:
            tell(full=True)
            return
        tell(port=port["id"], address=port["fixed_ips"][0]["ip_address"])


def come_and_go(cloud: Cloud, network: str, _: str, count: int) -> None:
    """Ports made and removed."""
    for _turn in range(count):
        try:
            port = cloud.port(network)
        except n_exc.IpAddressGenerationFailure:
            continue
        tell(port=port["id"], address=port["fixed_ips"][0]["ip_address"])
        cloud.delete_port(port["id"])


def ports_while_it_goes(cloud: Cloud, network: str, subnet: str, count: int) -> None:
    """Ports of a subnet that somebody removes meanwhile."""
    for _turn in range(count):
        try:
            port = cloud.port(network, [{"subnet_id": subnet}])
        except n_exc.NeutronException as error:
            tell(error=type(error).__name__)
            continue
        cloud.delete_port(port["id"])


def remove_subnet(cloud: Cloud, _: str, subnet: str, count: int) -> None:
    """The subnet, removed as soon as nobody has a port there."""
    for _turn in range(count):
        try:
            cloud.delete_subnet(subnet)
        except n_exc.SubnetInUse:
            continue
        except n_exc.SubnetNotFound:
            return
        tell(removed=True)
        return


def subnets_of_pool(cloud: Cloud, network: str, pool: str, count: int) -> None:
    """Subnets of a pool; NETWORK is the project that asks."""
    for _turn in range(count):
        made = cloud.network(network)
        try:
            subnet = cloud.subnet(made, subnetpool_id=pool, tenant_id=network, project_id=network)
        except (n_exc.SubnetPoolQuotaExceeded, n_exc.SubnetAllocationError) as error:
            tell(refused=type(error).__name__)
            continue
        tell(cidr=subnet["cidr"])


def killed_after_taking(cloud: Cloud, network: str, _: str, count: int) -> None:
    """Killed when the book has given an address, and Neutron has not written it."""
    engine = db_api.CONTEXT_WRITER.get_engine()

    def on_statement(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO ipallocations"):
            die()

    event.listen(engine, "before_cursor_execute", on_statement)
    make_ports(cloud, network, "", count)


def killed_at_commit(cloud: Cloud, network: str, _: str, count: int) -> None:
    """Killed when all is written, and nothing committed."""
    engine = db_api.CONTEXT_WRITER.get_engine()
    written: list[bool] = []

    def on_statement(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO ipallocations"):
            written.append(True)

    event.listen(engine, "before_cursor_execute", on_statement)
    event.listen(engine, "commit", lambda _conn: die() if written else None)
    make_ports(cloud, network, "", count)


def killed_before_releasing(cloud: Cloud, network: str, _: str, _count: int) -> None:
    """Killed when Neutron has committed the removal of a port, and the book still holds it."""
    from allotment.doors.neutron.addresses import AddressBook

    port = cloud.port(network)
    tell(port=port["id"], address=port["fixed_ips"][0]["ip_address"])
    AddressBook.give_back = die  # type: ignore[assignment,method-assign]  # it never returns
    cloud.delete_port(port["id"])


def killed_after_entering(cloud: Cloud, network: str, _: str, _count: int) -> None:
    """Killed when a subnet is in the book, and Neutron has not written it."""
    engine = db_api.CONTEXT_WRITER.get_engine()

    def on_statement(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO subnets"):
            die()

    event.listen(engine, "before_cursor_execute", on_statement)
    cloud.subnet(network, "172.16.0.0/24")


def killed_before_removing(cloud: Cloud, _: str, subnet: str, _count: int) -> None:
    """Killed when Neutron has committed the removal of a subnet, and the book still has it."""
    from allotment.doors.neutron.subnets import SubnetBook

    SubnetBook.remove = die  # type: ignore[assignment,method-assign]  # it never returns
    cloud.delete_subnet(subnet)


JOBS = {
    job.__name__: job
    for job in (
        *(make_ports, make_dhcp_ports, come_and_go, ports_while_it_goes, remove_subnet),
        *(subnets_of_pool, killed_after_taking, killed_at_commit, killed_before_releasing),
        *(killed_after_entering, killed_before_removing),
    )
}


def main() -> None:
    neutron_url, book_url, job, network, subnet, count = sys.argv[1:]
    cloud_process.configure(neutron_url, book_url)
    cloud = Cloud()
    tell(ready=True)
    sys.stdin.readline()
    JOBS[job](cloud, network, subnet, int(count))
    cloud_process.close()


if __name__ == "__main__":
    main()
