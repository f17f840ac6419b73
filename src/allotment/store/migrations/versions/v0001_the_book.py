"""The book: projects, scopes, pools, subnets, allocations, free space, journal.

Invariant: it leaves a database that `schema.metadata` describes.
"""

from alembic import context, op

from allotment.store.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, then what only the database itself can say."""
    metadata.create_all(op.get_bind())
    for statement in context.config.attributes["native_schema"]:
        op.execute(statement)
