"""The desk of a book that a server keeps: commands and queries over HTTP.

Invariant: nothing here knows a database; importing it loads no database library.
"""
