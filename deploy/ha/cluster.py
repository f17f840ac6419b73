#!/usr/bin/env python3
"""A highly available PostgreSQL on this machine, from one command: etcd, Patroni, and its nodes.

    python3 deploy/ha/cluster.py up        start everything, and print the URL for Allotment
    python3 deploy/ha/cluster.py status    who leads, who follows
    python3 deploy/ha/cluster.py down      stop everything; the data stays

It needs etcd (Debian: etcd-server), PostgreSQL 14 or newer with contrib, and a Python that the
server's user may run; Patroni is installed into the folder. All of it listens on 127.0.0.1 only: it
is for trying and for the fault campaign. In production the nodes are machines.

Invariant: a commit is acknowledged when a standby has it, too, and only such a standby is promoted.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

TTL_SECONDS = 20
LOOP_SECONDS = 2
START_SECONDS_MAX = 120
REQUIREMENTS = ("patroni[etcd3]>=4,<5", "psycopg[binary]>=3.2,<4")
PYTHONS = ("/usr/bin/python3", sys.executable)


class HighlyAvailable:
    """etcd and some PostgreSQL nodes under Patroni, in one folder."""

    def __init__(self, directory: Path, nodes: int = 3, first_port: int = 15430) -> None:
        self.directory = directory
        self.nodes = nodes
        self.first_port = first_port
        self.user = _server_user()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """What to give Allotment: every node, and the wish for the one that takes writes."""
        hosts = "&".join(f"host=127.0.0.1:{self.port(n)}" for n in range(self.nodes))
        return f"postgresql://postgres@/postgres?{hosts}&target_session_attrs=read-write"

    @property
    def libpq_url(self) -> str:
        """The same for psql and other programs of PostgreSQL's own."""
        hosts = ",".join(f"127.0.0.1:{self.port(n)}" for n in range(self.nodes))
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def port(self, node: int) -> int:
        """Where a node's PostgreSQL listens; Patroni's own door is a hundred further."""
        return self.first_port + node

    def up(self) -> None:
        """Start everything, and wait for a leader with a synchronous standby.

        Raises:
            RuntimeError: there is none in time.
        """
        self._prepare()
        self.start_etcd()
        for node in range(self.nodes):
            self.start_node(node)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.settled():
            if time.monotonic() > deadline:
                raise RuntimeError(f"no cluster: see the logs in {self.directory}")
            time.sleep(0.3)

    def down(self) -> None:
        """Stop what this process has started, or what another has left a note of."""
        for note in sorted(self.directory.glob("*.pid"), reverse=True):
            with suppress(ProcessLookupError, ValueError):
                pid = int(note.read_text())
                if str(self.directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGTERM)
            note.unlink()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            if process.poll() is None:
                process.kill()
                process.wait()
        self.processes.clear()

    def start_etcd(self) -> None:
        """The memory of who leads; one member here, three in production."""
        base = self.first_port + 200
        client, peer = f"http://127.0.0.1:{base}", f"http://127.0.0.1:{base + 1}"
        self._start(
            "etcd",
            [
                *(_program("etcd"), "--name", "one", "--data-dir", str(self.directory / "etcd")),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"one={peer}", "--logger", "zap"),
            ],
        )

    def start_node(self, node: int) -> None:
        """Patroni of one node, which starts PostgreSQL."""
        settings = self.directory / f"node-{node}.json"
        settings.write_text(json.dumps(self._settings(node), indent=1))
        python = self.directory / "python" / "bin" / "python"
        self._start(f"node-{node}", [str(python), "-m", "patroni", str(settings)])

    def members(self) -> list[dict[str, Any]]:  # Any: JSON
        """The nodes as Patroni sees them; empty: none answers."""
        for node in range(self.nodes):
            with suppress(OSError, ValueError):
                door = f"http://127.0.0.1:{self.port(node) + 100}/cluster"
                with urllib.request.urlopen(door, timeout=2) as answer:
                    found: list[dict[str, Any]] = json.load(answer)["members"]
                    return found
        return []

    def leader(self) -> int | None:
        """The node that leads."""
        for member in self.members():
            if member["role"] == "leader" and member["state"] == "running":
                return int(member["name"].rpartition("-")[2])
        return None

    def settled(self) -> bool:
        """Whether there is a leader, and standbys that follow it, one of them synchronously."""
        members = self.members()
        roles = [
            member["role"] for member in members if member["state"] in ("running", "streaming")
        ]
        return len(roles) == self.nodes and "leader" in roles and "sync_standby" in roles

    def postmaster(self, node: int) -> int:
        """The process id of a node's PostgreSQL."""
        return int((self.directory / f"data-{node}" / "postmaster.pid").read_text().split()[0])

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.user is not None:
            os.chown(self.directory, self.user.pw_uid, self.user.pw_gid)
        python = self.directory / "python"
        if not (python / "bin" / "patroni").exists():
            maker = next(one for one in PYTHONS if Path(one).exists())
            subprocess.run([maker, "-m", "venv", python], check=True)
            pip = [python / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *REQUIREMENTS], check=True, stderr=subprocess.DEVNULL)

    def _start(self, name: str, command: list[str]) -> None:
        log = (self.directory / f"{name}.log").open("ab")
        identity: dict[str, Any] = {}
        if self.user is not None:
            identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        environment = {"PATH": os.defpath, "HOME": str(self.directory), "LC_ALL": "C", "TZ": "UTC"}
        process = subprocess.Popen(
            command,
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity,
        )
        log.close()
        self.processes[name] = process
        (self.directory / f"{name}.pid").write_text(str(process.pid))

    def _settings(self, node: int) -> dict[str, Any]:  # Any: JSON
        parameters = {"max_connections": 200, "unix_socket_directories": str(self.directory)}
        return {
            "scope": "allotment",
            "name": f"node-{node}",
            "restapi": {
                "listen": f"127.0.0.1:{self.port(node) + 100}",
                "connect_address": f"127.0.0.1:{self.port(node) + 100}",
            },
            "etcd3": {"host": f"127.0.0.1:{self.first_port + 200}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_SECONDS,
                    "loop_wait": LOOP_SECONDS,
                    "retry_timeout": 5,
                    "maximum_lag_on_failover": 0,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": {"synchronous_commit": "on", "wal_log_hints": "on"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port(node)}",
                "connect_address": f"127.0.0.1:{self.port(node)}",
                "data_dir": str(self.directory / f"data-{node}"),
                "bin_dir": str(_postgres_programs()),
                "pgpass": str(self.directory / f"pgpass-{node}"),
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "postgres"},
                    "rewind": {"username": "postgres"},
                },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "parameters": parameters,
            },
        }


def _server_user() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL, which refuses to be root; None: ourselves."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"{name} is not installed (Debian: apt-get install {name}-server)")
    return found


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    return Path(_program("postgres")).resolve().parent


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="PostgreSQL with Patroni and etcd, on loopback.")
    parser.add_argument("what", choices=("up", "status", "down"))
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp/allotment-ha"))
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--port", type=int, default=15430, help="of the first node")
    options = parser.parse_args()
    cluster = HighlyAvailable(options.directory, options.nodes, options.port)
    if options.what == "up":
        cluster.up()
        print(cluster.url)
    elif options.what == "down":
        cluster.down()
    for member in cluster.members():
        print(f"{member['name']}  {member['role']:<14} {member['state']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
