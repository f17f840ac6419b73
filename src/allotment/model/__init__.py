"""The nouns of address management as values; a value that exists is valid.

Invariant: nothing here does I/O, and everything is parsed once, by one strict reader.
"""
