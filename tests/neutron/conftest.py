"""These tests need Neutron, which has an environment of its own: `python tests/neutron/run.py`."""

from __future__ import annotations

from importlib.util import find_spec

# Not "neutron": this very folder would be found by that name.
collect_ignore_glob = [] if find_spec("neutron_lib") else ["*"]
