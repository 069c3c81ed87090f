"""Ids: given by the caller or made here; checked before anything is stored under them."""

from __future__ import annotations

import unicodedata

import uuid_utils

from durable.errors import InvalidId, NotEncodable

LONGEST = 255


def new_id() -> str:
    """Return a uuid7: unique, and sorted by the time it was made (RFC 9562)."""
    return str(uuid_utils.uuid7())


def checked(value: object, label: str) -> str:
    """Return the id itself.

    Raises InvalidId if it is no string, empty, over-long, or has control characters or surrogates.
    """
    if not isinstance(value, str) or not value.strip():
        msg = f"{label} must be a non-empty string, not {value!r}"
        raise InvalidId(msg)
    if len(value) > LONGEST:
        msg = f"{label} has {len(value)} characters, at most {LONGEST} are allowed: {value[:40]!r}..."
        raise InvalidId(msg)
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
        msg = f"{label} has control characters or surrogates: {value!r}"
        raise InvalidId(msg)
    return value


def text(value: str, label: str) -> str:
    """Return a text for people, of any length, as every database can keep it.

    Raises NotEncodable for NUL and lone surrogates.
    """
    if "\0" in value or any(unicodedata.category(char) == "Cs" for char in value):
        raise NotEncodable(label, "text with NUL characters or lone surrogates", "take them out")
    return value
