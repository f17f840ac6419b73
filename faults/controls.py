"""Controls: sabotage that a campaign must notice, or it proves nothing when it is green.

Invariant: each control is the campaign itself on a spoilt book or a spoilt server; it passes when
the campaign is red, by the law that was broken.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from allotment.bootstrap import local_owner, open_book
from allotment.model.commands import AllocateAddress
from faults import c1_postgres_killed, c6_cut_at_commit
from faults.c1_postgres_killed import Terms
from faults.record import Record
from faults.suites import tested

SIZES: dict[str, dict[str, Any]] = {"gate": {"only": ""}, "long": {"only": ""}}
ASYNCHRONOUS = "?options=-c%20synchronous_commit%3Doff"
PREPARED = 10
_CELL = re.compile(r" by .+: (allowed, and should be|tells, or does not tell,)")


def _no_arbiter(url: str) -> None:
    """Nothing refuses an address that is held, and some held ones are offered as free."""
    with open_book(url) as desk, psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("SELECT id FROM subnet WHERE name = 'p0'").fetchone()
        assert row is not None
        for _ in range(PREPARED):
            desk.do(AllocateAddress(subnet=str(row[0])), local_owner())
        conn.execute("ALTER TABLE allocation_tag DROP CONSTRAINT allocation_tag_allocation")
        conn.execute("ALTER TABLE allocation DROP CONSTRAINT allocation_pkey")
        conn.execute(
            "UPDATE free_extent SET first = (SELECT address FROM allocation a"
            " WHERE a.subnet_id = container_id ORDER BY address LIMIT 1) WHERE container_id = %s",
            [row[0]],
        )


def _forgetful(table: str) -> Callable[[str], None]:
    """What is entered in a table is thrown away."""

    def prepare(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(
                "CREATE FUNCTION forgetful() RETURNS trigger LANGUAGE plpgsql"
                " AS $$ BEGIN RETURN NULL; END $$"
            )
            conn.execute(
                sql.SQL(
                    "CREATE TRIGGER forgetful BEFORE INSERT ON {}"
                    " FOR EACH ROW EXECUTE FUNCTION forgetful()"
                ).format(sql.Identifier(table))
            )

    return prepare


def _audit_of_its_own(url: str) -> None:
    """Events are not in the log that makes a transaction durable: a crash takes them alone."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ALTER TABLE event SET UNLOGGED")


def _killed(kills: int, terms: Terms) -> Callable[[Record, Path], None]:
    def run(record: Record, folder: Path) -> None:
        record.options.kills, record.options.clients = kills, 16
        c1_postgres_killed.run(record, folder, terms)

    return run


def _cut(cuts: int, prepare: Callable[[str], None]) -> Callable[[Record, Path], None]:
    def run(record: Record, folder: Path) -> None:
        record.options.cuts, record.options.clients, record.options.at_once = cuts, 8, 1
        c6_cut_at_commit.run(record, folder, prepare)

    return run


def _unfiltered(door: str) -> Callable[[Record, Path], None]:
    """The access matrix at one door: a cell that is let through against the oracle is Z2."""

    def run(record: Record, folder: Path) -> None:
        words = ["-n", "0", "-p", "faults.unfiltered_door", "-k", f"{door} and sqlite and oracles"]
        done = tested([*words, "-m", "not long", "tests/access/test_matrix.py"], dict(os.environ))
        cells = [line for line in done.stdout.splitlines() if _CELL.search(line)]
        record.findings += [f"Z2 {cell.removeprefix('E').strip()}" for cell in cells]

    return run


class Control(NamedTuple):
    """A spoilt campaign, and the law that must be found broken."""

    what: str
    law: str
    run: Callable[[Record, Path], None]


CONTROLS = {
    "asynchronous": Control(
        "synchronous_commit is off: what was acknowledged is lost",
        "D1",
        _killed(4, Terms(options=ASYNCHRONOUS)),
    ),
    "no-arbiter": Control(
        "no constraint keeps addresses apart: one is held twice",
        "S1",
        _killed(1, Terms(prepare=_no_arbiter)),
    ),
    "forgetful": Control(
        "idempotency keys are forgotten: a lost commit is done again",
        "S8",
        _cut(60, _forgetful("idempotency")),
    ),
    "audit-apart": Control(
        "the audit is not in the transaction: it differs from the book",
        "A1",
        _killed(2, Terms(prepare=_audit_of_its_own)),
    ),
    "timeless": Control(
        "who held what is forgotten when it is given back: the history differs from the audit",
        "S14",
        _killed(1, Terms(prepare=_forgetful("allocation_period"))),
    ),
    "unfiltered": Control(
        "the service asks as the owner: who may not see, sees at that door",
        "Z2",
        _unfiltered("rest"),
    ),
    "unfiltered-feed": Control(
        "the stream of events asks as the owner: it tells of what may not be seen",
        "Z2",
        _unfiltered("feed"),
    ),
}


def run(record: Record, folder: Path) -> None:
    """Every control, or the one that is asked for."""
    for name, control in CONTROLS.items():
        if record.options.only not in ("", name):
            continue
        home = folder / name
        home.mkdir(mode=0o755)
        options = argparse.Namespace(seed=record.seed, size=record.options.size, json=None)
        inner = Record(f"control {name}", options)
        control.run(inner, home)
        record.counts["controls"] += 1
        record.say(f"{name}: {control.what}; found broken: {', '.join(sorted(inner.laws))}")
        record.notes[name] = f"{len(inner.findings)} findings, of {sorted(inner.laws)}"
        if control.law in inner.laws:
            record.counts["controls that turned red by their law"] += 1
        else:
            record.findings.append(f"H1 {name}: the sabotage was not noticed")
    record.need({"controls that turned red by their law": record.counts["controls"]})
