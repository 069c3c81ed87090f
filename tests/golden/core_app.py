"""A durable function without a framework: all that can be in a journal of the core, in one order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from durable import Breaker, Budget, Rate, Retry, Runtime, ToolContext, ask, sleep, step, tool, wait_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from durable import Result
    from tests.golden.outside import Outside

EFFECTS = ["look_up", "reserve", "charge", "paint", "enable", "deliver"]
MODEL_CALLS = 0
LARGE = 70_000
"""Characters of a result that does not stand inline in its record."""


@dataclass(frozen=True)
class Receipt:
    """A result of a type of the app's own, with values that JSON has no form for."""

    number: str
    amount: Decimal
    at: datetime
    marks: frozenset[str]
    seal: bytes


RECEIPT = Receipt("R-1", Decimal("10.50"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), frozenset({"paid"}), b"\x00\xff")
PAID = {"paid": True, "by": ("card", 7)}
OUTPUT = {"color": "blue", "receipt": RECEIPT, "paid": PAID, "enabled": "enable done", "delivered": "deliver done"}


def opened(url: str, outside: Outside) -> tuple[Runtime, Callable[..., Result]]:
    """Return the runtime, and what starts the order or asks for it again."""
    runtime = Runtime(url, types=[Receipt], budget=Budget(steps=100, tool_calls=50), lease=2)

    @tool(effect="read", rate=Rate(100, per=1, name="catalogue"))
    def look_up(number: str, size: int) -> str:
        return outside.do("look_up") + "." * size

    @tool(effect="idempotent", retry=Retry(attempts=3, initial=0), breaker=Breaker(failures=3, reset=1, name="stock"))
    def reserve(number: str) -> str:
        return outside.do("reserve")

    @tool(effect="idempotent", retry=Retry(attempts=3, initial=6, jitter=0))
    def reserve_later(number: str) -> str:
        return outside.do("reserve")

    def refund(arguments: dict[str, Any], result: Receipt, context: ToolContext) -> str:
        outside.do("refund", context.idempotency_key)
        return f"refunded {result.amount} of {arguments['number']}"

    @tool(effect="once", compensate=refund)
    def charge(number: str) -> Receipt:
        outside.do("charge")
        return RECEIPT

    def paint(color: str) -> str:
        return outside.do("paint")

    @tool(effect="once", approval=True)
    def enable(number: str, seats: int) -> str:
        return outside.do("enable")

    @tool(effect="once")
    def deliver(number: str) -> str:
        return outside.do("deliver")

    @runtime.function("order")
    def order(number: str, later: bool, size: int) -> dict[str, Any]:
        look_up(number, size)
        (reserve_later if later else reserve)(number)
        receipt = charge(number)
        color = ask("Which color?", choices=("red", "blue"))
        step.options(key="paint", effect="idempotent")(paint, color)
        sleep(0)
        paid = wait_signal("paid")
        enabled = enable(number, seats=250)
        return {
            "color": color,
            "receipt": receipt,
            "paid": paid,
            "enabled": enabled,
            "delivered": deliver(number),
        }

    def start(*, later: bool = False, size: int = 0) -> Result:
        given = {"number": "A-7", "later": later, "size": size}
        return runtime.run("order", given, id="golden", tags={"requested_by": "carol"}, correlation_id="c-1")

    return runtime, start
