"""The order as a plain durable function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable import ask, current, step, tool
from tests.contract.subject import ORDER, Durable

if TYPE_CHECKING:
    from durable import Runtime


class FunctionOrder(Durable):
    """No framework."""

    name = "durable function"

    def build(self, runtime: Runtime) -> None:
        """Draw, reserve, ask, pay."""
        outside = self.outside

        @tool
        def reserve(number: int) -> str:
            return outside.effect("reserve", number, current().idempotency_key)

        @tool
        def pay(number: int) -> str:
            return outside.effect("pay", number, current().idempotency_key)

        def draw() -> int:
            return outside.draw()

        @runtime.function(ORDER)
        def order() -> str:
            number = step.options(effect="read")(draw)
            reserve(number)
            ask("pay?")
            return pay(number)
