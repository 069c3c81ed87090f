"""Why a segment ends: the first line of the table that is true of it, whatever its code raised."""

from __future__ import annotations

import asyncio

import pytest

from durable.errors import Cancelled, LeaseLost, StorageError, Suspended
from durable.live.ending import PRECEDENCE, Ending, Left, ending_of, meant_by
from durable.run import close

LOST, DOWN, GONE, STOP = LeaseLost("e", 1), StorageError("down"), Cancelled("no"), KeyboardInterrupt()


@pytest.mark.parametrize(
    ("left", "ending"),
    [
        (Left(None), Ending.SUCCEEDED),
        (Left(ValueError()), Ending.FAILED),
        (Left(None, is_poisoned=True), Ending.DEAD),
        (Left(ValueError(), is_poisoned=True), Ending.FAILED),
        (Left(LOST, is_undone=True), Ending.UNDOING),
        (Left(LOST, waits=True, is_draining=True), Ending.OVERTAKEN),
        (Left(Suspended(), waits=True), Ending.WAITING),
        (Left(None, waits=True), Ending.WAITING),
        (Left(Suspended(), is_abandoned=True), Ending.WAITING),
        (Left(Suspended(), waits=True, is_draining=True), Ending.DRAINED),
        (Left(Suspended()), Ending.WAITING_FOR_NOTHING),
        (Left(GONE, waits=True, is_abandoned=True), Ending.CANCELLED),
        (Left(STOP, is_abandoned=True), Ending.ABANDONED),
        (Left(STOP, waits=True), Ending.GIVEN_BACK),
        (Left(asyncio.CancelledError()), Ending.GIVEN_BACK),
        (Left(DOWN, waits=True), Ending.CUT_OFF),
    ],
)
def test_a_segment_ends_as_the_first_line_that_is_true_of_it(left, ending):
    assert ending_of(left) is ending


def test_every_ending_has_its_place_and_is_written_down():
    assert [ending for ending, _ in PRECEDENCE] == list(Ending)
    assert set(close._WRITTEN) == set(Ending)


@pytest.mark.parametrize(
    ("errors", "meant"),
    [
        ((ValueError("a"), LOST), LOST),
        ((GONE, DOWN), DOWN),
        ((Suspended(), asyncio.CancelledError()), Suspended),
        ((Suspended(), ValueError("a")), ValueError),
        ((BaseExceptionGroup("inner", [GONE]), ValueError("a")), GONE),
    ],
)
def test_a_group_says_what_counts_most_in_it(errors, meant):
    found = meant_by(BaseExceptionGroup("all", list(errors)))
    assert found is meant or isinstance(found, meant if isinstance(meant, type) else ())
