"""Books brought in from elsewhere and taken along: NetBox fixtures, CSV files, JSON, the demo.

Invariant: a file becomes commands and queries of the model, at any desk; nothing here decides what
the book accepts.
"""
