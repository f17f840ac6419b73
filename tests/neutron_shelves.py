"""The book by Neutron's words, as the driver's objects share it."""

from __future__ import annotations

from dataclasses import dataclass

from allotment.doors.neutron.addresses import AddressBook
from allotment.doors.neutron.subnet_pools import PoolBook
from allotment.doors.neutron.subnets import SubnetBook


@dataclass
class Shelves:
    """The book by Neutron's words."""

    subnets: SubnetBook
    pools: PoolBook
    addresses: AddressBook
