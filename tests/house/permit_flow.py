"""Where permits go: from the check, through names and lists, to what takes one.

Invariant: an expression is a permit only if all it can be is known to be one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from house.syntax import Modules, called, functions, nodes, parameters, said


def what_takes_a_permit_is_given_one(code: Modules) -> Iterator[str]:
    """Follow permits from `authorize` to the handlers: no other value takes their place."""
    wanting = dict(takers_of_permits(code))
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


def takers_of_permits(code: Modules) -> Iterator[tuple[tuple[str, str], list[int]]]:
    for path, tree in code.items():
        for function in functions(tree):
            names = [one for one in parameters(function) if one.arg not in ("self", "cls")]
            places = [place for place, one in enumerate(names) if "Permit" in said(one.annotation)]
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
            if isinstance(field.target, ast.Name) and "Permit" in said(field.annotation):
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
                if "Permit" in said(one.annotation)
            }
        before = -1
        while len(known) != before:
            before = len(known)
            for node in nodes(function):
                _learn(node, known, tree)
    return known


def _learn(node: ast.AST, known: set[str], tree: ast.Module) -> None:
    match node:
        case ast.AnnAssign(ast.Name(name), annotation) if "Permit" in said(annotation):
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
            return bool(made) and all("Permit" in said(one.returns) for one in made)
    return False


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
