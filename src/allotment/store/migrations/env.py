"""Runs the migrations on the connection that the upgrade hands over.

Invariant: it opens no connection and no transaction of its own.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
