"""What PostgreSQL does natively: exclusion constraints, address arithmetic, taking free addresses.

Invariant: `allotment_take` locks an extent in one statement and reads and writes it in later ones,
whose snapshots are newer; in one statement it would hand the same address out twice.
"""

from __future__ import annotations

_CIDR = "(set_masklen(allotment_inet(family, first), length::int)) inet_ops WITH &&"

NATIVE_SCHEMA = (
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    # The readable form of a stored address. (Not STRICT, or it would not be inlined.)
    """
    CREATE FUNCTION allotment_inet(family smallint, address bytea) RETURNS inet
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE family
        WHEN 4 THEN '0.0.0.0'::inet
          + ('x' || encode(substr(address, 13, 4), 'hex'))::bit(32)::bigint
        ELSE regexp_replace(encode(address, 'hex'), '(....)(?!$)', '\\1:', 'g')::inet
      END
    $$
    """,
    f"""
    ALTER TABLE prefix ADD CONSTRAINT prefix_siblings_never_overlap
      EXCLUDE USING gist (parent_id WITH =, {_CIDR})
    """,
    f"""
    ALTER TABLE prefix ADD CONSTRAINT subnet_never_overlaps
      EXCLUDE USING gist (scope_id WITH =, {_CIDR}) WHERE (kind <> 'pool')
    """,
    # address + n, for 0 <= n < 2^32; NULL past the end of the 128 bits.
    """
    CREATE FUNCTION allotment_add(address bytea, n bigint) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
    DECLARE
      low bigint := ('x' || encode(substr(address, 13, 4), 'hex'))::bit(32)::bigint + n;
      high bytea := substr(address, 1, 12);
      place int := 11;
    BEGIN
      IF low >= 4294967296 THEN
        low := low - 4294967296;
        WHILE place >= 0 AND get_byte(high, place) = 255 LOOP
          high := set_byte(high, place, 0);
          place := place - 1;
        END LOOP;
        IF place < 0 THEN
          RETURN NULL;
        END IF;
        high := set_byte(high, place, get_byte(high, place) + 1);
      END IF;
      RETURN high || substr(int8send(low), 5, 4);
    END
    $$
    """,
    # The same, inlined where only the last four bytes change. (Not STRICT, or it would not be.)
    """
    CREATE FUNCTION allotment_plus(address bytea, n bigint) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE WHEN ('x' || encode(substr(address, 13, 4), 'hex'))::bit(32)::bigint + n
          < 4294967296
        THEN substr(address, 1, 12) || substr(int8send(
          ('x' || encode(substr(address, 13, 4), 'hex'))::bit(32)::bigint + n), 5, 4)
        ELSE allotment_add(address, n)
      END
    $$
    """,
    # How many addresses from first to last, when that is known to be below 2^32.
    """
    CREATE FUNCTION allotment_span(first bytea, last bytea) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT (('x' || encode(substr(last, 13, 4), 'hex'))::bit(32)::bigint
        - ('x' || encode(substr(first, 13, 4), 'hex'))::bit(32)::bigint
        + 4294967296) % 4294967296 + 1
    $$
    """,
    # Upwards only: what is given back below meanwhile is left alone, or two takers could each hold
    # what the other waits for.
    """
    CREATE FUNCTION allotment_take(
      container uuid, wanted bigint, moment bigint, patient boolean, own_placement boolean
    ) RETURNS TABLE (taken_first bytea, taken_last bytea)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
      remaining bigint := wanted;
      extent record;
      cut bytea;
      passed bytea := '';
    BEGIN
      IF own_placement THEN
        PERFORM 1 FROM subnet WHERE id = container AND placement = 'lowest' FOR KEY SHARE;
        IF NOT FOUND THEN
          RETURN;
        END IF;
      END IF;
      WHILE remaining > 0 LOOP
        IF patient THEN
          SELECT f.first, f.last INTO extent FROM free_extent f
            WHERE f.container_id = container AND f.available_at <= moment AND f.last > passed
            ORDER BY f.last LIMIT 1 FOR UPDATE;
        ELSE
          SELECT f.first, f.last INTO extent FROM free_extent f
            WHERE f.container_id = container AND f.available_at <= moment AND f.last > passed
            ORDER BY f.last LIMIT 1 FOR UPDATE SKIP LOCKED;
        END IF;
        EXIT WHEN NOT FOUND;
        passed := extent.last;
        taken_first := extent.first;
        cut := allotment_add(extent.first, remaining - 1);
        IF cut IS NULL OR cut >= extent.last THEN
          DELETE FROM free_extent f WHERE f.container_id = container AND f.last = extent.last;
          taken_last := extent.last;
          remaining := remaining - allotment_span(extent.first, extent.last);
        ELSE
          UPDATE free_extent f SET first = allotment_plus(cut, 1)
            WHERE f.container_id = container AND f.last = extent.last;
          taken_last := cut;
          remaining := 0;
        END IF;
        RETURN NEXT;
      END LOOP;
    END
    $$
    """,
    # The number of a container's queue: two that share one only wait for each other.
    """
    CREATE FUNCTION allotment_queue(container uuid) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT ('x' || substr(replace(container::text, '-', ''), 1, 16))::bit(64)::bigint
    $$
    """,
    """
    CREATE VIEW allocation_readable AS
      SELECT s.scope_id, a.subnet_id, allotment_inet(s.family, a.address) AS address, a.status,
        a.hostname, a.identifier, a.project_id, to_timestamp(a.created_at / 1000.0) AS created_at
      FROM allocation a JOIN subnet s ON s.id = a.subnet_id
    """,
    """
    CREATE VIEW free_extent_readable AS
      SELECT e.container_id, allotment_inet(c.family, e.first) AS first,
        allotment_inet(c.family, e.last) AS last, e.available_at
      FROM free_extent e
      JOIN (SELECT id, family FROM subnet UNION ALL SELECT id, family FROM subnet_pool) c
        ON c.id = e.container_id
    """,
)
