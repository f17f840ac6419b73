"""Which request goes where: the path as it was sent, segment by segment.

Invariant: a segment is decoded once, after the path was cut at its slashes, so `%2F` is part of a
reference and never a border; nothing is normalised, so no path has two spellings.
"""

from __future__ import annotations

import re
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from allotment.doors.rest.faults import MethodNotAllowed, NoSuchPath
from allotment.errors import InvalidValue

T = TypeVar("T")

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+")  # RFC 3986: what a segment is made of


class Found(NamedTuple, Generic[T]):
    """What is at a path, and the texts of the segments that its braces stand for."""

    target: T
    values: tuple[str, ...]


class _Node(Generic[T]):
    __slots__ = ("any", "methods", "named")

    def __init__(self) -> None:
        self.named: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None
        self.methods: dict[str, T] = {}


class Paths(Generic[T]):
    """The paths there are, as a tree of segments."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, template: str, target: T) -> None:
        """Serve a method of a path; `{name}` stands for any one segment."""
        node = self._root
        for segment in template.split("/")[1:]:
            if segment.startswith("{"):
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.named.setdefault(segment, _Node())
        assert method not in node.methods, "one target for a method of a path"
        node.methods[method] = target

    def find(self, method: str, path: str) -> Found[T]:
        """What serves this request.

        Raises:
            NoSuchPath, MethodNotAllowed: nothing does.
            InvalidValue: a segment is not well encoded.
        """
        node = self._root
        values: list[str] = []
        first, *segments = path.split("/")
        for segment in segments:
            below = node.named.get(segment)
            if below is None:
                below = node.any
                if below is None or not segment:
                    raise NoSuchPath(path)
                values.append(segment)
            node = below
        if first or not node.methods:
            raise NoSuchPath(path)
        target = node.methods.get(method)
        if target is None:
            raise MethodNotAllowed(method, node.methods)
        return Found(target, tuple(map(decoded, values)))


def decoded(segment: str) -> str:
    """The text that a percent-encoded segment stands for.

    Raises:
        InvalidValue: it is no proper segment, or no UTF-8.
    """
    if _SEGMENT.fullmatch(segment) is None or _BROKEN.search(segment):
        rule = "percent-encode everything but letters, digits and -._~"
        raise InvalidValue("path segment", segment, rule)
    if "%" not in segment:
        return segment
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue("path segment", segment, "it must be UTF-8") from error
