"""Who may do what: tokens, grants, quotas; and the audit's proof.

Invariant: it leaves a database that `schema.metadata` describes.
"""

import sqlalchemy as sa
from alembic import context, op

from allotment.store.columns import Id

revision = "0002"
down_revision = "0001"

SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and add what the old ones lack."""
    _tokens()
    _grants()
    _quotas()
    _audit()
    for statement in context.config.attributes["native_schema"]["0002"]:
        op.execute(statement)
    op.create_index("address_scope_by_project", "address_scope", ["project_id"], unique=False)


def _tokens() -> None:
    op.create_table(
        "token",
        sa.Column("id", Id(), nullable=False),
        sa.Column("name", SORTED, nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("pepper", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("sources", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="token_project"),
        sa.PrimaryKeyConstraint("id", name="token_pkey"),
        sa.UniqueConstraint("name", name="token_name_once"),
        sa.UniqueConstraint("key_id", name="token_key_once"),
    )
    op.create_index("token_by_project", "token", ["project_id"], unique=False)


def _grants() -> None:
    op.create_table(
        "access_grant",
        sa.Column("id", Id(), nullable=False),
        sa.Column("actor", SORTED, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("deny", sa.Boolean(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("target_id", Id(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'allocator', 'operator', 'admin')", name="access_grant_role"
        ),
        sa.CheckConstraint(
            "target IN ('installation', 'project', 'scope', 'pool', 'subnet')",
            name="access_grant_target",
        ),
        sa.PrimaryKeyConstraint("id", name="access_grant_pkey"),
        sa.UniqueConstraint("actor", "target_id", "role", "deny", name="access_grant_once"),
    )
    op.create_index("access_grant_by_target", "access_grant", ["target_id"], unique=False)
    epoch = op.create_table(
        "access_epoch",
        sa.Column("id", sa.SmallInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="access_epoch_once"),
        sa.PrimaryKeyConstraint("id", name="access_epoch_pkey"),
    )
    op.bulk_insert(epoch, [{"id": 1, "value": 1}])


def _quotas() -> None:
    op.create_table(
        "quota",
        sa.Column("project_id", Id(), nullable=False),
        sa.Column("addresses", sa.BigInteger(), nullable=True),
        sa.Column("addresses_used", sa.BigInteger(), nullable=False),
        sa.Column("prefixes", sa.BigInteger(), nullable=True),
        sa.Column("prefixes_used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("addresses_used >= 0", name="quota_addresses_counted"),
        sa.CheckConstraint("prefixes_used >= 0", name="quota_prefixes_counted"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="quota_project"),
        sa.PrimaryKeyConstraint("project_id", name="quota_pkey"),
    )


def _audit() -> None:
    op.add_column("event", sa.Column("outcome", sa.Text(), server_default="done", nullable=False))
    op.add_column("event", sa.Column("source", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("request_id", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("place_id", Id(), nullable=True))
    op.add_column(
        "idempotency",
        sa.Column("fenced", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "idempotency_by_age",
        "idempotency",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_table(
        "audit_block",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.Column("gaps", sa.Text(), nullable=False),
        sa.Column("high", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint("count > 0", name="audit_block_count"),
        sa.PrimaryKeyConstraint("number", name="audit_block_pkey"),
        sa.UniqueConstraint("first_sequence", name="audit_block_sequence_once"),
    )
