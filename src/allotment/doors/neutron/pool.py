"""The driver that Neutron's configuration names: `ipam_driver = allotment`.

Invariant: an object of it is made for every operation and costs nothing; it holds no state but its
context.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from neutron.ipam import driver
from neutron.ipam import exceptions as ipam_exc
from neutron.ipam import requests as ipam_req
from neutron.objects import subnet as subnet_obj
from neutron_lib import exceptions as n_exc

from allotment.doors.neutron import requests, words
from allotment.doors.neutron.counter import Counter, counter
from allotment.doors.neutron.ledger import Entry
from allotment.doors.neutron.plan import Place
from allotment.doors.neutron.refusals import About, refused_to_open
from allotment.doors.neutron.subnet import (
    AllotmentSubnet,
    AllotmentSubnetGroup,
    Window,
    not_found,
)
from allotment.doors.neutron.subnet_pools import Carved, PoolFacts
from allotment.doors.neutron.subnets import Gateway, Ranges, SubnetWish
from allotment.errors import AllotmentError
from allotment.model.address import BITS
from allotment.model.results import Subnet, SubnetPool


class SubnetKey(str):
    """What an entry of the ledger is about: one of Neutron's subnets."""

    __slots__ = ()


class AllotmentPool(driver.Pool):
    """The IPAM driver: subnets, of a subnet pool or of none, in the book."""

    @property
    def _counter(self) -> Counter:
        try:
            return counter()
        except AllotmentError as error:
            raise refused_to_open(error) from error

    @property
    def _window(self) -> Window:
        return Window(self._counter, self._context)

    def get_subnet_request_factory(self) -> Any:
        """Our factory, whose requests know their network (Any: Neutron is not typed)."""
        return requests.SubnetRequestFactory

    def get_address_request_factory(self) -> Any:
        """Our factory, whose requests know their port (Any: as above)."""
        return requests.AddressRequestFactory

    def needs_rollback(self) -> bool:
        """The book is not in Neutron's database: Neutron has to undo what it asked for."""
        return True

    def get_subnet(self, subnet_id: str) -> AllotmentSubnet:
        """A subnet that is in the book."""
        window = self._window
        self._refuse_if_leaving(window, subnet_id)
        with window.counter.interpreter.of_subnet(About(subnet_id)):
            window.counter.addresses.id_of(subnet_id)
        return AllotmentSubnet(window, subnet_id)

    def get_allocator(self, subnet_ids: list[str]) -> AllotmentSubnetGroup:
        """The group of some subnets."""
        return AllotmentSubnetGroup(self._window, subnet_ids)

    def allocate_subnet(self, request: Any) -> AllotmentSubnet:
        """Enter a subnet: the very one, or any of the subnet pool (Any: as above)."""
        window, pooled = self._window, self._subnetpool is not None
        about = About(request.subnet_id, pooled=pooled)
        if pooled:
            self._check_length(request)
        elif not isinstance(request, ipam_req.SpecificSubnetRequest):
            raise ipam_exc.InvalidSubnetRequestType(subnet_type=type(request))
        with window.counter.interpreter.of_subnet(about):
            pool, facts = None, None
            if pooled:
                facts = _facts(self._subnetpool)
                _check_inside(request, facts)
                pool = window.counter.pools.enter(facts)
                window.counter.pools.set_apart(pool, self._taken_of(facts.id))
                self._check_quota(window.counter, pool, facts, request)
            found = self._enter(window, _wish(request, facts))
            if pool is not None and facts is not None:
                self._check_quota(window.counter, pool, facts, request, entered=found)
        return AllotmentSubnet(window, request.subnet_id, found)

    def _enter(self, window: Window, wish: SubnetWish) -> Subnet:
        subnets, subnet_id = window.counter.subnets, wish.place.subnet_id
        found = subnets.enter(wish).subnet

        def undo() -> None:
            subnets.remove(found)
            window.counter.addresses.forget(subnet_id)

        what = f"removing subnet {subnet_id} ({found.prefix})"
        window.note(Entry(what, SubnetKey(subnet_id), (), found, on_rollback=undo))
        window.counter.addresses.note(subnet_id, found.id)
        return found

    def _check_length(self, request: Any) -> None:
        """Refuse a length that the subnet pool does not give (Any: as above)."""
        least, most = int(self._subnetpool["min_prefixlen"]), int(self._subnetpool["max_prefixlen"])
        if not isinstance(request, ipam_req.AnySubnetRequest | ipam_req.SpecificSubnetRequest):
            raise n_exc.SubnetAllocationError(reason="the kind of request is not known")
        if request.prefixlen > most:
            raise n_exc.MaxPrefixSubnetAllocationError(
                prefixlen=request.prefixlen, max_prefixlen=most
            )
        if request.prefixlen < least:
            raise n_exc.MinPrefixSubnetAllocationError(
                prefixlen=request.prefixlen, min_prefixlen=least
            )

    def _check_quota(
        self,
        at: Counter,
        pool: SubnetPool,
        facts: PoolFacts,
        request: Any,
        *,
        entered: Subnet | None = None,
    ) -> None:
        """Refuse more than the asking project may have, before and after (Any: as above).

        What others of the project got meanwhile is seen afterwards: of two that together are too
        much, at least one is refused.
        """
        more = 0 if entered is not None else 1 << (BITS[pool.family] - request.prefixlen)
        try:
            at.pools.check_quota(pool, facts, request.project_id, more)
        except AllotmentError:
            if entered is not None:
                self.remove_subnet(request.subnet_id)
            raise

    def _taken_of(self, pool_id: str) -> list[Carved]:
        """What Neutron counts as taken of a subnet pool."""
        rows = subnet_obj.Subnet.get_objects(self._context.elevated(), subnetpool_id=pool_id)
        return [Carved(row.id, words.prefix(row.cidr), row.project_id) for row in rows]

    def update_subnet(self, request: Any) -> AllotmentSubnet | None:
        """Make a subnet as Neutron has it now; without pools they stay (Any: as above)."""
        subnet_id = request.subnet_id
        if not subnet_id:
            raise ipam_exc.InvalidSubnetRequest(reason="an update names the subnet by its id")
        window = self._window
        self._refuse_if_leaving(window, subnet_id)
        subnets = window.counter.subnets
        with window.counter.interpreter.of_subnet(About(subnet_id)):
            before = subnets.find(subnet_id)
            wish = _update_wish(request, before)
            held = subnets.held(before) if wish.prefix != before.prefix else []
            now = subnets.change(before, wish)
        if now is before:
            return AllotmentSubnet(window, subnet_id, now)

        def undo() -> None:
            window.counter.addresses.forget(subnet_id)
            if now.id != before.id:
                subnets.restore(now, before, held)
                return
            back = wish._replace(prefix=None, gateway=before.gateway, ranges=before.pools)
            subnets.change(subnets.find(subnet_id), back)

        window.counter.addresses.note(subnet_id, now.id)
        what = f"changing subnet {subnet_id} back"
        window.note(Entry(what, SubnetKey(f"{subnet_id}/"), (), now, on_rollback=undo))
        return AllotmentSubnet(window, subnet_id, now)

    def remove_subnet(self, subnet_id: str) -> None:
        """Remove a subnet when Neutron's transaction has committed."""
        window = self._window
        self._refuse_if_leaving(window, subnet_id)
        subnets, addresses = window.counter.subnets, window.counter.addresses
        with window.counter.interpreter.of_subnet(About(subnet_id)):
            found = subnets.find(subnet_id)
            key, own = SubnetKey(subnet_id), None
            if window.ledger is not None:
                own = window.ledger.taken(key, window.mark)
            if own is not None:
                own.off = True
                subnets.remove(found)
                addresses.forget(subnet_id)
                return

        def remove() -> None:
            subnets.remove(found)
            addresses.forget(subnet_id)

        what = f"removing subnet {subnet_id} ({found.prefix})"
        entry = Entry(what, key, (), found, on_commit=remove, leaving=True)
        with window.counter.interpreter.of_subnet(About(subnet_id)):
            window.note(entry)

    def _refuse_if_leaving(self, window: Window, subnet_id: str) -> None:
        ledger, key = window.ledger, SubnetKey(subnet_id)
        if ledger is not None and ledger.leaving(lambda one: one == key) is not None:
            raise not_found(subnet_id)


def _facts(pool: Any) -> PoolFacts:
    """A subnet pool of Neutron's in our words (Any: as above)."""
    return PoolFacts(
        id=pool["id"],
        prefixes=tuple(sorted(words.prefix(one) for one in pool["prefixes"])),
        address_scope_id=pool["address_scope_id"],
        default_length=int(pool["default_prefixlen"]),
        quota=pool["default_quota"],
    )


def _check_inside(request: Any, facts: PoolFacts) -> None:
    """Refuse a prefix that is not of the subnet pool (Any: as above)."""
    if not isinstance(request, ipam_req.SpecificSubnetRequest):
        return
    wanted = words.prefix(request.subnet_cidr)
    if not any(one.contains(wanted) for one in facts.prefixes):
        raise n_exc.SubnetAllocationError(reason=f"{wanted} is in no prefix of the subnet pool")


def _wish(request: Any, facts: PoolFacts | None) -> SubnetWish:
    """A new subnet in our words (Any: as above)."""
    network = requests.network_of(request)
    specific = isinstance(request, ipam_req.SpecificSubnetRequest)
    prefix = words.prefix(request.subnet_cidr) if specific else None
    place = Place(
        subnet_id=request.subnet_id,
        prefix="" if prefix is None else str(prefix),
        network_id=network.network_id,
        pool_id=facts.id if facts is not None else network.pool_id,
        address_scope_id=None if facts is None else facts.address_scope_id,
    )
    return SubnetWish(
        place=place,
        project_id=request.project_id,
        prefix=prefix,
        length=request.prefixlen,
        gateway=_gateway(request, any_prefix=prefix is None),
        ranges=_ranges(request),
    )


def _gateway(request: Any, *, any_prefix: bool) -> Gateway:  # Any: as above
    if request.gateway_ip is not None:
        return words.address(request.gateway_ip)
    return UNSET if any_prefix and request.set_gateway_ip else None


def _ranges(request: Any) -> Ranges:  # Any: as above
    if request.allocation_pools is None:
        return UNSET
    return words.ranges(request.allocation_pools)


def _update_wish(request: Any, before: Subnet) -> SubnetWish:
    """A change in our words (Any: as above)."""
    network = requests.network_of(request)
    prefix = before.prefix
    if isinstance(request, ipam_req.SpecificSubnetRequest):
        prefix = words.prefix(request.subnet_cidr)
    gateway: Gateway = UNSET
    if network.gateway_said:
        gateway = None if request.gateway_ip is None else words.address(request.gateway_ip)
    if prefix != before.prefix and gateway is UNSET:
        gateway = None
    place = Place(request.subnet_id, str(prefix))
    return SubnetWish(place, request.project_id, prefix, None, gateway, _ranges(request))
