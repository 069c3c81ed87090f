"""Secrets: named in code and documents, resolved in the worker at the call, never recorded.

``Runtime(secrets=...)`` takes a mapping, a resolver, or a list of them that are asked in order; without it the
environment is asked. A resolver is any callable from a name to the value, or None where it does not know it. A tool
gets the secrets that its policy names (``secrets=("BILLING_API_KEY",)``) through ``ToolContext.secrets``.

Whatever was resolved is taken out of everything that is recorded afterwards, as it stands, in base64 or URL-encoded.
"""

from __future__ import annotations

from durable.secrets.logs import RedactingFilter
from durable.secrets.resolvers import Environment, Files, Keyring

__all__ = ["Environment", "Files", "Keyring", "RedactingFilter"]
