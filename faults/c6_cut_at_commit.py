"""C6: the wire between the service and PostgreSQL is cut before, during and after COMMIT.

Invariant: every request whose outcome nobody knew is asked about, by its key, until it is known;
it is asked again at the end, and once more after that.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from allotment.bootstrap import first_token, open_book
from allotment.model.access import Actor
from faults import stage
from faults.c6_proxy import Proxy
from faults.crew import Crew, Plan
from faults.judge import history, rows
from faults.judge.history import Event
from faults.judge.verdict import judge
from faults.ledger import Ledger
from faults.parts import shares, side_by_side
from faults.postgres import left_behind, server
from faults.record import Record
from faults.service import Service, free_port, preload
from faults.victims import Victim, until
from faults.wire_desk import WireDesk

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"cuts": 500, "clients": 8, "half_open": 0, "at_once": 1},
    "long": {"cuts": 20_000, "clients": 16, "half_open": 5, "at_once": 3},
}
PATIENCE_SECONDS = 7_200.0
SILENCE_SECONDS_MAX = 90.0


def run(record: Record, folder: Path, prepare: Callable[[str], object] = lambda _: None) -> None:
    """Cut several wires side by side, as often as wanted; `prepare` spoils the book, in a control.

    Each has a service, a book and clients of its own.
    """
    preload()
    cuts = record.options.cuts
    parts = [{"cuts": share} for share in shares(cuts, record.options.at_once)]
    side_by_side(record, folder, parts, partial(_one_wire, prepare=prepare))
    record.counts["cuts"] = sum(n for name, n in record.counts.items() if name.startswith("cut "))
    at_commit = sum(n for name, n in record.counts.items() if name.endswith("at commit"))
    record.counts["cuts at COMMIT"] = at_commit
    record.need(
        {
            "cuts": cuts,
            "cuts at COMMIT": cuts // 5,
            "unknown outcomes resolved": cuts // 20,
            "unknown, done": max(1, cuts // 100),
            "unknown, not done": max(1, cuts // 100),
        }
    )


def _one_wire(record: Record, folder: Path, prepare: Callable[[str], object]) -> None:
    with server(folder) as cluster:
        url = cluster.url()
        pools = stage.build(url)
        with open_book(url) as desk:
            secret = first_token(desk)
        assert secret is not None
        prepare(url)
        note = folder / "proxy.json"
        proxy = Victim(partial(_proxy, cluster.port, record, note))
        until(note.exists, 30)
        port = json.loads(note.read_text())["port"]
        service = Service(
            f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable", free_port()
        )
        plan = Plan(
            folder=folder,
            pools=pools,
            seed=record.seed,
            processes=1,
            threads=record.options.clients,
            open_desk=partial(desk_at, service.url, secret.reveal(), record.seed),
            keyed_share=0.9,
            hasty_share=0.5,
        )
        crew = Crew(plan)
        try:
            service.start()
            _until_cut(record, note, crew)
            record.findings += crew.finish()
            _ask_once_more(record, folder, service.url, secret.reveal(), crew)
        finally:
            crew.kill()
            service.stop()
            proxy.kill()
        record.findings += left_behind(url)
        events = history.read(crew.ledgers)
        record.take(judge(events, rows.read(url)))
    for name, number in json.loads(note.read_text())["cuts"].items():
        record.counts[f"cut {name}"] += number
    _weigh(record, events)


def _weigh(record: Record, events: list[Event]) -> None:
    asked = [event for event in events if event.unknown and event.key is not None]
    record.counts["unknown outcomes"] = len(asked)
    record.counts["unknown outcomes resolved"] = sum(1 for event in asked if event.fates)
    for event in asked:
        if len(event.fates) < 3:
            record.findings.append(f"D3 {event.name} was resolved {len(event.fates)} times of 3")


def desk_at(url: str, token: str, seed: int, _number: int) -> tuple[Any, Actor]:
    """The plain client: what it hears, it does not ask about by itself."""
    return WireDesk(url, token, random.Random(seed)), Actor(name="token:bootstrap")


def _until_cut(record: Record, note: Path, crew: Crew) -> None:
    """Wait until there were enough cuts; they end by themselves then."""
    began = quiet = time.monotonic()
    before = crew.acks
    told = 0
    while time.monotonic() - began < PATIENCE_SECONDS:
        time.sleep(0.2)
        if crew.acks > before:
            before, quiet = crew.acks, time.monotonic()
        elif time.monotonic() - quiet > SILENCE_SECONDS_MAX:
            record.findings.append(f"L1 nothing was served for {SILENCE_SECONDS_MAX} s")
            return
        cuts = sum(json.loads(note.read_text())["cuts"].values())
        if cuts >= record.options.cuts:
            crew.works_again(SILENCE_SECONDS_MAX)
            return
        if cuts // 1000 > told:
            told = cuts // 1000
            record.say(f"{cuts} cuts, {crew.acks} acknowledged")
    record.findings.append(f"H2 {PATIENCE_SECONDS} s were too little for the cuts")


def _proxy(port: int, record: Record, note: Path) -> None:
    """The proxy's process: cuts until there were enough, and writes down how many."""
    proxy = Proxy(port, random.Random(record.seed))
    proxy.share, proxy.elsewhere = 0.35, 0.01
    while True:
        cuts = dict(proxy.cuts)
        if sum(cuts.values()) >= record.options.cuts:
            proxy.share = proxy.elsewhere = 0.0
        draft = note.with_suffix(".draft")
        draft.write_text(json.dumps({"port": proxy.port, "cuts": cuts}))
        draft.rename(note)
        time.sleep(0.1)


def _ask_once_more(record: Record, folder: Path, url: str, token: str, crew: Crew) -> None:
    """What was resolved stays resolved."""
    ledger = Ledger(crew.ledgers[0], "again")
    desk = WireDesk(url, token)
    from allotment.model.events import ResolveOperation

    for event in history.read(crew.ledgers):
        if event.fates and event.key is not None:
            told = desk.do(ResolveOperation(key=event.key), Actor(name="token:bootstrap"))
            ledger.enter(n=event.name, fate=str(told.state.value))
    desk.close()
    ledger.close()
