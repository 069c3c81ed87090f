"""A fork of a run: it is replayed from the top, so the same call and the copied records are all it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable.adapters.openai_agents.state.stored_call import stored_call
from durable.errors import Unsupported
from durable.run.branch import Carried

if TYPE_CHECKING:
    from durable.run.branch import Branch


def forked(branch: Branch) -> Carried:
    """Return what goes with a fork. Raises Unsupported for a run with a session, which would be written by both."""
    call = stored_call(branch.execution.input)
    if call.session_id is not None:
        msg = (
            f"fork: execution {branch.execution.id!r} writes to session {call.session_id!r}, and its fork would write "
            "the same items there; take the items back (pop_item) and run again, or fork a run without a session"
        )
        raise Unsupported(msg)
    return Carried(branch.execution.input, None)
