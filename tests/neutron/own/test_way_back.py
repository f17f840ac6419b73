"""The way back to Neutron's reference driver, as the how-to tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud_process import Cloud
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron.ipam.drivers.neutrondb_ipam.driver import NeutronDbPool
from neutron_lib.db import api as db_api
from sqlalchemy import text

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "neutron.md"


def statements() -> list[str]:
    """What the how-to says is to be run in Neutron's database."""
    (block,) = re.findall(r"```sql\n(.*?)```", HOW_TO.read_text("utf-8"), re.DOTALL)
    return [one for one in (part.strip() for part in block.split(";")) if one]


def run(context: Any, *lines: str) -> None:
    with db_api.CONTEXT_WRITER.using(context):
        for line in lines:
            context.session.execute(text(line))


@pytest.fixture
def tidied(cloud: Cloud) -> Iterator[Cloud]:
    """The tables of the reference driver are empty again afterwards."""
    yield cloud
    run(cloud.context, *(one for one in statements() if one.startswith("DELETE")))


def test_the_reference_driver_goes_on_where_ours_ended(tidied: Cloud) -> None:
    cloud = tidied
    network = cloud.network()
    pools = [{"start": "10.0.0.5", "end": "10.0.0.7"}]
    subnet = cloud.subnet(network, "10.0.0.0/24", allocation_pools=pools)["id"]
    used = {cloud.port(network)["fixed_ips"][0]["ip_address"] for _ in range(2)}
    for _ in range(2):  # it may be run again
        run(cloud.context, *statements())
    context = cloud.context
    with db_api.CONTEXT_WRITER.using(context):
        found = NeutronDbPool(None, context).get_subnet(subnet)
        assert len(found.get_details().allocation_pools) == 1
        for address in used:
            with pytest.raises(ipam_exc.IpAddressAlreadyAllocated):
                found.allocate(ipam_req.SpecificAddressRequest(address))
        free = found.allocate(ipam_req.AnyAddressRequest())
        assert {free} | used == {"10.0.0.5", "10.0.0.6", "10.0.0.7"}
        with pytest.raises(ipam_exc.IpAddressGenerationFailure):
            found.allocate(ipam_req.AnyAddressRequest())
