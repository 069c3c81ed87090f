"""The redactor by itself: each look of a secret, nothing but the secret, and values that can still be read back."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from durable.checkpoint.codec import Codec
from durable.secrets.logs import RedactingFilter
from durable.secrets.redaction import KEPT, Redactor

SECRETS = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40)


def knowing(*values):
    redactor = Redactor()
    for number, value in enumerate(values):
        redactor.add(f"S{number}", value)
    return redactor


@given(SECRETS, st.binary(max_size=20), st.binary(max_size=20))
def test_it_is_found_in_bytes_and_in_any_base64_of_them(secret, before, after):
    assume(len(set(secret)) > 3)
    redactor = knowing(secret)
    data = before + secret.encode() + after
    codec = Codec(redact=redactor.stored)
    assert secret.encode() not in codec.decode(codec.encode({"b": data}))["b"]
    assert base64.b64encode(data).decode() != redactor.text(base64.b64encode(data).decode())
    assert base64.urlsafe_b64encode(data).decode() != redactor.text(base64.urlsafe_b64encode(data).decode())


@given(SECRETS)
def test_it_is_found_in_text_however_it_is_quoted(secret):
    assume(len(set(secret)) > 3)
    redactor = knowing(secret)
    for shown in (secret, json.dumps(secret), repr(secret), quote(secret), quote_plus(secret), quote(secret, safe="")):
        assert secret not in redactor.text(f"<{shown}>")
        assert "[redacted:S0]" in redactor.text(f"<{shown}>")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner) | st.sets(st.integers()),
    max_leaves=20,
)


@given(PLAIN)
def test_what_holds_no_secret_is_stored_as_it_is(value):
    codec, redacting = Codec(), Codec(redact=knowing("a secret that is nowhere 4711").stored)
    assert redacting.redacted(value) == (codec.encode(value), False)


@pytest.mark.parametrize(
    ("value", "secret", "left"),
    [
        (uuid.UUID(int=7), str(uuid.UUID(int=7)), "[redacted:S0]"),
        (date(2026, 1, 2), "2026-01-02", "[redacted:S0]"),
        (Decimal("47114711.5"), "47114711", "[redacted:S0].5"),
        (PurePosixPath("/x/hunter22/y"), "hunter22", "/x/[redacted:S0]/y"),
        (12345678, "12345678", "[redacted:S0]"),
        ("\ud800hunter22", "hunter22", "\ufffd[redacted:S0]"),
        (("hunter22",), "hunter22", ("[redacted:S0]",)),
        ({1: "hunter22"}, "hunter22", {1: "[redacted:S0]"}),
        ({"tuple": ("tuple",)}, "tuple", {"[redacted:S0]": ("[redacted:S0]",)}),
        (bytearray(b"a hunter22"), "hunter22", bytearray(b"a [redacted:S0]")),
    ],
)
def test_what_is_left_can_be_read_back(value, secret, left):
    codec = Codec(redact=knowing(secret).stored)
    assert codec.decode(codec.encode(value)) == left


def test_arguments_are_compared_as_they_are():
    """A step called before and after the secret was resolved has the same fingerprint."""
    assert Codec(redact=knowing("hunter22").stored).fingerprint(["hunter22"]) == Codec().fingerprint(["hunter22"])


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"Authorization": "Bearer x"}, {"Authorization": "[redacted:header]"}),
        ({"proxy-authorization": "x"}, {"proxy-authorization": "[redacted:header]"}),
        ({"SET-COOKIE": "a=b"}, {"SET-COOKIE": "[redacted:header]"}),
        ([("cookie", "a=b"), ("x", "y")], [("cookie", "[redacted:header]"), ("x", "y")]),
        ({"cookie": "chocolate chip"}, {"cookie": "chocolate chip"}),
        ({"authorization": True}, {"authorization": True}),
        ({"authorizations": "x"}, {"authorizations": "x"}),
    ],
)
def test_headers_that_tell_who_calls_are_never_stored(value, left):
    codec = Codec(redact=Redactor().stored)
    assert codec.decode(codec.encode(value)) == left


def test_a_header_line_in_a_message_is_cut():
    said = Redactor().text("sent Authorization: Bearer abc.def\nAccept: x, {'Cookie': 'a=b; c=d', 'x': 1}")
    assert said == "sent Authorization: [redacted:header]\nAccept: x, {'Cookie': '[redacted:header]', 'x': 1}"


def test_of_a_token_that_is_renewed_the_last_values_are_known():
    redactor = Redactor()
    for number in range(KEPT + 5):
        redactor.add("TOKEN", f"token-{number:04}")
    assert redactor.text("token-0000 token-0020") == "token-0000 [redacted:TOKEN]"


def test_the_longest_secret_counts():
    assert knowing("hunter22", "hunter2222").text("hunter2222") == "[redacted:S1]"


def test_the_filter_serves_loggers_of_the_user_too(caplog):
    redactor = knowing("hunter22")
    caplog.handler.addFilter(RedactingFilter())
    logger = logging.getLogger("app")
    logger.warning("no %s %d", "hunter22")  # noqa: PLE1206 - arguments that do not fit
    logger.warning("it is %s", {"k": "hunter22"}, stack_info=True)
    try:
        int("hunter22")
    except ValueError:
        logger.exception("failed")
    assert "hunter22" not in caplog.text.replace("redactor = knowing", "")
    assert caplog.text.count("[redacted:S0]") >= 3
    assert redactor.knows
