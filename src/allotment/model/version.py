"""Which version this is.

Invariant: said here and in the package's metadata alike (a test holds them equal).
"""

VERSION = "0.1.0"
