"""The rules by which no way leads round the access check, read from the code.

Invariant: nothing here is a list of operations; what is added later is bound by the same rules.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from house.permit_flow import handlers_are_run_with_a_permit_only, what_takes_a_permit_is_given_one
from house.syntax import Modules, called, functions, nodes, parameters, said, served_by

# The desk asks and the teller does; the reception reads tokens, and notes their use.
OPENS_TRANSACTIONS = {"desk.py", "teller.py", "reception.py"}
ALLOCATES_AT_ONCE = {"store/session.py", "operations/at_once.py"}
# The database of a Neutron is somebody else's: only read, and no book.
OF_NEUTRON = {"store/neutron_tables.py"}
OPENS_CONNECTIONS = {"store/dialect.py", "store/postgres_connection.py", "store/upgrade.py"}
OPENS_CONNECTIONS |= OF_NEUTRON
MAKES_ENGINES = {"store/postgres.py", "store/sqlite.py"} | OF_NEUTRON
SQL = re.compile(
    r"\s*(select\s+\S+.*\s+from\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|create\s+(table|index|view|trigger|function)\s|alter\s+table\s|drop\s+table\s|pragma\s+\w)",
    re.IGNORECASE | re.DOTALL,
)


def permits_come_from_authorize(code: Modules) -> Iterator[str]:
    for path, tree in code.items():
        allowed: set[ast.AST] = set()
        if path == "engine/access.py":
            for function in functions(tree):
                if function.name == "authorize":
                    allowed = set(nodes(function))
        for node in nodes(tree):
            if node in allowed:
                continue
            match node:
                case ast.Call(ast.Name("Permit") | ast.Attribute(attr="Permit")):
                    yield f"{path}:{node.lineno} makes a permit"
                case ast.Call(ast.Subscript(ast.Name("Permit") | ast.Attribute(attr="Permit"))):
                    yield f"{path}:{node.lineno} makes a permit"
                case ast.Call(ast.Attribute(ast.Name("Permit"), "__new__")):
                    yield f"{path}:{node.lineno} makes a permit"
                case ast.ImportFrom(names=names) if "_SEAL" in {one.name for one in names}:
                    yield f"{path}:{node.lineno} imports the seal"
                case ast.Attribute(attr="_SEAL"):
                    yield f"{path}:{node.lineno} takes the seal"
                case ast.Attribute(ast.Name("self"), "request" | "actor" | "permit") if (
                    path.startswith("client/")
                ):
                    pass  # a desk's own actor
                case ast.Attribute(attr="request" | "actor" | "permit", ctx=ast.Store()) if (
                    path != "engine/access.py"
                ):
                    yield f"{path}:{node.lineno} rewrites a permit"


def handlers_are_reached_by_the_registry_only(code: Modules) -> Iterator[str]:
    homes: dict[str, set[str]] = {}
    for path, tree in code.items():
        for function in functions(tree):
            if served_by(function):
                homes.setdefault(function.name, set()).add(path)
    for path, tree in code.items():
        for node in nodes(tree):
            match node:
                case ast.Name(name, ast.Load()) if path in homes.get(name, ()):
                    yield f"{path}:{node.lineno} uses the handler {name}"
                case ast.Attribute(ast.Name(before), name):
                    for home in homes.get(name, ()):
                        if before == Path(home).stem:
                            yield f"{path}:{node.lineno} uses the handler {before}.{name}"
                case ast.ImportFrom(module=str() as module, names=imported):
                    for one in imported:
                        for home in homes.get(one.name, ()):
                            if module.endswith(f".{Path(home).stem}"):
                                yield f"{path}:{node.lineno} imports the handler {one.name}"


def the_registry_keeps_its_tables(code: Modules) -> Iterator[str]:
    tables = {"_one", "_many", "_answers"}
    for path, tree in code.items():
        if path == "operations/registry.py":
            continue
        for node in nodes(tree):
            match node:
                case ast.Attribute(ast.Name("registry"), name) if name in tables:
                    yield f"{path}:{node.lineno} looks into registry.{name}"
                case ast.ImportFrom(module="allotment.operations.registry", names=names):
                    for one in names:
                        if one.name in tables:
                            yield f"{path}:{node.lineno} imports registry.{one.name}"


def transactions_begin_at_the_desk_only(code: Modules) -> Iterator[str]:
    for path, tree in code.items():
        for node in nodes(tree):
            match node:
                case ast.Call(ast.Attribute(_, "writing" | "reading")) if (
                    path not in OPENS_TRANSACTIONS
                ):
                    yield f"{path}:{node.lineno} opens a transaction"
                case ast.Call(ast.Attribute(_, "allocate_at_once")) if (
                    path not in ALLOCATES_AT_ONCE
                ):
                    yield f"{path}:{node.lineno} allocates without a transaction of the desk's"
                case ast.Call(
                    ast.Attribute(
                        ast.Name("engine") | ast.Attribute(attr="engine"),
                        "connect" | "begin" | "raw_connection",
                    )
                ) if path not in OPENS_CONNECTIONS:
                    yield f"{path}:{node.lineno} opens a connection"
                case ast.Call(ast.Name("create_engine")) if path not in MAKES_ENGINES:
                    yield f"{path}:{node.lineno} makes an engine"


def permits_are_asked_for_in_the_transaction(code: Modules) -> Iterator[str]:
    """What makes permits has the transaction in hand, or the epoch that the database looks at."""
    for path, tree in code.items():
        if path == "engine/access.py":
            continue
        for function in functions(tree):
            asks = [
                node
                for node in nodes(function)
                if isinstance(node, ast.Call) and called(node) == (None, "authorize")
            ]
            named = {said(one.annotation) for one in parameters(function)}
            bound = all(
                (len(node.args) == 2 and ast.unparse(node.args[0]).startswith("owner_rights("))
                or any(one.arg == "epoch" for one in node.keywords)
                for node in asks
            )
            if asks and not named & {"Read", "Write"} and not bound:
                yield f"{path}:{function.lineno} {function.name} permits what nobody looked at"


def an_actor_is_always_named(code: Modules) -> Iterator[str]:
    """By every desk; a door has one actor for its whole run, and must hand it to the desk."""
    for path, tree in code.items():
        if path.startswith("doors/"):
            continue
        for function in functions(tree):
            if function.name not in ("do", "ask"):
                continue
            named = [one.arg for one in parameters(function)]
            if "actor" not in named:
                yield f"{path}:{function.lineno} {function.name} takes no actor"
            if function.args.defaults:
                yield f"{path}:{function.lineno} {function.name} has a default"


def each_operation_has_one_handler(code: Modules) -> Iterator[str]:
    counts = Counter(
        kind
        for tree in code.values()
        for function in functions(tree)
        for kind in served_by(function)
    )
    yield from (f"{kind} has {count} handlers" for kind, count in counts.items() if count != 1)


def statements_are_written_in_the_store_only(code: Modules) -> Iterator[str]:
    for path, tree in code.items():
        if path.startswith("store/"):
            continue
        for node in nodes(tree):
            match node:
                case ast.Constant(str() as text) if SQL.match(text):
                    yield f"{path}:{node.lineno} {text[:50]!r}"


Rule = Callable[[Modules], Iterator[str]]
RULES: list[Rule] = [
    permits_come_from_authorize,
    handlers_are_reached_by_the_registry_only,
    the_registry_keeps_its_tables,
    what_takes_a_permit_is_given_one,
    transactions_begin_at_the_desk_only,
    handlers_are_run_with_a_permit_only,
    permits_are_asked_for_in_the_transaction,
    an_actor_is_always_named,
    each_operation_has_one_handler,
    statements_are_written_in_the_store_only,
]
