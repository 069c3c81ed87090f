"""Budgets: how much one execution may do, before it is stopped or a person is asked.

Counted from the journal, so neither a replay nor a crash loses or doubles anything. A budget is looked at before a
step starts: steps and calls never go beyond it; tokens and money are known when a model has answered, so that one
answer may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from durable.declare.policy import Approval
from durable.errors import InvalidConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping


_PRICED = {"input", "output"}
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one execution: ``steps`` of all kinds, ``tool_calls``, ``model_calls``, ``tokens``, ``money``.

    ``money`` is in the currency of ``prices``: of each model, by name or pattern, what a million tokens of ``input``
    and of ``output`` cost. Without ``approval`` an execution that has used its budget up fails with BudgetExceeded;
    with it, somebody is asked in the inbox: approving grants all of it once more, rejecting stops the execution.
    Raises InvalidConfiguration.
    """

    steps: int | None = None
    tool_calls: int | None = None
    model_calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    approval: Approval | bool | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "tool_calls", "model_calls", "tokens", "money"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                msg = f"Budget({name}={limit!r}): use a number above zero, or None"
                raise InvalidConfiguration(msg)
        for model, price in self.prices.items():
            _check_price(model, price)
        if self.money is not None and not self.prices:
            msg = "Budget(money=...) needs prices={model: {'input': ..., 'output': ...}}"
            raise InvalidConfiguration(msg)
        if isinstance(self.approval, Approval) and self.approval.when is not None:
            msg = "the approval of a budget has no when=: it is asked for when the budget is used up"
            raise InvalidConfiguration(msg)

    @property
    def gate(self) -> Approval | None:
        """Return who is asked when it is used up; None if nobody is."""
        return Approval() if self.approval is True else self.approval or None

    def price(self, model: str) -> Mapping[str, float]:
        """Return what a million tokens of a model cost. Raises InvalidConfiguration for a model that has no price."""
        price = self.prices.get(model)
        if price:
            return price
        for pattern, price in self.prices.items():
            if fnmatchcase(model, pattern):
                return price
        msg = f"the budget has a limit of money and no price for the model {model!r}; add it to Budget(prices=...)"
        raise InvalidConfiguration(msg)


def _check_price(model: str, price: Mapping[str, float]) -> None:
    if set(price) != _PRICED or not all(value >= 0 for value in price.values()):
        msg = f"prices[{model!r}]: give input and output, what a million tokens cost"
        raise InvalidConfiguration(msg)
