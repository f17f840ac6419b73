"""Neutron's addresses in the book: taken for a port, given back, handed from one port to another.

Invariant: what was taken is told apart from what was there already; an address is given back by its
allocation, never by its number alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from allotment.doors.exchange.seat import Seat
from allotment.doors.neutron import names
from allotment.errors import AddressTaken, IdentifierTaken, InvalidValue, NotFound, StaleAllocation
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Method,
    ReleaseAddress,
    UpdateAllocation,
)
from allotment.model.mac import Mac
from allotment.model.queries import GetAllocation, GetSubnet
from allotment.model.results import AllocatedAddresses, Allocation

R = TypeVar("R")

DEAD_SECONDS: Final = 600
"""No request of Neutron's is under way for so long: what it left behind is nobody's."""
_TURNS_MAX: Final = 1000
_KNOWN_MAX: Final = 100_000

IsLive = Callable[[str, Address], bool]
"""Whether Neutron says that an address of one of its subnets is in use."""


class AddressWish(NamedTuple):
    """An address that Neutron wants, in the order of its subnets: that very one, or any.

    `port_id` and `request_id` say what for, so that a repetition finds what was taken before.
    """

    subnets: tuple[str, ...]
    address: Address | None = None
    lowest: bool = False
    port_id: str | None = None
    request_id: str = "-"
    mac: Mac | None = None


class Taken(NamedTuple):
    """An address taken: of which of Neutron's subnets, and the allocation that holds it."""

    subnet_id: str
    allocation: Allocation


class AddressBook:
    """What the driver does with addresses at a desk."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._known: dict[str, UUID] = {}

    def id_of(self, subnet_id: str) -> UUID:
        """The book's id of one of Neutron's subnets, looked up once; raises NotFound."""
        known = self._known.get(subnet_id)
        if known is None:
            known = self._seat.ask(GetSubnet(subnet=names.subnet_name(subnet_id))).id
            self.note(subnet_id, known)
        return known

    def note(self, subnet_id: str, known: UUID) -> None:
        """Keep the book's id of a subnet."""
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[subnet_id] = known

    def forget(self, subnet_id: str) -> None:
        """A subnet is there no more, or has another id now."""
        self._known.pop(subnet_id, None)

    def take(self, wish: AddressWish, is_live: IsLive) -> Taken:
        """Hold an address that nobody holds, or that this wish's own dead attempt left behind.

        Raises:
            AddressTaken: the very address is held.
            PoolExhausted, NotFound, InvalidValue, AllotmentError: as AllocateAddress.
        """
        return self._at_current_ids(wish.subnets, lambda ids: self._take(wish, ids, is_live))

    def _at_current_ids(self, subnets: Sequence[str], do: Callable[[list[UUID]], R]) -> R:
        """Something done by the book's ids of subnets; ids that are old are looked up again."""
        known = all(subnet in self._known for subnet in subnets)
        try:
            return do([self.id_of(subnet) for subnet in subnets])
        except NotFound as error:
            if not known or error.facts.get("what") != "subnet":
                raise
            for subnet in subnets:
                self.forget(subnet)
            return do([self.id_of(subnet) for subnet in subnets])

    def _take(self, wish: AddressWish, ids: list[UUID], is_live: IsLive) -> Taken:
        subnet_of = dict(zip(ids, wish.subnets, strict=True))
        for turn in range(_TURNS_MAX):
            nonce = secrets.token_hex(6)
            said = names.attempt(wish.request_id, nonce)
            try:
                found = self._seat.do(_command(wish, ids, turn, said))
            except IdentifierTaken as error:
                raise AddressTaken(str(wish.address), wish.subnets[0]) from error
            taken = Taken(subnet_of[found.subnet_id], found)
            if found.description == said or self._is_left_behind(taken, wish, is_live):
                return taken
            if wish.address is not None:
                raise AddressTaken(str(wish.address), taken.subnet_id)
        raise AssertionError("a port has fewer addresses")

    def _is_left_behind(self, taken: Taken, wish: AddressWish, is_live: IsLive) -> bool:
        """Whether an address was taken for the same by an attempt that has surely ended."""
        held = taken.allocation
        same_request = names.request_of(held.description) == wish.request_id
        too_old = held.created_at < (time.time() - DEAD_SECONDS) * 1000
        return (same_request or too_old) and not is_live(taken.subnet_id, held.address)

    def take_many(self, subnet_id: str, count: int) -> AllocatedAddresses:
        """Hold many addresses of one subnet, all or none."""
        return self._at_current_ids(
            (subnet_id,),
            lambda ids: self._seat.do(AllocateAddresses(subnet=str(ids[0]), count=count)),
        )

    def holder(self, subnet_id: str, address: Address) -> Allocation | None:
        """The allocation that holds an address; None: nobody's, or it lies outside the subnet."""
        try:
            return self._at_current_ids(
                (subnet_id,),
                lambda ids: self._seat.ask(GetAllocation(subnet=str(ids[0]), address=address)),
            )
        except InvalidValue:
            return None
        except NotFound as error:
            if error.facts.get("what") == "subnet":
                raise
            return None

    def give_back(self, held: Allocation) -> bool:
        """Give back what an allocation holds; False: it does not hold it any more."""
        command = ReleaseAddress(
            subnet=str(held.subnet_id), address=held.address, allocation_id=str(held.id)
        )
        try:
            self._seat.do(command)
        except (NotFound, StaleAllocation):
            return False
        return True

    def give_back_many(self, made: AllocatedAddresses) -> None:
        """Give back what one request took, as far as it is still held by it."""
        id_int = made.first_id.int
        for run in made.ranges:
            for value in range(run.first, run.last + 1):
                command = ReleaseAddress(
                    subnet=str(made.subnet_id),
                    address=Address.of(run.family, value),
                    allocation_id=str(UUID(int=id_int)),
                )
                id_int += 1
                with suppress(NotFound, StaleAllocation):
                    self._seat.do(command)

    def hand_over(self, held: Allocation, wish: AddressWish) -> Allocation:
        """Make an address that is held the wish's own, without a moment in which it is free.

        Raises:
            NotFound, StaleAllocation: it is not held by that allocation any more.
        """
        return self._say(
            held,
            identifier=None
            if wish.port_id is None
            else names.identifier(wish.port_id, held.address),
            mac=wish.mac,
            description=names.attempt(wish.request_id, secrets.token_hex(6)),
        )

    def hand_back(self, before: Allocation) -> None:
        """Make an address that was handed over what it was before."""
        self._say(
            before,
            identifier=before.identifier,
            mac=before.mac,
            description=before.description,
        )

    def _say(
        self, held: Allocation, *, identifier: str | None, mac: Mac | None, description: str
    ) -> Allocation:
        return self._seat.do(
            UpdateAllocation(
                subnet=str(held.subnet_id),
                address=held.address,
                allocation_id=str(held.id),
                identifier=identifier,
                mac=mac,
                description=description,
            )
        )


def _command(wish: AddressWish, ids: list[UUID], turn: int, said: str) -> AllocateAddress:
    identifier = None
    if wish.port_id is not None:
        purpose = turn if wish.address is None else wish.address
        identifier = names.identifier(wish.port_id, purpose)
    specific = wish.address is not None
    return AllocateAddress(
        subnet=str(ids[0]),
        fallbacks=() if specific else tuple(map(str, ids[1:])),
        address=wish.address,
        method=Method.NEXT if wish.lowest and not specific else Method.ANY,
        identifier=identifier,
        mac=wish.mac,
        description=said,
    )
