"""LangGraph: ``durable_graph(graph, runtime)`` makes an existing graph survive the process it runs in.

LangGraph keeps running its own loop. Its checkpoints go to ``DurableSaver``, fenced by the journal; its nodes,
tools, model calls and ``@task`` are steps; its interrupts and our approvals share one inbox.
"""

from __future__ import annotations

from durable.adapters.langgraph.entry.wrapping import durable_graph
from durable.adapters.langgraph.state.saver import DurableSaver

__all__ = ["DurableSaver", "durable_graph"]
