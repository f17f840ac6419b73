"""C20: a backup is taken while clients work, the server dies, and the backup is brought to its end.

Invariant: what is restored is judged as the server itself would be: every acknowledged change is in
it, and its audit is intact.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from allotment.bootstrap import local_owner, open_book
from allotment.model.events import VerifyAudit
from allotment.model.queries import CheckBook
from faults import stage
from faults.crew import desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import kill_all, server
from faults.record import Record
from faults.victims import until
from postgres_cluster import SERVER_USER, Cluster

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"restores": 1, "clients": 8},
    "long": {"restores": 20, "clients": 16},
}
WORK_SECONDS = 3.0


def run(record: Record, folder: Path) -> None:
    """Back up, go on, die, restore, judge; as often as wanted."""
    for number in range(record.options.restores):
        home = folder / f"restore-{number}"
        home.mkdir(mode=0o755)
        _one_restore(record, home)
        shutil.rmtree(home, ignore_errors=True)
    record.need({"restores": record.options.restores, "acknowledged": 50})


def _one_restore(record: Record, folder: Path) -> None:
    archive = _given(folder / "archive")
    archive.mkdir()
    _given(archive)
    with server(folder) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET archive_mode = on")
            conn.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
        cluster.stop()
        cluster.start()
        url = cluster.url()
        with desks_at_work(record, folder, url, stage.build(url)) as crew:
            crew.works_again(60, 50)
            backup = _backed_up(cluster, folder)
            crew.works_again(60)
            time.sleep(WORK_SECONDS)
        kill_all(cluster)
        began = time.monotonic()
        restored = _restored(cluster, folder, backup, archive)
    try:
        record.recoveries.append(time.monotonic() - began)
        record.take(judge(history.read(crew.ledgers), rows.read(restored.url())))
        with open_book(restored.url()) as desk:
            if not desk.ask(CheckBook(), local_owner()).clean:
                record.findings.append("S3 the restored book is not clean")
            if not desk.ask(VerifyAudit(), local_owner()).intact:
                record.findings.append("A3 the restored audit is not intact")
        record.counts["restores"] += 1
    finally:
        restored.stop()


def _backed_up(cluster: Cluster, folder: Path) -> Path:
    """A base backup, taken while everybody works."""
    backup = folder / "backup"
    program = cluster.installation.programs / "pg_basebackup"
    how = ("--checkpoint=fast", "--wal-method=fetch")
    subprocess.run(
        [program, "-d", cluster.url(), "-D", backup, *how], check=True, capture_output=True
    )
    return backup


def _restored(cluster: Cluster, folder: Path, backup: Path, archive: Path) -> Cluster:
    """A server of the backup, the archive, and what the dead server had not archived yet."""
    for segment in (cluster.directory / "data" / "pg_wal").glob("0000*"):
        if segment.is_file() and not (archive / segment.name).exists():
            _given(Path(shutil.copy(segment, archive / segment.name)))
    made = Cluster(folder / "new")
    data = made.directory / "data"
    shutil.rmtree(data)
    shutil.move(backup, data)
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\narchive_mode = off\n")
    (data / "recovery.signal").touch()
    for path in (data, *data.rglob("*")):
        _given(path)
    data.chmod(0o700)
    made.start()
    with psycopg.connect(made.url(), autocommit=True) as conn:
        ended = until(lambda: not _recovering(conn), 120, pause=0.1)
    if not ended:
        raise RuntimeError("the backup did not come to its end")
    return made


def _recovering(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SELECT pg_is_in_recovery()").fetchone()
    assert row is not None
    return bool(row[0])


def _given(path: Path) -> Path:
    """Give a file to the user that the server runs as."""
    if SERVER_USER is not None and path.exists():
        os.chown(path, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
    return path
