"""Errors that only HTTP knows: about paths, methods, media types and headers.

Invariant: each has a code of its own, as every error has.
"""

from __future__ import annotations

from collections.abc import Iterable

from allotment.errors import AllotmentError


class NoSuchPath(AllotmentError):
    """Nothing is served at this path; `/openapi.json` lists what there is."""

    code = "no-such-path"
    kind = "not-found"

    def __init__(self, path: str) -> None:
        shown = path if len(path) <= 80 else path[:77] + "..."
        super().__init__(f"nothing is served at {shown}", path=shown)


class MethodNotAllowed(AllotmentError):
    """The path is served, but not with this method; `Allow` lists the ones it takes."""

    code = "method-not-allowed"
    kind = "invalid"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(
            f"{method[:20]} is not served here, only {self.allowed}", allowed=self.allowed
        )


class UnsupportedMediaType(AllotmentError):
    """The body is not JSON, or is compressed: send `Content-Type: application/json`, plain."""

    code = "unsupported-media-type"
    kind = "invalid"

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the body must be application/json, uncompressed, not {found[:80]!r}", found=found[:80]
        )


class HeadersTooLarge(AllotmentError):
    """The headers, or the path with its query, are longer than is taken."""

    code = "headers-too-large"
    kind = "invalid"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the headers and the path may have {limit} bytes", limit=limit)


class TooSlow(AllotmentError):
    """The rest of the request did not come in time."""

    code = "request-timeout"
    kind = "unavailable"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not come within {seconds:g} seconds", seconds=seconds)
