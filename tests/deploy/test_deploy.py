"""What is in deploy/ names commands, options and paths that there are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from allotment.doors.cli.app import RootGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.rest.health import ALIVE
from allotment.doors.rest.settings import Listening

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "deploy" / "allotment.service").read_text("utf-8")
CONTAINER = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
HARDENED = {
    "CapabilityBoundingSet": "",
    "DynamicUser": "yes",
    "MemoryDenyWriteExecute": "yes",
    "NoNewPrivileges": "yes",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProtectHome": "yes",
    "ProtectSystem": "strict",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
}


def understood(words: list[str]) -> click.Context:
    """A command line, read but not run; click refuses what it does not know."""
    group = RootGroup("allotment")
    names = ["-h", "--help"]  # click keeps the first ones that a command is asked with
    context = click.Context(group, obj=Invocation(), help_option_names=names)
    command = group.get_command(context, words[0])
    assert command is not None
    return command.make_context(words[0], words[1:], parent=context)


def unit() -> dict[str, list[str]]:
    """The settings of the unit, each with its values in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in UNIT.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line
            continue
        name, equals, value = line.partition("=")
        assert (bool(section), equals) == (True, "="), line
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), line
        found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_a_command_line_that_there_is() -> None:
    (line,) = unit()["ExecStart"]
    program, *words = shlex.split(line)
    assert Path(program).name == "allotment"
    given = understood(words).params
    assert (given["host"], given["port"]) == ("127.0.0.1", Listening().port)
    assert given["grace"] < int(unit()["TimeoutStopSec"][0]), "the stop is not cut off"


def test_the_unit_keeps_the_book_where_the_service_may_write() -> None:
    (setting,) = unit()["Environment"]
    name, _, url = setting.partition("=")
    assert name == "ALLOTMENT_DATABASE"
    (folder,) = unit()["StateDirectory"]
    assert url == f"sqlite:////var/lib/{folder}/book.db"


@pytest.mark.parametrize(("name", "value"), HARDENED.items())
def test_the_unit_gives_the_service_no_more_than_it_needs(name: str, value: str) -> None:
    assert unit()[name] == [value]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, in order."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", CONTAINER))
    lines = [line.partition(" ") for line in text.splitlines() if line]
    return [(name, rest) for name, _, rest in lines]


def test_the_container_starts_a_command_line_that_there_is() -> None:
    told = dict(instructions())
    assert json.loads(told["ENTRYPOINT"]) == ["allotment"]
    given = understood(json.loads(told["CMD"])).params
    assert given["allow_plain_http"] is True
    assert told["EXPOSE"] == str(given["port"])
    assert f"127.0.0.1:{given['port']}{ALIVE}" in told["HEALTHCHECK"]


def test_the_container_runs_as_nobody_in_particular_and_copies_what_there_is() -> None:
    found = instructions()
    told = dict(found)
    assert int(told["USER"]) > 1000
    names = [name for name, _ in found]
    assert names.index("USER") < names.index("CMD")
    for name, rest in found:
        if name == "COPY" and not rest.startswith("--from"):
            assert all((ROOT / source).exists() for source in rest.split()[:-1]), rest
    url = told["ENV"].partition("ALLOTMENT_DATABASE=")[2]
    (folder,) = json.loads(told["VOLUME"])
    assert url == f"sqlite:///{folder}/book.db"


def test_the_comment_of_the_container_names_a_command_line_that_there_is() -> None:
    (line,) = re.findall(r"(?m)^#.* allotment (serve .*\n#.*)$", CONTAINER)
    assert understood(shlex.split(line.replace("\\\n#", " "))).params["first_token"] is True
