"""ADK's own server: ``adk web``, ``adk api_server`` and ``get_fast_api_app`` run agents durably.

The server makes a runner for each app. Where its session service is ours, that runner is a durable one: each run an
execution of the same database, and the confirm button an answer in the inbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.adapters.google_adk.entry.wrapping import durable_runner
from durable.adapters.google_adk.seams.lazy import loaded
from durable.adapters.google_adk.state.artifacts import DurableArtifactService
from durable.adapters.google_adk.state.sessions import DurableSessionService, when_made
from durable.kit import hook
from durable.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.adk.apps.app import App
    from google.adk.runners import Runner

SCHEME = "durable"
_SERVER = "google.adk.cli.api_server"
_SERVICES = "artifact_service", "memory_service", "credential_service", "auto_create_session"


def serve_durably(runtime: Runtime | None = None) -> None:
    """Put ``durable://`` into ADK's service registry; to be called in the ``services.py`` beside the agents.

    ``durable://`` alone is ``runtime``, or the database of ``$DURABLE_URL``; ``durable://URL`` is the database of that
    url, ``durable:///folder/file.db`` a SQLite file.
    """
    from google.adk.cli.service_registry import get_service_registry  # noqa: PLC0415 - a part of ADK's server

    runtimes: dict[str, Runtime] = {} if runtime is None else {"": runtime}

    def of(uri: str) -> Runtime:
        place = uri.removeprefix(f"{SCHEME}://")
        if place not in runtimes:
            url = place if not place or "://" in place else f"sqlite:///{place}"
            runtimes[place] = Runtime(url or None)
        return runtimes[place]

    registry = get_service_registry()
    registry.register_session_service(SCHEME, lambda uri, **_: DurableSessionService(of(uri)))
    registry.register_artifact_service(SCHEME, lambda uri, **_: DurableArtifactService(of(uri)))


def hook_server() -> None:
    """Put the hook in place where ADK's server makes its runners, if that server is loaded."""
    server = loaded(_SERVER, "ApiServer")
    if server is not None:
        hook(server.ApiServer, "_create_runner", _durable_runners)


def _durable_runners(create: Callable[..., Runner]) -> Callable[..., Runner]:
    def create_runner(self: Any, agentic_app: App, app_name: str) -> Runner:
        sessions = self.session_service
        if not isinstance(sessions, DurableSessionService):
            return create(self, agentic_app, app_name)
        services = {name: getattr(self, name) for name in _SERVICES}
        return durable_runner(agentic_app, sessions.runtime, name=app_name, app_name=app_name, **services)

    return create_runner


when_made.append(hook_server)
