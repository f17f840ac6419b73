"""Neutron's requests with what its own factories leave out: port, network, gateway.

Invariant: a request of ours is one of Neutron's, so that whoever knows Neutron's kinds knows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neutron.ipam import requests as ipam_req

from allotment.errors import InvalidValue
from allotment.model.mac import Mac, parse_mac


class ForPort(NamedTuple):
    """For which port of Neutron's an address is, and for which of its API's requests."""

    port_id: str
    request_id: str
    mac: Mac | None


class OfNetwork(NamedTuple):
    """What a subnet is in, and whether its gateway was spoken of at all."""

    network_id: str | None
    pool_id: str | None
    gateway_said: bool


class AddressRequestFactory(ipam_req.AddressRequestFactory):
    """Neutron's factory of address requests; what it makes knows its port."""

    @classmethod
    def get_request(cls, context: Any, port: Any, ip_dict: Any) -> Any:
        """The request that Neutron's factory makes, with its port (Any: Neutron is not typed)."""
        request = super().get_request(context, port, ip_dict)
        request.allotment_for_port = _for_port(context, port)
        return request


class SubnetRequestFactory(ipam_req.SubnetRequestFactory):
    """Neutron's factory of subnet requests; what it makes knows its network."""

    @classmethod
    def get_request(cls, context: Any, subnet: Any, subnetpool: Any) -> Any:
        """The request that Neutron's factory makes, with its network (Any: as above)."""
        request = super().get_request(context, subnet, subnetpool)
        pool_id = subnetpool["id"] if subnetpool is not None else subnet.get("subnetpool_id")
        request.allotment_of_network = OfNetwork(
            subnet.get("network_id"),
            pool_id if isinstance(pool_id, str) else None,
            "gateway_ip" in subnet,
        )
        return request


def port_of(request: Any) -> ForPort | None:  # Any: as above
    """The port that a request is for, where our factory made it."""
    found = getattr(request, "allotment_for_port", None)
    return found if isinstance(found, ForPort) else None


def network_of(request: Any) -> OfNetwork:  # Any: as above
    """What a request's subnet is in; made by anybody else, it says a gateway if it has one."""
    found = getattr(request, "allotment_of_network", None)
    if isinstance(found, OfNetwork):
        return found
    return OfNetwork(None, None, request.gateway_ip is not None)


def _for_port(context: Any, port: Any) -> ForPort | None:  # Any: as above
    port_id = _said(port, "id")
    if port_id is None:
        return None
    request_id = getattr(context, "request_id", None)
    return ForPort(port_id, str(request_id or "-"), _mac(_said(port, "mac_address")))


def _said(port: Any, name: str) -> str | None:  # Any: as above
    """A fact of a port, which is a dict, a row or an object of Neutron's."""
    found = port.get(name) if isinstance(port, dict) else getattr(port, name, None)
    return None if found is None else str(found)


def _mac(text: str | None) -> Mac | None:
    if text is None:
        return None
    try:
        return parse_mac(text.replace("-", ":").lower())
    except InvalidValue:
        return None  # other lengths exist (InfiniBand); the book has no place for them
