"""C17: small faults are written into the code, one at a time; the tests must notice each.

Invariant: a mutant lives in a copy of the source; the tests are the suite's own. A mutant is
killed when they fail, or do not come to an end in many times what they take without it.
"""

from __future__ import annotations

import ast
import copy
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from faults import postgres
from faults.record import Record
from faults.stage import ROOT

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"mutants": 20, "only": "", "share_percent": 90, "at_once": 2},
    "long": {"mutants": 100_000, "only": "", "share_percent": 90, "at_once": 2},
}
SECONDS_MIN = 60.0
SECONDS_MAX = 1200.0
TIMES_AS_LONG = 5.0
NO_TESTS = 5  # pytest's exit code
_DESK = (
    "tests/unit/test_request_time.py",
    "tests/conformance/test_desk.py",
    "tests/conformance/audit/test_sealing.py",
    "tests/conformance/test_reception.py",
    "tests/conformance/test_at_once.py",
    "tests/conformance/transactions/test_keys.py",
    "tests/conformance/test_deadlines.py",
)
_CROWD = (
    "tests/conformance/test_teller.py",
    "tests/conformance/test_at_once.py",
    "tests/conformance/test_refused_addresses.py",
    "tests/conformance/test_wrong_space.py",
    "tests/conformance/transactions/test_events.py",
    "tests/conformance/transactions/test_keys.py",
    "tests/conformance/transactions/test_lost_commits.py",
    "tests/conformance/transactions/test_retries.py",
    "tests/conformance/test_deadlines.py",
)
# What is mutated, and the tests that know it.
ROOMS: dict[str, tuple[str, ...]] = {
    "desk.py": _DESK,
    "teller.py": _CROWD,
    "reception.py": ("tests/conformance/test_reception.py", "tests/access/test_revocation.py"),
    "operations/retries.py": ("tests/unit/test_until_served.py", "tests/unit/test_request_time.py"),
    "engine/extents.py": ("tests/unit/test_extents.py",),
    "engine/placement.py": ("tests/unit/test_placement.py",),
    "engine/pools.py": ("tests/unit/test_pools.py",),
    "engine/access.py": (
        "tests/unit/test_rights.py",
        "tests/house/test_access.py",
        "tests/access/test_faults.py",
    ),
    "engine/audit.py": ("tests/unit/test_audit.py",),
    "engine/audit_chain.py": ("tests/unit/test_audit_chain.py",),
    "engine/audit_proof.py": ("tests/unit/test_audit_chain.py",),
    "engine/interface_id.py": ("tests/unit/test_interface_id.py",),
    "engine/token_text.py": ("tests/unit/test_token_text.py",),
    "store/postgres_errors.py": ("tests/unit/test_error_tables.py",),
    "store/sqlite_errors.py": ("tests/unit/test_error_tables.py",),
    "store/group_commit.py": ("tests/conformance/group_commit",),
    "model/address.py": ("tests/unit/test_address.py", "tests/unit/test_address_parsing.py"),
    "model/address_range.py": ("tests/unit/test_address_parsing.py", "tests/unit/test_prefix.py"),
    "model/mac.py": ("tests/unit/test_mac.py",),
    "model/moment.py": ("tests/unit/test_moment.py",),
    "model/keys.py": ("tests/unit/test_keys.py",),
    "model/prefix.py": ("tests/unit/test_prefix.py", "tests/unit/test_address_parsing.py"),
}
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}


def run(record: Record, folder: Path) -> None:
    """Mutant after mutant; a sample by the seed where not all are wanted."""
    options = record.options
    found = [
        (room, number, what)
        for room in ROOMS
        if options.only in ("", room)
        for number, what in enumerate(_described(room))
    ]
    record.counts["possible mutants"] = len(found)
    chosen = sorted(record.chance.sample(found, min(options.mutants, len(found))))
    rooms = sorted({room for room, *_ in chosen})
    with postgres.server(folder) as cluster, ThreadPoolExecutor(options.at_once) as pool:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for one in range(options.at_once):
            copies.put(Copy(folder / str(one) / "src", cluster.url()))
        took = dict(zip(rooms, pool.map(partial(_unmutated, copies), rooms), strict=True))
        for room in rooms:
            if took[room] is None:
                record.findings.append(f"H1 the tests of {room} fail without a mutant")
        tries = pool.map(lambda one: _killed(copies, one[0], one[1], took[one[0]]), chosen)
        for (room, _, what), killed in zip(chosen, tries, strict=True):
            _note(record, room, what, killed)
    share = 100 * record.counts["killed"] / max(1, len(chosen))
    record.notes["killed, %"] = round(share, 1)
    if share < options.share_percent:
        record.findings.append(f"M1 {share:.1f} % of {len(chosen)} mutants were killed")
    record.need({"killed": 1})


def _note(record: Record, room: str, what: str, killed: bool) -> None:
    state = "killed" if killed else "alive"
    record.counts[f"{room}: {state}"] += 1
    record.counts[state] += 1
    if not killed:
        record.notes.setdefault("alive", []).append(f"{room} {what}")
        record.say(f"alive: {room} {what}")


def _unmutated(copies: queue.SimpleQueue[Copy], room: str) -> float | None:
    """How long the tests of a room take without a mutant, in seconds; None: they fail."""
    copy_of = copies.get()
    began = time.monotonic()
    try:
        return time.monotonic() - began if copy_of.passes(ROOMS[room], SECONDS_MAX) else None
    finally:
        copies.put(copy_of)


def _killed(copies: queue.SimpleQueue[Copy], room: str, number: int, usually: float | None) -> bool:
    """Write a mutant into a copy of the source that nobody else uses, and ask the tests."""
    copy_of = copies.get()
    right = copy_of.read(room)
    try:
        copy_of.write(room, _mutated(right, number))
        seconds = max(SECONDS_MIN, TIMES_AS_LONG * (usually or SECONDS_MAX))
        return not copy_of.passes(ROOMS[room], seconds)
    finally:
        copy_of.write(room, right)
        copies.put(copy_of)


def _described(room: str) -> list[str]:
    text = (ROOT / "src" / "allotment" / room).read_text("utf-8")
    return [what for _, what in _mutations(ast.parse(text))]


def _mutated(text: str, number: int) -> str:
    tree = ast.parse(text)
    for place, (mutate, _) in enumerate(_mutations(tree)):
        if place == number:
            mutate()
            break
    return ast.unparse(ast.fix_missing_locations(tree))


def _mutations(tree: ast.Module) -> list[tuple[Any, str]]:  # Any: what carries one out
    unread = _unread(tree)
    return [one for node in ast.walk(tree) if id(node) not in unread for one in _of(node)]


def _unread(tree: ast.Module) -> set[int]:
    """What is in annotations that are never evaluated, nor read by anybody.

    Those of functions and in them, of named tuples and of data classes; msgspec reads its own.
    """
    found = set()
    for node in ast.walk(tree):
        inside: list[ast.AST] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = [one for one in ast.walk(node) if one is not node]
        elif isinstance(node, ast.ClassDef) and _is_plain(node):
            inside = list(node.body)
        annotations = [getattr(one, "annotation", None) for one in inside]
        annotations.append(getattr(node, "returns", None))
        for annotation in filter(None, annotations):
            found |= {id(part) for part in ast.walk(annotation)}
    return found


def _is_plain(of: ast.ClassDef) -> bool:
    named = [*of.bases, *(getattr(one, "func", one) for one in of.decorator_list)]
    return any(getattr(one, "id", "") in ("NamedTuple", "dataclass") for one in named)


def _of(node: ast.AST) -> Iterator[tuple[Any, str]]:  # Any: what carries a mutation out
    line = f"line {getattr(node, 'lineno', 0)}"
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARED:
            other = _COMPARED[type(operator)]
            yield (
                lambda: node.ops.__setitem__(0, other()),
                f"{line}: {type(operator).__name__} to {other.__name__}",
            )
        case ast.BinOp(op=operator) if type(operator) in _COUNTED:
            if not isinstance(node.left, ast.Constant | ast.JoinedStr) or not isinstance(
                getattr(node.left, "value", None), str
            ):
                new = _COUNTED[type(operator)]
                yield (
                    lambda: setattr(node, "op", new()),
                    f"{line}: {type(operator).__name__} to {new.__name__}",
                )
        case ast.BoolOp(op=operator):
            new_bool = ast.Or if isinstance(operator, ast.And) else ast.And
            yield (lambda: setattr(node, "op", new_bool()), f"{line}: to {new_bool.__name__}")
        case ast.UnaryOp(op=ast.Not()):
            yield (lambda: _becomes(node, node.operand), f"{line}: not removed")
        case ast.Constant(value=bool(value)):
            yield (lambda: setattr(node, "value", not value), f"{line}: {value} to {not value}")
        case ast.Constant(value=int(value)):
            yield (lambda: setattr(node, "value", value + 1), f"{line}: {value} to {value + 1}")
        case ast.If(test=test):
            yield (
                lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), copy.copy(test))),
                f"{line}: condition turned round",
            )


def _becomes(node: ast.UnaryOp, operand: ast.expr) -> None:
    """`not x` becomes `bool(x)`."""
    node.op = ast.Not()
    node.operand = ast.UnaryOp(ast.Not(), operand)


class Copy:
    """A copy of the source, which one mutant at a time lives in, and a server for its tests."""

    def __init__(self, source: Path, server: str) -> None:
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        self.source = source
        self.server = server
        self._written = 0

    def read(self, room: str) -> str:
        """The text of a file."""
        return (self.source / "allotment" / room).read_text("utf-8")

    def write(self, room: str, text: str) -> None:
        """Another text; of another second, so that Python never takes what it compiled before."""
        self._written += 1
        target = self.source / "allotment" / room
        target.write_text(text)
        os.utime(target, (self._written, self._written))

    def passes(self, tests: tuple[str, ...], seconds: float) -> bool:
        """Whether the tests pass: the quick ones, then those of PostgreSQL."""
        usual = "not postgres and not races and not long"
        if not self._pass(tests, usual, seconds):
            return False
        if not any(one.startswith("tests/conformance") for one in tests):
            return True
        return self._pass(tests, "postgres and not races and not long", seconds)

    def _pass(self, tests: tuple[str, ...], marked: str, seconds: float) -> bool:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.source),
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.source.parent / "compiled"),
            "ALLOTMENT_TEST_POSTGRES": self.server,
        }
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0"]
        command += ["-p", "no:schemathesis", "--hypothesis-profile=mutants", "-m", marked, *tests]
        asked = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return asked.wait(seconds) in (0, NO_TESTS)
        except subprocess.TimeoutExpired:
            return False
        finally:  # and what the tests began, which a mutant may keep busy for ever
            with suppress(ProcessLookupError):
                os.killpg(asked.pid, signal.SIGKILL)
            asked.wait()
