"""What may stand in a file of policies: plain values only, each key known, each value of its type."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from durable.policy import KEY_TTL, Approval, Effect, ToolPolicy
from durable.retry import Retry


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Retry(_Strict):
    attempts: int = 3
    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.2


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


class _Tool(_Strict):
    effect: Effect = "once"
    approval: bool | _Approval | None = None
    timeout: float | None = None
    retry: _Retry | None = None
    key_ttl: float = KEY_TTL
    secrets: list[str] = []

    def made(self) -> ToolPolicy:
        return ToolPolicy(
            effect=self.effect,
            approval=self.approval.made() if isinstance(self.approval, _Approval) else self.approval,
            timeout=self.timeout,
            retry=None if self.retry is None else Retry(**self.retry.model_dump()),
            key_ttl=self.key_ttl,
            secrets=tuple(self.secrets),
        )


class PolicyFile(_Strict):
    """The whole file."""

    tools: dict[str, _Tool] = {}

    def policies(self) -> dict[str, ToolPolicy]:
        """The policies by name or pattern. Raises InvalidConfiguration."""
        return {name: tool.made() for name, tool in self.tools.items()}
