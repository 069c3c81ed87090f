"""Parts of ADK that are imported late: they load a web server's library, which most apps do not need."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def loaded(module: str, attribute: str) -> Any:
    """Return a module if ADK has loaded it, with this attribute; None if not.

    Waits for another thread that is in the middle of importing it.
    """
    if module not in sys.modules:
        return None
    if getattr(sys.modules[module], "__spec__", None) is None:  # no import has made it, and ADK could not use it
        del sys.modules[module]
    whole = importlib.import_module(module)
    return whole if hasattr(whole, attribute) else None
