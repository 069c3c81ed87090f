"""All subjects of the contract."""

from __future__ import annotations

from tests.contract.function_order import FunctionOrder
from tests.contract.langgraph_order import BareLangGraphOrder, LangGraphOrder

DURABLE = (FunctionOrder, LangGraphOrder)
BARE = (BareLangGraphOrder,)
