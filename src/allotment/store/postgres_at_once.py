"""What PostgreSQL does natively for plain allocations: everything in one statement.

Invariant: the same steps in the same order as the portable path, or no row at all.
"""

from __future__ import annotations

AT_ONCE_SCHEMA = (
    """
    ALTER TABLE address_scope ADD COLUMN project_id uuid
      CONSTRAINT address_scope_project REFERENCES project (id)
    """,
    """
    DROP FUNCTION IF EXISTS allotment_allocate(uuid, bigint, uuid, text, text, text, text, text,
      text, text, text)
    """,
    """
    DROP FUNCTION IF EXISTS allotment_allocate_many(uuid, bigint, uuid[], text[], text[], text[],
      text[], text[], text[], text[], text[])
    """,
    # One plain allocation in one statement: the same steps in the same order as the portable path.
    # No row: the access rules are not the ones of `epoch` any more (NULL: they do not matter), the
    # key was used before, not a subnet of that placement, nothing free that nobody has locked, or
    # addresses (::1.2.3.4) that this server and RFC 5952 write differently.
    """
    CREATE FUNCTION allotment_allocate(
      container uuid, moment bigint, new_id uuid, new_status text, new_hostname text,
      new_mac text, new_description text,
      event_actor text, event_source text, event_request text,
      event_command text, answer_head text, answer_tail text,
      event_key text, key_hash bytea, epoch bigint
    ) RETURNS TABLE (taken_family smallint, taken bytea)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
      extent record;
      answer text;
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(allotment_queue(container));
      IF epoch <> (SELECT e.value FROM access_epoch e) THEN
        RETURN;
      END IF;
      IF event_key IS NOT NULL THEN
        PERFORM 1 FROM idempotency i WHERE i.actor = event_actor AND i.key = event_key;
        IF FOUND THEN
          RETURN;
        END IF;
      END IF;
      SELECT s.family INTO taken_family FROM subnet s
        WHERE s.id = container AND s.placement = 'lowest'
          AND (s.family = 4 OR s.first >= '\\x00000000000000000000000100000000') FOR KEY SHARE;
      IF NOT FOUND THEN
        RETURN;
      END IF;
      SELECT f.first, f.last INTO extent FROM free_extent f
        WHERE f.container_id = container AND f.available_at <= moment
        ORDER BY f.last LIMIT 1 FOR UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        RETURN;
      END IF;
      taken := extent.first;
      IF extent.first = extent.last THEN
        DELETE FROM free_extent f WHERE f.container_id = container AND f.last = extent.last;
      ELSE
        UPDATE free_extent f SET first = allotment_plus(extent.first, 1)
          WHERE f.container_id = container AND f.last = extent.last;
      END IF;
      INSERT INTO allocation
          (subnet_id, address, id, created_at, status, hostname, mac, description)
        VALUES (container, taken, new_id, moment, new_status, new_hostname, new_mac,
          new_description);
      answer := answer_head || host(allotment_inet(taken_family, taken)) || answer_tail;
      INSERT INTO event (at, actor, source, request_id, place_id, command, answer)
        VALUES (moment, event_actor, event_source, event_request, container, event_command,
          answer);
      IF event_key IS NOT NULL THEN
        INSERT INTO idempotency (actor, key, request_hash, answer, created_at)
          VALUES (event_actor, event_key, key_hash, convert_to(answer, 'UTF8'), moment);
      END IF;
      RETURN NEXT;
    END
    $$
    """,
    # The same for many of one subnet. It may give fewer than there are ids: those of the first.
    # With keys NULL, none has one.
    """
    CREATE FUNCTION allotment_allocate_many(
      container uuid, moment bigint, ids uuid[], statuses text[], hostnames text[],
      macs text[], descriptions text[],
      actors text[], sources text[], requests text[],
      commands text[], answer_heads text[], answer_tails text[],
      keys text[], key_hashes bytea[], epoch bigint
    ) RETURNS TABLE (taken_family smallint, taken bytea)
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
      addresses bytea[];
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(allotment_queue(container));
      IF epoch <> (SELECT e.value FROM access_epoch e) THEN
        RETURN;
      END IF;
      IF keys IS NOT NULL THEN
        PERFORM 1 FROM unnest(actors, keys) AS w (actor, key) CROSS JOIN LATERAL (
          SELECT 1 FROM idempotency i WHERE i.actor = w.actor AND i.key = w.key LIMIT 1) AS used;
        IF FOUND THEN
          RETURN;
        END IF;
      END IF;
      SELECT s.family INTO taken_family FROM subnet s
        WHERE s.id = container AND s.placement = 'lowest'
          AND (s.family = 4 OR s.first >= '\\x00000000000000000000000100000000') FOR KEY SHARE;
      IF NOT FOUND THEN
        RETURN;
      END IF;
      addresses := ARRAY(
        SELECT allotment_plus(t.taken_first, n)
          FROM allotment_take(container, cardinality(ids), moment, false, false)
            WITH ORDINALITY AS t (taken_first, taken_last, place),
            generate_series(0, allotment_span(t.taken_first, t.taken_last) - 1) AS n
          ORDER BY t.place, n);
      INSERT INTO allocation
          (subnet_id, address, id, created_at, status, hostname, mac, description)
        SELECT container, w.address, w.id, moment, w.status, w.hostname, w.mac, w.description
          FROM unnest(addresses, ids, statuses, hostnames, macs, descriptions)
            AS w (address, id, status, hostname, mac, description)
          WHERE w.address IS NOT NULL;
      IF keys IS NULL THEN
        INSERT INTO event (at, actor, source, request_id, place_id, command, answer)
          SELECT moment, w.actor, w.source, w.request, container, w.command,
              w.head || host(allotment_inet(taken_family, w.address)) || w.tail
            FROM unnest(addresses, actors, sources, requests, commands, answer_heads, answer_tails)
              AS w (address, actor, source, request, command, head, tail)
            WHERE w.address IS NOT NULL;
      ELSE
        WITH told AS (
          INSERT INTO event (at, actor, source, request_id, place_id, command, answer)
            SELECT moment, w.actor, w.source, w.request, container, w.command,
                w.head || host(allotment_inet(taken_family, w.address)) || w.tail
              FROM unnest(addresses, actors, sources, requests, commands, answer_heads,
                answer_tails) AS w (address, actor, source, request, command, head, tail)
              WHERE w.address IS NOT NULL
        )
        INSERT INTO idempotency (actor, key, request_hash, answer, created_at)
          SELECT w.actor, w.key, w.hash, convert_to(
              w.head || host(allotment_inet(taken_family, w.address)) || w.tail, 'UTF8'), moment
            FROM unnest(addresses, actors, keys, key_hashes, answer_heads, answer_tails)
              AS w (address, actor, key, hash, head, tail)
            WHERE w.address IS NOT NULL AND w.key IS NOT NULL;
      END IF;
      FOREACH taken IN ARRAY addresses LOOP
        RETURN NEXT;
      END LOOP;
    END
    $$
    """,
)
