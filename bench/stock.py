"""Large books made in SQL: the rows that the product's doors would write, where those take hours.

Invariant: nothing here is believed: the book is checked from end to end afterwards.
"""

from __future__ import annotations

import random
from uuid import uuid4

import psycopg
from ground import Book

from allotment.engine.extents import canonical, subtract
from allotment.model.extent import Extent
from allotment.store.columns import pack, unpack

# Copies of the subnet with the lowest address, each 16 addresses after the one before.
COPIES = """
    CREATE TEMP TABLE pattern AS
      SELECT * FROM subnet WHERE length = 28 ORDER BY first LIMIT 1;
    CREATE TEMP TABLE made AS
      SELECT n, gen_random_uuid() AS id FROM generate_series({begin}, {end}) AS n;
    INSERT INTO subnet (id, name, description, created_at, version, scope_id, pool_id, family,
        first, length, gateway_family, gateway, placement, quarantine_seconds, project_id, tags)
      SELECT m.id, p.name, p.description, p.created_at, p.version, p.scope_id, p.pool_id, p.family,
        allotment_plus(p.first, 16 * n), p.length, p.gateway_family,
        allotment_plus(p.gateway, 16 * n), p.placement, p.quarantine_seconds, p.project_id, p.tags
      FROM pattern p, made m;
    INSERT INTO prefix (holder_id, first, last, length, family, scope_id, parent_id, kind)
      SELECT m.id, allotment_plus(x.first, 16 * n), allotment_plus(x.last, 16 * n), x.length,
        x.family, x.scope_id, x.parent_id, x.kind
      FROM prefix x JOIN pattern p ON p.id = x.holder_id, made m;
    INSERT INTO allocation_pool (subnet_id, last, first)
      SELECT m.id, allotment_plus(r.last, 16 * n), allotment_plus(r.first, 16 * n)
      FROM allocation_pool r JOIN pattern p ON p.id = r.subnet_id, made m;
    INSERT INTO free_extent (container_id, last, first, available_at, fits)
      SELECT m.id, allotment_plus(e.last, 16 * n), allotment_plus(e.first, 16 * n),
        e.available_at, e.fits
      FROM free_extent e JOIN pattern p ON p.id = e.container_id, made m;
"""


def copy_subnets(url: str, begin: int, end: int) -> None:
    """/28s like the first one, from its `begin`th neighbour up to `end`."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(COPIES.format(begin=begin, end=end))  # type: ignore[arg-type]  # two numbers


def scatter(book: Book, count: int) -> list[int]:
    """Hold so many random free addresses; which."""
    seed = random.Random(64)
    with psycopg.connect(book.url, autocommit=True) as conn:
        rows = conn.execute(
            "SELECT first, last, available_at FROM free_extent WHERE container_id = %s",
            [book.subnet],
        ).fetchall()
        free = [Extent(unpack(first), unpack(last)) for first, last, _ in rows]
        held = sorted({seed.randint(*free[seed.randrange(len(free))]) for _ in range(count)})
        # One stripe after another: pieces of two stripes do not merge.
        pieces = [
            piece
            for stripe in free
            for piece in subtract(
                (stripe,),
                canonical(Extent(one, one) for one in held if stripe.first <= one <= stripe.last),
            )
        ]
        with conn.transaction():
            conn.execute("DELETE FROM free_extent WHERE container_id = %s", [book.subnet])
            with conn.cursor().copy(
                "COPY free_extent (container_id, last, first, available_at) FROM STDIN"
            ) as copy:
                for piece in pieces:
                    copy.write_row((book.subnet, pack(piece.last), pack(piece.first), rows[0][2]))
            with conn.cursor().copy(
                "COPY allocation (subnet_id, address, id, created_at, status) FROM STDIN"
            ) as copy:
                for one in held:
                    copy.write_row((book.subnet, pack(one), uuid4(), 1, "active"))
    return held
