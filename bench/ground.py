"""The ground every benchmark stands on: databases, interleaved rounds, figures, the record.

Invariant: a figure is a ratio of two contenders measured in turn within one run; whoever goes
first in one round goes last in the next, warm-up is not counted, and a book is checked at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from surroundings import surroundings  # noqa: E402

from allotment.bootstrap import local_owner, open_book  # noqa: E402
from allotment.desk import LocalDesk  # noqa: E402
from allotment.model.commands import CreateAddressScope, CreateSubnet  # noqa: E402
from allotment.model.prefix import Prefix  # noqa: E402
from allotment.model.queries import CheckBook  # noqa: E402
from allotment.model.results import AddressPlacement, CheckReport  # noqa: E402
from postgres_server import PostgresServer, Run  # noqa: E402  (the harness of the tests)

Contender = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Book:
    """A database with one subnet in it."""

    url: str
    subnet: str


class Ground:
    """Databases for one run of one benchmark, and a folder; gone when it ends."""

    def __init__(self) -> None:
        self._run = Run.open()
        self._server: PostgresServer | None = None
        self.directory = self._run.directory

    def __enter__(self) -> Ground:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self._run.close()

    @property
    def server(self) -> PostgresServer:
        """The PostgreSQL server, started when first asked for; it must be a durable one."""
        if self._server is None:
            self._server = self._run.postgres()
            settings = postgres_settings(self._server.admin_url)
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                if settings[name] != "on":
                    raise SystemExit(
                        f"{name} is {settings[name]}: these figures would mean nothing"
                    )
        return self._server

    def facts(self) -> dict[str, object]:
        """The server's version and settings, if one was used."""
        if self._server is None:
            return {}
        return {"postgresql": postgres_settings(self._server.admin_url)}

    def database(self, kind: str, like: Book | None = None) -> str:
        """The URL of a new database, empty or the copy of a book that nobody has open."""
        if kind == "postgresql":
            name = psycopg.conninfo.conninfo_to_dict(like.url)["dbname"] if like else "template0"
            return self.server.create_database(str(name))
        path = self.directory / f"book-{time.monotonic_ns()}.db"
        if like is not None:
            path.write_bytes(Path(like.url.removeprefix("sqlite:///")).read_bytes())
        return f"sqlite:///{path}"

    def book(
        self, kind: str, prefix: str, placement: AddressPlacement = AddressPlacement.LOWEST
    ) -> Book:
        """A new book with one subnet in it, with its default pools."""
        url = self.database(kind)
        with open_book(url, create=True) as desk:
            scope = desk.do(CreateAddressScope(name="bench"), local_owner())
            command = CreateSubnet(scope=str(scope.id), prefix=Prefix(prefix), placement=placement)
            return Book(url=url, subnet=str(desk.do(command, local_owner()).id))

    def copy(self, book: Book, kind: str) -> Book:
        """The same book once more."""
        return Book(url=self.database(kind, book), subnet=book.subnet)

    def drop(self, url: str) -> None:
        """Make room: the database is not needed any more."""
        if url.startswith("sqlite"):
            for path in self.directory.glob(Path(url).name + "*"):
                path.unlink()
        else:
            self.server.drop_database(url)

    def settle(self) -> None:
        """Let the server write out what earlier work has left it, so that nobody pays for it."""
        with psycopg.connect(self.server.admin_url, autocommit=True) as conn:
            conn.execute("CHECKPOINT")


def postgres_settings(url: str) -> dict[str, str]:
    """What matters about a server."""
    names = "server_version fsync synchronous_commit full_page_writes shared_buffers max_wal_size"
    with psycopg.connect(url, autocommit=True) as conn:
        return {
            name: str(conn.execute("SELECT current_setting(%s)", [name]).fetchone()[0])  # type: ignore[index]  # one row
            for name in names.split()
        }


def checked(desk: LocalDesk, held: Sequence[int] | None = None) -> CheckReport:
    """The audit of a book: clean, and (where given) exactly these addresses handed out, each once.

    Raises SystemExit: a benchmark of a wrong answer is worth nothing.
    """
    report = desk.ask(CheckBook(), local_owner())
    if not report.clean:
        raise SystemExit(f"the book is not consistent: {report.faults[:5]}")
    if held is not None:
        if len(set(held)) != len(held):
            raise SystemExit(f"{len(held) - len(set(held))} addresses were handed out twice")
        if report.allocations != len(held):
            raise SystemExit(f"{len(held)} handed out, but {report.allocations} are held")
    return report


def interleaved(
    contenders: Mapping[str, Contender],
    rounds: int,
    warm_up: Callable[[], object] = lambda: None,
    before_round: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Run each contender once a round, in turn forwards and backwards: A B, B A, A B, ..."""
    warm_up()
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        before_round()
        order = list(contenders) if number % 2 == 0 else list(contenders)[::-1]
        for name in order:
            samples[name].append(contenders[name]())
    return samples


@dataclass(kw_only=True)
class Figure:
    """One ratio: product to baseline, round by round, and what it should reach."""

    name: str
    unit: str
    baseline_name: str
    product: list[float]
    baseline: list[float]
    reach: float
    at_most: bool = False
    notes: dict[str, Any] = field(default_factory=dict)  # Any: whatever JSON holds

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        return [ours / theirs for ours, theirs in zip(self.product, self.baseline, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.ratio <= self.reach if self.at_most else self.ratio >= self.reach

    def told(self) -> dict[str, Any]:  # Any: JSON
        """The figure as it is recorded."""
        return {
            "name": self.name,
            "ratio": round(self.ratio, 3),
            "ratio_low": round(min(self.ratios), 3),
            "ratio_high": round(max(self.ratios), 3),
            "reach": f"{'≤' if self.at_most else '≥'} {self.reach:g}",
            "reached": self.reached,
            "unit": self.unit,
            "product_median": statistics.median(self.product),
            "product": self.product,
            "baseline_name": self.baseline_name,
            "baseline_median": statistics.median(self.baseline),
            "baseline": self.baseline,
            "notes": self.notes,
        }


def number(value: float) -> str:
    """A figure with three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(kw_only=True)
class Bench:
    """One claim on its way: its sizes, its figures, its record."""

    claim: str
    options: argparse.Namespace
    figures: list[Figure] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)  # Any: whatever JSON holds
    _began: float = field(default_factory=time.monotonic)
    _load: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))

    def add(self, figure: Figure) -> None:
        """Keep a figure and print it."""
        self.figures.append(figure)
        print(
            f"{self.claim} {figure.name}: ratio {figure.ratio:.2f}"
            f" ({min(figure.ratios):.2f}-{max(figure.ratios):.2f}), to reach"
            f" {'≤' if figure.at_most else '≥'} {figure.reach:g}:"
            f" {'yes' if figure.reached else 'NO'}"
        )
        for name, samples in (
            ("allotment", figure.product),
            (figure.baseline_name, figure.baseline),
        ):
            median = number(statistics.median(samples))
            rounds = " ".join(number(sample) for sample in samples)
            print(f"    {name}: {median} {figure.unit} (rounds: {rounds})")
        for key, value in figure.notes.items():
            print(f"    {key}: {value}")
        sys.stdout.flush()

    def note(self, name: str, value: object) -> None:
        """Keep a fact that is no ratio, and print it."""
        self.notes[name] = value
        print(f"{self.claim} {name}: {value}", flush=True)

    def finish(self, ground: Ground) -> None:
        """Write the record, where that was asked for."""
        seconds = round(time.monotonic() - self._began, 1)
        print(f"{self.claim} took {seconds} s", flush=True)
        path: Path | None = self.options.json
        if path is None:
            return
        record = {
            "claim": self.claim,
            "arguments": {
                key: value for key, value in sorted(vars(self.options).items()) if key != "json"
            },
            "seconds": seconds,
            "load_before": self._load,
            "surroundings": surroundings(ROOT, ground.directory) | ground.facts(),
            "figures": [figure.told() for figure in self.figures],
            "notes": self.notes,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def options(
    description: str | None, argv: Sequence[str] | None = None, **sizes: tuple[Any, Any]
) -> argparse.Namespace:
    """The sizes of a run: each has its default and its value for a smoke test."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test: sizes of no meaning")
    parser.add_argument("--json", type=Path, help="write the raw figures to this file")
    for name, (usual, quick) in sizes.items():
        one = usual[0] if isinstance(usual, list) else usual
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(one),
            nargs="+" if isinstance(usual, list) else None,
            help=f"{usual}; with --quick {quick}",
        )
    parsed = parser.parse_args(argv)
    for name, (usual, quick) in sizes.items():
        if getattr(parsed, name) is None:
            setattr(parsed, name, quick if parsed.quick else usual)
    with suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a real file
    return parsed
