"""A Neutron's database as its own migrations leave it: the columns that are read, row by row."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

SCHEMA = """
CREATE TABLE address_scopes (id TEXT PRIMARY KEY, name TEXT, project_id TEXT, ip_version INT);
CREATE TABLE subnetpools (
    id TEXT PRIMARY KEY, name TEXT, project_id TEXT, address_scope_id TEXT, ip_version INT,
    default_prefixlen INT, min_prefixlen INT, max_prefixlen INT, default_quota INT);
CREATE TABLE subnetpoolprefixes (subnetpool_id TEXT, cidr TEXT);
CREATE TABLE subnets (
    id TEXT PRIMARY KEY, name TEXT, project_id TEXT, network_id TEXT, subnetpool_id TEXT,
    ip_version INT, cidr TEXT, gateway_ip TEXT);
CREATE TABLE ipallocationpools (id TEXT, subnet_id TEXT, first_ip TEXT, last_ip TEXT);
CREATE TABLE ipallocations (port_id TEXT, ip_address TEXT, subnet_id TEXT, network_id TEXT);
CREATE TABLE ports (id TEXT PRIMARY KEY, mac_address TEXT, device_owner TEXT);
CREATE TABLE ipamsubnets (id TEXT PRIMARY KEY, neutron_subnet_id TEXT);
CREATE TABLE ipamallocations (ip_address TEXT, status TEXT, ipam_subnet_id TEXT);
"""


@dataclass
class Cloud:
    """What a Neutron has in its database, written there row by row."""

    path: Path
    macs: int = field(default=0)

    def __post_init__(self) -> None:
        with closing(sqlite3.connect(self.path)) as conn:
            conn.executescript(SCHEMA)

    @classmethod
    def at(cls, path: Path) -> Cloud:
        """One that is there already."""
        found = object.__new__(cls)
        found.path, found.macs = path, 0x80
        return found

    @property
    def url(self) -> str:
        """Where the database is."""
        return f"sqlite:///{self.path}"

    def do(self, statement: str, *values: object) -> None:
        """Change the database, as Neutron or its administrator would."""
        with closing(sqlite3.connect(self.path)) as conn:
            conn.execute(statement, values)
            conn.commit()

    def scope(self, name: str) -> str:
        """An address scope."""
        made = str(uuid.uuid4())
        self.do("INSERT INTO address_scopes VALUES (?, ?, 'admin', 4)", made, name)
        return made

    def pool(self, *prefixes: str, scope: str | None = None, quota: int | None = None) -> str:
        """A subnet pool."""
        made = str(uuid.uuid4())
        self.do(
            "INSERT INTO subnetpools VALUES (?, 'pool', 'admin', ?, 4, 26, 8, 32, ?)",
            *(made, scope, quota),
        )
        for prefix in prefixes:
            self.do("INSERT INTO subnetpoolprefixes VALUES (?, ?)", made, prefix)
        return made

    def subnet(
        self,
        prefix: str,
        pools: str = "",
        *,
        gateway: str | None = None,
        network: str | None = None,
        pool: str | None = None,
        project: str = "tenant",
    ) -> str:
        """A subnet; pools as FIRST-LAST, and commas between."""
        made = str(uuid.uuid4())
        self.do(
            "INSERT INTO subnets VALUES (?, 'net', ?, ?, ?, 4, ?, ?)",
            *(made, project, network or str(uuid.uuid4()), pool, prefix, gateway),
        )
        for run in filter(None, pools.split(",")):
            first, _, last = run.partition("-")
            values = str(uuid.uuid4()), made, first, last
            self.do("INSERT INTO ipallocationpools VALUES (?, ?, ?, ?)", *values)
        return made

    def port(self, subnet: str, *addresses: str) -> str:
        """A port that uses addresses of a subnet."""
        made = str(uuid.uuid4())
        self.macs += 1
        mac = f"fa:16:3e:00:00:{self.macs:02x}"
        self.do("INSERT INTO ports VALUES (?, ?, 'compute:nova')", made, mac)
        for address in addresses:
            self.do("INSERT INTO ipallocations VALUES (?, ?, ?, 'n')", made, address, subnet)
        return made

    def without_port(self, subnet: str, address: str) -> None:
        """A row that a bulk creation which was killed leaves."""
        self.do("INSERT INTO ipallocations VALUES (NULL, ?, ?, 'n')", address, subnet)

    def held_by_reference(self, subnet: str, *addresses: str) -> None:
        """What Neutron's own driver holds of a subnet."""
        made = str(uuid.uuid4())
        self.do("INSERT INTO ipamsubnets VALUES (?, ?)", made, subnet)
        for address in addresses:
            self.do("INSERT INTO ipamallocations VALUES (?, 'ALLOCATED', ?)", address, made)
