"""Adapters that are no part of the product: each shows how one is written."""
