"""Asking a person before what cannot be undone.

Invariant: nothing goes on without a yes, and where nobody can be asked, that is a no.
"""

from __future__ import annotations

import sys

import click

from allotment.doors.cli.failures import NotConfirmed


def confirm(what: str, question: str, *, yes: bool = False) -> None:
    """Ask, unless the yes was given already; `what` would be done.

    Raises:
        NotConfirmed: nobody said yes.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(what, asked=False)
    if not click.confirm(question, err=True):
        raise NotConfirmed(what, asked=True)
