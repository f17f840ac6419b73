"""A Neutron in this process: its own database plug-in, transactions and retries, without an API.

Invariant: everything is Neutron's own code; only the database, and the driver, are chosen.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from typing import Any

warnings.simplefilter("ignore")

from neutron.common import config as neutron_config  # noqa: E402
from neutron.conf.plugins.ml2 import config as ml2_config  # noqa: E402, F401
from neutron.db import db_base_plugin_v2  # noqa: E402
from neutron.db.migration.models import head  # noqa: E402
from neutron_lib import constants, context  # noqa: E402
from neutron_lib.db import api as db_api  # noqa: E402
from neutron_lib.plugins import constants as plugin_constants  # noqa: E402
from neutron_lib.plugins import directory  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_db import options as db_options  # noqa: E402

from allotment.doors.neutron import counter, options  # noqa: E402

NOT_SAID = constants.ATTR_NOT_SPECIFIED
PROJECT = "0123456789abcdef0123456789abcdef"


def configure(
    neutron_url: str,
    book_url: str | None,
    driver: str = "allotment",
    token_file: str | None = None,
) -> None:
    """Say which databases and which driver; to be called once in a process, before anything.

    With a token's file, the book's URL is a service's.
    """
    neutron_config.register_common_config_options()
    db_options.set_defaults(cfg.CONF)
    options.register(cfg.CONF)
    cfg.CONF([], project="neutron", default_config_files=[], default_config_dirs=[])
    cfg.CONF.set_override("connection", neutron_url, "database")
    cfg.CONF.set_override("max_retries", 2, "database")
    cfg.CONF.set_override("ipam_driver", driver)
    cfg.CONF.set_override("notify_nova_on_port_status_changes", False)
    cfg.CONF.set_override("notify_nova_on_port_data_changes", False)
    if book_url is not None:
        where = "database" if token_file is None else "server"
        cfg.CONF.set_override(where, book_url, options.SECTION)
    cfg.CONF.set_override("token_file", token_file, options.SECTION)
    logging.disable(logging.WARNING)


def make_tables() -> None:
    """Make Neutron's tables where there are none."""
    engine = db_api.CONTEXT_WRITER.get_engine()
    head.get_metadata().create_all(engine)


@dataclass
class Cloud:
    """The plug-in, and short ways to ask it for networks, subnets and ports."""

    plugin: Any = field(default_factory=db_base_plugin_v2.NeutronDbPluginV2)

    def __post_init__(self) -> None:
        directory.add_plugin(plugin_constants.CORE, self.plugin)

    @property
    def context(self) -> Any:
        """A new request of the administrator's."""
        return context.get_admin_context()

    def network(self, project: str = PROJECT) -> str:
        """A network."""
        body = {
            "name": "net",
            "admin_state_up": True,
            "shared": False,
            "tenant_id": project,
            "project_id": project,
        }
        return str(self.plugin.create_network(self.context, {"network": body})["id"])

    def subnet(self, network: str, cidr: Any = NOT_SAID, **facts: Any) -> dict[str, Any]:
        """A subnet."""
        body = {
            "name": "",
            "network_id": network,
            "cidr": cidr,
            "prefixlen": NOT_SAID,
            "ip_version": 4,
            "allocation_pools": NOT_SAID,
            "gateway_ip": NOT_SAID,
            "enable_dhcp": False,
            "dns_nameservers": NOT_SAID,
            "host_routes": NOT_SAID,
            "ipv6_address_mode": NOT_SAID,
            "ipv6_ra_mode": NOT_SAID,
            "subnetpool_id": None,
            "tenant_id": PROJECT,
            "project_id": PROJECT,
        } | facts
        return dict(self.plugin.create_subnet(self.context, {"subnet": body}))

    def update_subnet(self, subnet_id: str, **facts: Any) -> dict[str, Any]:
        """Change a subnet."""
        return dict(self.plugin.update_subnet(self.context, subnet_id, {"subnet": facts}))

    def delete_subnet(self, subnet_id: str) -> None:
        """Remove a subnet."""
        self.plugin.delete_subnet(self.context, subnet_id)

    def pool(self, *prefixes: str, project: str = PROJECT, **facts: Any) -> dict[str, Any]:
        """A subnet pool."""
        body = {
            "name": "pool",
            "prefixes": list(prefixes),
            "tenant_id": project,
            "project_id": project,
            "min_prefixlen": NOT_SAID,
            "max_prefixlen": NOT_SAID,
            "default_prefixlen": NOT_SAID,
            "default_quota": NOT_SAID,
            "address_scope_id": NOT_SAID,
            "shared": True,
            "is_default": False,
            "description": "",
        } | facts
        body = {key: value for key, value in body.items() if key != "default_quota" or value}
        return dict(self.plugin.create_subnetpool(self.context, {"subnetpool": body}))

    def port(self, network: str, fixed_ips: Any = NOT_SAID, **facts: Any) -> dict[str, Any]:
        """A port."""
        body = {
            "name": "",
            "network_id": network,
            "mac_address": NOT_SAID,
            "fixed_ips": fixed_ips,
            "admin_state_up": True,
            "device_id": "",
            "device_owner": "",
            "status": "ACTIVE",
            "tenant_id": PROJECT,
            "project_id": PROJECT,
        } | facts
        return dict(self.plugin.create_port(self.context, {"port": body}))

    def update_port(self, port_id: str, **facts: Any) -> dict[str, Any]:
        """Change a port."""
        return dict(self.plugin.update_port(self.context, port_id, {"port": facts}))

    def delete_port(self, port_id: str) -> None:
        """Remove a port."""
        self.plugin.delete_port(self.context, port_id)


def close() -> None:
    """Give everything back that this process has open."""
    counter.close()
    db_api.CONTEXT_WRITER.dispose_pool()
