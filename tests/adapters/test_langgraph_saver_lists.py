"""Lists in a state: each version comes back as it was put, whatever changed in it, and costs what changed."""

from __future__ import annotations

import operator
import random
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, StateGraph

from durable.adapters.langgraph.state.saver import DurableSaver
from durable.adapters.langgraph.state.stored_lists import Lists
from durable.checkpoint.state.snapshots import SnapshotPlace
from tests.adapters.langgraph_saver_world import at, checkpoint, rows


class Thread:
    """A line of checkpoints of one list."""

    def __init__(self, saver):
        self.saver = saver
        self.config = at()
        self.version = None

    def put(self, items, saver=None):
        saver = saver or self.saver
        self.version = saver.get_next_version(self.version, None)
        made = checkpoint({"items": items}, {"items": self.version})
        self.config = saver.put(self.config, made, {"step": 1}, {"items": self.version})
        return self.config

    def get(self, config=None, saver=None):
        return (saver or self.saver).get_tuple(config or self.config).checkpoint["channel_values"].get("items")


def item(rng):
    text = "".join(rng.choices("abcdefgh", k=rng.choice((0, 3, 200, 900))))
    return rng.choice(
        [text, HumanMessage(text, id=text[:9]), {"role": "user", "n": rng.random()}, (text, 1), {1, 2}, 7, None]
    )


def changed(items, rng):
    """The list after one change of some kind, and sometimes with an item that was changed in place."""
    items = list(items)
    where = rng.randrange(len(items) + 1)
    match rng.randrange(8):
        case 0 | 1 | 2:
            items += [item(rng) for _ in range(rng.choice((1, 1, 2, 40)))]
        case 3:
            items[where:where] = [item(rng)]
        case 4:
            del items[where : where + rng.choice((1, 5))]
        case 5:
            items = items[-rng.choice((1, 10, 50)) :]
        case 6 if items:
            items[where - 1] = item(rng)
    for found in items[-3:]:
        if isinstance(found, HumanMessage) and rng.random() < 0.5:
            found.additional_kwargs["seen"] = rng.random()
    return items


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_of_changes_comes_back_version_by_version(saver, saver_runtime, seed):
    rng = random.Random(seed)
    thread, items, expected = Thread(saver), [], []
    for step in range(60):
        items = changed(items, rng)
        if step % 13 == 12:
            thread.saver = DurableSaver(saver_runtime)
        if step == 40:
            thread.saver.prune(["thread"])
            expected = []
        expected.append((thread.put(items), repr(items)))
    for config, before in expected:
        assert repr(thread.get(config)) == before


def test_a_message_changed_in_place_is_stored_as_it_is_now(saver):
    thread = Thread(saver)
    messages = [AIMessage("x" * 300, id=str(n)) for n in range(20)]
    thread.put(messages)
    messages[0].content = "other"
    messages[1].tool_calls = [{"name": "t", "args": {}, "id": "c", "type": "tool_call"}]
    messages[2].response_metadata["k"] = [1]
    messages[3].__pydantic_extra__["more"] = 1
    thread.put(messages)
    assert thread.get() == messages
    assert thread.get()[3].__pydantic_extra__ == {"more": 1}


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ((1,), [1]), ({"a": 1}, {"a": 1.0}), (None, "None")],
)
def test_a_change_that_python_takes_for_equal_is_a_change(saver, before, after):
    thread = Thread(saver)
    thread.put([before, "x"])
    thread.put([after, "x"])
    assert repr(thread.get()) == repr([after, "x"])


def test_the_list_of_a_thread_that_was_deleted_meanwhile_is_stored_whole(saver, saver_runtime):
    thread = Thread(saver)
    items = ["x" * 300 + str(n) for n in range(50)]
    thread.put(items)
    DurableSaver(saver_runtime).delete_thread("thread")
    thread.config = at()
    thread.put([*items, "new"])
    assert thread.get(saver=DurableSaver(saver_runtime)) == [*items, "new"]


def test_two_branches_of_a_thread_keep_their_own_lists(saver):
    thread = Thread(saver)
    items = ["x" * 300 + str(n) for n in range(30)]
    fork, version = thread.put(items), thread.version
    left = thread.put([*items, "left"])
    thread.config, thread.version = fork, version
    right = thread.put([*items, "right"])
    assert (thread.get(left)[-1], thread.get(right)[-1], len(thread.get(fork))) == ("left", "right", 30)


def test_an_append_costs_what_was_appended(saver, saver_runtime):
    def size():
        return sum(len(row) for table in rows(saver_runtime).values() for row in table)

    thread, items, sizes = Thread(saver), [], []
    for n in range(400):
        items = [*items, f"{n:06}" * 33]
        before = size() if n % 100 > 90 else 0
        thread.put(items)
        sizes += [size() - before] if before else []
    assert max(sizes[-9:]) < 8000
    assert sum(sizes[-9:]) < 1.5 * sum(sizes[:9])


def test_a_list_that_did_not_change_is_not_encoded_again():
    encoded = []

    def encode(value, index):
        encoded.append(index)
        return repr(value).encode()

    lists, where = Lists(), (SnapshotPlace("n", "t", ""), "items")
    items = [HumanMessage("x" * 100) for _ in range(50)]
    lists.prepare(where, ("1", ""), items, encode)
    assert encoded == list(range(50))
    encoded.clear()
    prepared = lists.prepare(where, ("2", ""), [*items, "new"], encode)
    assert encoded == [50]
    assert prepared.base.version == "1"


def test_only_so_many_items_are_remembered_the_last_used_ones():
    lists = Lists(remembered=100)

    def prepare(n, size):
        where = (SnapshotPlace("n", str(n), ""), "items")
        lists.prepare(where, ("1", ""), ["x"] * size, lambda value, _: repr(value).encode())

    for n in range(20):
        prepare(n, 20)
    prepare("too long", 200)
    assert [place.thread for place, _ in lists._known] == ["17", "18", "19"]


def test_a_graph_with_a_growing_list_reads_its_whole_history(saver):
    class State(TypedDict):
        items: Annotated[list[Any], operator.add]

    graph = StateGraph(State)
    graph.add_node("node", lambda state: {"items": [HumanMessage(f"{len(state['items'])}" * 150)]})
    graph.add_edge(START, "node")
    graph.add_conditional_edges("node", lambda state: "node" if len(state["items"]) < 30 else "__end__")
    app = graph.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 100}
    app.invoke({"items": []}, config)
    lengths = [len(state.values.get("items", [])) for state in app.get_state_history(config)]
    assert lengths == [*range(30, -1, -1), 0]
    assert app.get_state(config).values["items"][7].content == "7" * 150
