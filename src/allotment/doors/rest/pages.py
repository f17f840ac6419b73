"""Pages about the service itself: its description, its documentation, its problems.

Invariant: what they say is made from the routes and the errors; nothing is loaded from elsewhere,
and no page needs a script.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from allotment.doors.rest.answers import HTML, Answer
from allotment.doors.rest.html import POLICY, page_of, problem_page, problems_page
from allotment.doors.rest.openapi import encoded


class Page(NamedTuple):
    """A page, and what makes it of the texts in its path; None: of what was counted."""

    path: str
    render: Callable[..., Answer] | None


def _description() -> Answer:
    return Answer(200, encoded())


def _html(text: str) -> Answer:
    return Answer(200, text.encode(), HTML, policy=POLICY)


PAGES: Final = (
    Page("/openapi.json", _description),
    Page("/docs", lambda: _html(page_of())),
    Page("/problems", lambda: _html(problems_page())),
    Page("/problems/{code}", lambda code: _html(problem_page(code))),
    Page("/metrics", None),
)
