"""The one desk of a process of Neutron's, opened when it is first needed.

Invariant: a forked process never uses, closes or collects the desk of its parent; driver objects,
of which every operation has a new one, cost nothing.
"""

from __future__ import annotations

import os
import threading

from oslo_config import cfg

from allotment import bootstrap
from allotment.choice import Choice, InDatabase
from allotment.doors.neutron import options
from allotment.doors.neutron.addresses import AddressBook
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.refusals import Interpreter
from allotment.doors.neutron.seat import BookSeat
from allotment.doors.neutron.subnet_pools import PoolBook
from allotment.doors.neutron.subnets import SubnetBook
from allotment.model.access import local_owner


class Counter:
    """What the driver's objects share: a desk, and the book by Neutron's words."""

    def __init__(self, seat: BookSeat, plan: Plan) -> None:
        self.seat = seat
        self.plan = plan
        self.subnets = SubnetBook(seat, plan)
        self.pools = PoolBook(seat, plan)
        self.addresses = AddressBook(seat)
        self.interpreter = Interpreter()


_lock = threading.Lock()
_open: tuple[tuple[object, ...], Counter] | None = None
_inherited: list[object] = []  # of parents: kept, or their connections would be closed under them


def counter() -> Counter:
    """The counter of this process.

    Raises:
        InvalidValue, AllotmentError: the configuration names no book, or it cannot be opened.
    """
    global _open
    section = options.register(cfg.CONF)
    said = options.said_in(section)
    known = _open
    if known is not None and known[0] == said:
        return known[1]
    with _lock:
        if _open is not None and _open[0] == said:
            return _open[1]
        _close()
        made = _opened(options.choice_of(section), section.actor, options.plan_of(section))
        _open = said, made
        return made


def _opened(choice: Choice, actor: str, plan: Plan) -> Counter:
    desk, known_as = bootstrap.open_desk(choice)
    if isinstance(choice, InDatabase):
        return Counter(BookSeat(desk, local_owner(actor), choice.may_lose_answers), plan)
    return Counter(BookSeat(desk, known_as), plan)


def close() -> None:
    """Close the desk; the next operation opens one again."""
    with _lock:
        _close()


def _close() -> None:
    global _open
    known, _open = _open, None
    if known is not None:
        known[1].seat.desk.close()


def _forget_in_child() -> None:
    global _open, _lock
    _lock = threading.Lock()
    if _open is not None:
        _inherited.append(_open)
        _open = None


os.register_at_fork(after_in_child=_forget_in_child)
