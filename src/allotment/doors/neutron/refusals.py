"""The verdicts of this door in Neutron's own exceptions.

Invariant: nothing but Neutron's exceptions leaves the driver, and none holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from neutron.ipam import exceptions as ipam_exc
from neutron_lib import exceptions as n_exc
from oslo_db import exception as db_exc
from oslo_log import log as logging

from allotment.doors.neutron.patience import Patience
from allotment.doors.neutron.verdicts import Verdict, verdicts_on
from allotment.errors import AllotmentError

LOG = logging.getLogger(__name__)


class AddressBookUnavailable(n_exc.ServiceUnavailable):
    """HTTP 503: the book cannot serve this now."""

    message = "The address book cannot serve this now (%(code)s): %(reason)s"


class AddressBookFailed(n_exc.NeutronException):
    """HTTP 500: the book, or this driver, did what it must never do."""

    message = "The address book failed (%(code)s): %(reason)s"


class About(NamedTuple):
    """What was asked: of which subnet of Neutron's, which address, from a pool or not."""

    subnet_id: str
    address: str | None = None
    is_group: bool = False
    pooled: bool = False


Make = Callable[[AllotmentError, About], Exception]


def _full(_: AllotmentError, about: About) -> Exception:
    if about.is_group:
        return _made(ipam_exc.IpAddressGenerationFailureAllSubnets)
    return _made(ipam_exc.IpAddressGenerationFailure, subnet_id=about.subnet_id)


def _no_room(error: AllotmentError, about: About) -> Exception:
    if about.pooled:
        return _made(n_exc.SubnetAllocationError, reason=error.message)
    return _made(ipam_exc.InvalidSubnetRequest, reason=error.message)


def _quota(error: AllotmentError, about: About) -> Exception:
    if about.pooled:
        return _made(n_exc.SubnetPoolQuotaExceeded)
    return _made(n_exc.OverQuota, overs=error.facts.get("what", "addresses"))


def _unavailable(error: AllotmentError, _: About) -> Exception:
    return _made(AddressBookUnavailable, code=error.code, reason=error.message)


def _refused(error: AllotmentError, about: About) -> Exception:
    LOG.error("The address book does not let Neutron's driver in: %s", error.message)
    return _unavailable(error, about)


def _broken(error: AllotmentError, _: About) -> Exception:
    return _made(AddressBookFailed, code=error.code, reason=error.message)


EXCEPTIONS: Final[Mapping[Verdict, Make]] = {
    Verdict.AGAIN: lambda error, _: _made(db_exc.RetryRequest, error),
    Verdict.SUBNET_GONE: lambda _, about: _made(n_exc.SubnetNotFound, subnet_id=about.subnet_id),
    Verdict.TAKEN: lambda _, about: _made(
        ipam_exc.IpAddressAlreadyAllocated, ip=about.address, subnet_id=about.subnet_id
    ),
    Verdict.BAD_ADDRESS: lambda _, about: _made(
        ipam_exc.InvalidIpForSubnet, ip=about.address, subnet_id=about.subnet_id
    ),
    Verdict.FULL: _full,
    Verdict.BAD_SUBNET: lambda error, _: _made(ipam_exc.InvalidSubnetRequest, reason=error.message),
    Verdict.NO_ROOM: _no_room,
    Verdict.QUOTA: _quota,
    Verdict.UNAVAILABLE: _unavailable,
    Verdict.REFUSED: _refused,
    Verdict.BROKEN: _broken,
}


def _made(kind: Any, *args: object, **facts: object) -> Exception:  # Any: Neutron is not typed
    made = kind(*args, **facts)
    assert isinstance(made, Exception), "Neutron raises it"
    return made


def exception_for(verdict: Verdict, error: AllotmentError, about: About) -> Exception:
    """What Neutron is told."""
    return EXCEPTIONS[verdict](error, about)


def refused_to_open(error: AllotmentError) -> Exception:
    """What Neutron is told when there is no book to ask."""
    LOG.error("Neutron's driver cannot open the address book: %s", error.message)
    return _unavailable(error, About(""))


class Interpreter:
    """Tells Neutron of errors in its own tongue, as long as its patience lasts."""

    def __init__(self) -> None:
        self._patience = Patience()

    @contextmanager
    def of_address(self, about: About) -> Iterator[None]:
        """While an address is asked for, or given back."""
        try:
            yield
        except AllotmentError as error:
            raise self._told(verdicts_on(error).address, error, about) from error
        self._patience.served()

    @contextmanager
    def of_subnet(self, about: About) -> Iterator[None]:
        """While a subnet is entered, changed or removed."""
        try:
            yield
        except AllotmentError as error:
            raise self._told(verdicts_on(error).subnet, error, about) from error
        self._patience.served()

    def _told(self, verdict: Verdict, error: AllotmentError, about: About) -> Exception:
        if verdict is Verdict.AGAIN and self._patience.is_over():
            verdict = Verdict.UNAVAILABLE
        if verdict is not Verdict.AGAIN and verdict is not Verdict.UNAVAILABLE:
            self._patience.served()
        return exception_for(verdict, error, about)
