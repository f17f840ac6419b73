"""Faults of the beginning of a book.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from allotment import open_book
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.queries import ListProjects
from conformance.regressions.book import ME

OPENER = """
import sys
from allotment import local_owner, open_book
from allotment.model.commands import CreateProject
print("ready", flush=True)
sys.stdin.read()
with open_book(sys.argv[1]) as desk:
    desk.do(CreateProject(name=sys.argv[2]), local_owner())
"""


def test_a_new_file_serves_all_who_open_it_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    names = [f"project {number}" for number in range(10, 22)]
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url, name], stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        for name in names
    ]
    for opener in openers:
        assert opener.stdout is not None
        opener.stdout.readline()
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.close()
        opener.stdin = None
    said = [opener.communicate()[1].decode() for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * len(names), said
    with open_book(url) as book:
        assert [one.name for one in book.ask(ListProjects(), ME).items] == names


def test_a_file_in_which_no_book_was_finished_is_still_new(tmp_path: Path, me: Actor) -> None:
    """The first command was ended, or is at work, between making the file and the tables."""
    path = tmp_path / "book.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    with open_book(f"sqlite:///{path}") as desk:
        assert desk.do(CreateProject(name="p"), me).name == "p"
