"""``python -m durable`` is the command line."""

from __future__ import annotations

from durable.cli import main

main()
