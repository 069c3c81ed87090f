"""Google ADK: ``durable_runner(app, runtime)`` makes an existing app survive the process it runs in.

ADK keeps running its own loop. Its sessions are kept by ``DurableSessionService``, fenced by the journal; its tools,
model calls and function nodes are steps; its confirmations and pauses and our approvals share one inbox.
"""

from __future__ import annotations

from durable.adapters.google_adk.entry.server import serve_durably
from durable.adapters.google_adk.entry.wrapping import durable_runner
from durable.adapters.google_adk.state.artifacts import DurableArtifactService
from durable.adapters.google_adk.state.sessions import DurableSessionService

__all__ = ["DurableArtifactService", "DurableSessionService", "durable_runner", "serve_durably"]
