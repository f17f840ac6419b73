"""The book's tables and their named constraints.

Invariant: every rule of the book that a database can hold is a named constraint here or a named
native guard of the dialect; `allocation`'s primary key is the arbiter of who holds an address.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from allotment.store.columns import AddressValue, Id, Tags

HEAD = "0004"

metadata = MetaData()

_EVENT_ID = BigInteger().with_variant(Integer(), "sqlite")
# Text whose order is byte order on every database: prefix search is a range of an index.
_SORTED = Text().with_variant(Text(collation="C"), "postgresql")


def _named(*, nameless: bool = False) -> list[Column[Any]]:
    return [
        Column("id", Id, nullable=False),
        Column("name", _SORTED, nullable=nameless),
        Column("description", Text, nullable=False, server_default=""),
        Column("created_at", BigInteger, nullable=False),
        Column("version", BigInteger, nullable=False, server_default="1"),
    ]


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index over some rows: the others cost nothing."""
    rows = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=rows, sqlite_where=rows)


def _present(name: str, *columns: str, unique: bool = False) -> Index:
    """An index over the rows that have the first column at all."""
    return _partial(name, *columns, where=f"{columns[0]} IS NOT NULL", unique=unique)


project = Table(
    "project",
    metadata,
    *_named(),
    PrimaryKeyConstraint("id", name="project_pkey"),
    UniqueConstraint("name", name="project_name_once"),
)

address_scope = Table(
    "address_scope",
    metadata,
    *_named(),
    Column("project_id", Id),
    PrimaryKeyConstraint("id", name="address_scope_pkey"),
    UniqueConstraint("name", name="address_scope_name_once"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="address_scope_project"),
    Index("address_scope_by_project", "project_id"),
)

subnet_pool = Table(
    "subnet_pool",
    metadata,
    *_named(),
    Column("scope_id", Id, nullable=False),
    Column("parent_id", Id),
    Column("family", SmallInteger, nullable=False),
    Column("default_length", SmallInteger),
    Column("project_id", Id),
    Column("tags", Tags),
    PrimaryKeyConstraint("id", name="subnet_pool_pkey"),
    UniqueConstraint("scope_id", "name", name="subnet_pool_name_once"),
    ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="subnet_pool_scope"),
    ForeignKeyConstraint(["parent_id"], ["subnet_pool.id"], name="subnet_pool_parent"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="subnet_pool_project"),
    CheckConstraint("family IN (4, 6)", name="subnet_pool_family"),
    Index("subnet_pool_by_parent", "parent_id"),
    Index("subnet_pool_by_project", "project_id"),
    Index("subnet_pool_by_name", "name"),
    _partial("subnet_pool_of_tagged", "scope_id", where="tags IS NOT NULL"),
)

subnet = Table(
    "subnet",
    metadata,
    *_named(nameless=True),
    Column("scope_id", Id, nullable=False),
    Column("pool_id", Id),
    Column("family", SmallInteger, nullable=False),
    Column("first", AddressValue, nullable=False),
    Column("length", SmallInteger, nullable=False),
    Column("gateway_family", SmallInteger),
    Column("gateway", AddressValue),
    Column("placement", Text, nullable=False),
    Column("quarantine_seconds", Integer, nullable=False, server_default="0"),
    Column("project_id", Id),
    Column("tags", Tags),
    PrimaryKeyConstraint("id", name="subnet_pkey"),
    UniqueConstraint("scope_id", "name", name="subnet_name_once"),
    ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="subnet_scope"),
    ForeignKeyConstraint(["pool_id"], ["subnet_pool.id"], name="subnet_pool_of"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="subnet_project"),
    CheckConstraint("family IN (4, 6)", name="subnet_family"),
    CheckConstraint(
        "length >= 0 AND length <= CASE family WHEN 4 THEN 32 ELSE 128 END", name="subnet_length"
    ),
    Index("subnet_by_place", "scope_id", "family", "first", "length"),
    Index("subnet_by_pool", "pool_id"),
    Index("subnet_by_project", "project_id"),
    Index("subnet_by_name", "name"),
    Index("subnet_by_scope", "scope_id", "id"),
    Index("subnet_by_cidr", "family", "first", "length"),
    _partial("subnet_of_tagged", "scope_id", where="tags IS NOT NULL"),
)

prefix = Table(
    "prefix",
    metadata,
    Column("holder_id", Id, nullable=False),
    Column("first", AddressValue, nullable=False),
    Column("last", AddressValue, nullable=False),
    Column("length", SmallInteger, nullable=False),
    Column("family", SmallInteger, nullable=False),
    Column("scope_id", Id, nullable=False),
    # The subnet pool this prefix is carved from, or the scope itself: siblings never overlap.
    Column("parent_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    PrimaryKeyConstraint("holder_id", "first", name="prefix_pkey"),
    ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="prefix_scope"),
    CheckConstraint("kind IN ('pool', 'subnet', 'allocation')", name="prefix_kind"),
    CheckConstraint("first <= last", name="prefix_order"),
    Index("prefix_by_place", "scope_id", "family", "first", "length"),
    Index("prefix_by_parent", "parent_id", "family", "last"),
    _partial("prefix_by_cidr", "family", "first", "length", where="kind = 'pool'"),
)

allocation_pool = Table(
    "allocation_pool",
    metadata,
    Column("subnet_id", Id, nullable=False),
    Column("last", AddressValue, nullable=False),
    Column("first", AddressValue, nullable=False),
    PrimaryKeyConstraint("subnet_id", "last", name="allocation_pool_pkey"),
    ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name="allocation_pool_subnet"),
    CheckConstraint("first <= last", name="allocation_pool_order"),
)

# Free space. Keyed by its last address and consumed from its first, so that the key never
# changes under a taker. `fits`: the shortest prefix length of an aligned block inside (pools).
free_extent = Table(
    "free_extent",
    metadata,
    Column("container_id", Id, nullable=False),
    Column("last", AddressValue, nullable=False),
    Column("first", AddressValue, nullable=False),
    Column("available_at", BigInteger, nullable=False),
    Column("fits", SmallInteger),
    PrimaryKeyConstraint("container_id", "last", name="free_extent_pkey"),
    CheckConstraint("first <= last", name="free_extent_order"),
    _partial("free_extent_by_fit", "container_id", "fits", "last", where="fits IS NOT NULL"),
    Index("free_extent_by_age", "container_id", "available_at", "last"),
    sqlite_with_rowid=False,
    postgresql_with={
        "fillfactor": "70",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_vacuum_threshold": "500",
    },
)

allocation = Table(
    "allocation",
    metadata,
    Column("subnet_id", Id, nullable=False),
    Column("address", AddressValue, nullable=False),
    Column("id", Id, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("project_id", Id),
    Column("identifier", _SORTED),
    Column("hostname", _SORTED),
    Column("mac", _SORTED),
    Column("description", Text),
    Column("tags", Tags),
    # Since when its holder is what it is; NULL: since `created_at`.
    Column("changed_at", BigInteger),
    PrimaryKeyConstraint("subnet_id", "address", name="allocation_pkey"),
    ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name="allocation_subnet"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="allocation_project"),
    CheckConstraint("status IN ('active', 'reserved')", name="allocation_status"),
    _present("allocation_identifier_once", "identifier", "subnet_id", unique=True),
    _present("allocation_by_project", "project_id", "subnet_id", "address"),
    _present("allocation_by_hostname", "hostname", "subnet_id", "address"),
    _present("allocation_by_mac", "mac", "subnet_id", "address"),
    _partial("allocation_reserved", "subnet_id", "address", where="status = 'reserved'"),
    sqlite_with_rowid=False,
)

allocation_tag = Table(
    "allocation_tag",
    metadata,
    Column("tag", _SORTED, nullable=False),
    Column("subnet_id", Id, nullable=False),
    Column("address", AddressValue, nullable=False),
    PrimaryKeyConstraint("tag", "subnet_id", "address", name="allocation_tag_pkey"),
    ForeignKeyConstraint(
        ["subnet_id", "address"],
        ["allocation.subnet_id", "allocation.address"],
        name="allocation_tag_allocation",
        ondelete="CASCADE",
    ),
    Index("allocation_tag_by_address", "subnet_id", "address"),
)

# Who held an address from `since` on, and no longer at `until`. Nothing is referred to: a period
# outlives its subnet and its project. The key finds who held an address at a time.
allocation_period = Table(
    "allocation_period",
    metadata,
    Column("scope_id", Id, nullable=False),
    Column("family", SmallInteger, nullable=False),
    Column("address", AddressValue, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("id", Id, nullable=False),
    Column("subnet_id", Id, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("project_id", Id),
    Column("identifier", _SORTED),
    Column("hostname", _SORTED),
    Column("mac", _SORTED),
    PrimaryKeyConstraint(
        "scope_id", "family", "address", "until", "id", name="allocation_period_pkey"
    ),
    CheckConstraint("since <= until", name="allocation_period_order"),
    sqlite_with_rowid=False,
)

prefix_allocation = Table(
    "prefix_allocation",
    metadata,
    Column("id", Id, nullable=False),
    Column("pool_id", Id, nullable=False),
    Column("family", SmallInteger, nullable=False),
    Column("first", AddressValue, nullable=False),
    Column("length", SmallInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("project_id", Id),
    Column("identifier", _SORTED),
    Column("description", Text),
    Column("tags", Tags),
    PrimaryKeyConstraint("pool_id", "first", name="prefix_allocation_pkey"),
    ForeignKeyConstraint(["pool_id"], ["subnet_pool.id"], name="prefix_allocation_pool"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="prefix_allocation_project"),
    CheckConstraint("status IN ('active', 'reserved')", name="prefix_allocation_status"),
    _present("prefix_allocation_identifier_once", "identifier", "pool_id", unique=True),
    _present("prefix_allocation_by_project", "project_id", "pool_id", "first"),
)

# The answer of a keyed command, written in the transaction of its effect.
idempotency = Table(
    "idempotency",
    metadata,
    Column("actor", _SORTED, nullable=False),
    Column("key", _SORTED, nullable=False),
    Column("request_hash", LargeBinary(32), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # Resolved as not done: no command has been, or will be, carried out under this key.
    Column("fenced", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("actor", "key", name="idempotency_pkey"),
    # Rows come in the order of time: an index of blocks finds the old ones, and costs nothing.
    Index("idempotency_by_age", "created_at", postgresql_using="brin"),
)

# Facts about the book itself, such as the secret of RFC 7217 addresses.
setting = Table(
    "setting",
    metadata,
    Column("name", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("name", name="setting_pkey"),
)

event = Table(
    "event",
    metadata,
    Column("id", _EVENT_ID, Identity(), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("answer", Text, nullable=False),
    # `done`, or the code of the error that refused or failed the request.
    Column("outcome", Text, nullable=False, server_default="done"),
    Column("source", Text),
    Column("request_id", Text),
    Column("place_id", Id),
    PrimaryKeyConstraint("id", name="event_pkey"),
)
