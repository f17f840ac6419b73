"""Many processes of Neutron's at once, and processes that are killed; on PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import netaddr
import pytest
from cloud_process import Cloud

from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.subnet_pools import PoolBook
from allotment.model.queries import GetSubnetPool

pytestmark = pytest.mark.skipif(
    os.environ.get("NEUTRON_ON") != "postgresql",
    reason="Neutron on SQLite has one process: its database is locked for others",
)
PROCESSES = 8
SECONDS_MAX = 600
OTHER = "fedcba9876543210fedcba9876543210"


class Workers:
    """Processes that do their jobs at the same time."""

    def __init__(self, databases: Any, here: Path) -> None:
        self._databases = databases
        self._script = here / "worker.py"
        self._started: list[subprocess.Popen[str]] = []

    def start(self, job: str, network: str, subnet: str = "-", count: int = 1) -> None:
        words = [*self._databases[:2], job, network, subnet, str(count)]
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(self._script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)

    def run(self) -> list[dict[str, Any]]:
        """Let all of them begin at once; what they tell."""
        for process in self._started:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"ready": True}
        for process in self._started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = []
        for process in self._started:
            out, _ = process.communicate(timeout=SECONDS_MAX)
            told += [json.loads(line) for line in out.splitlines()]
        return told

    def ended_by(self) -> list[int]:
        """The exit codes; of what was killed, the signal as a negative number."""
        return [process.wait() for process in self._started]

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def workers(databases: Any, here: Path) -> Any:
    made = Workers(databases, here)
    yield made
    made.close()


@pytest.mark.parametrize("job", ["make_ports", "make_dhcp_ports"])
def test_eight_processes_fill_a_subnet_to_its_last_address_and_no_further(
    cloud: Cloud, workers: Workers, job: str
) -> None:
    network = cloud.network()
    cloud.subnet(network, "10.0.0.0/27")
    for _ in range(PROCESSES):
        workers.start(job, network, count=40)
    told = workers.run()
    addresses = [one["address"] for one in told if "address" in one]
    assert len(set(addresses)) == len(addresses) == 29, "a /27 less network, broadcast and gateway"
    assert sum("full" in one for one in told) == PROCESSES
    assert set(workers.ended_by()) == {0}


def test_eight_processes_that_come_and_go_in_a_nearly_full_subnet_leave_nothing(
    cloud: Cloud, workers: Workers, auditor: Any
) -> None:
    network = cloud.network()
    cloud.subnet(network, "10.0.0.0/29")
    held = [cloud.port(network) for _ in range(3)]
    for _ in range(PROCESSES):
        workers.start("come_and_go", network, count=6)
    told = workers.run()
    assert set(workers.ended_by()) == {0}
    taken = {one["address"] for one in told if "address" in one}
    assert taken
    assert not taken & {port["fixed_ips"][0]["ip_address"] for port in held}
    assert auditor.told() == []


def test_a_subnet_that_is_removed_while_ports_are_made_is_gone_with_all_of_them(
    cloud: Cloud, workers: Workers, auditor: Any
) -> None:
    for _ in range(2):
        network = cloud.network()
        subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
        for _turn in range(3):
            workers.start("ports_while_it_goes", network, subnet, 6)
        workers.start("remove_subnet", network, subnet, 400)
    told = workers.run()
    assert set(workers.ended_by()) == {0}
    assert sum("removed" in one for one in told) == 2
    assert auditor.told() == []


def test_of_one_project_s_many_requests_no_more_are_granted_than_its_quota(
    cloud: Cloud, workers: Workers, databases: Any
) -> None:
    pool = cloud.pool("10.0.0.0/16", default_prefixlen=26, default_quota=256)["id"]
    projects = ("0" * 31 + "1", OTHER)
    for project in projects:
        for _ in range(PROCESSES // 2):
            workers.start("subnets_of_pool", project, pool, 2)
    told = workers.run()
    assert set(workers.ended_by()) == {0}
    cidrs = [one["cidr"] for one in told if "cidr" in one]
    assert len(set(cidrs)) == len(cidrs)
    assert netaddr.IPSet(cidrs).size == 64 * len(cidrs), "none overlaps another"
    with databases.seat() as seat:
        book = PoolBook(seat, Plan())
        found = seat.ask(GetSubnetPool(pool=f"neutron-pool-{pool}"))
        assert all(book.used(found, project) <= 256 for project in projects)


KILLS = {
    "killed_after_taking": ["address-left"],
    "killed_at_commit": ["address-left"],
    "killed_before_releasing": ["address-left"],
    "killed_after_entering": ["subnet-left"],
    "killed_before_removing": ["subnet-left"],
}


@pytest.mark.parametrize("job", KILLS)
def test_what_a_killed_process_leaves_is_found_explained_and_mended(
    cloud: Cloud, workers: Workers, auditor: Any, job: str
) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
    workers.start(job, network, subnet, 3)
    workers.run()
    assert workers.ended_by() == [-signal.SIGKILL]
    found = auditor.differences()
    assert Counter(one.kind.value for one in found) == Counter(KILLS[job])
    assert all(one.plain()["why"] for one in found)
    auditor.differences(repair=True)
    assert auditor.told() == []
