"""What a tool says of its effect decides what happens when a crash leaves its outcome unknown."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from durable import Decision, Done, NotDone, Unknown, current, tool
from durable.errors import ExecutionCancelled, InvalidDecision, Unsupported
from tests.world import DAY, HOUR, crashed, intact, kinds


def setting(world, flavour, *, die="inside", **policy):
    """A process with one durable function that calls one tool, which dies in the middle of its first run."""
    runs = []

    def define(runtime):
        def act(order):
            runs.append(current().idempotency_key)
            if len(runs) == 1 and die == "before":
                world.die()
            world.did(order)
            if len(runs) == 1 and die == "inside":
                world.die()
            return f"done {order}"

        acting = tool(**policy)(flavour.fn(act))

        def app():
            return (yield lambda: acting("o-7"))

        flavour.app(runtime, "app", app)
        return runtime

    return define, runs


def test_a_read_is_run_again(world, flavour):
    define, _ = setting(world, flavour, effect="read")
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    assert again.run("app", id="a").output == "done o-7"
    assert world.effects == ["o-7", "o-7"]
    assert "step_started" not in kinds(again.get("a"))


def test_an_idempotent_effect_is_run_again_with_the_same_key(world, flavour):
    define, keys = setting(world, flavour, effect="idempotent")
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    assert again.run("app", id="a").output == "done o-7"
    assert keys[0] == keys[1]
    assert "step_started" not in kinds(again.get("a"))


def test_an_idempotent_effect_older_than_its_key_lives_is_in_doubt(world, flavour):
    define, keys = setting(world, flavour, effect="idempotent")
    crashed(lambda: define(world.process()).run("app", id="a"))
    later = define(world.process(later=DAY + HOUR))
    result = later.run("app", id="a")
    assert result.status == "suspended"
    assert [interrupt.kind for interrupt in result.interrupts] == ["in_doubt"]
    assert world.effects == ["o-7"]
    later.decide(result.interrupts[0].id, Decision.did_not_happen(), by="alice")
    assert later.run("app", id="a").output == "done o-7"
    assert keys[0] == keys[1]


def test_an_idempotent_effect_within_a_shorter_time_to_live_of_its_own(world, flavour):
    define, _ = setting(world, flavour, effect="idempotent", key_ttl=HOUR)
    crashed(lambda: define(world.process()).run("app", id="a"))
    assert define(world.process(later=2 * HOUR)).run("app", id="a").interrupts[0].kind == "in_doubt"


def test_an_idempotent_effect_that_is_cut_off_by_ctrl_c_is_in_doubt_after_its_time_to_live(world, flavour):
    def define(runtime):
        def act():
            world.did("sent")
            if len(world.effects) == 1:
                raise KeyboardInterrupt
            return "done"

        acting = tool(effect="idempotent")(flavour.fn(act))

        def app():
            return (yield acting)

        flavour.app(runtime, "app", app)
        return runtime

    with pytest.raises(KeyboardInterrupt):
        define(world.process()).run("app", id="a")
    assert world.alive[0].get("a").status == "pending"
    assert define(world.process(later=DAY + HOUR)).run("app", id="a").interrupts[0].kind == "in_doubt"
    assert world.effects == ["sent"]


def test_after_a_long_suspension_idempotent_effects_run_without_a_question(world):
    from durable import ask

    def define(runtime):
        @tool(effect="idempotent")
        def send():
            return world.did("sent")

        @runtime.function("app")
        def app():
            ask("go on?")
            return send()

        return runtime

    question = define(world.process()).run("app", id="a").interrupts[0]
    later = define(world.process(later=30 * DAY))
    later.decide(question.id, Decision.respond(True), by="alice")
    assert later.run("app", id="a").output == "sent"


@pytest.mark.parametrize("die", ["before", "inside"])
def test_once_is_never_run_again_without_a_decision(world, flavour, die):
    define, _ = setting(world, flavour, die=die)
    crashed(lambda: define(world.process()).run("app", id="a"))
    for _ in range(3):
        again = define(world.process(later=60))
        result = again.run("app", id="a")
        assert result.status == "suspended"
    assert world.effects == (["o-7"] if die == "inside" else [])
    (doubt,) = result.interrupts
    assert (doubt.kind, doubt.tool, doubt.arguments) == ("in_doubt", "act", {"order": "o-7"})
    intact(again.get("a"))


def test_in_doubt_answered_with_it_happened_takes_the_result_and_does_not_run(world, flavour):
    define, runs = setting(world, flavour)
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    (doubt,) = again.run("app", id="a").interrupts
    again.decide(doubt.id, Decision.happened("receipt 9"), by="alice", comment="seen in the bank")
    assert again.run("app", id="a").output == "receipt 9"
    assert len(runs) == 1
    closed = next(record for record in again.get("a").history() if record.kind == "interrupt_closed")
    assert closed.payload["by"] == "alice"
    assert closed.payload["comment"] == "seen in the bank"


def test_in_doubt_answered_with_it_did_not_happen_runs_it_once(world, flavour):
    define, runs = setting(world, flavour, die="before")
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    (doubt,) = again.run("app", id="a").interrupts
    again.decide(doubt.id, Decision.did_not_happen(), by="alice")
    assert again.run("app", id="a").output == "done o-7"
    assert world.effects == ["o-7"]
    assert runs[0] == runs[1]


def test_in_doubt_answered_with_cancel_ends_the_execution(world, flavour):
    define, runs = setting(world, flavour)
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    (doubt,) = again.run("app", id="a").interrupts
    again.decide(doubt.id, Decision.cancel("call the customer"), by="alice")
    assert again.run("app", id="a").status == "cancelled"
    assert len(runs) == 1
    with pytest.raises(ExecutionCancelled, match="call the customer"):
        again.get("a").result()


@pytest.mark.parametrize("wrong", [Decision.approve(), Decision.reject("no"), Decision.respond(1), Decision.edit({})])
def test_in_doubt_has_three_answers_and_no_other(world, flavour, wrong):
    define, _ = setting(world, flavour)
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    (doubt,) = again.run("app", id="a").interrupts
    with pytest.raises(InvalidDecision, match="happened, did_not_happen, cancel"):
        again.decide(doubt.id, wrong, by="alice")


@pytest.mark.parametrize("is_async", [False, True], ids=["reconcile", "async-reconcile"])
@pytest.mark.parametrize("verdict", [Done("found it"), NotDone(), Unknown()], ids=["done", "not-done", "unknown"])
def test_reconcile_is_asked_before_a_person(world, flavour, verdict, is_async):
    asked = []

    def reconcile(key, arguments):
        asked.append((key, arguments))
        return verdict

    async def reconcile_async(key, arguments):
        return reconcile(key, arguments)

    policy = {"reconcile": reconcile_async if is_async else reconcile}
    define, keys = setting(world, flavour, die="before" if isinstance(verdict, NotDone) else "inside", **policy)
    crashed(lambda: define(world.process()).run("app", id="a"))
    again = define(world.process(later=60))
    result = again.run("app", id="a")
    assert asked == [(keys[0], {"order": "o-7"})]
    assert world.effects == ["o-7"]
    match verdict:
        case Done():
            assert (result.output, len(keys)) == ("found it", 1)
        case NotDone():
            assert (result.output, len(keys)) == ("done o-7", 2)
        case Unknown():
            assert [interrupt.kind for interrupt in result.interrupts] == ["in_doubt"]
    intact(again.get("a"))


def test_a_tool_that_was_edited_at_its_approval_is_reconciled_with_the_edited_arguments(world, flavour):
    asked = []

    def reconcile(_key, arguments):
        asked.append(arguments)
        return Unknown()

    define, _ = setting(world, flavour, approval=True, reconcile=reconcile)
    first = define(world.process())
    (question,) = first.run("app", id="a").interrupts
    first.decide(question.id, Decision.edit({"order": "o-8"}), by="alice")
    crashed(lambda: first.run("app", id="a"))
    assert world.effects == ["o-8"]
    (doubt,) = define(world.process(later=60)).run("app", id="a").interrupts
    assert asked == [{"order": "o-8"}]
    assert doubt.arguments == {"order": "o-8"}


def ledger(world):
    """A table of the user's own, in the same database."""
    with world.alive[-1].database.write() as connection:
        connection.execute(text("CREATE TABLE ledger (entry VARCHAR(20) PRIMARY KEY)"))


def entries(runtime):
    with runtime.database.read() as connection:
        return list(connection.execute(text("SELECT entry FROM ledger ORDER BY entry")).scalars())


def transactional(world, *, before=None, after=None, **policy):
    runs = []

    def define(runtime):
        @tool(effect="transactional", **policy)
        def book(entry):
            runs.append(entry)
            if before is not None and len(runs) == 1:
                before()
            current().connection.execute(text("INSERT INTO ledger VALUES (:e)"), {"e": entry})
            if after is not None and len(runs) == 1:
                after()
            return f"booked {entry}"

        @runtime.function("app")
        def app():
            return book("e-1")

        return runtime

    return define, runs


def test_a_transactional_tool_writes_in_the_transaction_of_its_record(world):
    define, runs = transactional(world)
    runtime = define(world.process())
    ledger(world)
    assert runtime.run("app", id="a").output == "booked e-1"
    assert runtime.run("app", id="a").output == "booked e-1"
    assert (entries(runtime), runs) == (["e-1"], ["e-1"])
    assert kinds(runtime.get("a")) == ["started", "claimed", "step_done", "succeeded"]


def test_a_transactional_tool_that_dies_has_written_nothing_and_runs_again(world):
    define, runs = transactional(world, after=lambda: world.die())
    define(world.process())
    ledger(world)
    crashed(lambda: world.alive[0].run("app", id="a"))
    again = define(world.process(later=60))
    assert entries(again) == []
    assert again.run("app", id="a").output == "booked e-1"
    assert (entries(again), len(runs)) == (["e-1"], 2)


def test_a_transactional_tool_that_fails_takes_its_writes_back(world):
    def fail():
        raise ValueError("no")

    define, _ = transactional(world, after=fail)
    runtime = define(world.process())
    ledger(world)
    assert runtime.run("app", id="a").error == {"type": "ValueError", "message": "no"}
    assert entries(runtime) == []
    runtime.get("a").retry()
    assert runtime.run("app", id="a").output == "booked e-1"
    assert entries(runtime) == ["e-1"]


def test_a_mistake_in_the_sql_of_a_transactional_tool_is_its_failure_and_not_the_databases(world):
    def mistake():
        current().connection.execute(text("SELECT nothing FROM nowhere"))

    define, runs = transactional(world, before=mistake)
    runtime = define(world.process())
    ledger(world)
    result = runtime.run("app", id="a")
    assert result.status == "failed"
    assert "nowhere" in result.error["message"]
    assert len(runs) == 1
    assert kinds(runtime.get("a"))[-2:] == ["step_failed", "failed"]


def test_a_broken_constraint_in_a_transactional_tool_is_its_failure_and_no_lost_lease(world):
    define, runs = transactional(world)
    runtime = define(world.process())
    ledger(world)
    with runtime.database.write() as connection:
        connection.execute(text("INSERT INTO ledger VALUES ('e-1')"))
    result = runtime.run("app", id="a")
    assert (result.status, len(runs)) == ("failed", 1)
    assert "IntegrityError" in result.error["type"]
    assert runtime.run("app", id="a").status == "failed"


def test_a_transactional_tool_that_exceeds_its_time_leaves_nothing(world):
    import threading

    gate = threading.Event()
    define, _ = transactional(world, after=lambda: gate.wait(20), timeout=0.2)
    runtime = define(world.process())
    ledger(world)
    result = runtime.run("app", id="a")
    gate.set()
    assert result.error["type"] == "StepTimeout"
    assert entries(runtime) == []


def test_a_durable_call_inside_a_transactional_tool_is_refused_instead_of_waiting_for_itself(world):
    from durable import ask, sleep, step

    runtime = world.process()
    inner = {"step": lambda: step(int, 1), "ask": lambda: ask("?"), "sleep": lambda: sleep(1)}

    @tool(effect="transactional")
    def book(what):
        return inner[what]()

    @runtime.function("app")
    def app(what):
        return book(what)

    for what in inner:
        result = runtime.run("app", {"what": what}, id=what)
        assert (result.status, result.error["type"]) == ("failed", "Unsupported")
        assert "before or after" in result.error["message"]


def test_an_async_transactional_tool_is_refused_when_it_is_declared():
    with pytest.raises(Unsupported, match="synchronous"):

        @tool(effect="transactional")
        async def book():
            """Async."""


def test_a_transactional_result_that_cannot_be_stored_is_lost_but_its_writes_are_kept(world):
    runtime = world.process()
    ledger(world)

    @tool(effect="transactional")
    def book():
        current().connection.execute(text("INSERT INTO ledger VALUES ('e-1')"))
        return object()

    @runtime.function("app")
    def app():
        return book()

    result = runtime.run("app", id="a")
    assert result.error["type"] == "ResultLost"
    assert entries(runtime) == ["e-1"]
    runtime.get("a").retry()
    assert runtime.run("app", id="a").error["type"] == "ResultLost"
    assert entries(runtime) == ["e-1"]
