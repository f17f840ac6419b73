"""C20: a backup is taken while clients work, the server dies, and the backup is brought to its end,
and to a moment before it.

Invariant: what is restored is judged as the server itself would be: every change acknowledged by
then is in it, nothing asked later is, and its audit is intact.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from allotment.bootstrap import local_owner, open_book
from allotment.model.events import VerifyAudit
from allotment.model.queries import CheckBook
from faults import stage
from faults.backup import archived, backed_up, rest_archived, restored
from faults.c20_upgraded import upgraded
from faults.crew import desks_at_work
from faults.judge import history, rows
from faults.judge.history import Event
from faults.judge.verdict import judge
from faults.postgres import kill_all, server
from faults.record import Record

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"restores": 1, "upgrades": 2, "clients": 8},
    "long": {"restores": 20, "upgrades": 20, "clients": 16},
}
WORK_SECONDS = 3.0
ANSWERS_LATER = 25


class Moment(NamedTuple):
    """A moment: as the server's clock shows it, and between which two of the ledgers' times."""

    shown: str
    after: float
    before: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        after = time.monotonic()
        shown = datetime.now(UTC).isoformat()
        return cls(shown, after, time.monotonic())


def run(record: Record, folder: Path) -> None:
    """Back up, go on, die, restore, judge; as often as wanted. Then upgrades that are killed."""
    for number in range(record.options.restores):
        home = folder / f"restore-{number}"
        home.mkdir(mode=0o755)
        _one_restore(record, home)
        shutil.rmtree(home, ignore_errors=True)
    upgraded(record, folder, record.options.upgrades)
    restores = record.options.restores
    record.need(
        {
            "restores to the end": restores,
            "restores to a moment": restores,
            "acknowledged after the moment": restores * ANSWERS_LATER // 2,
            "acknowledged": restores * 50,
        }
    )


def _one_restore(record: Record, folder: Path) -> None:
    archive, backup = folder / "archive", folder / "backup"
    with server(folder) as cluster:
        archived(cluster, archive)
        url = cluster.url()
        with desks_at_work(record, folder, url, stage.build(url)) as crew:
            crew.works_again(60, 50)
            backed_up(cluster, backup)
            crew.works_again(60, ANSWERS_LATER)
            moment = Moment.now()
            crew.works_again(60, ANSWERS_LATER)
            time.sleep(WORK_SECONDS)
        kill_all(cluster)
        rest_archived(cluster, archive)
    events = history.read(crew.ledgers)
    record.counts["acknowledged after the moment"] += sum(
        1 for event in events if event.ok and event.call > moment.before
    )
    then = history.as_of(history.read(crew.ledgers), moment.after, moment.before)
    for place, shown, known in (("the end", None, events), ("a moment", moment.shown, then)):
        began = time.monotonic()
        made = restored(folder / place.replace(" ", "-"), backup, archive, shown)
        try:
            record.recoveries.append(time.monotonic() - began)
            _judged(record, made.url(), known, f" (restored to {place})")
            record.counts[f"restores to {place}"] += 1
        finally:
            made.stop()


def _judged(record: Record, url: str, events: Sequence[Event], where: str) -> None:
    record.take(judge(events, rows.read(url)), where)
    with open_book(url) as desk:
        if not desk.ask(CheckBook(), local_owner()).clean:
            record.findings.append(f"S3 the book is not clean{where}")
        if not desk.ask(VerifyAudit(), local_owner()).intact:
            record.findings.append(f"A3 the audit is not intact{where}")
