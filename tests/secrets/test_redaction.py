"""The redactor by itself: each look of a secret, nothing but the secret, and values that can still be read back."""

from __future__ import annotations

import base64
import json
import logging
import traceback
import uuid
from datetime import date
from decimal import Decimal
from pathlib import PurePosixPath
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from durable import Runtime
from durable.checkpoint.codec.codec import Codec
from durable.secrets.logs import RedactingFilter
from durable.secrets.redaction import KEPT, Redactor
from durable.secrets.scrubbing import scrubbed

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
    assume(len(set(secret)) > 3 and secret not in "[redacted:S0]")
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


class Closed(Exception):
    """Its text tells what it was made of, and nothing of it can be set."""

    def __init__(self, told):
        super().__init__()
        object.__setattr__(self, "told", [told])

    def __setattr__(self, name, value):
        raise AttributeError(name)

    def __str__(self):
        return f"closed: {self.told[0]}"


class Text(Closed):
    __repr__ = Closed.__str__


class Unreadable(Exception):
    """Nobody can say what it tells: it does when it is asked again."""

    asked = 0

    def __str__(self):
        type(self).asked += 1
        if self.asked % 2:
            raise ValueError("not now")
        return "hunter22"


class Elsewhere(Exception):
    """A traceback of it leads where it says."""

    @property
    def __cause__(self):
        return Closed("hunter22")


class Stopped(KeyboardInterrupt):
    def __str__(self):
        return "hunter22"


def raised(error, *, cause=None, context=None):
    try:
        try:
            if context is not None:
                raise context
        finally:
            if cause is not None:
                raise error from cause
            raise error
    except BaseException as exc:
        return exc


def circle():
    one, other = ValueError("hunter22"), Closed("hunter22")
    BaseException.__setattr__(other, "__context__", one)
    one.__context__ = other
    return one


@pytest.mark.parametrize(
    "error",
    [
        Closed("hunter22"),
        raised(ValueError("outer"), cause=Closed("hunter22")),
        raised(ValueError("outer"), context=Closed("hunter22")),
        raised(ValueError("outer"), cause=raised(KeyError("inner"), context=Closed("hunter22"))),
        ExceptionGroup("some", [ValueError("one"), ExceptionGroup("inner", [Closed("hunter22"), OSError("two")])]),
        ExceptionGroup("some hunter22", [raised(ValueError("one"), cause=Closed("hunter22"))]),
        BaseExceptionGroup("some", [Stopped()]),
        raised(ValueError("outer"), cause=Unreadable()),
        raised(ValueError("outer"), cause=Elsewhere()),
        ValueError("args", Text("hunter22"), [Text("hunter22")]),
        Stopped(),
        raised(ValueError("outer"), cause=OSError(2, "no such file", "/run/hunter22")),
        SyntaxError("bad", ("file", 1, 1, "key = hunter22")),
        circle(),
    ],
    ids=lambda error: f"{error!r:.60}".replace("hunter22", "..."),
)
def test_no_traceback_leads_to_an_error_that_tells_it(error):
    """An exception whose args cannot be set, as itself, as cause, as context, in a group: it is replaced."""
    assert "hunter22" in shown(error) + shown(error)  # the control
    clean = scrubbed(knowing("hunter22"), error)
    assert "hunter22" not in shown(clean) + shown(clean)
    assert isinstance(clean, KeyboardInterrupt) is isinstance(error, KeyboardInterrupt)
    if not isinstance(error, (Closed, Stopped, SyntaxError)):
        assert str(error).partition(" ")[0].replace("hunter22", "") in shown(clean)  # the rest is said


def shown(error):
    return "".join(traceback.format_exception(error))


def test_an_error_that_tells_nothing_stays_what_it_is():
    cause = Closed("nothing")
    error = raised(ValueError("outer"), cause=cause, context=KeyError("k"))
    error.add_note("a note")
    assert scrubbed(knowing("hunter22"), error) is error
    assert (error.__cause__, error.__suppress_context__, type(error.__context__)) == (cause, True, KeyError)
    told = ExceptionGroup("some", [raised(OSError("x hunter22"), context=ValueError("hunter22"))])
    assert scrubbed(knowing("hunter22"), told) is told  # cleaned in place
    assert "x [redacted:S0]" in shown(told)
    assert "hunter22" not in shown(told)


def test_a_block_does_not_lead_to_the_error_that_was_replaced(sqlite_url):
    with Runtime(sqlite_url) as runtime:
        runtime.secrets.redactor.add("S0", "hunter22")
        with pytest.raises(RuntimeError) as caught, runtime.execution("x"):
            raise Closed("hunter22")
    assert "hunter22" not in "".join(traceback.format_exception(caught.value)).replace('raise Closed("hunter22")', "")
