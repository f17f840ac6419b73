"""The book: projects, scopes, pools, subnets, allocations, free space, journal.

Invariant: it leaves a database that `schema.metadata` describes.
"""

import sqlalchemy as sa
from alembic import context, op

from allotment.store.columns import AddressValue, Id, Tags

revision = "0001"
down_revision = None

SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
EVENT_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table, then what only the database itself can say."""
    _names()
    _pools()
    _subnets()
    _prefixes()
    _free_space()
    _allocations()
    _allocation_indexes()
    _allocation_tags()
    _prefix_allocations()
    _journal()
    for statement in context.config.attributes["native_schema"]["0001"]:
        op.execute(statement)


def _names() -> None:
    op.create_table(
        "project",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name="project_pkey"),
        sa.UniqueConstraint("name", name="project_name_once"),
    )
    op.create_table(
        "address_scope",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name="address_scope_pkey"),
        sa.UniqueConstraint("name", name="address_scope_name_once"),
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="setting_pkey"),
    )


def _pools() -> None:
    op.create_table(
        "subnet_pool",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("scope_id", Id(), nullable=False),
        sa.Column("parent_id", Id(), nullable=True),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("default_length", sa.SmallInteger(), nullable=True),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("tags", Tags(), nullable=True),
        sa.CheckConstraint("family IN (4, 6)", name="subnet_pool_family"),
        sa.ForeignKeyConstraint(["parent_id"], ["subnet_pool.id"], name="subnet_pool_parent"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="subnet_pool_project"),
        sa.ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="subnet_pool_scope"),
        sa.PrimaryKeyConstraint("id", name="subnet_pool_pkey"),
        sa.UniqueConstraint("scope_id", "name", name="subnet_pool_name_once"),
    )
    op.create_index("subnet_pool_by_parent", "subnet_pool", ["parent_id"], unique=False)
    op.create_index("subnet_pool_by_project", "subnet_pool", ["project_id"], unique=False)


def _subnets() -> None:
    op.create_table(
        "subnet",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", SORTED, nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("scope_id", Id(), nullable=False),
        sa.Column("pool_id", Id(), nullable=True),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("first", AddressValue(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("gateway_family", sa.SmallInteger(), nullable=True),
        sa.Column("gateway", AddressValue(), nullable=True),
        sa.Column("placement", sa.Text(), nullable=False),
        sa.Column("quarantine_seconds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("tags", Tags(), nullable=True),
        sa.CheckConstraint("family IN (4, 6)", name="subnet_family"),
        sa.CheckConstraint(
            "length >= 0 AND length <= CASE family WHEN 4 THEN 32 ELSE 128 END",
            name="subnet_length",
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["subnet_pool.id"], name="subnet_pool_of"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="subnet_project"),
        sa.ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="subnet_scope"),
        sa.PrimaryKeyConstraint("id", name="subnet_pkey"),
        sa.UniqueConstraint("scope_id", "name", name="subnet_name_once"),
    )
    op.create_index(
        "subnet_by_place", "subnet", ["scope_id", "family", "first", "length"], unique=False
    )
    op.create_index("subnet_by_pool", "subnet", ["pool_id"], unique=False)
    op.create_index("subnet_by_project", "subnet", ["project_id"], unique=False)


def _prefixes() -> None:
    op.create_table(
        "prefix",
        sa.Column("holder_id", Id(), nullable=False),
        sa.Column("first", AddressValue(), nullable=False),
        sa.Column("last", AddressValue(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("scope_id", Id(), nullable=False),
        sa.Column("parent_id", Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('pool', 'subnet', 'allocation')", name="prefix_kind"),
        sa.CheckConstraint("first <= last", name="prefix_order"),
        sa.ForeignKeyConstraint(["scope_id"], ["address_scope.id"], name="prefix_scope"),
        sa.PrimaryKeyConstraint("holder_id", "first", name="prefix_pkey"),
    )
    op.create_index("prefix_by_parent", "prefix", ["parent_id", "family", "last"], unique=False)
    op.create_index(
        "prefix_by_place", "prefix", ["scope_id", "family", "first", "length"], unique=False
    )
    op.create_table(
        "allocation_pool",
        sa.Column("subnet_id", Id(), nullable=False),
        sa.Column("last", AddressValue(), nullable=False),
        sa.Column("first", AddressValue(), nullable=False),
        sa.CheckConstraint("first <= last", name="allocation_pool_order"),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name="allocation_pool_subnet"),
        sa.PrimaryKeyConstraint("subnet_id", "last", name="allocation_pool_pkey"),
    )


def _free_space() -> None:
    op.create_table(
        "free_extent",
        sa.Column("container_id", Id(), nullable=False),
        sa.Column("last", AddressValue(), nullable=False),
        sa.Column("first", AddressValue(), nullable=False),
        sa.Column("available_at", sa.BigInteger(), nullable=False),
        sa.Column("fits", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint("first <= last", name="free_extent_order"),
        sa.PrimaryKeyConstraint("container_id", "last", name="free_extent_pkey"),
        postgresql_with={
            "fillfactor": "70",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_threshold": "500",
        },
        sqlite_with_rowid=False,
    )
    op.create_index(
        "free_extent_by_age", "free_extent", ["container_id", "available_at", "last"], unique=False
    )
    op.create_index(
        "free_extent_by_fit",
        "free_extent",
        ["container_id", "fits", "last"],
        unique=False,
        postgresql_where=sa.text("fits IS NOT NULL"),
        sqlite_where=sa.text("fits IS NOT NULL"),
    )


def _allocations() -> None:
    op.create_table(
        "allocation",
        sa.Column("subnet_id", Id(), nullable=False),
        sa.Column("address", AddressValue(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("identifier", SORTED, nullable=True),
        sa.Column("hostname", SORTED, nullable=True),
        sa.Column("mac", SORTED, nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", Tags(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'reserved')", name="allocation_status"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="allocation_project"),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name="allocation_subnet"),
        sa.PrimaryKeyConstraint("subnet_id", "address", name="allocation_pkey"),
        sqlite_with_rowid=False,
    )


def _allocation_indexes() -> None:
    op.create_index(
        "allocation_by_hostname",
        "allocation",
        ["hostname", "subnet_id", "address"],
        unique=False,
        postgresql_where=sa.text("hostname IS NOT NULL"),
        sqlite_where=sa.text("hostname IS NOT NULL"),
    )
    op.create_index(
        "allocation_by_mac",
        "allocation",
        ["mac", "subnet_id", "address"],
        unique=False,
        postgresql_where=sa.text("mac IS NOT NULL"),
        sqlite_where=sa.text("mac IS NOT NULL"),
    )
    op.create_index(
        "allocation_by_project",
        "allocation",
        ["project_id", "subnet_id", "address"],
        unique=False,
        postgresql_where=sa.text("project_id IS NOT NULL"),
        sqlite_where=sa.text("project_id IS NOT NULL"),
    )
    op.create_index(
        "allocation_identifier_once",
        "allocation",
        ["identifier", "subnet_id"],
        unique=True,
        postgresql_where=sa.text("identifier IS NOT NULL"),
        sqlite_where=sa.text("identifier IS NOT NULL"),
    )
    op.create_index(
        "allocation_reserved",
        "allocation",
        ["subnet_id", "address"],
        unique=False,
        postgresql_where=sa.text("status = 'reserved'"),
        sqlite_where=sa.text("status = 'reserved'"),
    )


def _allocation_tags() -> None:
    op.create_table(
        "allocation_tag",
        sa.Column("tag", SORTED, nullable=False),
        sa.Column("subnet_id", Id(), nullable=False),
        sa.Column("address", AddressValue(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id", "address"],
            ["allocation.subnet_id", "allocation.address"],
            name="allocation_tag_allocation",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tag", "subnet_id", "address", name="allocation_tag_pkey"),
    )
    op.create_index(
        "allocation_tag_by_address", "allocation_tag", ["subnet_id", "address"], unique=False
    )


def _prefix_allocations() -> None:
    op.create_table(
        "prefix_allocation",
        sa.Column("id", Id(), nullable=False),
        sa.Column("pool_id", Id(), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("first", AddressValue(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("identifier", SORTED, nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("tags", Tags(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'reserved')", name="prefix_allocation_status"),
        sa.ForeignKeyConstraint(["pool_id"], ["subnet_pool.id"], name="prefix_allocation_pool"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="prefix_allocation_project"),
        sa.PrimaryKeyConstraint("pool_id", "first", name="prefix_allocation_pkey"),
    )
    op.create_index(
        "prefix_allocation_by_project",
        "prefix_allocation",
        ["project_id", "pool_id", "first"],
        unique=False,
        postgresql_where=sa.text("project_id IS NOT NULL"),
        sqlite_where=sa.text("project_id IS NOT NULL"),
    )
    op.create_index(
        "prefix_allocation_identifier_once",
        "prefix_allocation",
        ["identifier", "pool_id"],
        unique=True,
        postgresql_where=sa.text("identifier IS NOT NULL"),
        sqlite_where=sa.text("identifier IS NOT NULL"),
    )


def _journal() -> None:
    op.create_table(
        "idempotency",
        sa.Column("actor", SORTED, nullable=False),
        sa.Column("key", SORTED, nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name="idempotency_pkey"),
    )
    op.create_table(
        "event",
        sa.Column("id", EVENT_ID, sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="event_pkey"),
    )
