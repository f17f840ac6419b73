"""The source of the package as trees, and what a rule asks of them.

Invariant: every module is there: what is added later is looked at as well.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "allotment"
Modules = Mapping[str, ast.Module]
DECORATORS = {"handles", "handles_many", "answers"}


@cache
def the_code() -> Modules:
    found = {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert len(found) > 40, "nothing was looked at"
    return found


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


def said(annotation: ast.expr | None) -> str:
    return "" if annotation is None else ast.unparse(annotation)
