"""Which of Neutron's own tests are run on our driver, and which cannot be.

Invariant: a set is named by module and class; nothing is left out of it but by name and reason.
"""

from __future__ import annotations

from typing import NamedTuple


class TestSet(NamedTuple):
    """Classes of tests in one module of Neutron's."""

    __test__ = False
    module: str
    classes: tuple[str, ...]


_BASE = "neutron.tests.common.test_db_base_plugin_v2"
_UNIT = "neutron.tests.unit"

BASE = (
    TestSet(
        _BASE,
        (
            "TestBasicGet",
            "TestV2HTTPResponse",
            "TestPortsV2",
            "TestNetworksV2",
            "TestSubnetsV2",
            "TestSubnetPoolsV2",
        ),
    ),
    TestSet(f"{_UNIT}.db.test_ipam_pluggable_backend", ("TestRollback",)),
)
"""390 tests: what every driver has to pass."""

FURTHER = (
    TestSet(
        f"{_UNIT}.extensions.test_segment",
        ("TestSegmentAwareIpam", "TestSegmentAwareIpamML2", "TestSegmentSubnetAssociation"),
    ),
    TestSet(
        f"{_UNIT}.extensions.test_subnet_service_types",
        ("SubnetServiceTypesExtensionTestCase", "SubnetServiceTypesExtensionTestCasev6"),
    ),
    TestSet(
        f"{_UNIT}.extensions.test_subnet_onboard",
        ("SubnetOnboardTestsIpv4", "SubnetOnboardTestsIpv6"),
    ),
    TestSet(
        f"{_UNIT}.extensions.test_subnetpool_prefix_ops",
        ("SubnetpoolPrefixOpsTestsIpv4", "SubnetpoolPrefixOpsTestsIpv6"),
    ),
    TestSet(
        f"{_UNIT}.extensions.test_default_subnetpools", ("DefaultSubnetpoolsExtensionTestCase",)
    ),
    TestSet(f"{_UNIT}.extensions.test_address_scope", ("TestSubnetPoolsWithAddressScopes",)),
    TestSet(f"{_UNIT}.plugins.ml2.test_plugin", ("TestMl2PortsV2", "TestMl2SubnetsV2")),
)
"""Where drivers fail: segments, service types, onboarding, subnet pools, ML2."""

NOT_APPLICABLE = {
    "TestMl2PortsV2.test_create_ports_bulk_with_wrong_fixed_ips": (
        "at its end it reads the reference driver's own table through that driver's own "
        "objects; that a bulk which fails leaves nothing is shown by own/test_rollback.py"
    ),
}
"""Tests that look inside the reference driver: by class and name, with the reason."""
