"""All subjects of the contract."""

from __future__ import annotations

from tests.contract.adk_order import AdkOrder, BareAdkOrder
from tests.contract.function_order import FunctionOrder
from tests.contract.langgraph_order import BareLangGraphOrder, LangGraphOrder
from tests.contract.openai_order import BareOpenAIOrder, OpenAIOrder

DURABLE = (FunctionOrder, LangGraphOrder, OpenAIOrder, AdkOrder)
BARE = (BareLangGraphOrder, BareOpenAIOrder, BareAdkOrder)
