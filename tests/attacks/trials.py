"""How each corpus is thrown, and what would be a hit.

Invariant: a trial yields one line for each throw: nothing, or what is wrong.
"""

from __future__ import annotations

import csv
import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import quote

from allotment import AddressRange
from allotment.doors.exchange.csv_import import import_csv
from allotment.doors.exchange.export import csv_lines
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import DeskSeat
from allotment.errors import AllotmentError, InvalidValue, Unauthenticated
from allotment.model.access import Role
from allotment.model.address import parse_address
from allotment.model.grants import CreateGrant, CreateToken, RevokeToken, TargetKind
from allotment.model.prefix import parse_prefix
from attacks import corpora
from attacks.ground import Ground, Told, told
from described_book import ME

Hit = str | None
Trial = Callable[[Ground, int], Iterator[Hit]]
REFUSED = range(400, 500)
SILENCE_SECONDS = 0.7
FIELDS = (
    ("POST", "/v1/projects", "name", {}),
    ("POST", "/v1/projects", "description", {"name": "p{n}"}),
    ("POST", "/v1/scopes", "name", {}),
    ("POST", "/v1/scopes", "description", {"name": "s{n}"}),
    ("PATCH", "/v1/subnet-pools/corp", "description", {}),
    ("PATCH", "/v1/subnet-pools/corp", "name", {}),
    ("PATCH", "/v1/subnets/office", "name", {}),
    ("PATCH", "/v1/subnets/office", "description", {}),
    ("PATCH", "/v1/subnets/office", "tags", {}),
    ("POST", "/v1/subnets/office/allocations", "hostname", {}),
    ("POST", "/v1/subnets/office/allocations", "identifier", {}),
    ("POST", "/v1/subnets/office/allocations", "description", {}),
    ("POST", "/v1/subnets/office/allocations", "mac", {}),
    ("POST", "/v1/subnets/office/allocations", "owner", {}),
    ("POST", "/v1/tokens", "name", {}),
    ("POST", "/v1/tokens", "description", {"name": "t{n}"}),
    ("POST", "/v1/grants", "actor", {"role": "viewer", "target": "installation"}),
    ("POST", "/v1/grants", "reference", {"role": "viewer", "target": "pool", "actor": "group:g"}),
)
QUERIES = (
    "/v1/search?text=",
    "/v1/subnets?scope=",
    "/v1/allocations?hostname=",
    "/v1/projects?cursor=",
    "/v1/events?actor=",
    "/v1/lookup?address=",
    "/v1/projects?unknown=",
    "/v1/projects/",
    "/problems/",
    "/v1/",
    "/",
)


def _put(text: str, field: int, number: int) -> tuple[str, str, dict[str, object]]:
    """A request that carries a text in one of the fields."""
    method, path, name, rest = FIELDS[field % len(FIELDS)]
    body = {key: value.replace("{n}", str(number)) for key, value in rest.items()}
    return method, path, {**body, name: [text] if name == "tags" else text}


def tokens(ground: Ground, step: int) -> Iterator[Hit]:
    """A good token with one change, tokens that ended, and other ways to say who one is."""
    good = ground.token
    for place in range(len(good)):
        other = "A" if good[place] != "A" else "B"
        yield from _is_stranger(ground, good[:place] + other + good[place + 1 :], place % step)
    another = ground.desk.do(CreateToken(name="another"), ME).secret.reveal()
    one, two = good.split("_"), another.split("_")
    ended = ground.desk.do(CreateToken(name="ended"), ME).secret.reveal()
    ground.desk.do(RevokeToken(token="ended"), ME)
    mixed = ("_".join([one[0], one[1], two[2], end]) for end in (one[3], two[3]))
    for text in (
        *mixed, ended, "", " ", "null", "none", "undefined", "*", "%", "admin", good.upper(),
        good.lower(), good[:-1], good + "0", good + "\t", good + " x", good * 2, f"{good},{good}",
        f"{good}\x00", f"{good}\u200b", good.replace("o", "о"), good.replace("_", "＿"),
        "allot_" + "0" * 12 + "_" + "0" * 32 + "_000000", "allot_' OR 1=1 --", "a" * 60_000,
        "allot_%00_x_x", "../" * 20, '{"alg":"none"}', "eyJhbGciOiJub25lIn0.e30.",
    ):  # fmt: skip
        yield from _is_stranger(ground, text, 0)
    for header in ("Basic YTpi", f"Basic {good}", f"Token {good}", f"Digest {good}", good):
        said = f"Authorization: {header}\r\nConnection: close\r\n\r\n"
        raw = f"GET /v1/whoami HTTP/1.1\r\nHost: x\r\n{said}"
        status = told(ground.raw(raw.encode())).status
        yield None if status == 401 else f"Authorization {header[:8]!r}...: {status}"
    for path in ("/v1/whoami?token=", "/v1/whoami?access_token=", "/v1/whoami?api_key="):
        raw = f"GET {path}{good} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status = told(ground.raw(raw.encode())).status
        yield None if status == 401 else f"a token in the query: {status}"


def _is_stranger(ground: Ground, token: str, left_out: int) -> Iterator[Hit]:
    if left_out:
        return
    answer = ground.ask("GET", "/v1/whoami", token=token)
    if answer.status not in (400, 401):
        yield f"the token {token[:12]!r}... was answered {answer.status}"
    elif len(token) > 20 and token.isprintable() and token in answer.head + answer.body:
        yield "a token was told back"
    else:
        yield None


def jwts(ground: Ground, step: int) -> Iterator[Hit]:
    """Forged tokens of an identity provider, each refused for its own reason."""
    del ground
    from doors.rest.test_oidc import CLAIMS, HEADERS, SOURCE, doorkeeper
    from oidc_forgeries import FORGED
    from oidc_issuer import Issuer

    with Issuer() as issuer:
        door = doorkeeper(issuer)
        yield None if door.authenticate(issuer.token(), SOURCE) else "a good one is refused"
        made = [(name, reason, make(issuer)) for name, (reason, make) in FORGED.items()]
        made += [(name, why, issuer.token(**more)) for name, (why, more) in CLAIMS.items()]
        made += [(name, why, issuer.token(header=more)) for name, (why, more) in HEADERS.items()]
        for name, reason, token in islice(made, 0, None, step):
            try:
                actor = door.authenticate(token, SOURCE)
                yield f"{name}: taken for {actor.name}"
            except Unauthenticated as error:
                told_reason = str(error.facts["reason"])
                yield None if told_reason == str(reason) else f"{name}: refused as {told_reason}"


def markup(ground: Ground, step: int) -> Iterator[Hit]:
    """Markup in every field and query: stored or refused, never a page, never a header."""
    number = 0
    for place, text in enumerate(corpora.MARKUP):
        for field in range(place % step, len(FIELDS), step):
            number += 1
            yield _plain(ground.ask(*_put(text, field, number)), text)
        for one in range(place % step, len(QUERIES), step):
            where = QUERIES[one] + quote(text, safe="")
            yield _plain(ground.ask("GET", where, headers="Accept: text/html\r\n"), text)
    for path in ("/v1/projects", "/v1/subnets", "/v1/allocations", "/v1/tokens", "/v1/grants"):
        yield _plain(ground.ask("GET", path), "")
    for path in ("/docs", "/problems", "/problems/not-found"):
        page = ground.ask("GET", path)
        wrong = corpora.MARK in page.body or "<script" in page.body.lower()
        locked = "default-src 'none'" in page.header("content-security-policy")
        yield f"{path} shows what was stored, or runs scripts" if wrong or not locked else None


def _plain(answer: Told, text: str) -> Hit:
    kind = answer.header("content-type")
    if answer.status >= 500 or not answer.status:
        return f"{text!r}: {answer.status}"
    if kind not in ("application/json", "application/problem+json"):
        return f"{text!r}: answered as {kind!r}"
    if answer.header("x-content-type-options") != "nosniff":
        return f"{text!r}: may be sniffed"
    if "\r\nx-injected" in answer.head.lower() or f"<script>{corpora.MARK}" in answer.head:
        return f"{text!r}: stands in the headers"
    return None


def formulas(ground: Ground, step: int) -> Iterator[Hit]:
    """Formulas in every field that an export shows: no cell begins as one."""
    kept, number = 0, 0
    for place, text in enumerate(corpora.FORMULAS):
        for field in range(place % step, len(FIELDS), step):
            number += 1
            kept += ground.ask(*_put(text, field, number + 10_000)).status < 300
        text_of = "".join(csv_lines(DeskSeat(ground.desk, ME)))
        cells = [cell for row in csv.reader(io.StringIO(text_of)) for cell in row]
        alive = [c for c in cells if c.lstrip(" \u00a0\ufeff\u200b")[:1] in (*corpora.LEADS,) and c]
        yield f"{text!r} is alive in {alive[:1]}" if alive else None
    yield None if kept else "nothing of it was stored: this proves nothing"


def paths(ground: Ground, step: int) -> Iterator[Hit]:
    """Paths that mean another one, with a good token and without."""
    for path in islice(corpora.PATHS, 0, None, step):
        for token in (None, "none"):
            status = ground.ask("GET", path, token=token).status
            wanted = REFUSED if token is None else (400, 401)
            yield None if status in wanted else f"{path[:60]} with token {token}: {status}"


def requests(ground: Ground, step: int) -> Iterator[Hit]:
    """Requests of more than one meaning, and headers that mislead."""
    for name, text in islice(corpora.AMBIGUOUS.items(), 0, None, step):
        raw = ground.raw(text.format(auth=ground.auth).encode("latin-1"), SILENCE_SECONDS)
        answer = told(raw)
        if len(re.findall(rb"HTTP/1\.1 \d{3} ", raw)) > 1:
            yield f"{name}: answered twice"
        else:
            yield None if answer.status in (0, *REFUSED) else f"{name}: {answer.status}"
    plain = ground.ask("GET", "/v1/whoami").json
    before = len(ground.ask("GET", "/v1/tokens").json["items"])
    for name, value in islice(corpora.MISLEADING.items(), 0, None, step):
        answer = ground.ask("GET", "/v1/whoami", headers=f"{name}: {value}\r\n")
        same = answer.status in REFUSED or (answer.status == 200 and answer.json == plain)
        echoed = "evil.example" in answer.head + answer.body
        yield f"{name}: {answer.status} {answer.body[:80]}" if echoed or not same else None
    after = len(ground.ask("GET", "/v1/tokens").json["items"])
    yield None if before == after else "a header changed the method"
    yield _spoofed_source(ground)


def _spoofed_source(ground: Ground) -> Hit:
    """A token for one network, shown from elsewhere with a header that says otherwise."""
    name = f"bound-{len(ground.ask('GET', '/v1/tokens').json['items'])}"
    made = ground.ask("POST", "/v1/tokens", {"name": name, "sources": ["192.0.2.0/24"]}).json
    grant = CreateGrant(actor=f"token:{name}", role=Role.VIEWER, target=TargetKind.INSTALLATION)
    ground.desk.do(grant, ME)
    spoofed = "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n"
    answer = ground.ask("GET", "/v1/whoami", headers=spoofed, token=made["secret"])
    return None if answer.status == 401 else f"a spoofed source: {answer.status}"


def far(ground: Ground, step: int) -> Iterator[Hit]:
    """Values that name another server: nobody goes there."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.2)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    heard.append(str(canary.accept()[1]))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        there = f"127.0.0.1:{canary.getsockname()[1]}"
        for place, value in enumerate(corpora.FAR):
            text = value.replace("{canary}", there)
            for field in range(place % step, len(FIELDS), step):
                status = ground.ask(*_put(text, field, 20_000 + place * 100 + field)).status
                yield None if 200 <= status < 500 else f"{text}: {status}"
        over.set()
        thread.join()
    yield f"somebody went there: {heard}" if heard else None


def addresses(ground: Ground, step: int) -> Iterator[Hit]:
    """Addresses of another spelling: every door refuses them."""
    for text in islice(corpora.ADDRESSES, 0, None, step):
        doors = {
            "library": _refuses(parse_address, text),
            "prefixes": _refuses(parse_prefix, text),
            "ranges": _refuses(AddressRange, text),
            "service": _is_refused(ground, text),
            "csv": _imports_nothing(ground, text),
        }
        open_ones = [door for door, refuses in doors.items() if not refuses]
        yield f"{text[:40]!r} is taken by {open_ones}" if open_ones else None


def _refuses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except InvalidValue:
        return True
    return False


def _is_refused(ground: Ground, text: str) -> bool:
    body = ground.ask("POST", "/v1/subnets/office/allocations", {"address": text})
    query = ground.ask("GET", "/v1/lookup?address=" + quote(text, safe=""))
    there = ground.ask("GET", f"/v1/subnets/office/allocations/{quote(text, safe='')}")
    return body.status == query.status == 400 and there.status in (400, 404)


def _imports_nothing(ground: Ground, text: str) -> bool:
    """A row of a CSV with it; blanks around a cell are not its text."""
    if text.strip() != text or not text.strip("\x00"):
        return True  # blanks around a cell are no part of it, and an empty cell is none
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerows([("kind", "scope", "address", "prefix"), ("allocation", "blue", text, "")])
    report = Report("-", "csv")
    try:
        import_csv(DeskSeat(ground.desk, ME), io.BytesIO(written.getvalue().encode()), report)
    except AllotmentError:
        return True
    return all(row.outcome is Outcome.REFUSED for row in report.rows if not row.implied)


TRIALS: dict[str, Trial] = {
    "API tokens": tokens,
    "tokens of an identity provider": jwts,
    "markup": markup,
    "formulas": formulas,
    "paths": paths,
    "requests and headers": requests,
    "other servers": far,
    "addresses": addresses,
}
