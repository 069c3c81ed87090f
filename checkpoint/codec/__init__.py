"""Codec: typed JSON, rebuilt only from an allow-list."""
