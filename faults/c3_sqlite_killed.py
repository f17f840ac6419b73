"""C3: programs that keep their book in a SQLite file are killed at work, and so are imports.

Invariant: after every kill the next program opens the book as it is, without any repair; whatever
was acknowledged is in it.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from faults import stage
from faults.client import Client
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.ledger import Growth, Ledger
from faults.parts import shares, side_by_side
from faults.record import Record
from faults.stage import Pool
from faults.victims import Victim, grown, silenced, until

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"kills": 100, "kills_per_book": 100, "threads": 3, "at_once": 1},
    "long": {"kills": 10_000, "kills_per_book": 200, "threads": 3, "at_once": 4},
}
PATIENCE_SECONDS = 60.0
IMPORTS_OF_TEN = 1
BIRTHS_PER_BOOK = 2
HASTY_OF_TEN = 1
"""Programs that are killed at any moment after their start, whether they work already or not."""
CHANGES_MAX = 3
"""The others are killed after so many acknowledged changes, at most."""
ROWS_IMPORTED = 80


def run(record: Record, folder: Path) -> None:
    """Book after book, some of them side by side, until there were as many kills as wanted."""
    _preload()
    kills = record.options.kills
    parts = [{"kills": share} for share in shares(kills, record.options.at_once)]
    side_by_side(record, folder, parts, _books)
    record.need(
        {
            "kills": kills,
            "kills with a request in flight": kills // 3,
            "kills in the making of a book": 1,
            "imports killed": kills // 20,
            "acknowledged": kills,
            "kills before a program had an answer": max(1, kills // 100),
        }
    )


def _books(record: Record, folder: Path) -> None:
    options = record.options
    number = 0
    while record.counts["kills"] < options.kills:
        number += 1
        home = folder / f"book-{number}"
        home.mkdir()
        left = options.kills - record.counts["kills"]
        _one_book(record, home, min(left, options.kills_per_book))
        if number % 5 == 0:
            record.say(f"{record.counts['kills']} kills, {record.counts['acknowledged']} acks")


def _preload() -> None:
    """What every victim needs is loaded once, before it is forked."""
    import allotment.doors.cli.app
    import allotment.doors.cli.exchange
    import allotment.store.sqlite  # noqa: F401  (for its effect)


def _one_book(record: Record, home: Path, kills: int) -> None:
    url = f"sqlite:///{home}/book.db"
    for _ in range(BIRTHS_PER_BOOK):
        _killed_at_birth(record, url)
    pools = stage.build(url, small=4)
    listing = home / "rows.csv"
    listing.write_text(_csv(ROWS_IMPORTED))
    ledgers: list[Path] = []
    for number in range(kills):
        if record.chance.random() * 10 < IMPORTS_OF_TEN:
            _import_killed(record, url, listing)
            continue
        ledger = home / f"ledger-{number}"
        ledgers.append(ledger)
        _program_killed(record, url, ledger, pools)
    _import_to_its_end(record, url, listing)
    _judged(record, home, ledgers)


def _killed_at_birth(record: Record, url: str) -> None:
    """A book that is being made must be one, or be none, whenever its maker dies."""
    place = Path(url.removeprefix("sqlite:///"))
    for leftover in place.parent.glob("book.db*"):
        leftover.unlink()
    victim = Victim(lambda: stage.open_book(url).close())
    time.sleep(record.chance.uniform(0, 0.08))
    if victim.kill() == -9:
        record.counts["kills in the making of a book"] += 1
    with stage.open_book(url) as desk:
        desk.do(stage.CreateAddressScope(name="alive"), stage.local_owner())
    for leftover in place.parent.glob("book.db*"):
        leftover.unlink()


def _program_killed(record: Record, url: str, ledger: Path, pools: Sequence[Pool]) -> None:
    seed, threads = record.chance.getrandbits(32), record.options.threads
    ledger.touch()
    victim = Victim(lambda: program(url, ledger, pools, (seed, threads)))
    try:
        if record.chance.random() * 10 < HASTY_OF_TEN:
            time.sleep(record.chance.uniform(0, 0.2))
        else:
            _works(record, ledger, record.chance.randint(1, CHANGES_MAX))
            time.sleep(record.chance.uniform(0, 0.1))
    finally:  # nor does it outlive a campaign that is ended
        code = victim.kill()
    if code != -9:
        record.findings.append(f"E1 a program ended by itself: {code}")
    record.counts["kills"] += 1
    events = history.read([ledger])
    if any(event.unknown for event in events):
        record.counts["kills with a request in flight"] += 1
    if all(event.unknown for event in events):
        record.counts["kills before a program had an answer"] += 1


def _works(record: Record, ledger: Path, changes: int) -> None:
    """Wait until a program was told that so many changes are done."""
    began = time.monotonic()
    if not until(lambda: grown(ledger, 0), PATIENCE_SECONDS):
        record.findings.append(f"L1 a program did not come to work again within {PATIENCE_SECONDS}")
    record.recoveries.append(time.monotonic() - began)
    seen = Growth(ledger)
    if not until(lambda: seen.changes() >= changes, PATIENCE_SECONDS, pause=0.004):
        record.findings.append(f"L1 a program was told of no change within {PATIENCE_SECONDS} s")


def program(url: str, ledger: Path, pools: Sequence[Pool], chance: tuple[int, int]) -> None:
    """An embedded program of some threads; it takes over what its forerunners held."""
    seed, threads = chance
    book = Ledger(ledger, ledger.name)
    with stage.open_book(url) as desk:
        clients = [
            Client(
                desk,
                stage.local_owner(),
                book,
                pools=pools,
                chance=random.Random(seed + number),
            )
            for number in range(threads)
        ]
        for place, held in enumerate(_held(url, pools)):
            clients[place % threads].mine.append(held)
        working = [threading.Thread(target=_for_ever, args=(one.step,)) for one in clients]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()


def _for_ever(step: Callable[[], None]) -> None:
    while True:
        step()


def _held(url: str, pools: Sequence[Pool]) -> list[tuple[Pool, int, str]]:
    known = {pool.id: pool for pool in pools}
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        found = conn.execute("SELECT hex(subnet_id), address, hex(id) FROM allocation").fetchall()
    return [
        (known[_dashed(subnet)], int.from_bytes(address, "big"), _dashed(held))
        for subnet, address, held in found
        if _dashed(subnet) in known
    ]


def _dashed(text: str) -> str:
    low = text.lower()
    return "-".join((low[:8], low[8:12], low[12:16], low[16:20], low[20:]))


def _import_killed(record: Record, url: str, listing: Path) -> None:
    victim = Victim(lambda: _import(url, listing))
    time.sleep(record.chance.uniform(0, 0.25))
    code = victim.kill()
    record.counts["kills"] += 1
    if code == -9:
        record.counts["imports killed"] += 1
    elif code != 0:
        record.findings.append(f"E1 an import ended with {code}")


def _import_to_its_end(record: Record, url: str, listing: Path) -> None:
    """Run again, an import finishes what was cut short: each row is in the book once."""
    code = Victim(lambda: _import(url, listing)).wait()
    if code != 0:
        record.findings.append(f"E1 an import that nobody killed ended with {code}")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        (found,) = conn.execute(
            "SELECT count(*) FROM prefix WHERE kind = 'pool' AND scope_id ="
            " (SELECT id FROM address_scope WHERE name = 'imported')"
        ).fetchone()
    if found != ROWS_IMPORTED:
        record.findings.append(f"D1 an import was run to its end: {found} of {ROWS_IMPORTED} rows")


def _import(url: str, listing: Path) -> None:
    from allotment.doors.cli.app import root

    silenced()
    words = ["import", "csv", str(listing), "--scope", "imported", "--database", url]
    root.main(words, prog_name="allotment")


def _csv(number: int) -> str:
    lines = [f"172.{16 + n // 256}.{n % 256}.0/24,row {n}" for n in range(number)]
    return "\n".join(["prefix,description", *lines]) + "\n"


def _judged(record: Record, home: Path, ledgers: Sequence[Path]) -> None:
    path = f"{home}/book.db"
    with closing(sqlite3.connect(path)) as conn:
        (said,) = conn.execute("PRAGMA integrity_check").fetchone()
        if said != "ok":
            record.findings.append(f"I1 integrity_check of {home.name}: {said}")
        broken = conn.execute("PRAGMA foreign_key_check").fetchall()
        if broken:
            record.findings.append(f"S10 {home.name} has orphans: {broken[:3]}")
    events = history.read(ledgers)
    record.take(judge(events, rows.read_sqlite(path), counters=True), f" ({home.name})")
    record.counts["books"] += 1
    for leftover in home.iterdir():
        leftover.unlink()
