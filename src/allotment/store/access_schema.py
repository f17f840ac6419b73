"""The tables of who may do what, how much, and of the audit's proof.

Invariant: a token's secret is in no table: only a keyed digest of it, which opens nothing.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from allotment.store.columns import Id
from allotment.store.schema import metadata

token = Table(
    "token",
    metadata,
    Column("id", Id, nullable=False),
    Column("name", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("key_id", Text, nullable=False),
    Column("pepper", SmallInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("project_id", Id),
    Column("sources", Text),
    Column("description", Text, nullable=False, server_default=""),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    PrimaryKeyConstraint("id", name="token_pkey"),
    UniqueConstraint("name", name="token_name_once"),
    UniqueConstraint("key_id", name="token_key_once"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="token_project"),
    Index("token_by_project", "project_id"),
)

# `target_id` is the id of what the grant is on; that of the installation has no bit set.
access_grant = Table(
    "access_grant",
    metadata,
    Column("id", Id, nullable=False),
    Column("actor", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False),
    Column("role", Text, nullable=False),
    Column("deny", Boolean, nullable=False),
    Column("target", Text, nullable=False),
    Column("target_id", Id, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    PrimaryKeyConstraint("id", name="access_grant_pkey"),
    UniqueConstraint("actor", "target_id", "role", "deny", name="access_grant_once"),
    CheckConstraint(
        "role IN ('viewer', 'allocator', 'operator', 'admin')", name="access_grant_role"
    ),
    CheckConstraint(
        "target IN ('installation', 'project', 'scope', 'pool', 'subnet')",
        name="access_grant_target",
    ),
    Index("access_grant_by_target", "target_id"),
)

# Counts up with every change of what decides about access: what was read before is void then.
access_epoch = Table(
    "access_epoch",
    metadata,
    Column("id", SmallInteger, nullable=False),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", name="access_epoch_pkey"),
    CheckConstraint("id = 1", name="access_epoch_once"),
)

# Of the projects that were ever limited: what they own, counted in the transaction that changes it.
quota = Table(
    "quota",
    metadata,
    Column("project_id", Id, nullable=False),
    Column("addresses", BigInteger),
    Column("addresses_used", BigInteger, nullable=False),
    Column("prefixes", BigInteger),
    Column("prefixes_used", BigInteger, nullable=False),
    PrimaryKeyConstraint("project_id", name="quota_pkey"),
    ForeignKeyConstraint(["project_id"], ["project.id"], name="quota_project"),
    CheckConstraint("addresses_used >= 0", name="quota_addresses_counted"),
    CheckConstraint("prefixes_used >= 0", name="quota_prefixes_counted"),
)

# A run of events sealed together: `ids` are ranges of event ids, in order; `digest` covers them,
# this row and the block before. `gaps` are ids below `high` that were not there (yet).
audit_block = Table(
    "audit_block",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("ids", Text, nullable=False),
    Column("gaps", Text, nullable=False),
    Column("high", BigInteger, nullable=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("number", name="audit_block_pkey"),
    UniqueConstraint("first_sequence", name="audit_block_sequence_once"),
    CheckConstraint("count > 0", name="audit_block_count"),
)
