"""That every constraint, function and test which docs/guarantees.md names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from allotment.store import access_schema, schema
from allotment.store.postgres import PostgresDialect
from allotment.store.sqlite import SqliteDialect

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
FINDINGS = ("CWE-284", "CWE-664", "CWE-703", "CWE-691", "CWE-693", "CWE-697", "CWE-710")
LATER = {7, 11}  # histories and replicas: another issue's
EXAMPLES = {"file::function", "src/allotment", "tests/file::function"}
PATH = re.compile(r"\A(?P<file>[\w/]+\.py)(?:::(?P<name>\w+))?\Z")


@cache
def defined_in(file: Path) -> frozenset[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@cache
def constraints() -> frozenset[str]:
    """The named constraints of the tables, and those guards that both databases have natively."""
    assert access_schema.metadata is schema.metadata
    tables = schema.metadata.tables.values()
    names = {str(one.name) for table in tables for one in (*table.constraints, *table.indexes)}
    postgres, sqlite = (
        " ".join(statement for step in dialect.native_schema().values() for statement in step)
        for dialect in (PostgresDialect("postgresql:///book"), SqliteDialect("sqlite://"))
    )
    native = set(re.findall(r"ADD CONSTRAINT (\w+)", postgres))
    return frozenset(names | {name for name in native if f"TRIGGER {name}_" in sqlite})


def missing(page: str) -> Iterator[str]:
    """Every name on the page that stands for nothing."""
    for token in re.findall(r"`([^`]+)`", page):
        if token in EXAMPLES:
            continue
        match = PATH.match(token)
        if match is None:
            if token not in constraints():
                yield f"no constraint {token}"
            continue
        folder = ROOT if token.startswith("tests/") else ROOT / "src" / "allotment"
        file = folder / match["file"]
        if not file.exists():
            yield f"no file {token}"
        elif match["name"] and match["name"] not in defined_in(file):
            yield f"nothing of that name: {token}"


def rows(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_name_on_the_page_is_there() -> None:
    assert not list(missing(PAGE.read_text("utf-8")))


@pytest.mark.parametrize(
    "page",
    [
        "`no_such_constraint`",
        "`store/nothing.py::translate`",
        "`store/session.py::no_such_function`",
        "`tests/house/test_access.py::test_nothing`",
        "`S1`",
    ],
)
def test_a_name_that_is_not_there_is_found(page: str) -> None:
    assert list(missing(page))


def test_every_row_names_code_and_a_test() -> None:
    for cells in rows(PAGE.read_text("utf-8")):
        if set(cells[0]) <= set("-") or cells[-1] == "shown by":
            continue
        assert "`tests/" in cells[-1], cells[0]
        assert "`tests/" in cells[-1] if "CWE-710" in cells[0] else ".py::" in cells[-2], cells[0]


def test_every_invariant_of_this_house_has_a_row() -> None:
    named = {
        int(number)
        for number in re.findall(r"^\| S(\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    }
    assert named | LATER == set(range(1, 15))
    assert not named & LATER


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_of_the_review_has_a_row(finding: str) -> None:
    assert [cells for cells in rows(PAGE.read_text("utf-8")) if cells[0].startswith(finding)]


def test_every_constraint_of_the_schema_is_promised_somewhere_or_is_plain() -> None:
    """What guards more than a row's own identity or owner belongs on the page."""
    page = PAGE.read_text("utf-8")
    guards = {
        name
        for name in constraints()
        if name.endswith(
            ("_once", "_overlap", "_overlaps", "_order", "_kind", "_family", "_counted")
        )
    }
    assert {name for name in guards if f"`{name}`" not in page} == set()
