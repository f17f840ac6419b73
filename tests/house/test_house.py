"""The house rules that no linter knows, checked on every file; each rule shown able to fail."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "allotment"
FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 50
PARAMETERS_MAX = 5
NAMES_OF_NOTHING = {
    *("base", "common", "helper", "helpers", "manager", "managers", "misc", "mixin", "mixins"),
    *("util", "utils"),
}
# What a statement begins with. A sentence such as "with 3 addresses" is none.
SQL = re.compile(
    r"\s*(select\s+\S|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|with\s+(recursive\s+)?[^\s(]+\s*(\([^)]*\)\s*)?as\s)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Source:
    """A module: its path below the package, and its text."""

    path: PurePosixPath
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @cached_property
    def comments(self) -> dict[int, str]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    @property
    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


def nothing_is_put_off(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
            yield f"line {number}: {line.strip()}"


def files_are_short(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield f"{lines} lines: which noun is missing?"


def functions_are_short(source: Source) -> Iterator[str]:
    for function in source.functions:
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{function.name}: {lines} lines"


def parameters_are_few(source: Source) -> Iterator[str]:
    for function in source.functions:
        positional = [*function.args.posonlyargs, *function.args.args]
        names = [argument.arg for argument in positional if argument.arg not in ("self", "cls")]
        if len(names) > PARAMETERS_MAX:
            yield f"{function.name}: {len(names)} parameters without a name at the call"


def broad_excepts_say_why(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler) or not _is_broad(node.type):
            continue
        if isinstance(node.body[-1], ast.Raise):  # cleans up or translates: swallows nothing
            continue
        reason = re.sub(r"noqa(:\s*[A-Z0-9, ]+)?", "", source.comments.get(node.lineno, ""))
        if len(re.findall(r"[a-z]{2,}", reason, re.IGNORECASE)) < 3:
            yield f"line {node.lineno}: a broad except without a reason beside it"


def _is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(ast.unparse(part) in ("Exception", "BaseException") for part in parts)


def statements_are_built_in_the_store_only(source: Source) -> Iterator[str]:
    if source.path.parts[0] == "store":
        return
    for node in ast.walk(source.tree):
        template = _built_text(node)
        if isinstance(node, ast.expr) and template is not None and SQL.match(template):
            yield f"line {node.lineno}: {template.strip()[:60]!r}"


def _built_text(node: ast.AST) -> str | None:
    """Return what a text put together by `node` begins with; `x` stands for a hole."""
    match node:
        case ast.JoinedStr(values):
            return "".join(_constant(value) or "x" for value in values)
        case ast.BinOp(left, ast.Mod(), _):
            text = _constant(left)
            return text and re.sub(r"%(\(\w+\))?s", "x", text)
        case ast.BinOp(left, ast.Add(), _):
            text = _constant(left)
            return text and text + "x set "  # + joins anything: the rest counts as SQL
        case ast.Call(ast.Attribute(value, "format" | "join" | "replace")):
            text = _constant(value)
            return text and re.sub(r"\{[^}]*\}", "x", text)
        case _:
            return None


def _constant(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def names_mean_something(source: Source) -> Iterator[str]:
    for name in (*source.path.parts[:-1], source.path.stem):
        if name.strip("_") in NAMES_OF_NOTHING:
            yield f"{name!r} names nothing"


def modules_say_what_they_are_for(source: Source) -> Iterator[str]:
    if not ast.get_docstring(source.tree):
        yield "no docstring"


RULES: list[Callable[[Source], Iterator[str]]] = [
    nothing_is_put_off,
    files_are_short,
    functions_are_short,
    parameters_are_few,
    broad_excepts_say_why,
    statements_are_built_in_the_store_only,
    names_mean_something,
    modules_say_what_they_are_for,
]


def the_house() -> list[Source]:
    return [
        Source(PurePosixPath(path.relative_to(PACKAGE).as_posix()), path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule: Callable[[Source], Iterator[str]]) -> None:
    sources = the_house()
    assert sources, "nothing was looked at"
    broken = [f"src/allotment/{source.path}: {what}" for source in sources for what in rule(source)]
    assert not broken, "\n".join(broken)


def source(text: str, path: str = "operations/subnets.py") -> Source:
    return Source(PurePosixPath(path), text)


LONG_FUNCTION = "def f():\n" + "    a = 1\n" * FUNCTION_LINES_MAX
CAUGHT = "try:\n    f()\nexcept {}\n    pass\n"

BAD: list[tuple[Callable[[Source], Iterator[str]], Source]] = [
    (nothing_is_put_off, source("a = 1  # TODO: later")),
    (nothing_is_put_off, source('"""FIXME"""')),
    (nothing_is_put_off, source("# XXX")),
    (nothing_is_put_off, source("# a HACK")),
    (files_are_short, source("a = 1\n" * (FILE_LINES_MAX + 1))),
    (functions_are_short, source(LONG_FUNCTION)),
    (functions_are_short, source("async " + LONG_FUNCTION)),
    (parameters_are_few, source("def f(a, b, c, d, e, f): ...")),
    (parameters_are_few, source("class A:\n    def f(self, a, b, c, /, d, e, f): ...")),
    (broad_excepts_say_why, source(CAUGHT.format(":"))),
    (broad_excepts_say_why, source(CAUGHT.format("Exception:"))),
    (broad_excepts_say_why, source(CAUGHT.format("(OSError, BaseException) as error:"))),
    (broad_excepts_say_why, source(CAUGHT.format("Exception:  # noqa: BLE001"))),
    (statements_are_built_in_the_store_only, source('f"select {a} from b"')),
    (statements_are_built_in_the_store_only, source('f"INSERT INTO {a} values (1)"')),
    (statements_are_built_in_the_store_only, source('f"""\n update {a} set b = 1"""')),
    (statements_are_built_in_the_store_only, source('"delete from %s" % a')),
    (statements_are_built_in_the_store_only, source('"with {} as (select 1)".format(a)')),
    (statements_are_built_in_the_store_only, source('"select " + a')),
    (statements_are_built_in_the_store_only, source('"update " + a')),
    (names_mean_something, source("", "engine/utils.py")),
    (names_mean_something, source("", "helpers/placement.py")),
    (names_mean_something, source("", "store/_base.py")),
    (modules_say_what_they_are_for, source("a = 1")),
]

GOOD: list[tuple[Callable[[Source], Iterator[str]], Source]] = [
    (nothing_is_put_off, source("# todos are a door's word: hackathon")),
    (files_are_short, source("a = 1\n" * FILE_LINES_MAX)),
    (functions_are_short, source("def f():\n" + "    a = 1\n" * (FUNCTION_LINES_MAX - 1))),
    (parameters_are_few, source("def f(self, a, b, c, d, e, *, f, g): ...")),
    (broad_excepts_say_why, source(CAUGHT.format("OSError:"))),
    (broad_excepts_say_why, source(CAUGHT.format("BaseException:") + "    undo()\n    raise")),
    (
        broad_excepts_say_why,
        source(CAUGHT.format("Exception:  # noqa: BLE001 - a follower must hear of it")),
    ),
    (statements_are_built_in_the_store_only, source('f"select {a} from b"', "store/search.py")),
    (statements_are_built_in_the_store_only, source('f"with {a} addresses"')),
    (statements_are_built_in_the_store_only, source('f"delete {a}?"')),
    (statements_are_built_in_the_store_only, source('"with " + name')),
    (names_mean_something, source("", "model/__init__.py")),
    (modules_say_what_they_are_for, source('"""Says."""')),
]


def case_name(value: object) -> str:
    return value.text[:30] if isinstance(value, Source) else getattr(value, "__name__", "?")


@pytest.mark.parametrize(("rule", "bad"), BAD, ids=case_name)
def test_each_rule_can_fail(rule: Callable[[Source], Iterator[str]], bad: Source) -> None:
    assert list(rule(bad))


@pytest.mark.parametrize(("rule", "good"), GOOD, ids=case_name)
def test_no_rule_cries_wolf(rule: Callable[[Source], Iterator[str]], good: Source) -> None:
    assert not list(rule(good))


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule for rule, _ in BAD} == set(RULES)


def locked_versions(lock: str) -> dict[str, str]:
    packages = tomllib.loads(lock)["package"]
    return {package["name"]: package["version"] for package in packages}


def pinned_versions(requirements: str) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", requirements, re.MULTILINE)
    return dict(pins)


def test_the_exported_pins_are_the_lock_s() -> None:
    locked = locked_versions((ROOT / "uv.lock").read_text("utf-8"))
    del locked["allotment"]
    assert pinned_versions((ROOT / "requirements-dev.txt").read_text("utf-8")) == locked
