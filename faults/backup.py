"""Backups of a campaign's server: an archive of its log, a base backup, and servers made of both.

Invariant: what is restored comes from the backup and the archive alone; the dead server gives only
what it had not archived yet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg

from faults import stage  # noqa: F401  (it finds the harness of the tests)
from faults.victims import until
from postgres_cluster import SERVER_USER, Cluster

RESTORE_SECONDS_MAX = 120.0


def archived(cluster: Cluster, archive: Path) -> None:
    """Have a server archive its log from now on."""
    archive.mkdir()
    _given(archive)
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET archive_mode = on")
        conn.execute(f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f'")
    cluster.stop()
    cluster.start()


def backed_up(cluster: Cluster, backup: Path) -> None:
    """A base backup, taken while everybody works."""
    program = cluster.installation.programs / "pg_basebackup"
    how = ("--checkpoint=fast", "--wal-method=fetch")
    subprocess.run(
        [program, "-d", cluster.url(), "-D", backup, *how], check=True, capture_output=True
    )


def rest_archived(cluster: Cluster, archive: Path) -> None:
    """Archive what a dead server did not come to archive."""
    for segment in (cluster.directory / "data" / "pg_wal").glob("0000*"):
        if segment.is_file() and not (archive / segment.name).exists():
            _given(Path(shutil.copy(segment, archive / segment.name)))


def restored(directory: Path, backup: Path, archive: Path, moment: str | None = None) -> Cluster:
    """A server of the backup and the archive, brought to the archive's end or to a moment in it.

    Raises:
        RuntimeError: it did not come there.
    """
    made = Cluster(directory)
    data = made.directory / "data"
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = 'cp {archive}/%f %p'\narchive_mode = off\n")
        if moment is not None:
            settings.write(f"recovery_target_time = '{moment}'\n")
            settings.write("recovery_target_action = 'promote'\n")
    (data / "recovery.signal").touch()
    for path in (data, *data.rglob("*")):
        _given(path)
    data.chmod(0o700)
    made.start()
    with psycopg.connect(made.url(), autocommit=True) as conn:
        ended = until(lambda: not _recovering(conn), RESTORE_SECONDS_MAX, pause=0.1)
    if not ended:
        made.stop()
        raise RuntimeError("the backup did not come to its end")
    return made


def _recovering(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("SELECT pg_is_in_recovery()").fetchone()
    assert row is not None
    return bool(row[0])


def _given(path: Path) -> None:
    """Give a file to the user that the server runs as."""
    if SERVER_USER is not None:
        os.chown(path, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
