"""One look finds a container by its name or CIDR, and a neighbour that would overlap.

Invariant: it leaves a database that `schema.metadata` describes.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the indexes, and the dialect's guards anew."""
    op.create_index("subnet_pool_by_name", "subnet_pool", ["name"], unique=False)
    op.create_index("subnet_by_name", "subnet", ["name"], unique=False)
    op.create_index("subnet_by_scope", "subnet", ["scope_id", "id"], unique=False)
    op.create_index("subnet_by_cidr", "subnet", ["family", "first", "length"], unique=False)
    op.create_index(
        "prefix_by_cidr",
        "prefix",
        ["family", "first", "length"],
        unique=False,
        postgresql_where=sa.text("kind = 'pool'"),
        sqlite_where=sa.text("kind = 'pool'"),
    )
    for table in ("subnet_pool", "subnet"):
        op.create_index(
            f"{table}_of_tagged",
            table,
            ["scope_id"],
            unique=False,
            postgresql_where=sa.text("tags IS NOT NULL"),
            sqlite_where=sa.text("tags IS NOT NULL"),
        )
    for statement in context.config.attributes["native_schema"].get("0004", ()):
        op.execute(statement)
