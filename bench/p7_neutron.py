"""P7: inside Neutron, against its reference driver, on the same PostgreSQL in the same run.

One address for a port, in a transaction of Neutron's that commits, with so many addresses of a /16
held already: any address, one process; then any and the next one, 8 processes on one subnet, under
Neutron's own retries. Both drivers are asked as Neutron's backend asks them, for ports with an id.
What Neutron itself writes for a port is left out of both.

It needs Neutron, and runs itself in the environment that tests/neutron/run.py makes.
"""

from __future__ import annotations

import os
import statistics
import sys
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NEUTRON_TESTS = Path(__file__).resolve().parent.parent / "tests" / "neutron"
sys.path.insert(0, str(NEUTRON_TESTS))

if find_spec("neutron_lib") is None:
    from run import environment

    os.execv(environment(), [sys.executable, "-W", "ignore", *sys.argv])

import cloud_process  # noqa: E402
from crew import Crew  # noqa: E402
from ground import Bench, Figure, Ground, checked, interleaved, options  # noqa: E402
from neutron.ipam.drivers.neutrondb_ipam import db_models  # noqa: E402
from neutron.ipam.drivers.neutrondb_ipam.driver import NeutronDbPool  # noqa: E402
from neutron_lib.db import api as db_api  # noqa: E402
from oslo_config import cfg  # noqa: E402

from allotment.bootstrap import local_owner, open_book  # noqa: E402
from allotment.doors.neutron import names  # noqa: E402
from allotment.doors.neutron.pool import AllotmentPool  # noqa: E402
from allotment.model.commands import AllocateAddresses  # noqa: E402

OURS, REFERENCE = "allotment", "internal"
DRIVERS: dict[str, Any] = {OURS: AllotmentPool, REFERENCE: NeutronDbPool}
ANY, NEXT = "any", "network:dhcp"
REACH = {0: 5.0, 50_000: 500.0}
REACH_BETWEEN = 5.0
FIRST = 10 << 24 | 2
"""Addresses are held from here on: the first that a pool around the gateway has."""

Subnets = dict[tuple[str, int], str]
"""The subnet for a driver and a number of addresses held."""


@db_api.retry_if_session_inactive()
def allocate(context: Any, make: Any, subnet: str, port: dict[str, str]) -> str:
    """One address, as Neutron's backend asks a driver for it (Any: Neutron is not typed)."""
    with db_api.CONTEXT_WRITER.using(context):
        pool = make(None, context)
        request = pool.get_address_request_factory().get_request(context, port, {})
        address, _ = pool.get_allocator([subnet]).allocate(request)
        return str(address)


class NeutronClient:
    """A process of Neutron's that asks both drivers for addresses."""

    def __init__(self, _place: int, neutron_url: str, book_url: str, subnets: Subnets) -> None:
        cloud_process.configure(neutron_url, book_url)
        self._cloud = cloud_process.Cloud()
        self._subnets = subnets
        self._taken: list[str] = []

    def job(self, kind: tuple[str, int, str]) -> Callable[[], None]:
        """One address of a kind: of which driver, with how many held, for whom."""
        driver, held, owner = kind
        subnet, make = self._subnets[driver, held], DRIVERS[driver]

        def once() -> None:
            port = {
                "id": str(uuid.uuid4()),
                "mac_address": "fa:16:3e:00:00:01",
                "device_owner": "" if owner == ANY else owner,
            }
            address = allocate(self._cloud.context, make, subnet, port)
            self._taken.append(f"{subnet} {address}")

        return once

    def finish(self) -> list[str]:
        """What this process was given."""
        cloud_process.close()
        return self._taken


def make_cloud(neutron_url: str, book_url: str, held: list[int]) -> Subnets:
    """Neutron's tables, and for each driver a /16 with so many addresses held."""
    cloud_process.configure(neutron_url, book_url)
    cloud_process.make_tables()
    cloud = cloud_process.Cloud()
    subnets: Subnets = {}
    for driver in DRIVERS:
        cfg.CONF.set_override("ipam_driver", driver)
        for count in held:
            subnets[driver, count] = cloud.subnet(cloud.network(), "10.0.0.0/16")["id"]
    for count in held:
        fill_reference(subnets[REFERENCE, count], count)
    with open_book(book_url) as desk:
        for count in filter(None, held):
            subnet = names.subnet_name(subnets[OURS, count])
            desk.do(AllocateAddresses(subnet=subnet, count=count), local_owner())
    return subnets


def fill_reference(subnet_id: str, count: int) -> None:
    """Rows of the reference driver's own table, entered at once."""
    context = cloud_process.Cloud().context
    with db_api.CONTEXT_WRITER.using(context):
        row = context.session.query(db_models.IpamSubnet).filter_by(neutron_subnet_id=subnet_id)
        ipam_id = row.one().id
        rows = [
            {"ip_address": _text(FIRST + place), "status": "ALLOCATED", "ipam_subnet_id": ipam_id}
            for place in range(count)
        ]
        if rows:
            context.session.bulk_insert_mappings(db_models.IpamAllocation, rows)


def _text(value: int) -> str:
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def main() -> None:
    """Measure one process at each fullness, then several."""
    sizes = options(
        __doc__,
        held=([0, 1_000, 10_000, 50_000], [0, 200]),
        processes=(8, 2),
        shared=(1_000, 200),
        seconds=(3.0, 0.5),
        rounds=(3, 2),
    )
    bench = Bench(claim="P7", options=sizes)
    with Ground() as ground:
        neutron_url = ground.database("postgresql").replace("postgresql:", "postgresql+psycopg2:")
        book_url = ground.database("postgresql")
        with open_book(book_url, create=True):
            pass
        # One subnet for each fullness, and another one that several processes share.
        shared = sizes.shared + 1
        subnets = make_cloud(neutron_url, book_url, [*sizes.held, shared])
        cloud_process.close()
        crew = Crew(sizes.processes, NeutronClient, neutron_url, book_url, subnets)
        ground.settle()
        for held in sizes.held:
            name = f"one process, {held:,} of a /16 held"
            reach = REACH.get(held, REACH_BETWEEN)
            bench.add(measured(crew, sizes, (name, reach), (1, held, ANY)))
        for owner, said in ((ANY, "any"), (NEXT, "the next")):
            name = f"{sizes.processes} processes, {said}, {shared:,} held"
            bench.add(measured(crew, sizes, (name, REACH[0]), (sizes.processes, shared, owner)))
        taken = [one for some in crew.finish() for one in some]
        if len(set(taken)) != len(taken):
            raise SystemExit("an address was handed out twice")
        with open_book(book_url) as desk:
            report = checked(desk)
        bench.note("check", f"clean; {report.allocations} addresses held in the book")
        bench.finish(ground)


def measured(crew: Crew, sizes: Any, what: tuple[str, float], how: tuple[int, int, str]) -> Figure:
    """Both drivers in turn."""
    (name, reach), (width, held, owner) = what, how

    def contender(driver: str) -> Callable[[], float]:
        return lambda: crew.slot((driver, held, owner), width, sizes.seconds).rate

    samples = interleaved(
        {driver: contender(driver) for driver in DRIVERS},
        sizes.rounds,
        lambda: [crew.slot((driver, held, owner), width, 0.2) for driver in DRIVERS],
    )
    alone = {
        f"{driver}, ms an address": round(1000 * width / statistics.median(found), 2)
        for driver, found in samples.items()
    }
    return Figure(
        name=name,
        unit="per s",
        baseline_name="the reference driver",
        product=samples[OURS],
        baseline=samples[REFERENCE],
        reach=reach,
        notes=alone,
    )


if __name__ == "__main__":
    main()
