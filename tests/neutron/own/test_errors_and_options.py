"""What the driver tells Neutron of errors, and what Neutron's configuration tells the driver."""

from __future__ import annotations

import os

import pytest
from cloud_process import Cloud
from neutron_lib import exceptions as n_exc
from oslo_config import cfg
from oslo_db import exception as db_exc

from allotment.doors.neutron import counter, options
from allotment.doors.neutron.pool import AllotmentPool
from allotment.doors.neutron.refusals import EXCEPTIONS, About, AddressBookUnavailable
from allotment.doors.neutron.verdicts import VERDICTS, Verdict
from allotment.errors import PoolExhausted
from allotment.errors.restored import by_code, restored


def test_every_verdict_has_an_exception_of_neutron_s() -> None:
    assert set(EXCEPTIONS) == set(Verdict)
    error = PoolExhausted("subnet", "an address", 0, "none")
    for verdict in Verdict:
        for about in (About("s", "10.0.0.1"), About("s", pooled=True), About("s", is_group=True)):
            made = EXCEPTIONS[verdict](error, about)
            assert isinstance(made, n_exc.NeutronException | db_exc.RetryRequest), verdict


def test_every_error_of_ours_can_be_told_to_neutron() -> None:
    for code, verdicts in VERDICTS.items():
        assert code in by_code() or code == "unexpected"
        error = restored(code, "what happened", {"what": "addresses"})
        for verdict in verdicts:
            assert isinstance(EXCEPTIONS[verdict](error, About("s", "10.0.0.1")), Exception)


def test_a_book_that_is_not_named_is_told_and_not_guessed(
    fresh_counter: None, cloud: Cloud
) -> None:
    named = {one: cfg.CONF.allotment[one] for one in ("database", "server")}
    for one in named:
        cfg.CONF.set_override(one, None, options.SECTION)
    try:
        with pytest.raises(AddressBookUnavailable):
            AllotmentPool(None, cloud.context).get_subnet("s")
    finally:
        for one, said in named.items():
            cfg.CONF.set_override(one, said, options.SECTION)


def test_what_may_hold_a_secret_is_in_no_log() -> None:
    secret = {option.dest for option in options.OPTIONS if option.secret}
    assert secret == {"database", "token"}


def test_the_options_are_told_to_neutron_s_generator() -> None:
    from importlib.metadata import entry_points

    (found,) = entry_points(group="oslo.config.opts", name="allotment")
    assert found.load()() == options.list_opts()


def test_a_forked_process_opens_a_desk_of_its_own_and_leaves_its_parent_s_alone(
    cloud: Cloud,
) -> None:
    network = cloud.network()
    subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
    before = counter.counter()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            inside = counter.counter()
            inside.addresses.id_of(subnet)
            code = 0 if inside is not before else 2
            counter.close()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert counter.counter() is before
    cloud.port(network)


def test_the_section_says_where_a_subnet_stands_and_how_it_gives(
    fresh_counter: None, cloud: Cloud
) -> None:
    network = cloud.network()
    said = {
        "placement": "random",
        "quarantine_seconds": 60,
        "scopes": {network: "kept-by-hand"},
    }
    for name, value in said.items():
        cfg.CONF.set_override(name, value, options.SECTION)
    try:
        subnet = cloud.subnet(network, "10.0.0.0/24")["id"]
        found = counter.counter().subnets.find(subnet)
        cloud.delete_subnet(subnet)
    finally:
        for name in said:
            cfg.CONF.clear_override(name, options.SECTION)
    assert (found.scope, found.placement, found.quarantine_seconds) == (
        "kept-by-hand",
        "random",
        60,
    )
