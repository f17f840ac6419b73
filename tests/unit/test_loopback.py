"""What is this machine, as it is written."""

from __future__ import annotations

import pytest

from allotment.model.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_this_machine_is_known_by_its_name_and_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost.",
        "localhost.example",
        "128.0.0.1",
        "0.0.0.0",
        "::",
        "127.1",
        "::ffff:127.0.0.1",
    ],
)
def test_whatever_else_is_written_is_somebody_else(host: str) -> None:
    assert not is_loopback(host)
