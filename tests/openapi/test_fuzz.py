"""Arguments made from the schema: what is valid arrives as the document says, what is not never leaves the process.

The oracles are not ours: ``openapi-schema-validator`` says what fits the schema as it stands in the document, and the
server's side of the parameter styles is read back here from what really arrived.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS30Validator, OAS31Validator

from durable.openapi import api_tools
from tests.openapi.server import Api
from tests.openapi.test_documents import document

VALIDATORS = {"3.0.3": OAS30Validator, "3.1.0": OAS31Validator}
CODE = {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 8}
NAMES = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "maxItems": 3,
    "uniqueItems": True,
}
COUNT = {"type": "integer", "minimum": -5, "maximum": 1000, "multipleOf": 5}
STATE = {"type": "string", "enum": ["open", "closed", "in review"]}
TREE = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "size": {"type": "number", "minimum": 0},
        "state": STATE,
        "tags": NAMES,
        "children": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/Tree"}},
    },
}
PLACES = {
    "code": ("path", CODE),
    "state": ("query", STATE),
    "names": ("query", NAMES),
    "count": ("query", COUNT),
    "X-Flag": ("header", {"type": "boolean"}),
}


def api_of(version):
    parameters = [
        {"name": name, "in": place, "required": place == "path", "schema": schema}
        for name, (place, schema) in PLACES.items()
    ]
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}}
    operation = {"operationId": "plant", "parameters": parameters, "requestBody": body}
    operation["responses"] = {"200": {"description": "ok"}}
    return document({"/plots/{code}/trees": {"post": operation}}, components={"schemas": {"Tree": TREE}}) | {
        "openapi": version
    }


def valid(schema, depth=2):
    """Values that fit; of a recursive schema to a depth."""
    if "$ref" in schema:
        return valid(TREE, depth - 1) if depth else st.nothing()
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "string" if "pattern" in schema:
            return st.from_regex("[A-Z]{2}-[0-9]{1,5}", fullmatch=True)
        case "string":
            return st.text(st.characters(codec="utf-8"), min_size=schema.get("minLength", 0), max_size=5)
        case "integer":
            return st.integers(-1, 200).map(lambda number: number * 5)
        case "number":
            return st.floats(0, allow_infinity=False) | st.integers(0)
        case "boolean":
            return st.booleans()
        case "array":
            inner = valid(schema["items"], depth)
            most = 0 if inner.is_empty else 2
            return st.lists(inner, min_size=schema.get("minItems", 0), max_size=most, unique="uniqueItems" in schema)
    properties = {name: valid(one, depth) for name, one in schema["properties"].items()}
    required = {name: properties.pop(name) for name in schema["required"]}
    return st.fixed_dictionaries(required, optional=properties)


WRONG = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(categories=["Lu", "Nd", "Cc", "Pd"]), max_size=6).map("x".__add__)
    | st.lists(st.text(max_size=2).map("x".__add__), max_size=4)
    | st.dictionaries(st.sampled_from(["name", "size", "x"]), st.integers() | st.just(""), max_size=3)
)
"""Anything, valid by chance; no text that is JSON, which stands for the value that it is."""


@st.composite
def calls(draw):
    """Arguments that fit, and in most cases some of them that need not."""
    made = {"state_body" if name == "state" else name: value for name, value in draw(valid(TREE)).items()}
    made["code"] = draw(valid(CODE))
    made |= draw(st.fixed_dictionaries({}, optional={n: valid(PLACES[n][1]) for n in ("names", "count", "X-Flag")}))
    made["state"] = draw(valid(STATE))
    for name in draw(st.lists(st.sampled_from(sorted(made)), max_size=3)):
        made[name] = draw(WRONG)
    return made


def expected(version, made):
    """What should arrive: the parameters by name, and the body; None for what does not fit."""
    check = VALIDATORS[version]
    outside = {name: made[name] for name in PLACES if name in made}
    body = {name: made[name] for name in TREE["properties"] if name in made and name != "state"}
    body |= {"state": made["state_body"]} if "state_body" in made else {}
    fits = all(check(PLACES[name][1]).is_valid(value) for name, value in outside.items())
    whole = TREE | {"components": {"schemas": {"Tree": TREE}}}
    return (outside, body) if fits and check(whole).is_valid(body) else None


@pytest.fixture(scope="module")
def server():
    made = Api()
    yield made
    made.close()


@pytest.mark.parametrize("version", VALIDATORS)
def test_what_is_valid_arrives_as_the_document_says_and_nothing_else_leaves(server, version):
    [plant] = api_tools(api_of(version), base_url=server.url, private_hosts=["127.0.0.1"])
    seen = {True: 0, False: 0}

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def fuzz(made):
        server.arrived.clear()
        found = plant(**{name.replace("-", "_"): value for name, value in made.items()})
        wanted = expected(version, made)
        seen[wanted is not None] += 1
        if wanted is None:
            assert "nothing was sent" in found["error"]
            assert server.arrived == []
            return
        outside, body = wanted
        arrived = server.only
        assert found == {"ok": True}
        assert unquote(arrived.path) == f"/plots/{outside['code']}/trees"
        assert arrived.json == body
        assert [value for name, value in arrived.query if name == "names"] == outside.get("names", [])
        query = {name: value for name, value in arrived.query if name != "names"}
        assert query.pop("state") == outside["state"]
        assert {name: json.loads(value) for name, value in query.items()} == {
            n: v for n, v in outside.items() if n == "count"
        }
        assert arrived.headers.get("x-flag") == (json.dumps(outside["X-Flag"]) if "X-Flag" in outside else None)

    fuzz()
    assert min(seen.values()) > 5, seen
