"""Races of real processes for one execution, one interrupt, one thread: one wins, and the others are told."""

from __future__ import annotations

from collections import Counter

import pytest
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from durable import Decision, Runtime
from durable.adapters.langgraph import durable_graph
from durable.errors import (
    AlreadyDecided,
    ExecutionBusy,
    ExecutionClosed,
)
from durable.run.close import close
from durable.run.drive import drive
from durable.run.open import open_segment
from tests.races.racers import paying, race, racing
from tests.world import intact, kinds, until

EIGHT = 8
CLAIMS = 6
ROUNDS = 12


@pytest.fixture
def url(database_url):
    """A migrated database to which nobody is connected."""
    Runtime(database_url).close()
    return database_url


class TestStart:
    def test_eight_that_start_the_same_execution_all_get_the_one_there_is(self, url):
        def start(runtime, meet):
            meet()
            return runtime.start("app", {"amount": 3}, id="same").id

        assert [ended.value for ended in race(url, *[start] * EIGHT)] == ["same"] * EIGHT
        with Runtime(url) as runtime:
            (execution,) = runtime.executions()
            assert (execution.id, execution.status) == ("same", "pending")
            assert kinds(runtime.get("same")) == ["started"]

    def test_of_eight_inputs_for_one_id_one_counts_and_the_others_conflict(self, url):
        def start(amount):
            def work(runtime, meet):
                meet()
                runtime.start("app", {"amount": amount}, id="same")
                return amount

            return work

        ended = race(url, *[start(amount) for amount in range(EIGHT)])
        assert Counter(one.error for one in ended) == {None: 1, "ExecutionConflict": EIGHT - 1}
        (winner,) = [one.value for one in ended if one.error is None]
        with Runtime(url) as runtime:
            assert [execution.input for execution in runtime.executions()] == [{"amount": winner}]
            assert kinds(runtime.get("same")) == ["started"]

    def test_of_eight_executions_on_one_thread_one_is_started(self, url):
        def start(number):
            def work(runtime, meet):
                meet()
                return runtime.start("app", {"amount": number}, id=f"e{number}", thread="t").id

            return work

        ended = race(url, *[start(number) for number in range(EIGHT)])
        assert Counter(one.error for one in ended) == {None: 1, "ThreadBusy": EIGHT - 1}
        with Runtime(url) as runtime:
            assert [execution.id for execution in runtime.executions()] == [one.value for one in ended if one.value]


class TestClaim:
    def test_each_epoch_has_one_winner_and_the_effect_happens_once(self, url, ledger):
        def claim(runtime, meet):
            paying(runtime, ledger)
            won = []
            for number in range(CLAIMS):
                meet()
                try:
                    segment = open_segment(runtime, "x", forced=True)
                except ExecutionBusy:
                    segment = None
                else:
                    won.append(segment.journal.epoch)
                meet()  # nobody lets go before all have tried
                if segment is None:
                    continue
                if number == CLAIMS - 1:
                    assert drive(runtime.app("app"), segment) is None
                else:
                    close(segment, None, KeyboardInterrupt())
            return won

        with Runtime(url) as runtime:
            runtime.start("app", {"amount": 3}, id="x")
        ended = race(url, *[claim] * EIGHT)
        assert [one.said for one in ended if one.error] == []
        assert sorted(epoch for one in ended for epoch in one.value) == list(range(1, CLAIMS + 1))
        assert ledger.lines() == ["pay 3"]
        with Runtime(url) as runtime:
            handle = runtime.get("x")
            claimed = [record.epoch for record in handle.history() if record.kind == "claimed"]
            assert claimed == list(range(1, CLAIMS + 1))
            assert handle.result(timeout=0) == "pay 3"
            intact(handle)

    def test_of_eight_that_drive_what_a_dead_process_left_one_does(self, url, ledger):
        def leave(runtime, _):
            runtime.start("app", {"amount": 3}, id="x")
            return open_segment(runtime, "x").journal.epoch

        def go_on(runtime, meet):
            paying(runtime, ledger)
            meet()
            return repr(runtime.drive(runtime.app("app"), "x"))

        (left,) = race(url, leave)
        assert left.value == 1
        ended = race(url, *[go_on] * EIGHT)
        assert {one.error for one in ended} <= {None, "ExecutionBusy"}
        assert {one.value for one in ended if one.error is None} == {"None"}
        assert ledger.lines() == ["pay 3"]
        with Runtime(url) as runtime:
            assert [record.epoch for record in runtime.get("x").history() if record.kind == "claimed"] == [1, 2]
            assert runtime.get("x").result(timeout=0) == "pay 3"
            intact(runtime.get("x"))

    def test_eight_workers_share_the_executions_of_a_queue_without_running_one_twice(self, url, ledger):
        def work(runtime, meet):
            paying(runtime, ledger)
            meet()
            return len(runtime.recover())

        with Runtime(url) as runtime:
            for number in range(2 * EIGHT):
                runtime.start("app", {"amount": number}, id=f"e{number}")
        ended = race(url, *[work] * EIGHT)
        assert [one.said for one in ended if one.error] == []
        assert sum(one.value for one in ended) >= 2 * EIGHT  # more where a worker was kept waiting beyond its lease
        assert sorted(ledger.lines()) == sorted(f"pay {number}" for number in range(2 * EIGHT))


class TestDecide:
    ANSWERS = (
        (Decision.approve(), ["pay 3"], "pay 3"),
        (Decision.edit({"amount": 4}), ["pay 4"], "pay 4"),
        (Decision.reject("too much"), [], "not paid: too much"),
        (Decision.respond("paid by hand"), [], "paid by hand"),
        (Decision.edit({"amount": 5}), ["pay 5"], "pay 5"),
        (Decision.reject("too late"), [], "not paid: too late"),
        (Decision.respond("forgotten"), [], "forgotten"),
        (Decision.approve(), ["pay 3"], "pay 3"),
    )

    def test_the_first_of_eight_answers_counts_and_the_tool_runs_as_it_says(self, url, ledger):
        with paying(Runtime(url), ledger, approval=True) as runtime:
            (asked,) = runtime.run("app", {"amount": 3}, id="x").interrupts

        def decide(number):
            def work(runtime, meet):
                meet()
                return runtime.decide(asked.id, self.ANSWERS[number][0], by=f"person {number}")

            return work

        ended = race(url, *[decide(number) for number in range(EIGHT)])
        assert Counter(one.error for one in ended) == {None: 1, "AlreadyDecided": EIGHT - 1}
        (winner,) = [one for one in ended if one.error is None]
        assert winner.value is True
        assert ledger.lines() == []
        _, effects, output = self.ANSWERS[winner.number]
        with paying(Runtime(url), ledger, approval=True) as runtime:
            assert runtime.interrupt(asked.id).decided_by == f"person {winner.number}"
            assert runtime.get("x").status == "pending"
            assert runtime.run("app", {"amount": 3}, id="x").output == output
            intact(runtime.get("x"))
        assert ledger.lines() == effects

    def test_approval_and_cancellation_at_once_end_in_one_visible_state(self, url, ledger):
        ids = [f"e{number}" for number in range(ROUNDS)]

        def approve(runtime, meet):
            paying(runtime, ledger, approval=True)
            came = {}
            for place, name in enumerate(ids):
                meet()
                try:
                    runtime.decide(asked[name], Decision.approve(), by="alice")
                    came[name] = "approved"
                    if place % 2:  # else it is left to be recovered
                        runtime.drive(runtime.app("app"), name)
                except (AlreadyDecided, ExecutionBusy) as exc:
                    came.setdefault(name, type(exc).__name__)
            return came

        def cancel(runtime, meet):
            came = {}
            for place, name in enumerate(ids):
                meet()
                for _ in range(4 * (place % 6)):  # it comes at another moment each time
                    runtime.get(name)
                try:
                    runtime.get(name).cancel("no longer wanted")
                    came[name] = "asked to end"
                except ExecutionClosed:
                    came[name] = "ended"
            return came

        with paying(Runtime(url), ledger, approval=True) as runtime:
            asked = {
                name: runtime.run("app", {"amount": place}, id=name).interrupts[0].id for place, name in enumerate(ids)
            }
        approved, cancelled = race(url, approve, cancel)
        assert (approved.said, cancelled.said) == ("", "")
        with paying(Runtime(url), ledger, approval=True) as runtime:
            runtime.recover()
            for place, name in enumerate(ids):
                handle, paid = runtime.get(name), ledger.lines().count(f"pay {place}")
                assert paid == kinds(handle).count("step_done")
                assert handle.status == ("succeeded" if paid else "cancelled")
                if not paid:
                    assert cancelled.value[name] == "asked to end"
                else:
                    assert approved.value[name] == "approved"
                assert [one.status for one in handle.interrupts()] == ["consumed" if paid else "cancelled"]
                intact(handle)


class State(TypedDict):
    said: str


class TestThread:
    @staticmethod
    def graph(runtime, ledger, go):
        def answer(state):
            ledger.did(state["said"])
            until(go.exists, seconds=60)
            return {"said": f"{state['said']}, answered"}

        builder = StateGraph(State)
        builder.add_node("answer", answer)
        builder.add_edge(START, "answer")
        builder.add_edge("answer", END)
        return durable_graph(builder.compile(), runtime, name="chat")

    @pytest.mark.parametrize("execution_id", [None, "same"])
    @pytest.mark.parametrize("words", [("hello", "hello"), ("hello", "good morning")], ids=["same", "other"])
    def test_of_two_processes_that_invoke_one_thread_one_runs_and_the_other_is_told(
        self, url, ledger, tmp_path, words, execution_id
    ):
        go = tmp_path / "go"
        named = {} if execution_id is None else {"execution_id": execution_id}

        def invoke(said):
            def work(runtime, meet):
                graph = self.graph(runtime, ledger, go)
                meet()
                return graph.invoke({"said": said}, {"configurable": {"thread_id": "t"}}, **named)["said"]

            return work

        with racing(url, *[invoke(said) for said in words]) as racers:
            loser = racers.hear()
            go.touch()
            winner = racers.hear()
        refusals = {"ThreadBusy", "ExecutionBusy"} if words[0] == words[1] or not named else {"ExecutionConflict"}
        assert loser.error in refusals
        assert winner.value == f"{words[winner.number]}, answered", winner.said
        assert ledger.lines() == [words[winner.number]]
        with Runtime(url) as runtime:
            (execution,) = runtime.executions()
            assert execution.status == "succeeded"
            assert kinds(runtime.get(execution.id)).count("claimed") == 1
            assert self.graph(runtime, ledger, go).get_state({"configurable": {"thread_id": "t"}}).values == {
                "said": winner.value
            }
            intact(runtime.get(execution.id))
