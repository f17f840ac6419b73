"""Reading the database of a Neutron, which is somebody else's: nothing is ever written there.

Invariant: every statement is a SELECT; a table or column that is not there is told as such.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, column, create_engine, exists, select, table
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from allotment.errors import InvalidValue, Misconfigured, StoreUnavailable
from allotment.model.neutron_rows import AddressRow, PoolRow, ScopeRow, SubnetRow

_FORMS = "write mysql+pymysql://user@host/neutron, postgresql://user@host/neutron or sqlite:///path"


def _table(name: str, *columns: str) -> Any:  # Any: SQLAlchemy's tables are not typed by column
    return table(name, *(column(one) for one in columns))


SCOPES = _table("address_scopes", "id", "name", "project_id")
POOLS = _table(
    "subnetpools",
    *("id", "name", "project_id", "address_scope_id", "default_prefixlen", "default_quota"),
)
PREFIXES = _table("subnetpoolprefixes", "subnetpool_id", "cidr")
SUBNETS = _table(
    "subnets", *("id", "name", "project_id", "network_id", "subnetpool_id", "cidr", "gateway_ip")
)
RANGES = _table("ipallocationpools", "subnet_id", "first_ip", "last_ip")
ADDRESSES = _table("ipallocations", "subnet_id", "ip_address", "port_id")
PORTS = _table("ports", "id", "mac_address", "device_owner")
IPAM_SUBNETS = _table("ipamsubnets", "id", "neutron_subnet_id")
IPAM_ADDRESSES = _table("ipamallocations", "ipam_subnet_id", "ip_address")


class NeutronTables:
    """What a Neutron's database says; `close` gives the connection back."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()
        self._conn.engine.dispose()

    def __enter__(self) -> NeutronTables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:  # Any: as above
        with _told():
            return self._conn.execute(query).all()

    def address_scopes(self) -> list[ScopeRow]:
        """All address scopes."""
        query = select(SCOPES.c.id, SCOPES.c.name, SCOPES.c.project_id).order_by(SCOPES.c.id)
        return [ScopeRow._make(row) for row in self._rows(query)]

    def subnet_pools(self) -> list[PoolRow]:
        """All subnet pools with their prefixes."""
        prefixes = defaultdict(list)
        for row in self._rows(select(PREFIXES.c.subnetpool_id, PREFIXES.c.cidr)):
            prefixes[row.subnetpool_id].append(row.cidr)
        query = select(*POOLS.c).order_by(POOLS.c.id)
        return [PoolRow._make((*row, tuple(sorted(prefixes[row.id])))) for row in self._rows(query)]

    def subnets(self) -> list[SubnetRow]:
        """All subnets with their allocation pools."""
        ranges = defaultdict(list)
        for row in self._rows(select(*RANGES.c)):
            ranges[row.subnet_id].append((row.first_ip, row.last_ip))
        query = select(*SUBNETS.c).order_by(SUBNETS.c.id)
        return [SubnetRow._make((*row, tuple(sorted(ranges[row.id])))) for row in self._rows(query)]

    def has_subnet(self, subnet_id: str) -> bool:
        """Whether a subnet is there now."""
        return bool(self._rows(select(exists().where(SUBNETS.c.id == subnet_id)))[0][0])

    def addresses(self, subnet_id: str) -> Iterator[AddressRow]:
        """The addresses in use of a subnet, with their ports."""
        query = (
            select(
                ADDRESSES.c.ip_address,
                ADDRESSES.c.port_id,
                PORTS.c.mac_address,
                PORTS.c.device_owner,
            )
            .select_from(ADDRESSES.outerjoin(PORTS, PORTS.c.id == ADDRESSES.c.port_id))
            .where(ADDRESSES.c.subnet_id == subnet_id)
        )
        return (AddressRow._make(row) for row in self._rows(query))

    def has_address(self, subnet_id: str, address: str) -> bool:
        """Whether an address of a subnet is in use now."""
        there = exists().where(
            ADDRESSES.c.subnet_id == subnet_id, ADDRESSES.c.ip_address == address
        )
        return bool(self._rows(select(there))[0][0])

    def held_by_the_reference_driver(self, subnet_id: str) -> list[str]:
        """The addresses that Neutron's own driver holds of a subnet, used by a port or not."""
        query = (
            select(IPAM_ADDRESSES.c.ip_address)
            .join_from(
                IPAM_ADDRESSES, IPAM_SUBNETS, IPAM_SUBNETS.c.id == IPAM_ADDRESSES.c.ipam_subnet_id
            )
            .where(IPAM_SUBNETS.c.neutron_subnet_id == subnet_id)
        )
        return [row.ip_address for row in self._rows(query)]


def open_tables(database: str, *, snapshot: bool) -> NeutronTables:
    """The tables of the Neutron database at a URL, of one moment or as they are at each question.

    Raises:
        InvalidValue: the URL is none.
        StoreUnavailable: the database cannot be reached.
        Misconfigured: its driver is not installed.
    """
    url = _readable(database)
    try:
        engine = create_engine(url)
    except (ImportError, NoSuchModuleError) as error:
        told = f"reading {url.drivername} needs its driver: pip install pymysql, or psycopg"
        raise Misconfigured(told, phase="connect") from error
    level = "AUTOCOMMIT"
    if snapshot:
        level = "SERIALIZABLE" if url.drivername.startswith("sqlite") else "REPEATABLE READ"
    with _told():
        conn = engine.connect()
        return NeutronTables(conn.execution_options(isolation_level=level))


def _readable(database: str) -> URL:
    """A URL with a driver that is ours, where Neutron's is another for the same database."""
    try:
        url = make_url(database)
    except ArgumentError as error:
        raise InvalidValue("Neutron's database", "(a URL)", _FORMS) from error
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("mysql", "mariadb", "sqlite"):
        raise InvalidValue("Neutron's database", url.get_backend_name(), _FORMS)
    return url


@contextmanager
def _told() -> Iterator[None]:
    """Errors of a database that is not ours, as what the caller can do."""
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or error.statement is None:
            told = "Neutron's database cannot be reached, or went away"
            raise StoreUnavailable(told, phase="connect") from error
        told = "the database does not answer as one of Neutron's does: is it the right one?"
        raise Misconfigured(told, phase="statement") from error
