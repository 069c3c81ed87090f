"""Tests; a package so that child processes can be started with ``python -m tests...``."""
