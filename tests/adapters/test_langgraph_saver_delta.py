"""Delta channels: a value that is spread over the writes of ancestors is found again, on every branch."""

from __future__ import annotations

from typing import Annotated, TypedDict

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Overwrite

from tests.adapters.langgraph_saver_world import at, checkpoint, put

CONFIG = {"configurable": {"thread_id": "thread"}, "recursion_limit": 100}


def ordered(state, writes):
    """A reducer that minds the order: each item is numbered as it comes."""
    return [*state, *(f"{len(state) + n}:{item}" for n, item in enumerate(item for write in writes for item in write))]


def graph_on(saver, *, rounds=12, every=5):
    """Three parallel nodes a round write to one delta channel, in an order that is not that of their task ids."""

    channel = Annotated[list, DeltaChannel(ordered, snapshot_frequency=every)]
    graph = StateGraph(TypedDict("State", {"log": channel, "never": channel, "round": int}))
    graph.add_node("next", lambda state: {"round": state["round"] + 1})
    for name in ("c", "a", "b"):
        graph.add_node(name, lambda state, name=name: {"log": [f"{name}{state['round']}", f"{name}'"]})
        graph.add_edge("next", name)
    graph.add_node("join", lambda state: {"log": [f"join{state['round']}"]})
    graph.add_edge(["a", "b", "c"], "join")
    graph.add_edge(START, "next")
    graph.add_conditional_edges("join", lambda state: "next" if state["round"] < rounds else "__end__")
    return graph.compile(checkpointer=saver)


def story(app):
    """Run, go back, take another way, and overwrite: the history of every branch.

    With durability "async" LangGraph hands a waiting edge's own set over and goes on adding to it: any saver that is
    not at once done with it stores what the edge has seen by then.
    """
    app.invoke({"round": 0, "log": ["start"]}, CONFIG, durability="sync")
    history = list(app.get_state_history(CONFIG))
    earlier = next(state for state in history if state.values.get("round") == 7 and state.next == ("join",))
    forked = app.update_state(earlier.config, {"log": ["by hand"]}, as_node="a")
    app.invoke(None, {**forked, "recursion_limit": 100}, durability="sync")
    app.update_state(CONFIG, {"log": Overwrite(["anew"])}, as_node="join")
    app.invoke({"round": 0, "log": ["again"]}, CONFIG, durability="sync")
    return [(state.values, state.next, state.metadata["step"]) for state in app.get_state_history(CONFIG)]


@pytest.mark.parametrize("every", [1, 5, 1000])
def test_every_state_of_every_branch_is_as_with_the_framework_s_own_saver(saver, every):
    expected = story(graph_on(InMemorySaver(), every=every))
    assert story(graph_on(saver, every=every)) == expected
    assert len(expected) > 60


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_every_durability_gives_the_same_state_in_async_code(saver, durability):
    app, bare = graph_on(saver), graph_on(InMemorySaver())
    value = {"round": 0, "log": ["start"]}
    expected = await bare.ainvoke(value, CONFIG, durability=durability)
    assert await app.ainvoke(value, CONFIG, durability=durability) == expected
    assert (await app.aget_state(CONFIG)).values == expected


def test_the_direct_walk_finds_what_the_framework_s_own_walk_finds(saver):
    story(graph_on(saver))
    channels = ["log", "never", "round", "nowhere"]
    for found in list(saver.list(at()))[::12]:
        walked = BaseCheckpointSaver.get_delta_channel_history(saver, config=found.config, channels=channels)
        assert saver.get_delta_channel_history(config=found.config, channels=channels) == walked
    assert saver.get_delta_channel_history(config=at(), channels=[]) == {}
    empty = {"log": {"writes": []}}
    assert saver.get_delta_channel_history(config=at("unknown"), channels=["log"]) == empty
    assert saver.get_delta_channel_history(config=at(checkpoint_id="unknown"), channels=["log"]) == empty


async def test_the_walk_is_the_same_for_async_callers(saver):
    await graph_on(saver).ainvoke({"round": 0, "log": ["start"]}, CONFIG)
    found = await saver.aget_delta_channel_history(config=at(), channels=["log"])
    assert found == saver.get_delta_channel_history(config=at(), channels=["log"])


def test_writes_are_walked_in_the_order_in_which_they_were_applied(saver):
    first = put(saver, {})
    saver.put_writes(first, [("log", "third")], "task-1", "~path, 2")
    saver.put_writes(first, [("log", "second"), ("other", "no")], "task-2", "~path, 1")
    saver.put_writes(first, [("log", "first")], "task-3")
    second = put(saver, {}, first)
    saver.put_writes(second, [("log", "fourth")], "task-0")
    third = put(saver, {}, second)
    saver.put_writes(third, [("log", "not yet")], "task-9")
    found = saver.get_delta_channel_history(config=third, channels=["log"])["log"]
    assert [value for _, _, value in found["writes"]] == ["first", "second", "third", "fourth"]
    assert "seed" not in found


def test_a_parent_that_sorts_above_its_child_is_found(saver):
    """Ids are monotonic within one process only."""
    made = [checkpoint({}) | {"id": name} for name in ("m", "z", "a", "k")]
    config = at()
    for each in made:
        config = saver.put(config, each, {}, {})
        saver.put_writes(config, [("log", each["id"])], "task")
    found = saver.get_delta_channel_history(config=at(checkpoint_id="k"), channels=["log"])["log"]
    assert [value for _, _, value in found["writes"]] == ["m", "z", "a"]


def test_a_chain_that_turns_in_a_circle_ends(saver):
    first = put(saver, {})
    second = put(saver, {}, first)
    again = checkpoint({}) | {"id": first["configurable"]["checkpoint_id"]}
    saver.put(second, again, {}, {})
    saver.put_writes(second, [("log", 1)], "task")
    found = saver.get_delta_channel_history(config=first, channels=["log"])["log"]
    assert [value for _, _, value in found["writes"]] == [1]


@pytest.mark.parametrize("rounds", range(2, 8))
def test_pruning_keeps_the_ancestors_that_the_newest_state_is_made_of(saver, rounds):
    app = graph_on(saver, rounds=rounds)
    app.invoke({"round": 0, "log": ["start"]}, CONFIG)
    expected, before = app.get_state(CONFIG), len(list(saver.list(at())))
    saver.prune(["thread"])
    after = len(list(saver.list(at())))
    assert after < before
    assert after <= 7  # back to the last snapshot of the fifth update, and the checkpoint itself
    assert app.get_state(CONFIG) == expected
    continued = app.invoke({"round": rounds - 1, "log": ["more"]}, CONFIG)
    assert continued["log"][: len(expected.values["log"])] == expected.values["log"]
    assert len(continued["log"]) == len(expected.values["log"]) + 1 + 7


def test_pruning_keeps_the_chain_of_the_newest_branch_after_a_fork(saver):
    app = graph_on(saver, every=1000)
    story(app)
    expected = app.get_state(CONFIG)
    saver.prune(["thread"])
    saver.prune(["thread"])
    assert app.get_state(CONFIG) == expected


def test_a_copy_of_a_thread_has_its_whole_history(saver):
    app = graph_on(saver)
    story(app)
    saver.copy_thread("thread", "copy")
    copy = {"configurable": {"thread_id": "copy"}}

    def history(config):
        return [(state.values, state.next, state.metadata, state.created_at) for state in app.get_state_history(config)]

    assert history(copy) == history(CONFIG)
    saver.delete_thread("thread")
    assert app.get_state(copy).values["log"][-1].endswith("join12")
    assert app.invoke({"round": 11, "log": []}, copy)["log"][-1].endswith("join12")
