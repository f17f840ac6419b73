"""Words of the command line as values of the model; an error names the option it is about.

Invariant: there is no parser here: the model's own strict ones decide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeVar

import click
from msgspec import UNSET, UnsetType

from allotment.model.address import Address, parse_address
from allotment.model.address_range import AddressRange, parse_range
from allotment.model.duration import parse_duration
from allotment.model.mac import parse_mac
from allotment.model.moment import parse_moment
from allotment.model.prefix import parse_prefix

T = TypeVar("T")
NONE: Final = "none"


class Parsed(click.ParamType[T]):
    """A word that the model parses."""

    def __init__(self, name: str, parse: Callable[[str, str], T]) -> None:
        self.name = name
        self.parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """The value of a word.

        Raises:
            InvalidValue: naming the option or argument, the word and the rule.
        """
        if not isinstance(value, str):
            return value  # type: ignore[return-value]  # click converts a value only once
        return self.parse(value, _field(param) or self.name)


def _field(param: click.Parameter | None) -> str | None:
    """What the user calls the parameter."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len).lstrip("-")
    return param.name if param is not None else None


def _parse_gateway(text: str, field: str) -> Address | Literal["none"]:
    return NONE if text == NONE else parse_address(text, field)


def _parse_ranges(text: str, field: str) -> tuple[AddressRange, ...]:
    """One range, or several with commas between them."""
    return tuple(parse_range(part, field) for part in text.split(","))


ADDRESS: Final = Parsed("address", parse_address)
PREFIX: Final = Parsed("prefix", parse_prefix)
MAC: Final = Parsed("mac", parse_mac)
RANGE: Final = Parsed("range", parse_range)
RANGES: Final = Parsed("range", _parse_ranges)
DURATION: Final = Parsed("duration", parse_duration)
MOMENT: Final = Parsed("time", parse_moment)
GATEWAY: Final = Parsed("gateway", _parse_gateway)

Gateway = Address | Literal["none"] | None
Ranges = tuple[tuple[AddressRange, ...], ...]


def gateway_wish(word: Gateway) -> Address | None | UnsetType:
    """Not given: unset; `none`: no gateway."""
    if word is None:
        return UNSET
    return None if word == NONE else word


def ranges_wish(words: Ranges, empty: bool) -> tuple[AddressRange, ...] | UnsetType:
    """The ranges of all words; unset when there are none, unless no pool at all is meant.

    Raises:
        click.UsageError: both ranges and no pools are asked for.
    """
    if words and empty:
        raise click.UsageError("--range and --no-pools exclude each other")
    if empty:
        return ()
    return tuple(one for word in words for one in word) if words else UNSET


def changed(value: T | None) -> T | UnsetType:
    """What to set; unset when it was not given."""
    return UNSET if value is None else value


def cleared(value: T | None, clear: bool, option: str) -> T | None | UnsetType:
    """What to set, None to clear; unset when neither was asked for.

    Raises:
        click.UsageError: both were.
    """
    if clear and value is not None:
        raise click.UsageError(f"--{option} and --no-{option} exclude each other")
    return None if clear else changed(value)


def tags_wish(tags: tuple[str, ...], clear: bool) -> tuple[str, ...] | UnsetType:
    """The new tags; unset when none are given, unless there shall be none.

    Raises:
        click.UsageError: tags are given and cleared at once.
    """
    if clear and tags:
        raise click.UsageError("--tag and --no-tags exclude each other")
    return tags if tags or clear else UNSET
