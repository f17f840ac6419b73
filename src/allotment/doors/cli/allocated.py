"""The addresses of a bulk allocation, one by one as they are printed.

Invariant: address and id count up together, in the order of the ranges; nothing is collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allotment.doors.cli import csv_text, json_text, output
from allotment.doors.cli.figures import count_text
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.tables import Column
from allotment.errors.counts import counted
from allotment.model.address import Address
from allotment.model.results import AllocatedAddresses

FIELDS: Final = ("id", "address", "subnet_id", "status", "created_at")
_SHOWN_MAX: Final = 256
_ADDRESS_COLUMNS: Final = (
    Column("address", lambda pair: str(pair[1]), style=lambda _: "bold cyan"),
    Column("id", lambda pair: str(pair[0]), style=lambda _: "dim", wide=True),
)
_RANGE_COLUMNS: Final = (
    Column("first", lambda run: str(run.first_address), style=lambda _: "bold cyan"),
    Column("last", lambda run: str(run.last_address), style=lambda _: "bold cyan"),
    Column("addresses", lambda run: count_text(run.size), right=True),
)


def each(answer: AllocatedAddresses) -> Iterator[tuple[str, str]]:
    """The id and the address of each allocation."""
    number = answer.first_id.int
    for run in answer.ranges:
        for value in range(run.first, run.last + 1):
            yield _uuid_text(number), str(Address.of(run.family, value))
            number += 1


def _uuid_text(number: int) -> str:
    """The same as `str(UUID(int=number))`, without making one."""
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _rows(answer: AllocatedAddresses) -> Iterator[tuple[object, ...]]:
    subnet, status, at = str(answer.subnet_id), answer.status.value, answer.created_at
    return ((held, address, subnet, status, at) for held, address in each(answer))


def _json_items(answer: AllocatedAddresses) -> Iterator[str]:
    """Items as JSON text: none of the values needs quoting, so none is put through an encoder."""
    same = (
        f'"subnet_id": "{answer.subnet_id}", "status": "{answer.status.value}",'
        f' "created_at": {answer.created_at}'
    )
    return (f'{{"id": "{held}", "address": "{address}", {same}}}' for held, address in each(answer))


def show(invocation: Invocation, answer: AllocatedAddresses) -> None:
    """Print them all; for a person, many are told as ranges."""
    match invocation.output:
        case "json":
            output.write_all(json_text.listing_of_texts(_json_items(answer), None))
        case "csv":
            output.write_all(csv_text.lines(FIELDS, _rows(answer)))
        case _:
            output.said(invocation, f"{counted(answer.count, 'addresses')} allocated")
            if answer.count <= _SHOWN_MAX:
                output.table(list(each(answer)), _ADDRESS_COLUMNS)
            else:
                output.table(list(answer.ranges), _RANGE_COLUMNS)
