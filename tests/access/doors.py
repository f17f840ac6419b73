"""The doors of the product, each asked in its own tongue, each giving its verdict.

Invariant: a door is asked as its callers ask it: the service on a real socket, the command line by
its words, the files by their rows; what came of it is told in the oracle's words.
"""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from click.testing import CliRunner, Result

import allotment
from access import files, lines
from access.book import Book, Who, crowd
from access.lines import Line
from access.scenes import Scene, scenes
from access.terms import Request
from allotment import Address, LocalDesk
from allotment.client.remote_desk import RemoteDesk
from allotment.doors.cli.app import root
from allotment.doors.exchange.report import Report
from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.rest.settings import Settings
from allotment.errors import (
    AllotmentError,
    Bug,
    Forbidden,
    InvalidValue,
    NotFound,
    StoreError,
    Unauthenticated,
)
from allotment.model.access import Actor, ActorKind
from allotment.model.commands import (
    Batch,
    Command,
    UpdateAddressScope,
    UpdateProject,
    UpdateSubnet,
    UpdateSubnetPool,
)
from allotment.model.events import ListEvents
from allotment.model.grants import CreateToken
from live_server import LiveServer

Verdict = tuple[str, Any]  # the verdict, and the answer of what was let through
QUIET = Settings(log_requests=False, threads=8, poll_seconds=0.01, heartbeat_seconds=0.01)
EXITS = {0: "allowed", 8: "allowed", 3: "unseen", 4: "allowed", 5: "allowed", 6: "forbidden"}
NO_GRANT = "ask an administrator of this book for a grant"
OUTPUTS = ("table", "json", "csv")
STREAM_BYTES_MAX = 64 << 20


def user(who: Who) -> Actor:
    """Whom an identity provider knows."""
    return Actor(name=who.name, kind=ActorKind.USER, groups=who.groups)


class Provider:
    """A doorkeeper that knows the users of the matrix, and shows API tokens to the desk."""

    def __init__(self, desk: LocalDesk) -> None:
        self._desk = desk
        self.users: dict[str, Actor] = {}

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        known = self.users.get(bearer)
        return known if known is not None else self._desk.authenticate(bearer, source)

    def recognise(self, bearer: str, source: Address | None) -> Actor | None:
        known = self.users.get(bearer)
        return known if known is not None else self._desk.recognise(bearer, source)


class Play:
    """A book, what is tried on it, and by whom; and the service of it, once it is asked for."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.scenes: list[Scene] = scenes(book)
        self.people: list[Who] = crowd(book)
        self._provider = Provider(book.desk)
        self._server: LiveServer | None = None
        self._remote: dict[str, RemoteDesk] = {}
        self._folder = TemporaryDirectory()
        self._turn = 0

    @property
    def url(self) -> str:
        """Where the service is."""
        if self._server is None:
            self._server = LiveServer(self.book.desk, QUIET, doorkeeper=self._provider)
        return self._server.url

    def bearer(self, who: Who) -> str:
        """What somebody shows at the service."""
        if who.bearer is not None:
            return who.bearer
        text = f"of-the-provider-{who.name.rpartition('#')[2]}"
        self._provider.users[text] = user(who)
        return text

    def at_desk(self, who: Who) -> DeskSeat:
        """Somebody at the desk itself."""
        if who.bearer is None:
            return DeskSeat(self.book.desk, user(who))
        return DeskSeat(self.book.desk, self.book.desk.authenticate(who.bearer))

    def over_http(self, who: Who) -> RemoteDesk:
        """The desk of somebody at the service."""
        if who.name not in self._remote:
            self._remote[who.name] = allotment.connect(self.url, token=self.bearer(who))
        return self._remote[who.name]

    def run(self, line: Line, who: Who, output: str) -> Result:
        """Run a line of the command line, at the service with somebody's token."""
        bearer = self.bearer(who)
        words = ["--server", self.url, *line.words, "--output", output]
        environment = {"ALLOTMENT_TOKEN": bearer, "XDG_CONFIG_HOME": self._folder.name}
        return CliRunner().invoke(root, words, env=environment, input=line.input or bearer)

    def turn(self) -> int:
        """How many lines were run."""
        self._turn += 1
        return self._turn

    def close(self) -> None:
        """Close what was opened on the way."""
        for desk in self._remote.values():
            desk.close()
        if self._server is not None:
            self._server.close()
        self._folder.cleanup()


class Door(NamedTuple):
    """A door: what is asked there, how, and every which cell on a quick day on each database."""

    ask: Callable[[Play, Who, Any], Verdict]
    scenes: Callable[[Play], list[Scene]]
    on_sqlite: int
    on_postgresql: int
    cells_min: int  # of all


def judged(ask: Callable[[], Any]) -> Verdict:
    """What became of a request: what is refused for what the book holds was let through."""
    try:
        return "allowed", ask()
    except Forbidden:
        return "forbidden", None
    except NotFound:
        return "unseen", None
    except (StoreError, Bug, InvalidValue, Unauthenticated):
        raise
    except AllotmentError:
        return "allowed", None


def verdict_of(desk: LocalDesk, who: Who, request: Any) -> Verdict:
    """What a desk says to somebody."""
    actor = desk.authenticate(who.bearer) if who.bearer is not None else user(who)
    serve = desk.do if isinstance(request, Command) else desk.ask
    return judged(lambda: serve(request, actor))  # type: ignore[arg-type]


def library(play: Play, who: Who, request: Any) -> Verdict:
    """Ask the desk itself, as an embedding program does."""
    return verdict_of(play.book.desk, who, request)


def rest(play: Play, who: Who, request: Any) -> Verdict:
    """Ask over HTTP, as the Python client does."""
    desk = play.over_http(who)
    serve = desk.do if isinstance(request, Command) else desk.ask
    return judged(lambda: serve(request, desk.actor))  # type: ignore[arg-type]


def command_line(play: Play, who: Who, line: Line) -> Verdict:
    """Run a line; what reads is printed in turn for a person, a program and a spreadsheet."""
    lookup, brings = line.words[0] == "lookup", line.words[0] == "import"
    output = "json" if line.writes or lookup or brings else OUTPUTS[play.turn() % len(OUTPUTS)]
    done = play.run(line, who, output)
    if line.told is not None and done.stdout:
        return files.verdict_of_told(json.loads(done.stdout)["items"], *line.told)
    if brings and done.stdout:
        return files.verdict_of_row(json.loads(done.stdout)["items"][-1])
    assert done.exit_code in EXITS, (line.words, done.exit_code, done.output)
    if lookup and '"what": "prefix around"' in done.stderr:
        return "allowed", None  # nothing is there that they see, and that is what they asked
    verdict = EXITS[done.exit_code]
    if verdict == "forbidden":
        return (verdict if NO_GRANT in done.stderr else "allowed"), None
    if done.exit_code or not line.writes:
        return verdict, None
    return verdict, line.answer(json.loads(done.stdout))


def file_brought_in(play: Play, who: Who, file: files.File) -> Verdict:
    """Bring a file in; the verdict is of its last row."""
    report = Report("-", file.format)

    def bring_in() -> Verdict:
        file.bring_in(play.at_desk(who), io.BytesIO(file.text.encode()), report)
        row = [row for row in report.rows if not row.implied][-1]
        return files.verdict_of_row(row.plain())

    verdict, row = judged(bring_in)
    return (verdict, None) if row is None else row


def export(play: Play, who: Who, write: Callable[[DeskSeat], Iterator[str]]) -> Verdict:
    """Take the book along; the answer is the ids of what is in it."""
    return judged(lambda: files.told_in("".join(write(play.at_desk(who)))))


def feed(play: Play, who: Who, query: ListEvents) -> Verdict:
    """Open the stream of events; the answer is the places of those it tells, up to a silence."""
    place = urlsplit(play.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    headers = {"Authorization": f"Bearer {play.bearer(who)}", "Accept": "text/event-stream"}
    try:
        connection.request("GET", f"/v1/events?after={query.after}&limit=1000", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            return {403: "forbidden", 404: "unseen"}[answer.status], None
        told = set()
        while not (line := answer.readline(STREAM_BYTES_MAX)).startswith(b": still here"):
            assert not line.startswith(b"event: problem"), answer.readline()
            if line.startswith(b"data: "):
                told.add(str(json.loads(line.removeprefix(b"data: "))["place_id"]))
        return "allowed", told
    finally:
        connection.close()


def _told_in_batches(play: Play) -> list[Scene]:
    """Every command that may be a part of a batch, alone in one."""

    def alone(scene: Scene) -> Scene:
        mend = scene.mend
        return Scene(
            scene.label,
            lambda: Batch(commands=(scene.asked(),)),
            scene.about._replace(batched=True),
            None if mend is None else lambda made: mend(made[0]),
        )

    return [alone(scene) for scene in play.scenes if _may_be_batched(scene.asked())]


def _may_be_batched(request: Any) -> bool:
    return (
        isinstance(request, Command)
        and request.journaled
        and not isinstance(request, Batch | CreateToken)  # a secret is shown once, by its own path
    )


def _streamed(play: Play) -> list[Scene]:
    """The stream, from where the owner begins to change each place that there is."""
    book, last = play.book, 0
    while items := book.do_ask(ListEvents(after=last, limit=1000)).items:
        last = items[-1].sequence
    for name, thing in book.tree.items():
        if thing.kind in files.PLACES:
            book.do(DESCRIBED[thing.kind](book.ids[name]))
    from_there = ListEvents(after=last)
    about = Request("ListEvents")
    return [Scene("as they happen", lambda: from_there, about, shows=files.places)]


DESCRIBED: dict[str, Callable[[str], Command[Any]]] = {
    "project": lambda one: UpdateProject(project=one, description="d"),
    "scope": lambda one: UpdateAddressScope(scope=one, description="d"),
    "pool": lambda one: UpdateSubnetPool(pool=one, description="d"),
    "subnet": lambda one: UpdateSubnet(subnet=one, description="d"),
}
OF_ALL = lambda play: play.scenes  # noqa: E731 - a name for the rule
DOORS = {
    "library": Door(library, OF_ALL, 1, 11, 6_000),
    "rest": Door(rest, OF_ALL, 7, 13, 6_000),
    "batch": Door(rest, _told_in_batches, 11, 31, 3_000),
    "command line": Door(
        command_line, lambda play: list(lines.lines(play.book, play.scenes)), 15, 61, 6_000
    ),
    "import": Door(file_brought_in, lambda play: list(files.imports(play.book)), 3, 9, 600),
    "export": Door(export, lambda play: list(files.exports()), 3, 9, 180),
    "feed": Door(feed, _streamed, 2, 9, 60),
}
