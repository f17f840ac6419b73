"""A book as a version with an older schema left it, with something in it.

Invariant: it is made by its own migrations, and filled by nothing but its own tables' columns.
"""

from __future__ import annotations

import hashlib
import json
from unittest.mock import patch
from uuid import UUID

from sqlalchemy import delete, insert, text

from allotment import Address
from allotment.bootstrap import _dialect, clock
from allotment.store import schema, settings, upgrade
from allotment.store.session import Store, Write

SCOPE, PROJECT, SUBNET, HELD = (UUID(int=(4 << 76) + (8 << 60) + n) for n in range(4))
LOWEST = Address("10.0.0.0").value
WISH = (
    b'{"do":"AllocateAddress","idempotency_key":null,"subnet":"n","scope":null,"fallbacks":[],'
    b'"address":null,"method":"any","placement":null,"interface":null,"status":"active",'
    b'"owner":"j","identifier":null,"hostname":null,"mac":null,"description":"","tags":[]}'
)
ANSWER = json.dumps(
    {
        "id": str(HELD),
        "subnet_id": str(SUBNET),
        "address": "10.0.0.1",
        "status": "active",
        "project_id": str(PROJECT),
        "project": "j",
        "identifier": None,
        "hostname": None,
        "mac": None,
        "description": "",
        "tags": [],
        "created_at": 1,
    }
)
OLD_FUNCTIONS = (  # by name and arguments as schema 0001 had them
    """
    CREATE FUNCTION allotment_allocate(uuid, bigint, uuid, text, text, text, text, text, text, text,
      text) RETURNS TABLE (taken_family smallint, taken bytea)
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'of the old schema'; END $$
    """,
    """
    CREATE FUNCTION allotment_allocate_many(uuid, bigint, uuid[], text[], text[], text[], text[],
      text[], text[], text[], text[]) RETURNS TABLE (taken_family smallint, taken bytea)
    LANGUAGE plpgsql AS $$ BEGIN RAISE 'of the old schema'; END $$
    """,
)


OLD_SCHEMAS = ("0001", "0002", "0003")


def make_old_book(url: str, version: str) -> None:
    """In a blank database, a small book of an older schema."""
    dialect = _dialect(url)
    with patch.object(upgrade, "HEAD", version):
        assert upgrade.upgrade(dialect)
    store = Store(dialect, clock)
    with store.writing() as tx:
        fill(tx)
        if dialect.concurrent and version == "0001":
            for statement in OLD_FUNCTIONS:
                tx.run(text(statement))
    store.close()


def fill(tx: Write) -> None:
    """One address of a /28 held, by a keyed command."""

    def place(name: str, first: int, last: int) -> dict[str, object]:
        return {name: SUBNET, "first": LOWEST + first, "last": LOWEST + last}

    named = {"created_at": 1, "version": 1, "description": ""}
    tx.run(delete(schema.setting).where(schema.setting.c.name != settings.SECRET))
    tx.run(insert(schema.project), {"id": PROJECT, "name": "j", **named})
    tx.run(
        text("INSERT INTO address_scope (id, name, created_at) VALUES (:id, 's', 1)").bindparams(
            id=SCOPE if tx.dialect.concurrent else SCOPE.bytes
        )
    )
    shape = {"scope_id": SCOPE, "family": 4, "length": 28}
    subnet = {"id": SUBNET, "name": "n", "first": LOWEST, "placement": "lowest"}
    tx.run(insert(schema.subnet), {**subnet, **shape, **named})
    entry = {"parent_id": SCOPE, "kind": "subnet"}
    tx.run(insert(schema.prefix), {**place("holder_id", 0, 15), **shape, **entry})
    tx.run(insert(schema.allocation_pool), place("subnet_id", 1, 14))
    tx.run(insert(schema.free_extent), {**place("container_id", 2, 14), "available_at": 0})
    held = {"id": HELD, "created_at": 1, "status": "active", "project_id": PROJECT}
    tx.run(insert(schema.allocation), {"subnet_id": SUBNET, "address": LOWEST + 1, **held})
    event = {"at": 1, "actor": "local:old", "command": WISH.decode(), "answer": ANSWER}
    tx.run(insert(schema.event).inline(), event)
    digest = hashlib.sha256(WISH).digest()
    kept = {"request_hash": digest, "answer": ANSWER.encode(), "created_at": 1}
    tx.run(insert(schema.idempotency), {"actor": "local:old", "key": "k", **kept})
