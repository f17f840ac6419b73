"""What the store itself says to PostgreSQL, with its values in binary form: $1, $2...

Invariant: no statement here is at the mercy of the table's statistics: each address is looked for
by its whole key, however many there are (`LIMIT 1` keeps the planner from turning that into a scan
of the subnet).
"""

from __future__ import annotations

QUEUE = "SELECT pg_advisory_xact_lock_shared(allotment_queue(id)) FROM unnest($1::uuid[]) AS id"
QUEUE_ALONE = "SELECT pg_advisory_xact_lock(allotment_queue(id)) FROM unnest($1::uuid[]) AS id"
SUBNETS = (
    "SELECT id, scope_id, family, first, length, placement, quarantine_seconds FROM subnet"
    " WHERE id = ANY($1) ORDER BY id FOR KEY SHARE"
)
LOCK_KEYS = "SELECT pg_advisory_xact_lock(n) FROM unnest($1::int8[]) AS n"
ALLOCATE = (
    "SELECT taken_family, taken"
    " FROM allotment_allocate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    " $16)"
)
ALLOCATE_MANY = (
    "SELECT taken_family, taken"
    " FROM allotment_allocate_many($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
    " $15, $16)"
)
TAKE = "SELECT taken_first, taken_last FROM allotment_take($1, $2, $3, $4, $5)"

ALLOCATION = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
ALLOCATIONS = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[],"
    " $4::int8[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[],"
    " $11::text[])"
)
RUN = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) SELECT $1, $2::bytea || int8send(n),"
    " encode($3::bytea || int8send($4 + (n - $5)), 'hex')::uuid, $6, $7, $8, $9, $10, $11, $12, $13"
    " FROM generate_series($14::int8, $15::int8) AS n"
)
TAG = (
    "INSERT INTO allocation_tag (tag, subnet_id, address)"
    " SELECT * FROM unnest($1::text[], $2::uuid[], $3::bytea[])"
)
TAG_RUN = (
    "INSERT INTO allocation_tag (tag, subnet_id, address)"
    " SELECT tag, $1, $2::bytea || int8send(n)"
    " FROM unnest($3::text[]) AS tag, generate_series($4::int8, $5::int8) AS n"
)
EVENT = (
    "INSERT INTO event (at, actor, command, answer, outcome, source, request_id, place_id)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)
EVENTS = (
    "INSERT INTO event (at, actor, command, answer, outcome, source, request_id, place_id)"
    " SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::uuid[])"
)

LOCK_ALLOCATIONS = (
    "SELECT held.address, held.project_id"
    " FROM unnest($2::bytea[]) AS w (address) CROSS JOIN LATERAL ("
    "SELECT a.address, a.project_id FROM allocation a"
    " WHERE a.subnet_id = $1 AND a.address = w.address LIMIT 1 FOR UPDATE) AS held"
)
# A holder is one since `changed_at`; where no time passed since, there is no period of it.
_END = (
    "WITH gone AS (DELETE FROM allocation WHERE {which}"
    " RETURNING address, id, created_at, changed_at, status, project_id, identifier, hostname,"
    " mac), ended AS (INSERT INTO allocation_period (scope_id, family, address, until, id,"
    " subnet_id, since, status, project_id, identifier, hostname, mac)"
    " SELECT $3::uuid, $4::int8, address, greatest(coalesce(changed_at, created_at), $5::int8),"
    " id, $1, coalesce(changed_at, created_at), status, project_id, identifier, hostname, mac"
    " FROM gone WHERE changed_at IS NULL OR changed_at < $5)"
    " SELECT count(*) FROM gone"
)
END_ONE = _END.format(which="subnet_id = $1 AND address = $2")
END_MANY = _END.format(
    which="subnet_id IS NOT DISTINCT FROM $1 AND ctid = ANY (ARRAY("
    "SELECT held.ctid FROM unnest($2::bytea[]) AS w (address) CROSS JOIN LATERAL ("
    "SELECT a.ctid FROM allocation a WHERE a.subnet_id = $1 AND a.address = w.address"
    " LIMIT 1) AS held))"
)
"""The subnet is said again: where there are partitions, a place in another one is another row. No
index serves it as it is said: one of the whole subnet would seem cheaper to a planner that thinks
little is held there.
"""
