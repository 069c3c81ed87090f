"""Read a file of policies: plain values only, each key known, each value of its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from durable.declare.breaker import Breaker
from durable.declare.budget import Budget
from durable.declare.effects import EffectName
from durable.declare.policies import Policies
from durable.declare.policy import KEY_TTL, Approval, OnRepeat, ToolPolicy
from durable.declare.rate import Rate
from durable.declare.retry import Retry
from durable.errors import InvalidConfiguration

if TYPE_CHECKING:
    from pathlib import Path


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
        values = self.model_dump() | {"approvers": tuple(self.approvers), "escalate_to": tuple(self.escalate_to)}
        return Approval(**values)


def _approval(value: bool | _Approval | None) -> Approval | bool | None:  # noqa: FBT001 - as it stands in the file
    return value.made() if isinstance(value, _Approval) else value


class _Tool(_Strict):
    effect: EffectName = "once"
    approval: bool | _Approval | None = None
    allowed_when: str | None = None
    timeout: float | None = None
    retry: _Retry | None = None
    rate: _Rate | None = None
    breaker: _Breaker | None = None
    key_ttl: float = KEY_TTL
    secrets: list[str] = []
    on_repeat: OnRepeat | None = None

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
            on_repeat=self.on_repeat,
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
    """Content of a file of policies."""

    tools: dict[str, _Tool] = {}
    budget: _Budget | None = None

    def policies(self) -> Policies:
        """Return the policies by key, and the budget. Raises InvalidConfiguration."""
        policies = Policies({key: tool.made() for key, tool in self.tools.items()})
        policies.budget = None if self.budget is None else self.budget.made()
        return policies.checked()


def read(path: Path) -> Policies:
    """Read policies from a TOML or YAML file. Raises InvalidConfiguration."""
    try:
        return PolicyFile.model_validate(_parsed(path)).policies()
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        msg = f"the policies in {path}: {place}: {first['msg']}"
        raise InvalidConfiguration(msg) from None
    except InvalidConfiguration as exc:
        msg = f"the policies in {path}: {exc}"
        raise InvalidConfiguration(msg) from exc


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"cannot be read: {exc}"
        raise InvalidConfiguration(msg) from exc
    if path.suffix == ".toml":
        import tomllib  # noqa: PLC0415 - only where there is a file

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as exc:
            msg = f"no TOML: {exc}"
            raise InvalidConfiguration(msg) from exc
    if path.suffix in {".yaml", ".yml"}:
        return _yaml(text)
    msg = f"{path.suffix or 'no suffix'}: use a .toml, .yaml or .yml file"
    raise InvalidConfiguration(msg)


def _yaml(text: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - only where there is such a file
    except ImportError as exc:
        msg = "YAML needs pyyaml: pip install 'durable-adapters[rules]', or write it in TOML"
        raise InvalidConfiguration(msg) from exc
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        msg = f"no YAML: {exc}"
        raise InvalidConfiguration(msg) from exc
