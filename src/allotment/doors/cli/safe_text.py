"""Text that a terminal may be shown, whoever wrote it.

Invariant: what is shown moves no cursor, changes no colour, forges no line and turns no text round.
"""

from __future__ import annotations

import re

# ESC or CSI, with parameters and the letter that ends it; OSC and its like up to BEL or ST.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_BLANKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# All that XML 1.0 discourages and RFC 4180 has no place for; line ends and tabs are text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HIDDEN = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    """One line without terminal escapes; what else is unprintable becomes a question mark."""
    if text.isprintable():
        return text
    text = _BLANKS.sub(" ", _ESCAPES.sub("", text))
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def without_controls(text: str) -> str:
    """The text without terminal escapes and control characters; its lines stay lines."""
    if text.isprintable():
        return text
    return _CONTROLS.sub("", _ESCAPES.sub("", text))


def escape_hidden(document: str) -> str:
    """A JSON document in which characters nobody can see are written as escapes."""
    if document.isascii() and "\x7f" not in document:
        return document
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", document)
