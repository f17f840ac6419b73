"""The book at a service that is killed while Neutron works."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from book_service import BookService
from cloud_process import Cloud
from faults import every_error_kept
from neutron_and_book import ON

from allotment.doors.neutron import counter

pytestmark = pytest.mark.skipif(ON != "service", reason="the book of this run is at no service")
KILLS = 8


@contextmanager
def killed_after(service: BookService, seconds: float) -> Iterator[None]:
    """The service is killed so long after the beginning, and is there again a moment later."""

    def strike() -> None:
        service.kill()
        service.start()

    timer = threading.Timer(seconds, strike)
    timer.start()
    try:
        yield
    finally:
        timer.join()


class DyingDesk:
    """A real desk whose service is killed when the command of this number is on its way to it."""

    def __init__(self, desk: Any, service: BookService, step: int) -> None:
        self.desk, self.service, self.step = desk, service, step
        self.commands = 0

    def do(self, command: Any, actor: Any, /) -> Any:
        self.commands += 1
        if self.commands != self.step:
            return self.desk.do(command, actor)
        with killed_after(self.service, random.uniform(0.0, 0.004)):
            return self.desk.do(command, actor)

    def ask(self, query: Any, actor: Any, /) -> Any:
        return self.desk.ask(query, actor)

    def close(self) -> None:
        self.desk.close()


@contextmanager
def service_dies(service: BookService, step: int) -> Iterator[DyingDesk]:
    """The service is killed at the command of this number (from 1), once."""
    at = counter.counter()
    desk = at.seat.desk
    dying = DyingDesk(desk, service, step)
    object.__setattr__(at.seat, "desk", dying)
    try:
        yield dying
    finally:
        object.__setattr__(at.seat, "desk", desk)


def all_of_it(cloud: Cloud) -> None:
    """A subnet, a port with an address of each kind, and all of it removed."""
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/28")["id"]
    six = cloud.subnet(network, "2001:db8::/64", ip_version=6)["id"]
    wanted = [
        {"subnet_id": subnet},
        {"subnet_id": subnet, "ip_address": "10.0.0.9"},
        {"subnet_id": six},
    ]
    port = cloud.port(network, wanted)
    cloud.update_port(port["id"], fixed_ips=wanted[1:])
    cloud.update_subnet(subnet, gateway_ip=None)
    cloud.delete_port(port["id"])
    cloud.delete_subnet(subnet)


def mended(auditor: Any) -> list[str]:
    """What differs; it is mended, and nothing differs any more."""
    told: list[str] = auditor.told()
    if told:
        auditor.differences(repair=True)
        assert auditor.told() == [], told
    return told


def test_a_service_killed_at_any_command_is_waited_for_and_nothing_is_lost(
    cloud: Cloud, auditor: Any, service: BookService
) -> None:
    step, worked = 1, 0
    while True:
        with every_error_kept() as kept, service_dies(service, step) as dying:
            all_of_it(cloud)
        worked += not kept
        told = mended(auditor)
        assert all(one.startswith(("address-left", "subnet-left")) for one in told), (step, told)
        if dying.commands < step:
            break
        step += 1
    assert step > 8, "there are so many commands"
    assert worked >= step - 2, "the client asks again by itself"


def test_a_service_killed_while_ports_come_and_go_gives_no_address_twice(
    cloud: Cloud, auditor: Any, service: BookService
) -> None:
    network = cloud.network()
    cloud.subnet(network, "10.0.0.0/26")
    ports: list[dict[str, Any]] = []
    for _ in range(KILLS):
        with killed_after(service, random.uniform(0.05, 0.5)), every_error_kept():
            for _turn in range(12):
                ports.append(cloud.port(network))
                if len(ports) > 20:
                    cloud.delete_port(ports.pop(0)["id"])
    addresses = [port["fixed_ips"][0]["ip_address"] for port in ports]
    assert len(set(addresses)) == len(addresses)
    told = mended(auditor)
    assert all(one.startswith("address-left") for one in told), told
    assert service.kills >= KILLS
