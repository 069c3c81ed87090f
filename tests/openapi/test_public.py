"""Public APIs: the kinds of document that are really published load, and make tools that every framework can show.

Those in ``documents/`` are written after the public description of an API; the server of Google ADK publishes its own.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from agents import function_tool
from google.adk.tools import FunctionTool
from langchain_core.tools import tool as langchain_tool

from durable.declare.signature import policy_of
from durable.openapi.errors import TooManyOperations

ROOT = Path(__file__).parents[2]
KEY = {"credentials": ["KEY"], "secrets": {"KEY": "a-long-key"}}
PUBLIC = [
    ("petstore-2.0.json", 5, {"headers": {"Authorization": "Bearer x", "api_key": "k"}}),  # the one of Swagger 2
    ("petstore-3.0.yaml", 5, {}),  # the one of OpenAPI 3
    ("engine-2.0.yaml", 6, {}),  # a container engine
    ("payments-3.0.yaml", 4, {"auth": {"basic": "${KEY}:"}, **KEY}),  # payments, in forms of deep objects
    ("definitions-3.0.json", 3, {"auth": {"token": "Bearer ${KEY}"}, **KEY}),  # schemas of schemas: recursive
]


@pytest.mark.parametrize(("name", "count", "options"), PUBLIC, ids=[name for name, *_ in PUBLIC])
def test_a_public_document_loads_and_each_framework_can_show_its_tools(tools, name, count, options):
    found = tools(name, **options)
    assert len(found) == count
    for made in found.values():
        assert made.__doc__
        inspect.signature(made)
        langchain_tool(made).tool_call_schema.model_json_schema()
        function_tool(made)
        assert FunctionTool(made)._get_declaration().name == made.__name__


@pytest.fixture(scope="module")
def adk_server():
    """What the server of Google ADK publishes of itself: OpenAPI 3.1, more than fifty schemas, some recursive.

    Made by a process of its own: the server takes over the tracing of the process it is in.
    """
    code = """
import json
from google.adk.cli.fast_api import get_fast_api_app
print(json.dumps(get_fast_api_app(agents_dir="tests", web=False).openapi()))
"""
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(made.stdout.splitlines()[-1])


def test_the_document_of_a_server_in_use_is_above_the_limit_and_loads_in_parts(tools, adk_server):
    with pytest.raises(TooManyOperations, match=r"operations, max_tools is 20"):
        tools(adk_server)
    found = tools(adk_server, include=["POST /run", "GET /apps/*/sessions/*"])
    assert {policy_of(made).effect for made in found.values()} == {"once", "read"}
    for made in found.values():
        langchain_tool(made).tool_call_schema.model_json_schema()
        function_tool(made)


def test_payments_are_sent_as_such_servers_read_them(tools, api):
    pay = tools("payments-3.0.yaml", auth={"basic": "${KEY}:"}, **KEY)
    pay["PostRefunds"](charge="ch_1", amount=500, metadata={"order": "A 7"}, expand=["charge"])
    arrived = api.only
    assert arrived.form == [("charge", "ch_1"), ("amount", "500"), ("metadata[order]", "A 7"), ("expand[0]", "charge")]
    assert (policy_of(pay["PostRefunds"]).effect, '"' in arrived.headers["idempotency-key"]) == ("idempotent", True)
    assert arrived.headers["authorization"].startswith("Basic ")


def test_a_schema_of_schemas_is_checked_to_its_depth(tools, api):
    define = tools("definitions-3.0.json", auth={"token": "Bearer ${KEY}"}, **KEY)["createDefinition"]
    inner = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}, "$ref": "#/x"}
    assert define(name="widgets", openAPIV3Schema=inner) == {"ok": True}
    assert api.only.json == {"name": "widgets", "openAPIV3Schema": inner}
    inner["properties"]["a"]["items"]["minLength"] = -1
    assert "minLength: -1 is less than the minimum of 0" in define(name="widgets", openAPIV3Schema=inner)["error"]
    assert len(api.arrived) == 1
