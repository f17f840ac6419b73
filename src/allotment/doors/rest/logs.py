"""Logs: one JSON object, or one line of text, for each thing that happened.

Invariant: nothing that a stranger sends can forge a line or move a terminal's cursor.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Final, Literal

import structlog

from allotment.doors.cli.safe_text import visible

_EVERY: Final = (
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)


def set_up(form: Literal["json", "text"]) -> None:
    """Send our own logs and the server's to the standard error, in one form."""
    render = _as_json if form == "json" else _as_text
    structlog.configure(
        processors=[*_EVERY, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    stages: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        render,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=list(_EVERY), processors=stages)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)


def _as_json(_: object, __: str, event: Any) -> str:  # Any: what structlog passes on
    return json.dumps(event, default=str).replace("\x7f", "\\u007f")


def _as_text(_: object, __: str, event: Any) -> str:  # Any: what structlog passes on
    lead = f"{event.pop('timestamp')} {event.pop('level'):7} {event.pop('event')}"
    rest = " ".join(f"{name}={value}" for name, value in event.items() if value not in (None, ""))
    return visible(f"{lead} {rest}".replace("\n", "\\n"))
