"""Allotment inside OpenStack: the IPAM driver of Neutron, and what keeps it and the book at one.

Invariant: what Neutron asks becomes commands and queries at a desk; nothing here decides which
address is handed out. Modules that import Neutron are imported by Neutron only.
"""
