"""Executions from outside: started, cancelled, superseded, retried, found by another process, waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import event, text

from durable import Decision, Runtime, Suspended, ask, current, sleep, step, tool, wait_signal
from durable.checkpoint.database import Database
from durable.errors import (
    DatabaseUnavailable,
    ExecutionBusy,
    ExecutionCancelled,
    ExecutionClosed,
    ExecutionFailed,
    ExecutionNotFound,
    JournalCorrupt,
    ThreadBusy,
)
from tests.world import DAY, HOUR, Died, crashed, intact, kinds, until


def waiting(runtime, name="app"):
    """A function that waits for a signal."""

    @runtime.function(name)
    def app(n=0):
        return [n, wait_signal("go")]

    return runtime


class TestCancel:
    def test_a_waiting_execution_ends_at_once_with_its_questions(self, runtime):
        @runtime.function("app")
        def app():
            return ask("go?")

        (question,) = runtime.run("app", id="a").interrupts
        runtime.get("a").cancel("changed our mind")
        assert runtime.get("a").status == "cancelled"
        assert runtime.interrupt(question.id).status == "cancelled"
        with pytest.raises(ExecutionCancelled, match="changed our mind"):
            runtime.get("a").result()
        runtime.get("a").cancel("again")
        assert runtime.get("a").history()[-1].payload["reason"] == "changed our mind"
        intact(runtime.get("a"))

    def test_one_that_nobody_has_claimed_ends_at_once_also_where_its_app_is_unknown(self, world, runtime):
        waiting(runtime).start("app", id="a")
        world.process().get("a").cancel()
        assert runtime.get("a").status == "cancelled"
        assert runtime.recover() == []

    def test_a_running_one_starts_no_further_step(self, world, runtime, flavour):
        def first():
            runtime.get("a").cancel("stop")
            return world.did("first")

        cancelling, second = flavour.fn(first), flavour.fn(lambda: world.did("second"))

        def app():
            yield lambda: step(cancelling)
            yield lambda: step(second)

        flavour.app(runtime, "app", app)
        assert runtime.run("app", id="a").status == "cancelled"
        assert world.effects == ["first"]
        assert kinds(runtime.get("a"))[-2:] == ["step_done", "cancelled"]

    def test_one_that_runs_elsewhere_ends_when_its_owner_renews(self, world, runtime):
        other = world.process()

        @runtime.function("app")
        def app():
            step(lambda: other.get("a").cancel("stop"))
            runtime.leases.renew()
            step(world.did, "second")

        assert runtime.run("app", id="a").status == "cancelled"
        assert world.effects == []

    @pytest.mark.parametrize("end", ["succeeded", "failed"])
    def test_one_that_has_ended_cannot_be_cancelled(self, runtime, end):
        @runtime.function("app")
        def app():
            if end == "failed":
                raise ValueError

        runtime.run("app", id="a")
        with pytest.raises(ExecutionClosed, match=end):
            runtime.get("a").cancel()
        assert runtime.get("a").status == end

    def test_cancelling_while_a_step_suspends_is_not_lost(self, runtime, flavour):
        def app():
            yield lambda: step(flavour.fn(lambda: runtime.get("a").cancel("stop")))
            yield lambda: wait_signal("go")

        flavour.app(runtime, "app", app)
        assert runtime.run("app", id="a").status == "cancelled"


class TestThreads:
    def test_a_thread_has_one_open_execution(self, runtime):
        waiting(runtime)
        runtime.start("app", {"n": 1}, id="a", thread="t")
        with pytest.raises(ThreadBusy, match="'a'.*pending"):
            runtime.start("app", {"n": 2}, id="b", thread="t")
        assert runtime.executions(thread="t") == [runtime.get("a").execution()]
        runtime.get("a").cancel()
        assert runtime.start("app", {"n": 2}, id="b", thread="t").status == "pending"

    def test_new_input_supersedes_one_that_waits(self, runtime):
        @runtime.function("app")
        def app(n):
            return ask(f"{n}?")

        (question,) = runtime.run("app", {"n": 1}, id="a", thread="t").interrupts
        assert runtime.run("app", {"n": 2}, id="b", thread="t").status == "suspended"
        assert runtime.get("a").status == "cancelled"
        assert runtime.interrupt(question.id).status == "cancelled"
        with pytest.raises(ExecutionCancelled, match="superseded by execution 'b'"):
            runtime.get("a").result()

    def test_or_is_refused_where_that_was_asked_for(self, runtime):
        waiting(runtime).run("app", {"n": 1}, id="a", thread="t")
        with pytest.raises(ThreadBusy):
            runtime.start("app", {"n": 2}, id="b", thread="t", on_suspended="refuse")
        assert runtime.get("a").status == "suspended"

    def test_the_same_id_is_the_same_execution_and_supersedes_nothing(self, runtime):
        waiting(runtime).run("app", {"n": 1}, id="a", thread="t")
        assert runtime.run("app", {"n": 1}, id="a", thread="t").status == "suspended"

    def test_threads_of_other_apps_and_namespaces_are_others(self, world, runtime):
        waiting(runtime).run("app", id="a", thread="t")
        waiting(runtime, "other").run("other", id="b", thread="t")
        elsewhere = waiting(world.process(namespace="elsewhere"))
        assert elsewhere.run("app", id="c", thread="t").status == "suspended"
        assert runtime.get("a").status == "suspended"
        with pytest.raises(ExecutionNotFound):
            elsewhere.get("a")


class TestDeadline:
    def test_past_it_no_step_starts(self, world, flavour):
        def define(runtime):
            act = flavour.fn(lambda n: world.did(n))

            def app():
                yield lambda: step(act, 1)
                if len(world.alive) == 1:
                    world.die()
                yield lambda: step(act, 2)

            flavour.app(runtime, "app", app)
            return runtime

        crashed(lambda: define(world.process()).run("app", id="a", deadline=HOUR))
        result = define(world.process(later=HOUR + 1)).run("app", id="a")
        assert (result.status, result.error["type"]) == ("failed", "DeadlineExceeded")
        assert world.effects == [1]

    def test_one_that_waits_is_ended_by_it(self, world):
        waiting(world.process()).run("app", id="a", deadline=HOUR)
        later = waiting(world.process(later=HOUR + 1))
        assert later.recover()[0].error["type"] == "DeadlineExceeded"

    def test_a_step_gets_no_more_time_than_the_execution_has(self, runtime, flavour):
        gate = threading.Event()
        if flavour.is_async:

            @tool(effect="read")
            async def act():
                await asyncio.sleep(30)
        else:

            @tool(effect="read")
            def act():
                gate.wait(30)

        def app():
            yield act

        flavour.app(runtime, "app", app)
        result = runtime.run("app", id="a", deadline=0.4)
        gate.set()
        assert result.status == "failed"
        assert result.error["type"] in {"StepTimeout", "DeadlineExceeded"}


class TestRetry:
    def test_one_that_failed_goes_on_from_its_last_finished_step(self, world, flavour):
        def define(runtime):
            act = flavour.fn(lambda n: world.did(n))

            def app():
                yield lambda: step(act, 1)
                if len(world.alive) == 1:
                    raise ValueError("a bug of the app's own")
                return (yield lambda: step(act, 2))

            flavour.app(runtime, "app", app)
            return runtime

        first = define(world.process())
        with pytest.raises(ExecutionFailed):
            first.run("app", id="a")
            first.get("a").result()
        first.get("a").retry()
        assert first.get("a").status == "pending"
        assert define(world.process()).recover()[0].output == 2
        assert world.effects == [1, 2]

    def test_only_what_failed_died_or_waits_can_be_retried(self, runtime):
        @runtime.function("app")
        def app():
            return 1

        runtime.run("app", id="a")
        with pytest.raises(ExecutionClosed, match="succeeded"):
            runtime.get("a").retry()
        runtime.start("app", id="b").cancel()
        with pytest.raises(ExecutionClosed, match="cancelled"):
            runtime.get("b").retry()

    def test_not_while_its_thread_has_another_one(self, runtime):
        @runtime.function("app")
        def app(n):
            if n == 1:
                raise ValueError
            wait_signal("go")

        runtime.run("app", {"n": 1}, id="a", thread="t")
        runtime.run("app", {"n": 2}, id="b", thread="t")
        with pytest.raises(ThreadBusy):
            runtime.get("a").retry()
        assert runtime.get("a").status == "failed"

    def test_a_flag_to_cancel_that_came_too_late_does_not_end_the_retry(self, world, runtime):
        other = world.process()

        def act():
            if not world.effects:
                world.did("cancel")
                other.get("a").cancel("too late")
                raise ValueError("no")
            return world.did("done")

        @runtime.function("app")
        def app():
            return step(act)

        assert runtime.run("app", id="a").status == "failed"
        runtime.get("a").retry()
        assert runtime.run("app", id="a").output == "done"


class TestCrashes:
    def test_a_poisonous_execution_is_given_up_and_the_others_go_on(self, world):
        def define(runtime):
            @runtime.function("poison")
            def poison():
                world.die()

            @runtime.function("good")
            def good():
                return "good"

            return runtime

        first = define(world.process(max_attempts=3))
        first.start("poison", id="p", priority=1)
        first.start("good", id="g")
        for _ in range(3):
            crashed(lambda: define(world.process(max_attempts=3, later=60)).recover())
        last = define(world.process(max_attempts=3, later=60))
        assert {result.id: result.status for result in last.recover()} == {"p": "dead", "g": "succeeded"}
        with pytest.raises(ExecutionFailed, match="crashed 3 times"):
            last.get("p").result()
        intact(last.get("p"))

    def test_one_that_is_dead_may_be_retried_and_its_attempts_are_counted_anew(self, world):
        def define(runtime):
            @runtime.function("app")
            def app():
                if len(world.alive) < 4:
                    world.die()
                return "alive"

            return runtime

        for _ in range(3):
            crashed(lambda: define(world.process(max_attempts=2, later=60)).run("app", id="a") and None or world.die())
        last = define(world.process(max_attempts=2, later=60))
        assert last.get("a").status == "dead"
        last.get("a").retry()
        assert last.run("app", id="a").output == "alive"

    def test_an_owner_of_this_machine_that_is_gone_is_not_waited_for(self, world, runtime):
        waiting(runtime).start("app", id="a")
        with runtime.database.write() as connection:
            gone = runtime.leases.owner.name.split(":")
            gone[1:3] = "4194304", "1"
            connection.execute(
                text("UPDATE executions SET status='running', lease_owner=:o, lease_expires_at=:e"),
                {"o": ":".join(gone), "e": runtime.database.clock() + DAY},
            )
        assert runtime.recover()[0].status == "suspended"

    def test_one_of_another_machine_is_waited_for_until_its_lease_is_over(self, world, runtime):
        waiting(runtime).start("app", id="a")
        with runtime.database.write() as connection:
            connection.execute(
                text("UPDATE executions SET status='running', lease_owner='x:1:1:elsewhere:y', lease_expires_at=:e"),
                {"e": runtime.database.clock() + 60},
            )
        assert runtime.recover() == []
        with pytest.raises(ExecutionBusy, match="x:1:1:elsewhere:y"):
            runtime.run("app", id="a")
        assert waiting(world.process(later=61)).recover()[0].status == "suspended"

    def test_keyboard_interrupt_gives_the_execution_back_and_is_raised(self, world, runtime):
        @runtime.function("app")
        def app():
            if len(world.effects) < 2:
                world.did("interrupted")
                raise KeyboardInterrupt
            return "done"

        with pytest.raises(KeyboardInterrupt):
            runtime.run("app", id="a")
        assert (runtime.get("a").status, runtime.get("a").execution().attempts) == ("pending", 0)
        with pytest.raises(KeyboardInterrupt):
            runtime.recover()
        assert runtime.recover()[0].output == "done"

    def test_what_only_the_database_keeps_from_finishing_is_raised_and_goes_on_later(self, world, runtime):
        @runtime.function("app")
        def app():
            value = step(lambda: "x" * 100_000)
            wait_signal("go")
            return len(value)

        runtime.run("app", id="a")
        runtime.get("a").signal("go")
        with runtime.database.write() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT * FROM blobs"))
            connection.execute(text("DELETE FROM blobs"))
        with pytest.raises(JournalCorrupt, match="missing"):
            runtime.run("app", id="a")
        assert runtime.get("a").status == "pending"
        with runtime.database.write() as connection:
            connection.execute(text("INSERT INTO blobs SELECT * FROM kept"))
        assert runtime.run("app", id="a").output == 100_000

    def test_a_swallowed_suspension_still_suspends(self, runtime):
        @runtime.function("app")
        def app():
            try:
                ask("go?")
            except BaseException:
                return "went on"

        assert runtime.run("app", id="a").status == "suspended"

    def test_an_except_exception_of_the_users_own_swallows_no_suspension(self, runtime):
        @runtime.function("app")
        def app():
            try:
                return ask("go?")
            except Exception:
                return "went on"

        assert runtime.run("app", id="a").status == "suspended"
        assert not issubclass(Suspended, Exception)


class TestHandles:
    def test_a_result_is_waited_for_while_another_thread_drives(self, runtime):
        waiting(runtime)
        runtime.start("app", {"n": 1}, id="a").signal("go", 2)
        thread = threading.Thread(target=runtime.recover)
        thread.start()
        assert runtime.get("a").result(timeout=30) == [1, 2]
        thread.join()

    def test_a_result_that_does_not_come_in_time_is_a_timeout_error(self, runtime):
        with pytest.raises(TimeoutError, match="pending after 0.1 s"):
            waiting(runtime).start("app", id="a").result(timeout=0.1)

    def test_the_events_behind_an_offset_are_a_stream(self, runtime):
        waiting(runtime).run("app", id="a")
        events = runtime.get("a").events()
        assert runtime.get("a").events(after=2) == events[2:]
        assert runtime.get("a").events(after=99) == []

    def test_what_is_not_there_is_said_so(self, runtime):
        with pytest.raises(ExecutionNotFound, match="durable list"):
            runtime.get("nothing")

    def test_executions_are_found_by_what_they_have(self, runtime):
        waiting(runtime)
        waiting(runtime, "other")
        runtime.start("app", id="a", tags={"env": "prod", "team": "x"})
        runtime.start("app", id="b", tags={"env": "PROD"}, thread="t")
        runtime.run("other", id="c", tags={"env": "prod_"})

        def ids(**filters):
            return [execution.id for execution in runtime.executions(**filters)]

        assert ids() == ["c", "b", "a"]
        assert ids(tags={"env": "prod"}) == ["a"]
        assert ids(tags={"env": "prod", "team": "x"}) == ["a"]
        assert ids(tags={"env": "%"}) == []
        assert ids(status="suspended") == ["c"]
        assert ids(status=["suspended", "pending"], app="app") == ["b", "a"]
        assert ids(thread="t") == ["b"]
        assert ids(before=runtime.get("b").execution().created_at) == ["a"]
        assert ids(limit=1) == ["c"]

    def test_priority_and_age_decide_the_order_and_run_after_the_earliest_time(self, world):
        order = []

        def define(runtime):
            @runtime.function("app")
            def app():
                order.append(current().execution_id)

            return runtime

        runtime = define(world.process())
        runtime.start("app", id="old")
        runtime.start("app", id="new")
        runtime.start("app", id="urgent", priority=5)
        runtime.start("app", id="later", run_after=HOUR)
        runtime.recover()
        assert order == ["urgent", "old", "new"]
        define(world.process(later=HOUR + 1)).recover()
        assert order[-1] == "later"


class TestWorkers:
    def drain(self, runtime, worker, stopping):
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            stopping()
        finally:
            worker.stop()
            thread.join(30)
        assert not thread.is_alive()

    def test_a_worker_runs_what_comes_and_what_wakes_up(self, runtime):
        waiting(runtime)

        def work():
            handles = [runtime.start("app", {"n": n}) for n in range(5)]
            for n, handle in enumerate(handles):
                until(lambda handle=handle: handle.status == "suspended")
                handle.signal("go", n)
            assert [handle.result(timeout=30) for handle in handles] == [[n, n] for n in range(5)]

        self.drain(runtime, runtime.worker(poll=0.02), work)

    def test_a_worker_takes_only_its_queues_and_its_apps(self, world, runtime):
        waiting(world.process()).start("app", id="other-queue", queue="slow")
        waiting(world.alive[-1], "unknown").start("unknown", id="other-app")
        waiting(runtime).start("app", id="mine")
        self.drain(runtime, runtime.worker(poll=0.02), lambda: until(lambda: runtime.get("mine").status == "suspended"))
        assert runtime.get("other-queue").status == "pending"
        assert runtime.get("other-app").status == "pending"

    @pytest.mark.parametrize("concurrency", [1, 4])
    def test_a_worker_that_drains_lets_its_step_end_and_gives_the_execution_back(self, world, flavour, concurrency):
        runtime = world.process()
        begun, go_on = threading.Event(), threading.Event()

        def act(n):
            begun.set()
            go_on.wait(20)
            return world.did(n)

        async def act_async(n):
            begun.set()
            while not go_on.is_set():
                await asyncio.sleep(0.005)
            return world.did(n)

        acting = act_async if flavour.is_async else act

        def app():
            yield lambda: step(acting, 1)
            return (yield lambda: step(acting, 2))

        flavour.app(runtime, "app", app)
        runtime.start("app", id="a")
        worker = runtime.worker(concurrency=concurrency, poll=0.02)
        thread = threading.Thread(target=worker.run)
        thread.start()
        begun.wait(20)
        (segment,) = runtime.leases.held()
        worker.stop()
        until(lambda: segment.draining)
        go_on.set()
        thread.join(30)
        assert not thread.is_alive()
        assert world.effects == [1]
        execution = runtime.get("a").execution()
        assert (execution.status, execution.lease_owner, execution.attempts) == ("pending", None, 0)
        assert runtime.recover()[0].output == 2
        assert world.effects == [1, 2]

    def test_a_worker_that_drains_leaves_alone_what_others_of_its_process_drive(self, world, runtime):
        waiting(runtime)
        worker = runtime.worker(poll=0.02)

        @runtime.function("foreground")
        def foreground():
            self.drain(runtime, worker, lambda: until(lambda: runtime.start("app", id="x").status == "suspended"))
            return step(world.did, "done")

        assert runtime.run("foreground", id="f").output == "done"

    def test_a_worker_outlives_an_execution_that_breaks(self, world, runtime):
        @runtime.function("breaks")
        def breaks():
            raise Died

        waiting(runtime)
        runtime.start("breaks", id="b")

        def work():
            until(lambda: runtime.get("b").status == "failed")
            runtime.start("app", id="a")
            until(lambda: runtime.get("a").status == "suspended")

        self.drain(runtime, runtime.worker(concurrency=1, poll=0.02), work)

    def test_idle_workers_ask_once_a_poll_and_renewals_come_once_a_third_of_the_lease(self, world, runtime):
        statements = []
        waiting(runtime)
        gate = threading.Event()

        @runtime.function("long")
        def long():
            gate.wait(30)

        runtime.start("long", id="l")

        def work():
            until(lambda: runtime.get("l").status == "running")
            event.listen(runtime.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
            for n in range(20):
                runtime.start("app", id=f"a{n}")
            until(lambda: not runtime.executions(status="pending"))
            gate.set()

        self.drain(runtime, runtime.worker(poll=0.05), work)
        renewals = [s for s in statements if s.startswith("UPDATE executions SET lease_expires_at")]
        assert renewals == []


class TestUnavailable:
    def test_a_database_that_cannot_be_reached_is_named(self, tmp_path):
        with pytest.raises(DatabaseUnavailable, match="nowhere"):
            Runtime(f"sqlite:///{tmp_path}/nowhere/durable.db")

    def test_an_own_database_object_is_used_as_it_is(self, database_url):
        database = Database(database_url, clock_offset=DAY)
        with Runtime(database=database) as runtime:

            @runtime.function("app")
            def app():
                sleep(1)

            runtime.run("app", id="a")
            assert runtime.get("a").execution().created_at == pytest.approx(database.clock(), abs=5)

    def test_a_decision_survives_everything_in_between(self, world):
        @world.process().function("app")
        def app():
            return ask("go?")

        (question,) = world.alive[0].run("app", id="a").interrupts
        world.process(later=DAY).decide(question.id, Decision.respond("yes"), by="alice")
        later = world.process(later=30 * DAY)
        later.function("app")(app)
        assert later.recover()[0].output == "yes"
