"""sqlmap on every parameter of the service, on a PostgreSQL book of its own; by hand, not in CI.

    pip install sqlmap && python tests/attacks/sqlmap_run.py [--level 3] [--thorough] [--every 7]

Without `--thorough`, sqlmap goes on only where its first looks find something odd.

Invariant: the service and its database are ours, on loopback, and gone afterwards; a parameter that
sqlmap finds injectable is a failure, and so is a run that tried nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from allotment import open_book
from allotment.doors.rest import openapi
from attacks.ground import Ground
from postgres_server import Run

FOUND = ("sqlmap identified the following injection point", "is vulnerable")
CLEAN = "do not appear to be injectable"
NAMES = {
    "subnet": "office",
    "pool": "corp",
    "scope": "blue",
    "project": "payments",
    "owner": "payments",
    "container": "office",
    "containers": "office",
    "text": "web",
    "hostname": "web",
    "limit": "5",
    "after": "0",
    "kind": "subnet",
    "address": "10.1.0.2",
    "prefix": "10.1.0.0/24",
    "within": "10.1.0.0/24",
    "length": "26",
    "family": "4",
}


class Shot(NamedTuple):
    """One request to try: `*` marks where."""

    what: str
    url: str
    body: str | None = None


def shots(base: str) -> Iterator[Shot]:
    """Each parameter of each GET, each path, and the text of bodies."""
    for path, operations in openapi.description()["paths"].items():
        operation = operations.get("get")
        if operation is None or not path.startswith("/v1/"):
            continue
        named = [one for one in operation.get("parameters", []) if "in" in one]
        there = path
        for one in named:
            if one["in"] == "path":
                there = there.replace("{" + one["name"] + "}", NAMES.get(one["name"], "x") + "*")
        if "*" in there:
            yield Shot(f"GET {path}", base + there)
        for one in named:
            if one["in"] == "query":
                plain = there.replace("*", "")
                value = NAMES.get(one["name"], "x")
                yield Shot(f"GET {path}?{one['name']}", f"{base}{plain}?{one['name']}={value}*")
    for field in ("hostname", "identifier", "description", "owner"):
        body = f'{{"{field}": "web*"}}'
        yield Shot(f"POST {field}", f"{base}/v1/subnets/office/allocations", body)


def fire(shot: Shot, token: str, options: argparse.Namespace, folder: str) -> str:
    """What sqlmap said."""
    program = shutil.which(
        "sqlmap", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if program is None:
        raise SystemExit("this needs sqlmap: pip install sqlmap")
    words = [program, "-u", shot.url, "--batch", "--level", str(options.level), "--risk", "2"]
    words += ["--dbms", "postgresql", "--flush-session", "--output-dir", folder]
    words += [] if options.thorough else ["--smart"]
    words += ["--threads", "2", "--time-sec", "2", "--ignore-code", "400,403,404,409,422,428"]
    words += ["--header", f"Authorization: Bearer {token}"]
    if shot.body is not None:
        words += ["--data", shot.body, "--header", "Content-Type: application/json"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=options.seconds
        )
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        return said.decode() if isinstance(said, bytes) else said
    return done.stdout + done.stderr


def main() -> None:
    """Try everything; tell what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--level", type=int, default=1, choices=range(1, 6))
    parser.add_argument("--thorough", action="store_true", help="every payload at each parameter")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a sample: every Nth")
    parser.add_argument("--seconds", type=int, default=90, help="how long one may take")
    options = parser.parse_args()
    run = Run.open()
    server = run.postgres()
    url = server.create_database()
    with open_book(url, create=True) as desk, tempfile.TemporaryDirectory() as folder:
        service = Ground(desk)
        found, tried, late = [], 0, 0
        for shot in islice(shots(service.server.url), 0, None, options.every):
            said = fire(shot, service.token, options, folder)
            tried += 1
            hit = any(word in said for word in FOUND)
            cut = not hit and CLEAN not in said
            late += cut
            found += [shot.what] if hit else []
            told = "INJECTABLE" if hit else "cut short" if cut else "clean"
            print(f"{told:10} {shot.what}", flush=True)
        service.server.close()
    server.drop_database(url)
    server.close()
    run.close()
    print(f"{tried} parameters tried, {late} of them not to the end; injectable: {found or 'none'}")
    if found or tried < 50 // options.every:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
