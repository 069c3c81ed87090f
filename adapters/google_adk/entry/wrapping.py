"""``durable_runner``: the one line."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from google.adk.apps.app import App as AdkApp
from google.adk.apps.app import ResumabilityConfig
from google.genai import types

from durable.adapters.google_adk.entry.forked import forked
from durable.adapters.google_adk.entry.runner import DurableRunner, hook_all
from durable.adapters.google_adk.entry.runs import AdkCall
from durable.adapters.google_adk.entry.supported import refuse_unsupported
from durable.adapters.google_adk.seams.nodes import NodeAnswer
from durable.adapters.google_adk.seams.tools import ToolAnswer
from durable.adapters.google_adk.state.artifacts import DurableArtifactService
from durable.adapters.google_adk.state.sessions import DurableSessionService
from durable.errors import InvalidConfiguration
from durable.kit import register

if TYPE_CHECKING:
    from google.adk.runners import Runner

    from durable.runtime import Runtime

TYPES = (
    AdkCall,
    ToolAnswer,
    NodeAnswer,
    types.Content,
    types.Part,
    types.Blob,
    types.FileData,
    types.FunctionResponse,
    types.FunctionResponsePart,
    types.FunctionResponseBlob,
    types.FunctionResponseFileData,
)


def durable_runner(
    app: Any,
    runtime: Runtime,
    *,
    name: str | None = None,
    version: str | None = None,
    on_suspended: str = "supersede",
    **services: Any,
) -> Runner:
    """A ``Runner`` for the same app, made durable: every invocation an execution of ``runtime`` under ``name``.

    ``app`` is an App, an agent or a workflow; it stays as it was. Sessions and artifacts are kept by ``runtime`` unless
    ``services`` name others for what is a Runner's own (``artifact_service``, ``memory_service``,
    ``credential_service``, ``auto_create_session``, ``plugin_close_timeout``). ``on_suspended="refuse"`` raises
    ThreadBusy for new input in a session that waits for an answer, instead of superseding what waits.

    Raises Unsupported for what cannot be made durable, by name; InvalidConfiguration for a session service of another
    kind, without which a crash would lose events.
    """
    if "session_service" in services:
        msg = "session_service=...: events must commit with the journal; durable_runner brings DurableSessionService"
        raise InvalidConfiguration(msg)
    adk_app = app if isinstance(app, AdkApp) else AdkApp(name=name or app.name, root_agent=app)
    refuse_unsupported(adk_app)
    hook_all()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\[EXPERIMENTAL\]", category=UserWarning)
        resumable = adk_app.model_copy(update={"resumability_config": ResumabilityConfig(is_resumable=True)})
    services.setdefault("artifact_service", DurableArtifactService(runtime))
    runner = DurableRunner(app=resumable, session_service=DurableSessionService(runtime), **services)
    runner.runtime, runner.name, runner.on_suspended = runtime, name or adk_app.name, on_suspended
    register(
        runtime,
        runner.name,
        runner.run_segment,
        version=version,
        types=TYPES,
        on_suspended=on_suspended,
        forked=partial(forked, runtime, runner.app_name),
        accepts=runner.accepts,
    )
    return runner
