"""That nothing is served without the access check: read from the code, and tried out.

Invariant: nothing here is a list of operations; what is added later is bound by the same rules.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import UnsetType
from sqlalchemy import event

import allotment.operations  # noqa: F401 - registers every handler
from allotment import Address, AddressRange, LocalDesk, Mac, Prefix, local_owner, open_book
from allotment.engine import access
from allotment.errors import Bug, Forbidden, InvalidValue, NotFound, Unauthenticated
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.commands import Batch, Command, CreateProject, UpdateProject
from allotment.model.events import ResolveOperation
from allotment.model.grants import CreateGrant, CreateToken, ListTokens, TargetKind, WhoAmI
from allotment.model.queries import GetProject, Query
from allotment.operations import aims, registry

PACKAGE = Path(__file__).parents[2] / "src" / "allotment"
Modules = Mapping[str, ast.Module]

OPENS_TRANSACTIONS = {"desk.py", "reception.py"}  # the reception reads tokens, and notes their use
ALLOCATES_AT_ONCE = {"store/session.py", "operations/at_once.py"}
# The database of a Neutron is somebody else's: only read, and no book.
OF_NEUTRON = {"store/neutron_tables.py"}
DIALECTS = {f"store/{name}.py" for name in ("dialect", "postgres", "sqlite")}
OPENS_CONNECTIONS = {*DIALECTS, "store/upgrade.py"} | OF_NEUTRON
MAKES_ENGINES = {"store/postgres.py", "store/sqlite.py"} | OF_NEUTRON
DECORATORS = {"handles", "handles_many", "answers"}
SQL = re.compile(
    r"\s*(select\s+\S+.*\s+from\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|create\s+(table|index|view|trigger|function)\s|alter\s+table\s|drop\s+table\s|pragma\s+\w)",
    re.IGNORECASE | re.DOTALL,
)


@cache
def the_code() -> Modules:
    found = {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert len(found) > 40, "nothing was looked at"
    return found


def every(kind: type) -> list[type]:
    """All operations below Command or Query: asked of Python, so that none can be forgotten."""
    below = [one for child in kind.__subclasses__() for one in (child, *every(child))]
    return sorted({one for one in below if one.__module__.startswith("allotment.")}, key=str)


COMMANDS = every(Command)
QUERIES = every(Query)
EVERYTHING = COMMANDS + QUERIES


# --- what the code says


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """All nodes of a tree, looked for once."""
    return tuple(ast.walk(tree))


@cache
def functions(tree: ast.AST) -> tuple[ast.FunctionDef, ...]:
    return tuple(node for node in nodes(tree) if isinstance(node, ast.FunctionDef))


def parameters(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def served_by(function: ast.FunctionDef) -> list[str]:
    """The operations that the function's decorators say it serves."""
    found = []
    for mark in function.decorator_list:
        match mark:
            case ast.Call(ast.Name(name) | ast.Attribute(attr=name), [kind]) if name in DECORATORS:
                found.append(ast.unparse(kind).rpartition(".")[2])
    return found


def called(node: ast.Call) -> tuple[str | None, str] | None:
    """What stands before the name that is called, and the name."""
    match node.func:
        case ast.Name(name):
            return None, name
        case ast.Attribute(ast.Name(before), name):
            return before, name
        case ast.Attribute(ast.Attribute(attr=before), name):
            return before, name
    return None


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


def what_takes_a_permit_is_given_one(code: Modules) -> Iterator[str]:
    """Follow permits from `authorize` to the handlers: no other value takes their place."""
    wanting = dict(_wanting(code))
    for path, tree in code.items():
        for scope in _scopes(tree):
            known = _permits_in(scope, tree)
            for node in nodes(scope[-1]):
                if not isinstance(node, ast.Call) or (name := called(node)) is None:
                    continue
                for place in _places_of(wanting, path, name):
                    given = node.args[place] if place < len(node.args) else None
                    if given is None or not _is_permit(given, known, tree):
                        shown = ast.unparse(node)
                        yield f"{path}:{node.lineno} {shown}: argument {place + 1} is no permit"


def _wanting(code: Modules) -> Iterator[tuple[tuple[str, str], list[int]]]:
    for path, tree in code.items():
        for function in functions(tree):
            names = [one for one in parameters(function) if one.arg not in ("self", "cls")]
            places = [place for place, one in enumerate(names) if "Permit" in _said(one.annotation)]
            if places:
                yield (path, function.name), places
        for kind, fields in _keepers(tree).items():
            yield (path, kind), sorted(fields.values())


@cache
def _keepers(tree: ast.Module) -> dict[str, dict[str, int]]:
    """The classes of a module that keep a permit, each with the fields that do, by place."""
    kept: dict[str, dict[str, int]] = {}
    for kind in (node for node in nodes(tree) if isinstance(node, ast.ClassDef)):
        fields = [one for one in kind.body if isinstance(one, ast.AnnAssign)]
        for place, field in enumerate(fields):
            if isinstance(field.target, ast.Name) and "Permit" in _said(field.annotation):
                kept.setdefault(kind.name, {})[field.target.id] = place
    return kept


def _places_of(
    wanting: Mapping[tuple[str, str], list[int]], path: str, name: tuple[str | None, str]
) -> list[int]:
    before, function = name
    for (home, known), places in wanting.items():
        own = home == path and before in (None, "self")
        if known == function and (own or before == Path(home).stem):
            return places
    return []


def _said(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)


def _scopes(tree: ast.Module) -> Iterator[list[ast.FunctionDef]]:
    """Each outermost function or method, with the functions it is nested in."""
    inner = {id(node) for one in functions(tree) for node in nodes(one) if node is not one}
    for function in functions(tree):
        if id(function) not in inner:
            yield [function]


def _permits_in(scope: list[ast.FunctionDef], tree: ast.Module) -> set[str]:
    known: set[str] = set()
    for function in scope:
        for inner in functions(function):
            known |= {
                one.arg
                for one in [*parameters(inner), *inner.args.kwonlyargs]
                if "Permit" in _said(one.annotation)
            }
        before = -1
        while len(known) != before:
            before = len(known)
            for node in nodes(function):
                _learn(node, known, tree)
    return known


def _learn(node: ast.AST, known: set[str], tree: ast.Module) -> None:
    match node:
        case ast.AnnAssign(ast.Name(name), annotation) if "Permit" in _said(annotation):
            known.add(name)
        case ast.Assign([ast.Name(name)], value) if _is_permit(value, known, tree):
            known.add(name)
        case ast.For(target, source) | ast.comprehension(target, source):
            for name, wanted in _bound(target, source):
                if _is_permit(wanted, known, tree):
                    known.add(name)
        case ast.Call(ast.Attribute(ast.Name(name), "append"), [value]):
            if _is_permit(value, known, tree):
                known.add(name)


def _bound(target: ast.expr, source: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match target, source:
        case ast.Name(name), _:
            yield name, source
        case ast.Tuple([_, ast.Name(name)]), ast.Call(ast.Name("enumerate"), [inner, *_]):
            yield name, inner
        case ast.Tuple(names), ast.Call(ast.Name("zip"), sources):
            for one, inner in zip(names, sources, strict=False):
                if isinstance(one, ast.Name):
                    yield one.id, inner


def _is_permit(value: ast.expr, known: set[str], tree: ast.Module) -> bool:
    """Whether an expression is a permit, or a list of nothing but permits."""
    match value:
        case ast.Name(name):
            return name in known
        case ast.Attribute(ast.Name(), name):  # of what was made with one: see _keepers
            return any(name in fields for fields in _keepers(tree).values())
        case ast.Subscript(inner):
            return _is_permit(inner, known, tree)
        case ast.Tuple([]):
            return True
        case ast.List(parts):
            return all(_is_permit(part, known, tree) for part in parts)
        case ast.Tuple([first, *_]):  # a permit and its outcome
            return _is_permit(first, known, tree)
        case ast.ListComp(element) | ast.GeneratorExp(element):
            return _is_permit(element, known, tree)
        case ast.Call(ast.Name("authorize")):
            return True
        case ast.Call(ast.Attribute(attr=name)) if name in PERMITTING:
            return True
        case ast.Call(ast.Name(name)):
            made = [one for one in functions(tree) if one.name == name]
            return bool(made) and all("Permit" in _said(one.returns) for one in made)
    return False


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


SERVES = {"run", "run_many", "answer"}
PERMITTING = {"permit", "plain_permit", "_plain_permit"}  # methods that answer with a permit


def handlers_are_run_with_a_permit_only(code: Modules) -> Iterator[str]:
    """The registry is asked with a permit that `authorize` made, or with several of them."""
    for path, tree in code.items():
        if path == "operations/registry.py":
            continue
        for scope in _scopes(tree):
            known = _permits_in(scope, tree)
            for node in nodes(scope[-1]):
                if not isinstance(node, ast.Call):
                    continue
                name = called(node)
                if name is None or name[0] != "registry" or name[1] not in SERVES:
                    continue
                if len(node.args) < 2 or not _is_permit(node.args[1], known, tree):
                    yield f"{path}:{node.lineno} {ast.unparse(node)} is served without a permit"


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
            named = {_said(one.annotation) for one in parameters(function)}
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


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps(rule: Rule) -> None:
    broken = list(rule(the_code()))
    assert not broken, "\n".join(broken)


KEEPS = "class Job(NamedTuple):\n    permit: Permit[C]\n    deadline: float\n"
TAKES = "def serve(tx, permit: Permit[C]): ...\n"
BAD: list[tuple[Rule, str, str]] = [
    (permits_come_from_authorize, "desk.py", "Permit(seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "access.Permit(seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "Permit[Any](seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "Permit.__new__(Permit)"),
    (permits_come_from_authorize, "engine/access.py", "def grant(): return Permit(_SEAL, a, c)"),
    (permits_come_from_authorize, "desk.py", "from allotment.engine.access import _SEAL"),
    (permits_come_from_authorize, "desk.py", "permit.request = other"),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@handles(CreateSubnet)\ndef create(tx, c): ...\ndef other(tx): create(tx, 1)",
    ),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@registry.answers(GetSubnet)\ndef get(r, q): ...\nother = get",
    ),
    (the_registry_keeps_its_tables, "desk.py", "registry._one[kind](tx, command)"),
    (the_registry_keeps_its_tables, "desk.py", "from allotment.operations.registry import _many"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx, c)"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx, Permit_of(c))"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx)"),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(p: Permit[C]):\n    for c in p.request.commands:\n        serve(tx, c)",
    ),
    (what_takes_a_permit_is_given_one, "desk.py", KEEPS + "def do(c): return Job(c, 1)"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + KEEPS + "def do(j): serve(tx, j.wish)"),
    (transactions_begin_at_the_desk_only, "bootstrap.py", "with store.writing() as tx: ..."),
    (transactions_begin_at_the_desk_only, "doors/cli/app.py", "desk.store.reading()"),
    (transactions_begin_at_the_desk_only, "desk.py", "self.store.dialect.engine.connect()"),
    (transactions_begin_at_the_desk_only, "desk.py", "create_engine(url)"),
    (handlers_are_run_with_a_permit_only, "desk.py", "def do(self, c): registry.run(tx, c)"),
    (
        handlers_are_run_with_a_permit_only,
        "operations/perform.py",
        "def do(tx, permit: AnyPermit): return registry.run_many(tx, [permit.request])",
    ),
    (handlers_are_run_with_a_permit_only, "desk.py", "def ask(r): return registry.answer(r)"),
    (
        permits_are_asked_for_in_the_transaction,
        "desk.py",
        "def do(self, rights, c): return authorize(rights, c)",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def plain(self, actor: Actor, c): return authorize(self.rights, c, wants=[])",
    ),
    (an_actor_is_always_named, "client.py", "def do(self, command, actor=None): ..."),
    (an_actor_is_always_named, "client.py", "def ask(self, query): ..."),
    (
        each_operation_has_one_handler,
        "operations/subnets.py",
        "@handles(A)\ndef one(): ...\n@handles_many(A)\ndef two(): ...",
    ),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'DELETE FROM subnet'"),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'select id\\nfrom subnet'"),
]
GOOD: list[tuple[Rule, str, str]] = [
    (
        permits_come_from_authorize,
        "engine/access.py",
        "def authorize(a, r): return Permit(_SEAL, a, r)",
    ),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@handles(A)\ndef create(tx, c): return read(tx)\ndef read(tx): ...",
    ),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(c):\n    p = authorize(a, c)\n    def once(): return serve(tx, p)\n",
    ),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(ps: Sequence[Permit[C]]): return [serve(tx, p) for p in ps]",
    ),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): other.serve(tx, c)"),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + KEEPS + "def do(c):\n    job = Job(authorize(a, c), 1)\n    serve(tx, job.permit)",
    ),
    (transactions_begin_at_the_desk_only, "desk.py", "with self.store.writing() as tx: ..."),
    (
        handlers_are_run_with_a_permit_only,
        "operations/perform.py",
        "def do(tx, permit: AnyPermit): return registry.run_many(tx, [permit])",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def permit(self, r: Read, rights, c): return authorize(rights, c)",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def plain(a, c, e): return authorize(a, c, epoch=e) or authorize(owner_rights(a), c)",
    ),
    (an_actor_is_always_named, "client.py", "def do(self, command, actor, /): ..."),
    (
        each_operation_has_one_handler,
        "a.py",
        "@handles(A)\ndef one(): ...\n@handles(B)\ndef two(): ...",
    ),
    (statements_are_written_in_the_store_only, "store/x.py", "x = 'DELETE FROM subnet'"),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'select an address'"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_each_rule_can_fail(rule: Rule, path: str, text: str) -> None:
    assert list(rule({path: ast.parse(text)}))


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_no_rule_cries_wolf(rule: Rule, path: str, text: str) -> None:
    assert not list(rule({path: ast.parse(text)}))


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_a_permit_is_followed_from_the_check_to_every_handler() -> None:
    wanting = {name for (path, name), _ in _wanting(the_code()) if path.endswith("registry.py")}
    assert wanting == {"run", "run_many", "answer"}, "the registry's doors are what is followed"


def test_what_answers_with_a_permit_is_known_and_says_so() -> None:
    methods = {
        function.name
        for tree in the_code().values()
        for kind in nodes(tree)
        if isinstance(kind, ast.ClassDef)
        for function in functions(kind)
        if "Permit" in _said(function.returns)
    }
    assert methods == PERMITTING


# --- what Python says


# What is about everything there is: for those only who have its role without exception.
WHOLE = {"CheckBook", "RepairBook", "ListEvents", "ListAudit", "VerifyAudit", "SealAudit"}
# What everybody may ask who is known: about themselves, and what is theirs.
OF_EVERYBODY = (WhoAmI, ListTokens, ResolveOperation)


def test_every_command_has_an_aim_or_is_about_everything() -> None:
    served_commands, served_queries = registry.served()
    aimless = (served_commands | served_queries | {Batch}) - aims.known()
    commands = {kind.__name__ for kind in aimless if issubclass(kind, Command)}
    queries = {kind.__name__ for kind in aimless if issubclass(kind, Query)}
    assert commands <= WHOLE
    readers = {kind.__name__ for kind in aimless if kind.needs is Role.VIEWER}  # type: ignore[attr-defined]
    assert queries - readers <= WHOLE, "a query of readers is bounded by what they see"


def test_every_command_and_query_has_a_handler_and_nothing_else_has() -> None:
    served_commands, served_queries = registry.served()
    assert served_commands | {Batch} == set(COMMANDS), "Batch is served part by part"
    assert served_queries == set(QUERIES)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_operation_says_which_role_it_needs(kind: type) -> None:
    assert isinstance(kind.needs, Role)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_operation_is_documented_and_closed(kind: type[msgspec.Struct]) -> None:
    assert kind.__doc__
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("method", [LocalDesk.do, LocalDesk.ask])
def test_no_desk_knows_a_default_actor(method: Callable[..., Any]) -> None:
    _, request, actor = inspect.signature(method).parameters.values()
    for one in (request, actor):
        assert one.default is inspect.Parameter.empty
        assert one.kind is inspect.Parameter.POSITIONAL_ONLY
    assert actor.name == "actor"


@pytest.mark.parametrize("seal", [None, object(), "seal", True])
def test_a_permit_cannot_be_made_by_hand(seal: object) -> None:
    wish = CreateProject(name="p")
    with pytest.raises(Bug, match="authorize"):
        access.Permit(seal, access.owner_rights(local_owner()), wish, wish, None)


@pytest.mark.parametrize("thing", [None, "CreateProject", object(), local_owner()])
def test_what_is_neither_command_nor_query_is_refused(thing: Any) -> None:
    with open_book("sqlite://", create=True) as desk:
        with pytest.raises(InvalidValue, match="command"):
            desk.do(thing, local_owner())
        with pytest.raises(InvalidValue, match="command"):
            desk.do(GetProject(project="p"), local_owner())  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="query"):
            desk.ask(thing, local_owner())
        with pytest.raises(InvalidValue, match="query"):
            desk.ask(CreateProject(name="p"), local_owner())  # type: ignore[arg-type]


# --- what happens


EXAMPLES: dict[type, object] = {
    str: "a-name",
    bool: True,
    int: 60,
    Address: Address("10.0.0.5"),
    Prefix: Prefix("10.0.0.0/24"),
    AddressRange: AddressRange("10.0.0.5-10.0.0.9"),
    Mac: Mac("02:00:00:00:00:01"),
}


def example(hint: Any) -> object:
    """A value of a type, made from nothing but the type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return example(get_args(hint)[0])
    if origin in (Union, UnionType):
        absent = (NoneType, UnsetType)
        return example(next(one for one in get_args(hint) if one not in absent))
    if origin is tuple:
        return (example(get_args(hint)[0]),)
    if origin is Command:
        return CreateProject(name="part")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return next(instances(hint))
    return EXAMPLES[hint]


def instances(kind: type[msgspec.Struct]) -> Iterator[msgspec.Struct]:
    """An operation with the fields it must have, and with all it can have."""
    hints = get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    yield kind(**{one.name: example(hints[one.name]) for one in fields if one.required})
    keyless = getattr(kind, "takes_key", True) is False
    given = [one.name for one in fields if not (keyless and one.name == "idempotency_key")]
    yield kind(**{name: example(hints[name]) for name in given})


class Watch:
    """Counts what reaches the database: statements, and connections that could carry them."""

    def __init__(self, desk: LocalDesk) -> None:
        self.seen: list[str] = []
        engine = desk.store.dialect.engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine.pool, "checkout", self._connection)

    def _statement(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.seen.append(statement)

    def _connection(self, *_: object) -> None:
        self.seen.append("a connection")


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="module"
)
def watched(request: pytest.FixtureRequest) -> Iterator[tuple[LocalDesk, Watch]]:
    url, drop = "sqlite://", None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url, drop = server.create_database(), server.drop_database
    with open_book(url, create=True) as desk:
        yield desk, Watch(desk)
    if drop is not None:
        drop(url)


ASKED = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)", re.IGNORECASE)
OF_ACCESS = {"access_epoch", "token", "project"}  # a token, with the name of its project
OF_GRANTS = OF_ACCESS | {"access_grant"}
OF_REFUSALS = {"event"}
OF_KEYS = {"idempotency"}


def tables(watch: Watch) -> set[str]:
    """The tables that were asked since the watch was cleared."""
    return {name.lower() for one in watch.seen for name in ASKED.findall(one)}


def serve(desk: LocalDesk, request: Any, actor: Actor) -> object:
    return (desk.do if isinstance(request, Command) else desk.ask)(request, actor)


STRANGERS = [
    Actor(name="token:1", kind=ActorKind.TOKEN),
    Actor(name="token:1"),
    Actor(name=local_owner().name, kind=ActorKind.TOKEN),
    Actor(name="user:1", kind=ActorKind.TOKEN),
    Actor(name="token:1", kind=ActorKind.USER),
]


@pytest.mark.parametrize(
    "actor", STRANGERS, ids=["token", "by default", "namesake", "no token", "no user"]
)
@pytest.mark.parametrize("kind", EVERYTHING)
def test_a_stranger_is_nobody_and_reaches_nothing_but_the_check(
    watched: tuple[LocalDesk, Watch], kind: type[msgspec.Struct], actor: Actor
) -> None:
    desk, watch = watched
    for request in instances(kind):
        watch.seen.clear()
        with pytest.raises(Unauthenticated):
            serve(desk, request, actor)
        assert tables(watch) <= OF_ACCESS | OF_REFUSALS


@pytest.mark.parametrize("name", ["token:1", "user:1"])
def test_nobody_owns_a_book_who_bears_the_name_of_a_token(
    watched: tuple[LocalDesk, Watch], name: str
) -> None:
    desk, watch = watched
    watch.seen.clear()
    with pytest.raises(Forbidden):
        desk.do(CreateProject(name="p"), Actor(name=name, kind=ActorKind.OWNER))
    assert tables(watch) <= OF_REFUSALS


@pytest.fixture(scope="module")
def ungranted(watched: tuple[LocalDesk, Watch]) -> Actor:
    watched[0].do(CreateToken(name="ungranted"), local_owner())
    return Actor(name="token:ungranted")


@pytest.mark.parametrize("kind", [kind for kind in EVERYTHING if kind not in OF_EVERYBODY])
def test_whoever_holds_no_grant_changes_nothing_and_is_told_nothing(
    watched: tuple[LocalDesk, Watch], kind: type[msgspec.Struct], ungranted: Actor
) -> None:
    """A query reads grants only; what a command refers to is looked for, and not seen."""
    desk, watch = watched
    for request in instances(kind):
        watch.seen.clear()
        with pytest.raises((Forbidden, NotFound, InvalidValue)):
            serve(desk, request, ungranted)
        asked = tables(watch)
        if isinstance(request, Query):
            assert asked <= OF_GRANTS | OF_REFUSALS
        written = {
            name.lower()
            for one in watch.seen
            if not one.lstrip().upper().startswith(("SELECT", "WITH"))
            for name in ASKED.findall(one)
        }
        assert written <= OF_REFUSALS | OF_KEYS


def test_the_watch_sees_what_the_owner_does(watched: tuple[LocalDesk, Watch]) -> None:
    desk, watch = watched
    watch.seen.clear()
    desk.do(CreateProject(name="seen"), local_owner())
    assert "a connection" in watch.seen
    assert any("INSERT INTO project" in one for one in watch.seen)
    watch.seen.clear()
    desk.ask(GetProject(project="seen"), local_owner())
    assert len(watch.seen) > 1


@pytest.mark.parametrize("kind", EVERYTHING)
def test_no_subclass_or_other_kind_of_role_gets_round_the_check(kind: type[msgspec.Struct]) -> None:
    """Deny by default: a role that is none is nobody's, whatever the actor's rights."""
    request = next(instances(kind))
    unsure = type(kind.__name__, (kind,), {"needs": "owner", "__module__": __name__})
    fields = {one.name: getattr(request, one.name) for one in msgspec.structs.fields(kind)}
    with pytest.raises(Forbidden):
        access.authorize(access.owner_rights(local_owner()), unsure(**fields))


def test_each_part_of_a_batch_is_looked_at_when_its_turn_comes(
    watched: tuple[LocalDesk, Watch],
) -> None:
    """One part that is refused refuses the batch, and what the parts before it did is undone."""
    desk, _ = watched
    made = desk.do(CreateProject(name="parted"), local_owner())
    desk.do(CreateToken(name="parting"), local_owner())
    grant = CreateGrant(
        actor="token:parting", role=Role.ADMIN, target=TargetKind.PROJECT, reference=str(made.id)
    )
    desk.do(grant, local_owner())
    actor = Actor(name="token:parting")
    allowed = UpdateProject(project="parted", description="changed")
    for refused in (CreateProject(name="secret"), UpdateProject(project="seen", description="x")):
        with pytest.raises((Forbidden, NotFound)):
            desk.do(Batch(commands=(allowed, refused)), actor)
        assert desk.ask(GetProject(project="parted"), actor).description == ""
    desk.do(Batch(commands=(allowed, allowed)), actor)
    assert desk.ask(GetProject(project="parted"), actor).description == "changed"


def test_a_batch_cannot_hide_another_batch_or_a_key(watched: tuple[LocalDesk, Watch]) -> None:
    desk, watch = watched
    watch.seen.clear()
    inner = Batch(commands=(CreateProject(name="p"),))
    keyed = CreateProject(name="p", idempotency_key="k")
    for part in (inner, keyed):
        with pytest.raises(InvalidValue):
            desk.do(Batch(commands=(part,)), local_owner())
    assert watch.seen == []
