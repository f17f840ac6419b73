"""S2: how often each index is looked at while every use case there is is played on PostgreSQL.

Sequential scans are discouraged, so that a book of a few rows shows what a large one would do: an
index that is not even then looked at, and that guards nothing, does not earn its keep.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import psycopg
from ground import ROOT, Bench, Book, Ground, options

sys.path.insert(0, str(ROOT))

from faults.use_cases import every, furnish

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.errors import AllotmentError
from allotment.model.mac import Mac
from allotment.model.queries import ListAllocations, Search
from allotment.model.results import Status

NO_SCANS = "?options=-c%20enable_seqscan%3Doff"
INDEXES = (
    "SELECT s.relname, s.indexrelname, s.idx_scan,"
    " i.indisunique OR i.indisprimary OR i.indisexclusion"
    " FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)"
)
Play = tuple[str, Any, bool]  # Any: what is done with a desk


def main() -> None:
    """Play everything, on as few books as will do."""
    bench = Bench(claim="S2", options=options(__doc__))
    with Ground() as ground:
        _indexes(ground, bench)
        bench.finish(ground)


def _indexes(ground: Ground, bench: Bench) -> None:
    """How often each is looked at, over every use case; and which never are."""
    looked: Counter[str] = Counter()
    guards: set[str] = set()
    template = Book(url=ground.database("postgresql"), subnet="")
    with open_book(template.url, create=True) as desk:
        ids = furnish(desk)
    played = 0
    waiting = [(case.name, case.act, case.keyed) for case in every(ids)]
    waiting += [(name, _asking(query), False) for name, query in _more(ids.net)]
    while waiting:
        book = ground.copy(template, "postgresql")
        with open_book(book.url + NO_SCANS) as desk:
            waiting, done = _played(desk, waiting)
        played += done
        assert done, f"none of {[name for name, *_ in waiting]} can be played"
        with psycopg.connect(book.url, autocommit=True) as conn:
            for table, name, scans, guard in conn.execute(INDEXES).fetchall():
                looked[f"{table}.{name}"] += scans
                guards |= {f"{table}.{name}"} if guard else set()
        ground.drop(book.url)
    never = sorted(name for name, scans in looked.items() if not scans)
    bench.note(
        f"raw: indexes looked at while {played} use cases were played", dict(looked.most_common())
    )
    bench.note("never looked at, guarding something", [one for one in never if one in guards])
    bench.note("never looked at, guarding nothing", [one for one in never if one not in guards])


def _played(desk: LocalDesk, waiting: Sequence[Play]) -> tuple[list[Play], int]:
    """Play what can be played on this book; the rest is left for a new one."""
    left: list[Play] = []
    for name, act, keyed in waiting:
        try:
            act(desk, uuid4().hex if keyed else None)
        except AllotmentError:  # an earlier one has taken away what it needs
            left.append((name, act, keyed))
    return left, len(waiting) - len(left)


def _asking(query: Any) -> Any:  # Any: a query of any kind
    return lambda desk, _: desk.ask(query, local_owner())


def _more(subnet: str) -> Iterator[tuple[str, Any]]:  # Any: queries
    """Every way of filtering and searching."""
    yield "by owner", ListAllocations(owner="own")
    yield "by identifier", ListAllocations(subnet=subnet, identifier="nine")
    yield "by identifier everywhere", ListAllocations(identifier="nine")
    yield "by hostname", ListAllocations(hostname="ho")
    yield "by MAC", ListAllocations(mac=Mac("02:00:00:00:00:01"))
    yield "by tag", ListAllocations(tag="red")
    yield "by status", ListAllocations(subnet=subnet, status=Status.RESERVED)
    for text in ("host", "nine", "02:00", "red", "10.1.0.9", "10.1.0.0/24", "own", "net"):
        yield f"search {text}", Search(text=text)


if __name__ == "__main__":
    main()
