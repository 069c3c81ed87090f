"""What may stand in a file of policies: plain values only, each key known, each value of its type."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from durable.breaker import Breaker
from durable.budget import Budget
from durable.policies import Policies
from durable.policy import KEY_TTL, Approval, Effect, ToolPolicy
from durable.rate import Rate
from durable.retry import Retry


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Retry(_Strict):
    attempts: int = 3
    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.2


class _Rate(_Strict):
    calls: int
    per: float = 1.0
    name: str | None = None


class _Breaker(_Strict):
    failures: int = 5
    reset: float = 30.0
    name: str | None = None


class _Approval(_Strict):
    when: str | None = None
    expires_in: float | None = Field(default=None, gt=0)
    rule: str | None = None
    approvers: list[str] = []
    quorum: int = 1
    on_expiry: Literal["reject", "escalate"] = "reject"
    escalate_to: list[str] = []
    requester_may_approve: bool = False

    def made(self) -> Approval:
        told = self.model_dump() | {"approvers": tuple(self.approvers), "escalate_to": tuple(self.escalate_to)}
        return Approval(**told)


def _approval(given: bool | _Approval | None) -> Approval | bool | None:  # noqa: FBT001 - as it stands in the file
    return given.made() if isinstance(given, _Approval) else given


class _Tool(_Strict):
    effect: Effect = "once"
    approval: bool | _Approval | None = None
    allowed_when: str | None = None
    timeout: float | None = None
    retry: _Retry | None = None
    rate: _Rate | None = None
    breaker: _Breaker | None = None
    key_ttl: float = KEY_TTL
    secrets: list[str] = []

    def made(self) -> ToolPolicy:
        return ToolPolicy(
            effect=self.effect,
            approval=_approval(self.approval),
            allowed_when=self.allowed_when,
            timeout=self.timeout,
            retry=None if self.retry is None else Retry(**self.retry.model_dump()),
            rate=None if self.rate is None else Rate(**self.rate.model_dump()),
            breaker=None if self.breaker is None else Breaker(**self.breaker.model_dump()),
            key_ttl=self.key_ttl,
            secrets=tuple(self.secrets),
        )


class _Price(_Strict):
    input: float
    output: float


class _Budget(_Strict):
    steps: int | None = None
    tool_calls: int | None = None
    model_calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    prices: dict[str, _Price] = {}
    approval: bool | _Approval | None = None

    def made(self) -> Budget:
        return Budget(**(self.model_dump() | {"approval": _approval(self.approval)}))


class PolicyFile(_Strict):
    """The whole file."""

    tools: dict[str, _Tool] = {}
    budget: _Budget | None = None

    def policies(self) -> Policies:
        """The policies by key, and the budget. Raises InvalidConfiguration."""
        made = Policies({key: tool.made() for key, tool in self.tools.items()})
        made.budget = None if self.budget is None else self.budget.made()
        return made.checked()
