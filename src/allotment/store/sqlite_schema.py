"""What SQLite does natively: triggers in the place of exclusion constraints, and what it plans by.

Invariant: siblings lie apart before every row, so that one look decides: of those that end at or
after the new one's beginning, the first one alone can begin before its end.
"""

from __future__ import annotations

from collections.abc import Iterator

_OWNED_SCOPES = (
    "ALTER TABLE address_scope ADD COLUMN project_id BLOB"
    " CONSTRAINT address_scope_project REFERENCES project (id)"
)
_VERBS = (("insert", "INSERT"), ("update", "UPDATE OF parent_id, first, last"))

# As schema 0001 had them: they read every sibling on one side of the new one.
_OVERLAP_0001 = """
CREATE TRIGGER {name}_{verb} BEFORE {when} ON prefix
BEGIN
  SELECT RAISE(ABORT, '{name}') WHERE EXISTS (
    SELECT 1 FROM prefix AS other
    WHERE other.{column} = NEW.{column} AND other.family = NEW.family
      AND NOT (other.holder_id = NEW.holder_id AND other.first = NEW.first)
      AND other.last >= NEW.first AND other.first <= NEW.last {more}
  );
END
"""
_GUARDS_0001 = (
    ("prefix_siblings_never_overlap", "parent_id", ""),
    ("subnet_never_overlaps", "scope_id", "AND NEW.kind <> 'pool' AND other.kind <> 'pool'"),
)

_OVERLAP = """
CREATE TRIGGER {name}_{verb} BEFORE {when} ON prefix {only}
BEGIN
  SELECT RAISE(ABORT, '{name}') WHERE (
    SELECT other.first FROM prefix AS other
    WHERE other.{column} = NEW.{column} AND other.family = NEW.family
      AND other.last >= NEW.first {among}
      AND NOT (other.holder_id = NEW.holder_id AND other.first = NEW.first)
    ORDER BY other.last LIMIT 1
  ) <= NEW.last;
END
"""
_GUARDS = (
    ("prefix_siblings_never_overlap", "parent_id", "", ""),
    ("subnet_never_overlaps", "scope_id", "WHEN NEW.kind <> 'pool'", "AND other.kind <> 'pool'"),
)
_BY_LEAF = "CREATE INDEX prefix_by_leaf ON prefix (scope_id, family, last) WHERE kind <> 'pool'"


# How many rows SQLite takes a table to have, then how many have the same first column of an index,
# the same first two, ... It has no statistics of its own: they would have to be taken again as a
# book grows, and while it is small they say that reading all of it is best.
_STATISTICS = {
    "project": {"sqlite_autoindex_project_1": "1000 1", "sqlite_autoindex_project_2": "1000 1"},
    "address_scope": {
        "sqlite_autoindex_address_scope_1": "100 1",
        "sqlite_autoindex_address_scope_2": "100 1",
        "address_scope_by_project": "100 10",
    },
    "subnet_pool": {
        "sqlite_autoindex_subnet_pool_1": "1000 1",
        "sqlite_autoindex_subnet_pool_2": "1000 100 1",
        "subnet_pool_by_parent": "1000 10",
        "subnet_pool_by_project": "1000 10",
        "subnet_pool_by_name": "1000 2",
        "subnet_pool_of_tagged": "100 10",
    },
    "subnet": {
        "sqlite_autoindex_subnet_1": "100000 1",
        "sqlite_autoindex_subnet_2": "100000 10000 1",
        "subnet_by_place": "100000 10000 5000 2 1",
        "subnet_by_pool": "100000 1000",
        "subnet_by_project": "100000 1000",
        "subnet_by_name": "100000 2",
        "subnet_by_cidr": "100000 50000 2 2",
        "subnet_of_tagged": "1000 100",
        "subnet_by_scope": "100000 10000 1",
    },
    "prefix": {
        "sqlite_autoindex_prefix_1": "100000 1 1",
        "prefix_by_place": "100000 10000 5000 2 1",
        "prefix_by_parent": "100000 1000 1000 1",
        "prefix_by_cidr": "1000 500 2 2",
        "prefix_by_leaf": "100000 10000 5000 1",
    },
    "allocation": {
        "allocation": "1000000 100 1",
        "allocation_identifier_once": "1000000 2 1",
        "allocation_by_project": "1000000 1000 10 1",
        "allocation_by_hostname": "1000000 2 1 1",
        "allocation_by_mac": "1000000 2 1 1",
        "allocation_reserved": "100000 10 1",
    },
    "allocation_tag": {
        "sqlite_autoindex_allocation_tag_1": "1000000 1000 10 1",
        "allocation_tag_by_address": "1000000 20 2",
    },
    "free_extent": {
        "free_extent": "1000000 100 1",
        "free_extent_by_age": "1000000 100 50 1",
        "free_extent_by_fit": "1000000 100 10 1",
    },
}


def _statistics() -> Iterator[str]:
    """What SQLite is told; the last has this connection read it, as others do by themselves."""
    yield "ANALYZE alembic_version"  # it makes the table for them
    yield "DELETE FROM sqlite_stat1"
    for table, indexes in _STATISTICS.items():
        for index, numbers in indexes.items():
            yield f"INSERT INTO sqlite_stat1 VALUES ('{table}', '{index}', '{numbers}')"  # noqa: S608
    yield "ANALYZE sqlite_schema"


def _guards_0001() -> Iterator[str]:
    for name, column, more in _GUARDS_0001:
        for verb, when in _VERBS:
            yield _OVERLAP_0001.format(name=name, verb=verb, when=when, column=column, more=more)


def _guards() -> Iterator[str]:
    for name, column, only, among in _GUARDS:
        for verb, when in _VERBS:
            yield f"DROP TRIGGER {name}_{verb}"
            yield _OVERLAP.format(
                name=name, verb=verb, when=when, column=column, only=only, among=among
            )


NATIVE_SCHEMA = {
    "0001": tuple(_guards_0001()),
    "0002": (_OWNED_SCOPES,),
    "0004": (_BY_LEAF, *_guards(), *_statistics()),
}
