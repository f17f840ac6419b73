"""Colour, where there is somebody to see it.

Invariant: text stays plain with NO_COLOR, and without a terminal unless FORCE_COLOR is set.
"""

from __future__ import annotations

import os
from typing import TextIO

import click


def on_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream (or FORCE_COLOR says to do as if)."""
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def painted(text: str, stream: TextIO, colour: str, *, bold: bool = False) -> str:
    """The text in a colour, if the stream is to have colours."""
    if os.environ.get("NO_COLOR") or not on_terminal(stream):
        return text
    return click.style(text, fg=colour or None, bold=bold or None)
