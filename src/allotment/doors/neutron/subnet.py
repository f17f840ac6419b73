"""A subnet, and a group of them, as Neutron asks them for addresses.

Invariant: an address that Neutron was given is undone if its transaction fails, and one that it
gave back is released only when its transaction has committed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neutron.ipam import driver
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron.objects import ports as port_obj
from neutron_lib import exceptions as n_exc

from allotment.doors.neutron import requests, words
from allotment.doors.neutron.addresses import AddressWish, Taken
from allotment.doors.neutron.counter import Counter
from allotment.doors.neutron.ledger import Entry, Ledger, Mark
from allotment.doors.neutron.refusals import About
from allotment.doors.neutron.transactions import ledger_of, mark_of
from allotment.errors import AddressTaken, InvalidValue, PoolExhausted
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.results import Allocation, Subnet


class AddressKey(NamedTuple):
    """What an entry of the ledger is about: an address of one of Neutron's subnets."""

    subnet_id: str
    address: Address


class Window:
    """Where addresses are handed out to one context of Neutron's."""

    def __init__(self, counter: Counter, context: Any) -> None:  # Any: Neutron is not typed
        self.counter = counter
        self._context = context

    @property
    def ledger(self) -> Ledger | None:
        """The ledger of the transaction that the context is in, if it is in one."""
        return ledger_of(self._session)

    @property
    def mark(self) -> Mark:
        """The savepoints that are open."""
        return mark_of(self._session)

    @property
    def _session(self) -> object:
        return getattr(self._context, "session", None)

    def note(self, entry: Entry) -> None:
        """Enter what was done; where there is no transaction, it is done for good."""
        ledger = self.ledger
        if ledger is not None:
            entry.mark = self.mark
            ledger.note(entry)
        elif entry.leaving:
            entry.on_commit()

    def take(self, wish: AddressWish) -> tuple[str, str]:
        """An address for a wish, and the subnet of Neutron's that it is of."""
        ledger = self.ledger
        try:
            taken = self.counter.addresses.take(wish, self._is_live)
        except (AddressTaken, PoolExhausted):
            own = _on_its_way_back(ledger, wish)
            if own is None:
                raise
            return self._take_over(own, wish)
        self._note_taken(taken)
        return str(taken.allocation.address), taken.subnet_id

    def _note_taken(self, taken: Taken) -> None:
        held, addresses = taken.allocation, self.counter.addresses
        what = f"giving back {held.address} of subnet {taken.subnet_id}"
        key = AddressKey(taken.subnet_id, held.address)

        def undo() -> None:
            addresses.give_back(held)

        self.note(Entry(what, key, (), held, on_rollback=undo))

    def _take_over(self, own: Entry, wish: AddressWish) -> tuple[str, str]:
        """An address that this very transaction gives back, for somebody else at once."""
        addresses, before = self.counter.addresses, own.held
        assert isinstance(own.key, AddressKey), "only such keys are looked for"
        subnet_id, address = own.key
        addresses.hand_over(before, wish)
        own.off = True

        def undo() -> None:
            own.off = False
            addresses.hand_back(before)

        key = AddressKey(subnet_id, address)
        what = f"handing {address} of subnet {subnet_id} back"
        self.note(Entry(what, key, (), None, on_rollback=undo))
        return str(address), subnet_id

    def give_back(self, subnet_id: str, address: Address) -> None:
        """Release an address when the transaction has committed; nobody's is none of ours."""
        addresses, ledger = self.counter.addresses, self.ledger
        key = AddressKey(subnet_id, address)
        own = None if ledger is None else ledger.taken(key, self.mark)
        if own is not None and own.held is not None:
            own.off = True
            addresses.give_back(own.held)
            return
        if ledger is not None and ledger.leaving(lambda one: one == key) is not None:
            return
        held = addresses.holder(subnet_id, address)
        if held is None:
            return
        self._note_leaving(key, held)

    def _note_leaving(self, key: AddressKey, held: Allocation) -> None:
        addresses = self.counter.addresses

        def release() -> None:
            addresses.give_back(held)

        what = f"releasing {held.address} of subnet {key.subnet_id}"
        self.note(Entry(what, key, (), held, on_commit=release, leaving=True))

    def _is_live(self, subnet_id: str, address: Address) -> bool:
        """Whether Neutron has an address, or this transaction has taken it a moment ago."""
        key = AddressKey(subnet_id, address)
        ledger = self.ledger
        if ledger is not None and any(one.key == key and not one.off for one in ledger.entries):
            return True
        found = port_obj.IPAllocation.objects_exist(
            self._context, subnet_id=subnet_id, ip_address=str(address)
        )
        return bool(found)


def _on_its_way_back(ledger: Ledger | None, wish: AddressWish) -> Entry | None:
    """An address that this transaction gives back, and that the wish may have."""
    if ledger is None:
        return None

    def fits(key: object) -> bool:
        if not isinstance(key, AddressKey) or key.subnet_id not in wish.subnets:
            return False
        return wish.address is None or wish.address == key.address

    return ledger.leaving(fits)


class AllotmentSubnet(driver.Subnet):
    """A subnet of Neutron's in the book."""

    def __init__(self, window: Window, subnet_id: str, found: Subnet | None = None) -> None:
        self._window = window
        self._subnet_id = subnet_id
        self._found = found

    def allocate(self, address_request: Any) -> str:
        """One address of the subnet, as text (Any: Neutron is not typed)."""
        found, _ = _allocated(self._window, (self._subnet_id,), address_request, is_group=False)
        return found

    def bulk_allocate(self, address_request: Any) -> list[str]:
        """As many addresses as a request says, all or none (Any: as above)."""
        if not isinstance(address_request, ipam_req.BulkAddressRequest):
            return [self.allocate(address_request)]
        count = address_request.num_addresses
        if count < 1:
            return []
        counter = self._window.counter
        with counter.interpreter.of_address(About(self._subnet_id)):
            made = counter.addresses.take_many(self._subnet_id, count)
        found = [str(address) for run in made.ranges for address in _addresses(run)]

        def undo() -> None:
            counter.addresses.give_back_many(made)

        what = f"giving back {count} addresses of subnet {self._subnet_id}"
        self._window.note(Entry(what, None, (), on_rollback=undo))
        return found

    def deallocate(self, address: Any) -> None:
        """Give an address back; of one that is nobody's nothing is said (Any: as above)."""
        try:
            own = words.address(address)
        except InvalidValue:
            return  # Neutron gives back what it does not know any more: none of it may fail
        with self._window.counter.interpreter.of_address(About(self._subnet_id, str(own))):
            self._window.give_back(self._subnet_id, own)

    def get_details(self) -> Any:
        """The subnet as a request (Any: as above)."""
        with self._window.counter.interpreter.of_subnet(About(self._subnet_id)):
            found = self._found or self._window.counter.subnets.find(self._subnet_id)
        return words.details(found, self._subnet_id)


class AllotmentSubnetGroup(driver.SubnetGroup):
    """Subnets of Neutron's of which any will do, in the order in which they are liked."""

    def __init__(self, window: Window, subnet_ids: list[str]) -> None:
        self._window = window
        self._subnet_ids = tuple(subnet_ids)

    def allocate(self, address_request: Any) -> tuple[str, str]:
        """One address and its subnet (Any: as above)."""
        if not self._subnet_ids:
            raise ipam_exc.IpAddressGenerationFailureAllSubnets()
        return _allocated(self._window, self._subnet_ids, address_request, is_group=True)


def _addresses(run: AddressRange) -> list[Address]:
    return [Address.of(run.family, value) for value in range(run.first, run.last + 1)]


def _allocated(
    window: Window, subnet_ids: tuple[str, ...], request: Any, *, is_group: bool
) -> tuple[str, str]:
    """One address for a request of any kind that is for one (Any: as above)."""
    said = str(request.address) if isinstance(request, ipam_req.SpecificAddressRequest) else None
    about = About(subnet_ids[0], said, is_group=is_group)
    with window.counter.interpreter.of_address(about):
        return window.take(_wish(window, subnet_ids, request))


def _wish(window: Window, subnet_ids: tuple[str, ...], request: Any) -> AddressWish:
    """A request in our words (Any: as above)."""
    port = requests.port_of(request)
    wish = AddressWish(subnet_ids)
    if port is not None:
        wish = wish._replace(port_id=port.port_id, request_id=port.request_id, mac=port.mac)
    match request:
        case ipam_req.SpecificAddressRequest():
            return wish._replace(address=words.address(request.address))
        case ipam_req.PreferNextAddressRequest():
            return wish._replace(lowest=True)
        case ipam_req.AnyAddressRequest():
            return wish
        case ipam_req.RouterGatewayAddressRequest():
            gateway = window.counter.subnets.find(subnet_ids[0]).gateway
            if gateway is not None:
                return wish._replace(subnets=subnet_ids[:1], address=gateway)
    raise ipam_exc.InvalidAddressType(address_type=type(request).__name__)


def not_found(subnet_id: str) -> Exception:
    """What Neutron is told of a subnet that is not there."""
    made = n_exc.SubnetNotFound(subnet_id=subnet_id)
    assert isinstance(made, Exception), "Neutron raises it"
    return made
