"""How long a failed step waits for its next attempt, and when there is none."""

from __future__ import annotations

from email.message import Message
from email.utils import formatdate
from types import SimpleNamespace
from urllib.error import HTTPError

import httpx
import openai
import pytest

from durable import Retry, ToolPolicy
from durable.declare.retry import NO_RETRY, expired_token, retry_after, status_of
from durable.errors import InvalidConfiguration
from durable.openapi.errors import ApiBusy

NOW = 1_700_000_000.0


def delay(retry, attempt, error=None):
    return retry.delay(attempt, error or ValueError(), key="k", now=NOW)


def test_waits_grow_by_the_factor_up_to_the_maximum():
    retry = Retry(attempts=9, initial=1, factor=3, maximum=20, jitter=0)
    assert [delay(retry, n) for n in range(1, 6)] == [1, 3, 9, 20, 20]


def test_after_the_last_attempt_there_is_none():
    assert delay(Retry(attempts=3), 2) is not None
    assert delay(Retry(attempts=3), 3) is None
    assert delay(NO_RETRY, 1) is None


def test_jitter_spreads_by_its_fraction_and_is_the_same_for_the_same_attempt():
    retry = Retry(attempts=100, initial=10, factor=1, jitter=0.5)
    waits = [delay(retry, n) for n in range(1, 99)]
    assert waits == [delay(retry, n) for n in range(1, 99)]
    assert 7.5 <= min(waits) < 8.5
    assert 11.5 < max(waits) <= 12.5


def test_thousands_of_attempts_wait_the_maximum():
    assert delay(Retry(attempts=10_000, maximum=60, jitter=0), 5000) == 60


@pytest.mark.parametrize(
    ("options", "error", "again"),
    [
        ({"on": (OSError,)}, ConnectionError(), True),
        ({"on": (OSError,)}, ValueError(), False),
        ({"never": (KeyError,)}, KeyError(), False),
        ({"on": (LookupError,), "never": (KeyError,)}, IndexError(), True),
        ({"on": (LookupError,), "never": (KeyError,)}, KeyError(), False),
        ({}, KeyboardInterrupt(), False),
    ],
)
def test_only_errors_worth_it_are_tried_again(options, error, again):
    assert (delay(Retry(**options), 1, error) is not None) is again


def answered(**headers):
    return SimpleNamespace(response=SimpleNamespace(headers=headers))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (SimpleNamespace(retry_after=7), 7),
        (SimpleNamespace(retry_after="7.5"), 7.5),
        (SimpleNamespace(retry_after=-3), 0),
        (answered(**{"retry-after": "120"}), 120),
        (answered(**{"Retry-After": "120"}), 120),
        (answered(**{"Retry-After": formatdate(NOW + 30, usegmt=True)}), 30),
        (answered(**{"Retry-After": formatdate(NOW - 30, usegmt=True)}), 0),
        (answered(**{"Retry-After": "soon"}), None),
        (answered(**{"Retry-After": "inf"}), None),
        (answered(**{"Retry-After": "nan"}), None),
        (answered(), None),
        (SimpleNamespace(response=None), None),
        (SimpleNamespace(headers={"Retry-After": "9"}), 9),
        (answered(**{"retry-after-ms": "250", "retry-after": "1"}), 0.25),
        (answered(**{"retry-after-ms": "soon", "retry-after": "1"}), 1),
        (ValueError(), None),
    ],
)
def test_what_the_other_side_asked_for_is_obeyed_if_it_can_be_read(error, seconds):
    assert retry_after(error, now=NOW) == seconds


def real_errors():
    """429 with a header, as the libraries raise it."""
    request = httpx.Request("POST", "https://api.example.com/v1")
    answer = httpx.Response(429, headers={"Retry-After": "11"}, request=request)
    yield httpx.HTTPStatusError("busy", request=request, response=answer)
    yield openai.RateLimitError("busy", response=answer, body=None)
    headers = Message()
    headers["Retry-After"] = "11"
    yield HTTPError("https://api.example.com/v1", 429, "busy", headers, None)


@pytest.mark.parametrize("error", list(real_errors()), ids=lambda error: type(error).__module__)
def test_errors_of_real_libraries_are_read(error):
    assert retry_after(error, now=NOW) == 11
    assert status_of(error) == 429
    assert not expired_token(error)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError(), None),
        (OSError(5, "x"), None),
        (SimpleNamespace(code="rate_limit"), None),
        (ApiBusy("x", 503), 503),
    ],
)
def test_what_is_no_status_is_none(error, status):
    assert status_of(error) == status


def test_it_is_obeyed_instead_of_the_wait_but_not_instead_of_the_number_of_attempts():
    error = OSError()
    error.retry_after = 500
    assert delay(Retry(attempts=2, maximum=1), 1, error) == 500
    assert delay(Retry(attempts=2, maximum=1), 2, error) is None


@pytest.mark.parametrize("options", [{"attempts": 0}, {"initial": -1}, {"maximum": -1}, {"factor": 0.5}])
def test_impossible_rules_are_refused(options):
    with pytest.raises(InvalidConfiguration):
        Retry(**options)


@pytest.mark.parametrize("options", [{"effect": "twice"}, {"timeout": 0}, {"timeout": -1}])
def test_impossible_policies_are_refused(options):
    with pytest.raises(InvalidConfiguration):
        ToolPolicy(**options)
