"""Tools from OpenAPI documents, for any framework: plain functions that carry a policy, as ``@tool`` makes them.

Needs the extra ``openapi``.
"""

from __future__ import annotations

from durable.openapi.api import api_tools

__all__ = ["api_tools"]
