"""The door for programs over HTTP.

Invariant: what comes through is authenticated here and allowed in the desk, nowhere between.
"""
