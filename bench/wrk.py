"""wrk, the load generator, as the benchmarks run it: many connections, a ledger on their side.

Invariant: what wrk counts is what its clients saw; what was answered wrongly is counted too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
local token, ledger = os.getenv("TOKEN"), os.getenv("LEDGER")
local number = 0
function setup(thread) number = number + 1; thread:set("me", number) end
function init()
  wrk.method, wrk.body = "POST", "{}"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. token
  asked, refused = 0, 0
  run = os.getenv("RUN") .. "-" .. me .. "-"
  if ledger then book = io.open(ledger .. "." .. me, "a") end
end
function request()
  asked = asked + 1
  wrk.headers["Idempotency-Key"] = run .. asked
  return wrk.format()
end
function response(status, headers, body)
  if status ~= 201 then refused = refused + 1 end
  if book then book:write(status, " ", body:match('"address":"([^"]+)"') or "-", "\\n") end
end
"""
_WORDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Slot:
    """What one run saw: requests a second, the slowest of a hundred, and what went wrong."""

    rate: float
    p99_seconds: float
    wrong: int


@dataclass(frozen=True)
class Target:
    """Where addresses are asked for, with which token; `ledger`: where each answer is noted."""

    url: str
    token: str
    connections: int
    ledger: Path | None = None


def load(target: Target, seconds: float, run: str) -> Slot:
    """Ask for addresses over many connections, each request under a key of its own.

    Raises SystemExit: wrk is not there, or its answer cannot be read.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("this needs wrk: apt install wrk")
    environment = {"TOKEN": target.token, "RUN": run}
    if target.ledger is not None:
        environment["LEDGER"] = str(target.ledger)
    words = [program, "-t2", f"-c{target.connections}", f"-d{max(1, round(seconds))}s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT)
        script.flush()
        words += ["--latency", "--timeout", "30s", "-s", script.name, target.url]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return _read(done.stdout)


def _read(text: str) -> Slot:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text)
    if rate is None or slow is None:
        raise SystemExit(f"wrk said:\n{text}")
    sockets = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    wrong = sum(map(int, sockets.groups())) if sockets else 0
    wrong += int(refused[1]) if refused else 0
    return Slot(float(rate[1]), float(slow[1]) * _WORDS[slow[2]], wrong)
