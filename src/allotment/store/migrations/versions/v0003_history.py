"""History: who held addresses before.

Invariant: it leaves a database that `schema.metadata` describes.
"""

import sqlalchemy as sa
from alembic import op

from allotment.store.columns import AddressValue, Id

revision = "0003"
down_revision = "0002"

SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and let what is held say since when its holder is what it is."""
    op.add_column("allocation", sa.Column("changed_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "allocation_period",
        sa.Column("scope_id", Id(), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("address", AddressValue(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("id", Id(), nullable=False),
        sa.Column("subnet_id", Id(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("project_id", Id(), nullable=True),
        sa.Column("identifier", SORTED, nullable=True),
        sa.Column("hostname", SORTED, nullable=True),
        sa.Column("mac", SORTED, nullable=True),
        sa.CheckConstraint("since <= until", name="allocation_period_order"),
        sa.PrimaryKeyConstraint(
            "scope_id", "family", "address", "until", "id", name="allocation_period_pkey"
        ),
        sqlite_with_rowid=False,
    )
