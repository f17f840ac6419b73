"""What went wrong, in the command line's tongue: an exit code, one line, and what to do next.

Invariant: every kind of error has an exit code, and no error is shown as a traceback unless asked.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

import click

from allotment.doors.cli.paint import painted
from allotment.doors.cli.safe_text import escape_hidden, visible
from allotment.errors import AllotmentError, Kind

DONE: Final = 0
USAGE: Final = 2
UNCLEAN: Final = 8
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

EXIT_CODES: Final[Mapping[Kind, int]] = {
    "unexpected": 1,
    "invalid": USAGE,
    "not-found": 3,
    "conflict": 4,
    "exhausted": 5,
    "refused": 6,
    "unavailable": 7,
}

EXIT_CODES_TOLD: Final = """\b
Exit codes:
  0  done
  1  unexpected error (a fault of the program; --debug shows more)
  2  usage: a word, an option or a value is not valid
  3  not found
  4  conflict: taken, overlapping, in use, or changed meanwhile
  5  exhausted: not enough free space
  6  refused: not allowed, or not confirmed
  7  the store is unavailable: the database cannot serve this now
  8  'allotment check' found faults, or 'allotment audit verify' did
  130  interrupted, 141  the reader of the output went away"""

HINTS: Final[Mapping[str, str]] = {
    "address-taken": "'allotment lookup ADDRESS' shows who holds it; without --address you get any",
    "already-exists": "choose another name, or change the existing one with 'update'",
    "ambiguous": "add --scope NAME, or use the id ('allotment search TEXT' shows ids)",
    "bug": "please report this; 'allotment check' shows whether the book is sound",
    "busy": "nothing was changed; run the same command again",
    "commit-unknown": "'allotment operation KEY' finds out; without a key, look before you repeat",
    "constraint-failed": "somebody changed the same thing meanwhile; look, then try again",
    "deadline-exceeded": "nothing was changed; try again when the database is less busy",
    "deadlock": "nothing was changed; run the same command again",
    "forbidden": "ask an administrator of this book for a grant",
    "idempotency-mismatch": "use a new --key for a new request",
    "identifier-taken": "'allotment allocation list --identifier I' shows what has it",
    "in-use": "'--cascade' removes what is inside too, after showing what that is",
    "invalid-value": "'--help' after the command words shows what is expected",
    "misconfigured": "is --database or --server right ('allotment whoami'), and the rights there?",
    "not-confirmed": "add --yes to go ahead without being asked",
    "not-found": "'allotment search TEXT' finds by the beginning of a name",
    "not-primary": "connect to the primary database, or wait until the failover is over",
    "operation-fenced": "run the command again without --key, or with a new one",
    "overlap": "'allotment lookup PREFIX' shows what is there",
    "overloaded": "nothing was changed; try again in a moment",
    "pool-exhausted": "'allotment usage' shows how full things are, 'allotment free' what is left",
    "quota-exceeded": "'allotment project quota PROJECT' shows what it may own, and owns",
    "rate-limited": "nothing was changed; wait a moment, then run it again",
    "schema-mismatch": "'allotment init' makes or upgrades the book at --database",
    "serialization": "nothing was changed; run the same command again",
    "stale-allocation": "'allotment allocation show SUBNET ADDRESS' shows who holds it now",
    "store-corrupt": "stop writing to it, and restore from a backup",
    "store-error": "please report this, with the database's own log",
    "store-full": "nothing was changed; make room for the database",
    "store-unavailable": "is it running, and --database or --server ('allotment whoami') right?",
    "too-large": "send less at once",
    "unauthenticated": "'allotment login --server URL' takes a new token",
    "unexpected": "run it again with --debug, and report what that shows",
    "usage": "'allotment --help' shows the commands",
    "version-mismatch": "show it again, and repeat the update with the version you see",
    "version-required": "repeat the update with --if-version and the version you see",
    "interrupted": "",
}


class NotConfirmed(AllotmentError):
    """Somebody must say yes to this, and nobody did."""

    code = "not-confirmed"
    kind = "refused"

    def __init__(self, what: str, *, asked: bool) -> None:
        why = "you did not say yes" if asked else "there is no terminal to ask on"
        super().__init__(f"{what} was not done: {why}", what=what)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be JSON: the last --output counts, parsed or not."""
    found = ""
    for place, word in enumerate(arguments):
        if word == "--":
            break
        if word.startswith("--output="):
            found = word.removeprefix("--output=")
        elif word == "--output" and place + 1 < len(arguments):
            found = arguments[place + 1]
    return found == "json"


def tell(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Say on the standard error what went wrong; the exit code for it."""
    match error:
        case AllotmentError():
            _say(error.code, error.message, error.facts, as_json=as_json)
            return EXIT_CODES[error.kind]
        case click.exceptions.NoArgsIsHelpError() if not as_json:
            error.show(sys.stderr)
            return USAGE
        case click.ClickException():
            return _tell_usage(error, as_json=as_json)
        case click.Abort() | KeyboardInterrupt():
            _say("interrupted", "interrupted", {}, as_json=as_json)
            return INTERRUPTED
    if debug:
        traceback.print_exception(error)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _say("unexpected", said, {}, as_json=as_json)
    return EXIT_CODES["unexpected"]


def _tell_usage(error: click.ClickException, *, as_json: bool) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = HINTS["usage"]
    if context is not None:
        hint = f"'{context.command_path} --help' shows what is expected"
        if not as_json:
            click.echo(context.get_usage(), err=True)
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        message = "a command is missing"
    _say("usage", message, {}, as_json=as_json, hint=hint)
    return USAGE


def _say(
    code: str, message: str, facts: Mapping[str, object], *, as_json: bool, hint: str | None = None
) -> None:
    hint = HINTS.get(code, "") if hint is None else hint
    if as_json:
        fault = {"code": code, "message": message, "hint": hint, "facts": facts}
        click.echo(escape_hidden(json.dumps(fault, ensure_ascii=False, default=str)), err=True)
        return
    _line("error:", "red", message)
    if hint:
        _line("hint:", "cyan", hint)


def _line(lead: str, colour: str, text: str) -> None:
    click.echo(
        f"{painted(lead, sys.stderr, colour, bold=True)} {visible(text)}", err=True, color=True
    )
