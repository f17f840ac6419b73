"""C4: the k-th database call fails, for every k of every use case and every class of error.

Invariant: what comes out is an answer or the typed error that the table says; the book is as
before or as after, never between; and the same desk then serves the same request.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from allotment.bootstrap import open_book
from allotment.desk import LocalDesk
from allotment.errors import AllotmentError
from faults import postgres, use_cases
from faults.error_classes import POSTGRES, SQLITE, ErrorClass
from faults.failing_driver import Saboteur, install
from faults.judge import book_laws, rows
from faults.record import Record
from faults.snapshot import Alike, PostgresPlace, SqlitePlace
from faults.use_cases import UseCase
from faults.victims import until

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"classes": 1, "every": 18, "databases": "both"},
    "long": {"classes": 1_000, "every": 1, "databases": "both"},
}
"""`databases`: sqlite, postgresql or both; the long run takes hours, one at a time half as many."""
LEAVE_SECONDS_MAX = 5.0
ONCE = ("authenticate", "forget answers")
"""What is not run again here: the door answers 503, the chore has its next turn."""
CHORES = ("forget answers",)
"""No command: nobody explains which of its fields a constraint refused, and it is told as it is."""
KEY = "the-key"
Place = SqlitePlace | PostgresPlace


@dataclass
class Stage:
    """A book that goes back to what it was after each case."""

    record: Record
    place: Place
    kind: str
    errors: tuple[ErrorClass, ...]
    turn: int = 0
    saboteur: Saboteur = field(default_factory=Saboteur)
    _desk: LocalDesk | None = None

    @contextmanager
    def desk(self) -> Iterator[LocalDesk]:
        """A desk whose every connection is made anew, and given up at the end."""
        if self._desk is None:
            self._desk = open_book(self.place.url)
            install(self._desk, self.saboteur)
        try:
            yield self._desk
        finally:
            self.saboteur.strike_at = 0
            self._desk.store.dialect.drop_connections()

    def close(self) -> None:
        """Close the desk; the place was put back meanwhile, so that there may be no connection."""
        if self._desk is not None:
            with suppress(AllotmentError):
                self._desk.close()
            self._desk = None


def run(record: Record, folder: Path) -> None:
    """All of it on SQLite, then on PostgreSQL; or on the one that was asked for."""
    kinds = {"sqlite": SQLITE, "postgresql": POSTGRES}
    if record.options.databases != "both":
        kinds = {record.options.databases: kinds[record.options.databases]}
    if "sqlite" in kinds:
        home = folder / "sqlite"
        home.mkdir()
        _every_use_case(Stage(record, SqlitePlace(home), "sqlite", SQLITE))
    if "postgresql" in kinds:
        with postgres.server(folder) as cluster:
            place = PostgresPlace(cluster.url())
            _every_use_case(Stage(record, place, "postgresql", POSTGRES))
            place.close()
    struck = {name for name in record.counts if name.startswith("class ")}
    due = {f"class {kind} {error.name}" for kind, errors in kinds.items() for error in errors}
    record.findings += [f"H2 {name} never struck" for name in sorted(due - struck)]
    record.need({"calls failed": 80, "answered as if nothing had been": 20, "typed errors": 40})


def _every_use_case(stage: Stage) -> None:
    with open_book(stage.place.url, create=True) as desk:
        ids = use_cases.furnish(desk)
    stage.place.keep()
    stage.record.findings += [f"H2 {name} is never tried" for name in use_cases.missing(ids)]
    stage.turn = stage.record.chance.randrange(1000)
    for case in use_cases.every(ids):
        _one_use_case(stage, case)
        stage.record.counts[f"use cases, {stage.kind}"] += 1
    stage.close()
    stage.record.say(f"{stage.kind}: {stage.record.counts['calls failed']} calls failed so far")


def _one_use_case(stage: Stage, case: UseCase) -> None:
    """Once without a fault, to know the calls and what becomes of the book; then every call."""
    if case.name == "authenticate":
        stage.close()  # it remembers
    stage.place.reset()
    stage.saboteur.arm()
    alike = Alike(stage.place.dump(), time.time_ns() // 1_000_000, blocks="SealAudit" in case.name)
    with stage.desk() as desk:
        case.act(desk, KEY if case.keyed else None)
        calls = list(stage.saboteur.calls)
        after = alike.change(stage.place.dump())
    _check_laws(stage, case)
    if case.name == "authenticate":
        stage.close()
    offset = stage.turn % stage.record.options.every
    for k in range(1 + offset, len(calls) + 1, stage.record.options.every):
        for error in _chosen(stage, case, calls[k - 1].kind):
            trial = Trial(stage, case, error, k)
            trial.run(alike, after)


def _chosen(stage: Stage, case: UseCase, kind: str) -> Iterator[ErrorClass]:
    """The classes that a call is made to fail with, in turn."""
    possible = [
        error
        for error in stage.errors
        if (case.writes or not error.writes_only)
        and (kind != "connect" or stage.kind == "sqlite" or error.name == stage.errors[0].name)
    ]
    for _ in range(min(len(possible), stage.record.options.classes)):
        stage.turn += 1
        yield possible[stage.turn % len(possible)]


@dataclass
class Trial:
    """One call that fails in one way."""

    stage: Stage
    case: UseCase
    error: ErrorClass
    k: int

    def run(self, alike: Alike, after: Any) -> None:
        """Try it, and look at what came out, what the book is, and whether all goes on."""
        record, place = self.stage.record, self.stage.place
        if self.case.name == "authenticate":
            self.stage.close()  # it remembers
        place.reset()
        saboteur = self.stage.saboteur
        saboteur.arm(self.k, self.error)
        key = KEY if self.case.keyed else None
        threads = threading.active_count()
        began = time.monotonic()
        with self.stage.desk() as desk:
            outcome, answer = _outcome(lambda: self.case.act(desk, key))
            record.recoveries.append(time.monotonic() - began)
            if saboteur.struck is None:
                record.counts["calls that did not come"] += 1
                return
            self._count(saboteur.struck.kind)
            self._fits(outcome, saboteur)
            now = alike.change(place.dump())
            done, undone = now == after, not now
            if outcome == "ok" and not done:
                self._found("S10 it was answered, and the book is not as after it")
            if outcome not in ("ok", "commit-unknown") and not undone:
                self._found(f"S10 it failed ({outcome}), and the book is not as before")
            if not (done or undone):
                self._found("S10 the book is neither as before nor as after")
            if getattr(desk.store.dialect.engine.pool, "checkedout", lambda: 0)():
                self._found("L2 a connection is out")
            until(lambda: not place.left(), LEAVE_SECONDS_MAX)  # a server has a moment to notice
            for left in place.left():
                self._found(left)
            if key is not None or outcome not in ("ok", "commit-unknown"):
                self._again(lambda: self.case.act(desk, key), answer, alike, after)
        if not until(lambda: place.open_still() == 0, LEAVE_SECONDS_MAX):
            self._found(f"L2 {place.open_still()} connections are open after the desk was closed")
        if threading.active_count() > threads:
            self._found("L2 a thread was left")
        if self.case.name == "authenticate":
            self.stage.close()

    def _again(self, act: Any, answer: Any, alike: Alike, after: Any) -> None:
        """The same desk serves the same request: a keyed one has the first answer."""
        outcome, told = _outcome(act)
        if outcome != "ok":
            self._found(f"L1 asked again, it failed: {outcome}")
        elif answer is not None and self.case.keyed and told != answer:
            self._found("S8 asked again, it was answered otherwise")
        if alike.change(self.stage.place.dump()) != after:
            self._found("S8 asked again, the book is not as after it")

    def _fits(self, outcome: str, saboteur: Saboteur) -> None:
        """Whether the outcome is what the table says."""
        assert saboteur.struck is not None
        kind, phase = saboteur.struck
        record = self.stage.record
        record.counts[f"outcome {outcome}"] += 1
        due = self.error.due(phase)
        if kind == "connect" and self.stage.kind == "postgresql":
            due = "store-unavailable"
        if self.case.name in CHORES and self.error.writes_only:
            due = "constraint-failed"
        heals = self.error.again or kind in ("rollback", "connect", "close") or self.case.together
        if self.error.how == "lost, told" and kind == "wait":
            # Where a library swallows the telling, the next statement finds the connection gone.
            heals = True
        if due == "commit-unknown":
            # A query changes nothing, and a keyed command finds out.
            heals = heals and phase != "commit"
            heals = heals or not self.case.writes or self.case.keyed or self._harmless
        if outcome == "ok":
            record.counts["answered as if nothing had been"] += 1
            if not heals and not self._harmless:
                self._found(f"E2 it should have been {due}, and was answered")
            return
        record.counts["typed errors"] += 1
        if outcome != due:
            self._found(f"E2 it should have been {due}, and was {outcome}")
        elif self.error.again and due != "commit-unknown" and self.case.name not in ONCE:
            self._found(f"L1 {outcome} should have been tried again")

    @property
    def _harmless(self) -> bool:
        """Whether the call may have been one for the record of refusals, or of the sealing."""
        return self.case.name.startswith(("List", "VerifyAudit", "authenticate"))

    def _count(self, kind: str) -> None:
        counts = self.stage.record.counts
        counts["calls failed"] += 1
        counts[f"calls failed, {self.stage.kind}"] += 1
        counts[f"struck {self.stage.kind} {kind}"] += 1
        counts[f"class {self.stage.kind} {self.error.name}"] += 1

    def _found(self, what: str) -> None:
        law, _, text = what.partition(" ")
        where = f"{self.stage.kind}, {self.case.name}, call {self.k}, {self.error.name}"
        self.stage.record.findings.append(f"{law} {where}: {text}")


def _outcome(act: Any) -> tuple[str, Any]:
    try:
        return "ok", act()
    except AllotmentError as error:
        return error.code, None
    except Exception as error:  # noqa: BLE001 - it is what the campaign looks for
        return f"untyped {type(error).__name__}: {error}"[:200], None


def _check_laws(stage: Stage, case: UseCase) -> None:
    """The book as it is after the use case keeps the laws; as before it did, it was made so."""
    if stage.kind == "postgresql" or case.writes:
        findings = list(book_laws.findings(rows.read(stage.place.url)))
        stage.record.findings += [f"{one} (after {case.name})" for one in findings]
