"""The REST door: HTTP requests become commands and queries, as `model.routes` says.

Invariant: importing this costs nothing, and no operation has a handler of its own.
"""
