"""Stream modes: what the caller asked for, and ``values`` besides, from which the execution's output is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPT = "__interrupt__"


class Modes:
    """Asks LangGraph for one mode more than the caller did, and gives the caller what the bare graph would have.

    ``version`` and ``subgraphs`` are LangGraph's; ``last`` is the graph's latest output.
    """

    def __init__(self, stream_mode: str | Sequence[str], *, version: str, subgraphs: bool) -> None:
        self.single = isinstance(stream_mode, str)
        self.wanted = {stream_mode} if isinstance(stream_mode, str) else set(stream_mode)
        self.asked = [*sorted(self.wanted), *(["values"] if "values" not in self.wanted else [])]
        self.version = version
        self.subgraphs = subgraphs
        self.last: Any = None

    def take(self, chunk: Any) -> Iterator[Any]:
        """Yield the chunk in the caller's shape; nothing if the caller did not ask for its mode."""
        namespace, mode, payload = self._parts(chunk)
        if mode == "values" and not namespace:
            self.last = payload
        if mode in self.wanted:
            yield self._shaped(chunk, namespace, payload)

    def stopped(self, interrupts: tuple[Any, ...]) -> Iterator[Any]:
        """Yield the chunks that say that the graph did not run because these interrupts are open."""
        if self.version == "v2":
            if "values" in self.wanted:
                yield {"type": "values", "ns": (), "data": self.last, "interrupts": interrupts}
            if "updates" in self.wanted:
                yield {"type": "updates", "ns": (), "data": {INTERRUPT: interrupts}}
        elif "updates" in self.wanted:
            yield self._v1("updates", {INTERRUPT: interrupts})

    def ended(self, output: Any) -> Iterator[Any]:
        """Yield the chunks of an execution that had ended before: its recorded output."""
        self.last = output
        if "values" not in self.wanted:
            return
        if self.version == "v2":
            yield {"type": "values", "ns": (), "data": output, "interrupts": ()}
        else:
            yield self._v1("values", output)

    def _v1(self, mode: str, payload: Any) -> Any:
        chunk = ((), mode, payload) if self.subgraphs else (mode, payload)
        return self._shaped(chunk, (), payload)

    def _parts(self, chunk: Any) -> tuple[tuple[str, ...], str, Any]:
        if self.version == "v2":
            return chunk["ns"], chunk["type"], chunk["data"]
        if self.subgraphs:
            return chunk[0], chunk[1], chunk[2]
        return (), chunk[0], chunk[1]

    def _shaped(self, chunk: Any, namespace: tuple[str, ...], payload: Any) -> Any:
        if self.version == "v2" or not self.single:
            return chunk
        return (namespace, payload) if self.subgraphs else payload
