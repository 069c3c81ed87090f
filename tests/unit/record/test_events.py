"""Every kind of record and every note is written and read as a type, in the bytes of version 0.1."""

from __future__ import annotations

import ast
import base64
import json
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from durable.checkpoint import records
from durable.checkpoint.errors import CorruptPayload
from durable.checkpoint.records import NewRecord, Record
from durable.record.events import (
    ABSENT,
    Called,
    Cancelled,
    Checkpoint,
    Compensating,
    Event,
    Failed,
    GraphCheckpoint,
    InterruptClosed,
    InterruptOpened,
    LetGo,
    Note,
    OtherNote,
    PlannedEnding,
    StepDone,
    StepFailed,
    StepRetry,
    Suspended,
    TaskWrites,
    Trace,
    journaled,
    trace_of,
    unpack,
    unpack_if,
)
from durable.record.events.base import KINDS, VARIANTS
from tests import journal_page

ROOT = Path(__file__).parent.parent.parent.parent
EVERY = sorted({*KINDS.values(), *VARIANTS.values()}, key=lambda event_type: event_type.__name__)
CALLED = Called(name="pay", arguments_hash="h", effect="once", kind="tool", branch=True)
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*/*.jsonl"))
CLAIMS_AND_STARTS = ("checkpoint/claims.py", "checkpoint/executions.py")


def read(new: NewRecord) -> Record:
    """Return the record as a journal has it, from the bytes that were written."""
    meta, stored = records.unpack(records.pack(new))
    return Record("e", 1, 1, new.kind, new.step_key, 0.0, meta, stored, b"", lambda data: data)


def plain(kind: str, **meta: object) -> Record:
    return Record("e", 1, 1, kind, None, 0.0, meta, None, b"", lambda data: data)


def example(event_type, *, whole):
    """Return an event with all of its fields, or with those only that are always there."""
    values = {"ending": PlannedEnding(status="cancelled", reason="enough"), "error": {"type": "E", "message": "m"}}
    return event_type(
        **{
            field.name: values.get(field.name, True if field.type == "bool" else f"the {field.name}")
            for field in fields(event_type)
            if whole or field.default is MISSING
        }
    )


@pytest.mark.parametrize("whole", [True, False], ids=["all fields", "no optional field"])
@pytest.mark.parametrize("event_type", EVERY, ids=lambda event_type: event_type.__name__)
def test_what_is_packed_is_read_back(event_type, whole):
    event = example(event_type, whole=whole)
    packed = read(event.pack("key", b"value"))
    assert unpack(packed) == event
    assert unpack_if(packed, event_type) == event
    assert (packed.step_key, packed.stored) == ("key", b"value")


def test_every_kind_of_the_journal_has_its_type():
    assert {*KINDS, "note"} == records.KINDS


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            StepDone.of(CALLED, attempt=2, model="m"),
            '{"name":"pay","arguments_hash":"h","effect":"once","kind":"tool","branch":true,"attempt":2,"model":"m"}',
        ),
        (
            StepFailed(name="ask", arguments_hash="h", rejected="no", by=None),
            '{"name":"ask","arguments_hash":"h","rejected":"no","by":null}',
        ),
        (
            StepRetry(name="f", attempt=1, error={"type": "E", "message": "m"}, unknown=True, not_before=4.0),
            '{"name":"f","attempt":1,"error":{"type":"E","message":"m"},"unknown":true,"not_before":4.0}',
        ),
        (
            InterruptOpened.of(Called(), budget="steps: 1 of 1", interrupt="i", interrupt_kind="approval"),
            '{"budget":"steps: 1 of 1","interrupt":"i","interrupt_kind":"approval"}',
        ),
        (InterruptClosed(interrupt="i", decision="withdrawn"), '{"interrupt":"i","decision":"withdrawn"}'),
        (
            Suspended(interrupts=[], signals=["s"], until=None),
            '{"event":"suspended","interrupts":[],"signals":["s"],"until":null}',
        ),
        (
            Failed(error={"type": "E", "message": "m"}, step="s#1", status="dead"),
            '{"error":{"type":"E","message":"m"},"step":"s#1","status":"dead"}',
        ),
        (
            PlannedEnding(status="failed", error={"type": "E", "message": "m"}).after_undoing(["pay"]),
            '{"status":"failed","error":{"type":"E","message":"m"},"compensated":["pay"]}',
        ),
        (PlannedEnding(status="cancelled", reason="r").after_undoing([]), '{"reason":"r","compensated":[]}'),
        (
            Compensating(ending=PlannedEnding(status="cancelled", reason="r"), tools=["pay"]),
            '{"event":"compensating","ending":{"status":"cancelled","reason":"r"},"tools":["pay"]}',
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_the_bytes_are_those_of_the_first_version(event, line):
    assert records.pack(event.pack()) == line.encode()


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_record_of_an_older_version_is_read_and_written_again_byte_by_byte(file):
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    journal = [entry["row"] for entry in rows if entry["table"] == "journal"]
    assert journal
    for row in journal:
        payload = base64.b64decode(row["payload"]["base64"])
        meta, stored = records.unpack(payload)
        record = Record("e", row["seq"], row["epoch"], row["kind"], row["step_key"], 0.0, meta, stored, b"", bytes)
        event, trace = unpack(record), trace_of(record)
        assert not isinstance(event, OtherNote)
        again = event.pack(record.step_key, stored)
        assert records.pack(again if trace is None else trace.carried_by(again)) == payload


def test_a_note_that_nobody_knows_is_a_note_with_all_it_says():
    note = unpack(plain("note", event="moved", step="s#1", to="there", traceparent="00-1"))
    assert isinstance(note, Note)
    assert (note.event, note.about, note.said()) == ("moved", "s#1", {"step": "s#1", "to": "there"})
    assert read(note.pack()).meta == {"event": "moved", "step": "s#1", "to": "there"}


def test_a_field_that_nobody_knows_is_left_alone():
    assert unpack(plain("cancelled", reason="enough", of_tomorrow=1)) == Cancelled(reason="enough")


def test_a_record_of_a_kind_that_nobody_knows_says_nothing():
    assert unpack(plain("of_tomorrow", name="pay")) == Event()


def test_a_field_that_an_older_version_did_not_write_has_its_default():
    done = unpack(plain("step_done", name="pay"))
    assert (done.effect, done.branch, done.usage, done.by, done.as_returned) == (None, False, None, ABSENT, True)


def test_a_record_without_what_all_versions_write_is_corrupt():
    with pytest.raises(CorruptPayload, match="StepRetry without not_before"):
        unpack(plain("step_retry", name="pay"))


def test_a_checkpoint_is_read_by_the_field_that_only_it_has():
    saved = plain("checkpoint", checkpoint="c", step=1, source="loop")
    assert type(unpack(saved)) is GraphCheckpoint
    assert type(unpack(plain("checkpoint", checkpoint="c", task="t", channels="a"))) is TaskWrites
    assert type(unpack(plain("checkpoint"))) is Checkpoint
    assert unpack_if(saved, TaskWrites) is None
    assert unpack_if(saved, Checkpoint) == unpack(saved)


def test_only_the_event_that_is_asked_for_is_read():
    suspended = read(Suspended(interrupts=[], signals=[], until=1.0).pack())
    assert unpack_if(suspended, LetGo) == unpack(suspended)
    assert unpack_if(suspended, StepDone) is None
    assert unpack_if(suspended, Compensating) is None
    assert unpack_if(None, Suspended) is None


def test_a_trace_context_goes_along_with_any_record():
    trace = Trace(traceparent="00-1", trace_root=None)
    carried = read(trace.carried_by(Cancelled(reason="enough").pack()))
    assert carried.meta == {"reason": "enough", "traceparent": "00-1", "trace_root": None}
    assert (trace_of(carried), unpack(carried)) == (trace, Cancelled(reason="enough"))
    assert trace_of(plain("cancelled", reason="enough")) is None


def test_an_adapter_declares_notes_of_its_own():
    @journaled
    class Moved(Note):
        """A note of this test."""

        VARIANT = "moved by a test"

        to: str

    try:
        assert unpack(read(Moved(to="there").pack())) == Moved(to="there")
    finally:
        del VARIANTS["note", "moved by a test"]


def journal_access(source: str) -> list[str]:
    """Return where a module makes a record by hand, or reads a field of one by its name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="NewRecord") | ast.Attribute(attr="NewRecord")):
                found.append("NewRecord(...)")
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if is_meta(value):
                found.append(f"meta[{name!r}]")
            case ast.Call(func=ast.Attribute(attr="get" | "pop", value=value), args=[ast.Constant(), *_]) if is_meta(
                value
            ):
                found.append("meta.get(...)")
            case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[value]):
                found += [f"{name!r} in meta"] if is_meta(value) else []
    return found


def is_meta(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="meta") | ast.Attribute(attr="meta" | "payload"):
            return True
    return False


def test_nobody_else_makes_a_record_or_names_a_field_of_one():
    modules = [path for top in ("durable", "adapters", "checkpoint") for path in (ROOT / top).rglob("*.py")]
    names = {path.resolve().relative_to(ROOT).as_posix(): path for path in modules}
    allowed = ("durable/record/events/", "durable/testing/")  # scenes read what a user's test reads
    elsewhere = {name: path for name, path in names.items() if not name.startswith(allowed)}
    access = {name: journal_access(path.read_text()) for name, path in elsewhere.items()}
    assert {name: found for name, found in access.items() if found and name not in CLAIMS_AND_STARTS} == {}
    assert {name: access[name] for name in CLAIMS_AND_STARTS} == {
        name: ["NewRecord(...)"] for name in CLAIMS_AND_STARTS
    }


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ('records.NewRecord("note", None, {})', ["NewRecord(...)"]),
        ('record.meta["name"]', ["meta['name']"]),
        ('meta.get("name", "")', ["meta.get(...)"]),
        ('"usage" in outcome.result.meta', ["'usage' in meta"]),
        ("dict(record.meta)", []),
    ],
)
def test_planted_access_is_found(planted, found):
    assert journal_access(planted) == found


def test_the_reference_page_says_what_the_types_say():
    assert journal_page.PAGE.read_text() == journal_page.page()
