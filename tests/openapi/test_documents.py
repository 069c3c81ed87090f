"""Documents: five of the kind that is published load; what cannot work is named when the tools are made."""

from __future__ import annotations

import hashlib
import inspect
import json

import pytest
import yaml

from durable.declare.signature import policy_of
from durable.errors import InvalidConfiguration, SecretMissing, SecretUndeclared
from durable.openapi import api_tools
from durable.openapi.errors import ApiUnreachable, SpecChanged, SpecInvalid, SpecUnavailable, TooManyOperations
from tests.openapi.conftest import DOCUMENTS
from tests.openapi.server import Reply

AUTH = {
    "keyHeader": "${KEY}",
    "keyQuery": "${KEY}",
    "keyCookie": "${KEY}",
    "basic": "ann:${KEY}",
    "bearer": "${KEY}",
    "oauth": "me:${KEY}",
}


def document(paths, **more):
    return {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths, **more}


def get(**more):
    return {"get": {"operationId": "look", "responses": {"200": {"description": "ok"}}, **more}}


@pytest.mark.parametrize(
    ("name", "count", "options"),
    [
        ("petstore-3.0.yaml", 5, {}),
        ("petstore-2.0.json", 5, {"headers": {"Authorization": "Bearer x", "api_key": "k"}}),
        ("tree-3.1.yaml", 2, {}),
        ("billing-3.1.yaml", 10, {"auth": AUTH, "credentials": ["KEY"], "secrets": {"KEY": "a-long-key"}}),
    ],
)
def test_a_document_loads(tools, name, count, options):
    found = tools(name, **options)
    assert len(found) == count
    for made in found.values():
        assert made.__doc__
        inspect.signature(made)


def many(count):
    return document({f"/things/{n}": {"get": {**get()["get"], "operationId": f"getThing{n}"}} for n in range(count)})


def test_more_operations_than_an_agent_should_have_are_refused(tools):
    with pytest.raises(TooManyOperations, match=r"120 operations, max_tools is 20; .*getThing0, getThing1, "):
        tools(many(120))
    assert len(tools(many(120), include=["getThing1?"])) == 10
    assert len(tools(many(120), include=["GET /things/7"], max_tools=1)) == 1
    assert len(tools(many(120), exclude=["getThing?", "getThing??", "getThing10?"])) == 10
    assert len(tools(many(120), max_tools=120)) == 120


def test_a_choice_that_chooses_nothing_is_an_error(tools):
    with pytest.raises(SpecInvalid, match="no operation is called 'createPet'; there are listPets"):
        tools("petstore-3.0.yaml", include=["createPet"])
    with pytest.raises(SpecInvalid, match="no operation is called 'x'"):
        tools("petstore-3.0.yaml", exclude=["x"])


def test_effects_follow_http(tools):
    found = tools("petstore-3.0.yaml")
    assert {name: policy_of(made).effect for name, made in found.items()} == {
        "listPets": "read",
        "createPets": "once",
        "showPetById": "read",
        "replacePet": "idempotent",
        "deletePet": "idempotent",
    }
    paid = tools("billing-3.1.yaml", include=["create*"], headers={"Authorization": "Bearer x"})
    assert {name: policy_of(made).effect for name, made in paid.items()} == {
        "createRefund": "idempotent",
        "createCharge": "once",
    }


def test_signatures_show_what_the_schema_says(tools):
    found = tools("tree-3.1.yaml")
    search = inspect.signature(found["search"])
    assert list(search.parameters) == ["filter", "page_size", "sort"]
    assert search.parameters["filter"].annotation is str  # recursive: a text of JSON
    assert '"oneOf"' in found["search"].__doc__
    append = inspect.signature(found["appendChildren"])
    assert list(append.parameters) == ["id", "type", "after", "text", "children", "next", "color"]
    refund = inspect.signature(
        tools("billing-3.1.yaml", include=["createRefund"], headers={"Authorization": "x y"})["createRefund"]
    )
    assert list(refund.parameters) == ["amount", "currency", "order", "reason"]  # neither the key nor Authorization


def test_the_document_may_be_at_a_url(api, tools):
    text = (DOCUMENTS / "petstore-3.0.yaml").read_bytes().replace(b"http://petstore.swagger.io", api.url.encode())
    api.replies = [Reply(body=text, headers={"Content-Type": "application/yaml"})] * 2
    found = tools(str(api.url) + "/spec", base_url=None, sha256=hashlib.sha256(text).hexdigest())
    assert found["listPets"]() == {"ok": True} or api.arrived[-1].path == "/v1/pets"
    assert api.arrived[0].path == "/spec"


def test_a_pinned_document_that_changed_is_refused(tools):
    with pytest.raises(SpecChanged, match=r"has the sha256 [0-9a-f]{64}, pinned is 00"):
        tools("petstore-3.0.yaml", sha256="00")


@pytest.mark.parametrize(
    "reference",
    [
        "file:///etc/passwd",
        "http://127.0.0.1/x.json#/Pet",
        "//evil.example/x",
        "other.yaml#/Pet",
        "/etc/passwd",
        "C:\\x",
    ],
)
def test_no_reference_leaves_the_document(tools, api, reference):
    body = {"content": {"application/json": {"schema": {"properties": {"a": {"$ref": reference}}}}}}
    with pytest.raises(SpecInvalid, match="leads out of the document"):
        tools(document({"/x": get(requestBody=body)}))
    assert api.arrived == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "neither JSON nor YAML"),
        ("a: [", "neither JSON nor YAML"),
        ("openapi: 4.0.0", "OpenAPI version 4.0.0"),
        ("[]", "OpenAPI version none"),
        ("openapi: 3.0.0\npaths: {}", "no valid OpenAPI 3.0 document: the document: 'info' is a required property"),
        ("openapi: 3.0.0\ninfo: &a {title: x, version: '1'}\nx-b: *a\npaths: {}", "it has YAML aliases"),
        ("a: !!python/object/apply:os.system [id]", "neither JSON nor YAML"),
    ],
)
def test_what_is_no_document_is_named(tmp_path, text, says):
    (tmp_path / "spec").write_text(text)
    with pytest.raises(SpecInvalid, match=says):
        api_tools(tmp_path / "spec")


def test_a_reference_that_leads_nowhere_or_back_is_named(tools):
    loop = {"parameters": {"a": {"$ref": "#/components/parameters/a"}}}
    with pytest.raises(SpecInvalid):
        tools(document({"/x": get(parameters=[{"$ref": "#/components/parameters/a"}])}, components=loop))
    with pytest.raises(SpecInvalid):
        tools(document({"/x": get(parameters=[{"$ref": "#/components/parameters/b"}])}))


def test_a_document_that_cannot_be_had_is_named(tmp_path, api, tools):
    with pytest.raises(SpecUnavailable, match="No such file"):
        api_tools(tmp_path / "none.yaml")
    api.replies = [Reply(404), Reply(302, headers={"Location": "http://127.0.0.1/else"})]
    with pytest.raises(SpecUnavailable, match="status 404"):
        tools(api.url)
    with pytest.raises(SpecUnavailable, match="redirects are not followed"):
        tools(api.url)
    with pytest.raises(SpecUnavailable, match="no public address"):
        api_tools(api.url)
    assert len(api.arrived) == 2


def test_a_server_that_cannot_be_reached_is_named(api, tools):
    gone = api.url
    api.close()
    with pytest.raises(ApiUnreachable, match="cannot be reached"):
        tools("petstore-3.0.yaml", base_url=gone)
    api.__init__()


def test_the_server_comes_from_the_operator(api, tools):
    text = json.dumps(document({"/x": get()}, servers=[{"url": "https://evil.example"}])).encode()
    api.replies = [Reply(body=text)]
    with pytest.raises(SpecInvalid, match="names the server https://evil.example; give base_url"):
        tools(api.url, base_url=None)
    with pytest.raises(InvalidConfiguration, match="names no server"):
        tools(document({"/x": get()}), base_url=None)
    for url in ("ftp://x.example", "https://", "https://user:password@x.example"):
        with pytest.raises(InvalidConfiguration, match="base_url"):
            tools(document({"/x": get()}), base_url=url)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"headers": {"X": "${KEY}"}}, SecretUndeclared, "'KEY' is not declared"),
        ({"headers": {"X": "${KEY}"}, "credentials": ["KEY"]}, SecretMissing, "'KEY' cannot be had"),
        ({"headers": {"X": "${K E Y}"}, "credentials": ["KEY"]}, InvalidConfiguration, "names no secret"),
        (
            {"auth": {"nobody": "${KEY}"}, "credentials": ["KEY"], "secrets": {"KEY": "12345"}},
            InvalidConfiguration,
            "bas",
        ),
        ({}, InvalidConfiguration, "byBasic needs the security scheme basic"),
    ],
)
def test_credentials_are_checked_when_the_tools_are_made(tools, options, error, says):
    with pytest.raises(error, match=says):
        tools("billing-3.1.yaml", include=["byBasic"], **options)


def test_no_secret_goes_over_an_open_line(tools):
    options = {"headers": {"Authorization": "${KEY}"}, "credentials": ["KEY"], "secrets": {"KEY": "12345"}}
    with pytest.raises(InvalidConfiguration, match="without TLS"):
        tools("petstore-3.0.yaml", base_url="http://api.example", **options)


def test_a_pattern_that_cannot_be_checked_is_named(tools):
    wrong = {"/x": get(parameters=[{"name": "a", "in": "query", "schema": {"pattern": "[a-"}}])}
    for version in ("3.0.3", "3.1.0"):
        with pytest.raises(SpecInvalid, match=r"pattern.*\[a-"):
            tools(document(wrong) | {"openapi": version})


def test_references_of_other_kinds_are_named(tools):
    for schema in ({"$ref": "#anchor"}, {"$dynamicRef": "#node"}):
        with pytest.raises(SpecInvalid, match="not supported|anchor"):
            tools(document({"/x": get(parameters=[{"name": "a", "in": "query", "schema": schema}])}))


def test_a_policy_for_nothing_is_an_error(tools):
    """A name that is misspelt must not leave an operation without its approval."""
    with pytest.raises(InvalidConfiguration, match=r"policies\['deletPet'\] is for no operation"):
        tools("petstore-3.0.yaml", policies={"deletPet": {"approval": True}})


def test_operations_without_an_id_are_named_by_method_and_path(tools):
    item = {"get": {"responses": {"200": {"description": "ok"}}}}
    assert list(tools(document({"/a/{b}/c": item | {"parameters": [PATH]}}))) == ["get__a_b_c"]


PATH = {"name": "b", "in": "path", "required": True, "schema": {"type": "string"}}


def test_a_document_of_yaml_reads_as_one_of_json(tools):
    text = (DOCUMENTS / "petstore-2.0.json").read_text()
    options = {"headers": {"Authorization": "Bearer x", "api_key": "k"}}
    again = json.loads(json.dumps(yaml.safe_load(text)))
    assert list(tools(again, **options)) == list(tools("petstore-2.0.json", **options))


def test_policies_change_what_http_says(tools):
    found = tools("petstore-3.0.yaml", policies={"delete*": {"approval": True}, "createPets": {"effect": "idempotent"}})
    deleting = policy_of(found["deletePet"])
    assert (deleting.effect, deleting.gate is not None, deleting.retries.attempts) == ("idempotent", True, 4)
    assert policy_of(found["createPets"]).effect == "idempotent"
