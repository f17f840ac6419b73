"""What each room may see, where import-linter can't say it: libraries, package roots, calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "allotment"
DATABASE_LIBRARIES = {"alembic", "psycopg", "psycopg_pool", "sqlalchemy", "sqlite3"}
IMPURE = DATABASE_LIBRARIES | {
    *("asyncio", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random"),
    *("secrets", "select", "shutil", "signal", "socket", "subprocess", "sys", "tempfile"),
    *("threading", "time", "urllib"),
}
# The address parser stands on these four, which look at their argument and at nothing else.
PURE_NAMES = {f"socket.{name}" for name in ("AF_INET", "AF_INET6", "inet_ntop", "inet_pton")}
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid6", "uuid7"}
IMPURE_BUILTINS = {"open", "print", "input", "__import__"}
BEHIND_THE_DESK = {f"allotment.{room}" for room in ("client", "engine", "operations", "store")}


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield every imported name in full: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, 0):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                yield "a relative import: its target can't be told from the line"


def decisions_are_pure(room: str, tree: ast.Module) -> Iterator[str]:
    if room not in ("engine", "model"):
        return
    for name in imports(tree):
        if name.split(".")[0] in IMPURE and name not in PURE_NAMES:
            yield f"imports {name}"
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(_, name)) if name in IMPURE_CALLS:
                yield f"calls {name}()"
            case ast.Call(ast.Name(name)) if name in IMPURE_CALLS | IMPURE_BUILTINS:
                yield f"calls {name}()"


# Hears of transactions that are Neutron's own, by SQLAlchemy's events; it sends no statement.
NEUTRON_S_TRANSACTIONS = "doors/neutron/transactions.py"


def databases_are_seen_by_the_store_only(room: str, tree: ast.Module) -> Iterator[str]:
    if room not in ("store", NEUTRON_S_TRANSACTIONS):
        yield from (name for name in imports(tree) if name.split(".")[0] in DATABASE_LIBRARIES)


def doors_see_the_desk_only(room: str, tree: ast.Module) -> Iterator[str]:
    if room.split("/")[0] == "doors":
        for name in imports(tree):
            if ".".join(name.split(".")[:2]) in BEHIND_THE_DESK:
                yield name


def imports_are_absolute(room: str, tree: ast.Module) -> Iterator[str]:
    yield from (f"{room}: {name}" for name in imports(tree) if name.startswith("a relative"))


Rule = Callable[[str, ast.Module], Iterator[str]]
RULES: list[Rule] = [
    decisions_are_pure,
    databases_are_seen_by_the_store_only,
    doors_see_the_desk_only,
    imports_are_absolute,
]


def room_of(path: Path) -> str:
    if path == PACKAGE / NEUTRON_S_TRANSACTIONS:
        return NEUTRON_S_TRANSACTIONS
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("rule", RULES)
def test_the_rooms_keep(rule: Rule) -> None:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert paths, "nothing was looked at"
    broken = [
        f"{path.relative_to(PACKAGE)}: {what}"
        for path in paths
        for what in rule(room_of(path), ast.parse(path.read_text("utf-8")))
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("rule", "room", "text"),
    [
        (decisions_are_pure, "engine", "import time"),
        (decisions_are_pure, "engine", "from sqlalchemy import select"),
        (decisions_are_pure, "engine", "import os.path"),
        (decisions_are_pure, "engine", "def f():\n    from random import choice"),
        (decisions_are_pure, "model", "from socket import inet_pton, create_connection"),
        (decisions_are_pure, "model", "import socket"),
        (decisions_are_pure, "model", "at = datetime.now(UTC)"),
        (decisions_are_pure, "model", "name = uuid4()"),
        (decisions_are_pure, "engine", "open('pools')"),
        (databases_are_seen_by_the_store_only, "desk", "from sqlalchemy import text"),
        (databases_are_seen_by_the_store_only, "operations", "import sqlite3"),
        (databases_are_seen_by_the_store_only, "bootstrap", "import psycopg.rows"),
        (databases_are_seen_by_the_store_only, "doors", "from alembic import command"),
        (doors_see_the_desk_only, "doors", "from allotment import store"),
        (doors_see_the_desk_only, NEUTRON_S_TRANSACTIONS, "from allotment import store"),
        (doors_see_the_desk_only, "doors", "from allotment.engine.plan import take"),
        (doors_see_the_desk_only, "doors", "import allotment.operations.subnets"),
        (imports_are_absolute, "model", "from .prefix import Prefix"),
    ],
)
def test_each_rule_can_fail(rule: Rule, room: str, text: str) -> None:
    assert list(rule(room, ast.parse(text)))


@pytest.mark.parametrize(
    ("rule", "room", "text"),
    [
        (decisions_are_pure, "model", "from socket import AF_INET6, inet_ntop, inet_pton"),
        (decisions_are_pure, "engine", "from datetime import datetime\nlater = now + span"),
        (decisions_are_pure, "store", "import sqlite3"),
        (databases_are_seen_by_the_store_only, "store", "import sqlalchemy"),
        (databases_are_seen_by_the_store_only, NEUTRON_S_TRANSACTIONS, "import sqlalchemy"),
        (doors_see_the_desk_only, "doors", "from allotment.desk import Desk"),
        (doors_see_the_desk_only, "doors", "from allotment.model.commands import AllocateAddress"),
        (imports_are_absolute, "model", "from allotment.model.prefix import Prefix"),
    ],
)
def test_no_rule_cries_wolf(rule: Rule, room: str, text: str) -> None:
    assert not list(rule(room, ast.parse(text)))
