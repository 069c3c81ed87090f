"""What a review of the tools found: calls that went elsewhere, arrived as something else, or were taken for made."""

from __future__ import annotations

import inspect

import pytest

from durable import Runtime, ToolPolicy
from durable.errors import InvalidConfiguration, SecretMissing
from durable.openapi import api_tools
from durable.openapi.errors import SpecInvalid
from tests.openapi.server import Reply
from tests.openapi.test_calls import WITH_KEY, call_oauth, drive, environment, runtime  # noqa: F401 - fixtures
from tests.openapi.test_documents import document, get
from tests.openapi.test_requests import OK, one, upload


def hang_up(handler):
    handler.close_connection = True


# --- documents


def test_a_default_or_an_answer_that_does_not_fit_its_schema_is_nobodys_hindrance(tools):
    wrong = {"type": "integer", "default": "ten"}
    said = {"parameters": [{"name": "a", "in": "query", "schema": wrong}]}
    answers = {
        "200": {"description": "ok", "content": {"application/json": {"schema": {"type": "integer", "enum": ["x"]}}}}
    }
    assert tools(document({"/x": get(**said, responses=answers)}))["look"](a=1) == {"ok": True}
    files = {"200": {"description": "a file", "schema": {"type": "file"}}}
    old = {"swagger": "2.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": get(responses=files)}}
    assert tools(old)["look"]() == {"ok": True}


def test_a_schema_of_an_argument_that_is_none_is_named(tools):
    wrong = {"name": "a", "in": "query", "schema": {"type": "integer", "exclusiveMaximum": True}}
    with pytest.raises(SpecInvalid, match="exclusiveMaximum: True is not of type 'number'"):
        tools(document({"/x": get(parameters=[wrong])}))


@pytest.mark.parametrize("path", ["/x/{id}", "/x?action=look"])
def test_a_path_that_its_parameters_do_not_fill_is_named(tools, path):
    with pytest.raises(SpecInvalid, match="do not fit each other"):
        tools(document({path: get()}))


def test_an_operation_with_a_server_of_its_own_is_not_sent_to_another(tools, api):
    said = document({"/x": get(servers=[{"url": "https://files.example"}])}, servers=[{"url": api.url}])
    with pytest.raises(SpecInvalid, match="look: names a server of its own"):
        tools(said, base_url=None)
    assert tools(said)["look"]() == {"ok": True}  # the operator says where to
    assert api.only.path == "/x"


def test_operations_are_chosen_by_their_id_as_it_stands_in_the_document(tools):
    long = "orgs/" + "create-or-update-".join("abcdefg")
    paths = {f"/{n}": get(operationId=f"{long}/{n}") for n in (1, 2)} | {"/3": get(operationId="issues/list-for-repo")}
    assert list(tools(document(paths), include=["issues/list-*"])) == ["issues_list_for_repo"]
    both = list(tools(document(paths), include=["orgs/*"]))
    assert len(set(both)) == 2
    assert {len(name) for name in both} == {64}


def test_arguments_never_have_a_name_that_a_framework_takes_for_its_own(tools, api):
    taken = ["runtime", "config", "tool_context", "callbacks"]
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in taken]
    call = tools(document({"/x": get(parameters=parameters)}))["look"]
    assert set(inspect.signature(call).parameters) == {f"{name}_query" for name in taken}
    call(runtime_query="r")
    assert api.only.query == [("runtime", "r")]


def test_what_is_only_read_is_not_required_where_another_part_requires_it(tools, api):
    base = {"type": "object", "properties": {"id": {"type": "string", "readOnly": True}, "name": {"type": "string"}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Base"}, {"required": ["id", "name"]}]}
    call = upload(tools, schema, "application/json", schemas={"Base": base})
    assert call(name="x") == {"ok": True}
    assert api.only.json == {"name": "x"}


def test_a_policy_with_a_field_that_there_is_not_is_named(tools):
    with pytest.raises(InvalidConfiguration, match="fields that a ToolPolicy has not: aproval"):
        tools("petstore-3.0.yaml", policies={"deletePet": {"aproval": True}})


@pytest.mark.parametrize("url", ["https://x.example/api?v=1", "https://x.example/#a"])
def test_a_server_with_a_query_is_named(tools, url):
    with pytest.raises(InvalidConfiguration, match="no plain http or https url"):
        tools(document({"/x": get()}), base_url=url)


# --- arguments


@pytest.mark.parametrize("value", [" a", "a "])
def test_a_header_that_would_lose_its_space_is_not_sent(tools, api, value):
    call = one(tools, {"name": "X-A", "in": "header", "schema": {"type": "string"}})
    assert "cannot be sent in a header" in call(X_A=value)["error"]
    assert api.arrived == []


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"type": "string", "pattern": "^[a-z]+$"}, "abc", "abc\n"),
        ({"type": "string", "pattern": r"^\d+$"}, "12", "\u0661\u0662"),
        ({"type": "string", "pattern": "^[$a]$"}, "$", "$$"),
        ({"type": "number", "multipleOf": 0.01}, 19.99, 19.999),
        ({"type": "number", "multipleOf": 0.01}, 1e300, 0.001),
    ],
)
def test_schemas_mean_what_json_schema_says(tools, api, schema, fits, does_not):
    call = upload(tools, {"type": "object", "properties": {"a": schema}}, "application/json")
    assert "nothing was sent" in call(a=does_not)["error"]
    assert api.arrived == []
    assert call(a=fits) == {"ok": True}
    assert api.only.json == {"a": fits}


def test_allowed_reserved_letters_begin_no_other_parameter(tools, api):
    call = one(tools, {"name": "p", "in": "query", "allowReserved": True, "schema": {"type": "string"}})
    call(p="a/b?c=d&admin=1#e+f")
    assert api.only.query == [("p", "a/b?c=d&admin=1#e+f")]
    assert api.only.target.startswith("/x?p=a/b?c=d%26")


def test_forms_are_written_in_the_styles_that_the_document_names(tools, api):
    deep = {"style": "deepObject", "explode": True}
    schema = {
        "type": "object",
        "properties": {
            "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
            "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "string"}}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "plain": {"type": "object", "properties": {"a": {"type": "integer"}}},
        },
    }
    encoding = {"metadata": deep, "items": deep, "tags": {"style": "form", "explode": False}}
    content = {"application/x-www-form-urlencoded": {"schema": schema, "encoding": encoding}}
    said = {"/x": {"post": {"operationId": "pay", "requestBody": {"content": content}, **OK}}}
    call = tools(document(said))["pay"]
    call(metadata={"order": "A 1"}, items=[{"price": "p1"}, {"price": "p2"}], tags=["a", "b"], plain={"a": 1})
    assert api.only.form == [
        ("metadata[order]", "A 1"),
        ("items[0][price]", "p1"),
        ("items[1][price]", "p2"),
        ("tags", "a,b"),
        ("plain", '{"a":1}'),
    ]
    assert api.only.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_body_of_xml_is_a_text_that_the_caller_writes(tools, api):
    call = upload(tools, {"type": "object", "properties": {"a": {"type": "string"}}}, "application/xml")
    assert call(body="<a>b</a>") == {"ok": True}
    assert (api.only.body, api.only.headers["content-type"]) == (b"<a>b</a>", "application/xml")


def test_a_body_of_any_type_is_sent_as_json(tools, api):
    upload(tools, {"type": "object", "properties": {"a": {"type": "integer"}}}, "*/*")(a=1)
    assert (api.only.json, api.only.headers["content-type"]) == ({"a": 1}, "application/json")


# --- credentials and doubt


@pytest.mark.parametrize("fault", [Reply(act=hang_up), Reply(503)])
def test_a_call_whose_token_did_not_come_was_not_made_and_is_not_in_doubt(call_oauth, api, runtime, fault):  # noqa: F811 - fixtures
    api.replies = [fault, Reply(body={"access_token": "token-number-one"}), Reply(body=[1])]
    policy = ToolPolicy(effect="once", retry=call_oauth.__durable_policy__.retry)
    runtime.policies["byO*"] = policy
    assert drive(runtime, call_oauth).output == [1]
    assert [one.path for one in api.arrived] == ["/token", "/token", "/by-oauth"]


def test_the_runtimes_policy_counts_by_pattern_too(tools, api, sqlite_url):
    """A reading call that a pattern makes ``once`` is in doubt where its answer is lost; it is not asked again."""
    call = tools("petstore-3.0.yaml")["listPets"]
    api.replies = [Reply(act=hang_up)]
    with Runtime(sqlite_url, policies={"list*": ToolPolicy(effect="once")}) as made:
        assert drive(made, call).interrupts[0].kind == "in_doubt"
    assert len(api.arrived) == 1


def test_a_token_that_was_got_before_is_known_to_each_runtime(call_oauth, api, tmp_path):  # noqa: F811 - a fixture
    api.replies = [Reply(body={"access_token": "token-number-one", "expires_in": 3600})]
    api.replies += [lambda arrived: Reply(body=arrived.headers["authorization"])] * 2
    for name in "ab":
        with Runtime(f"sqlite:///{tmp_path / name}.db", secrets={"KEY": "long-enough"}) as made:
            assert drive(made, call_oauth).output == "Bearer [redacted:oauth token]"
    assert [one.path for one in api.arrived] == ["/token", "/by-oauth", "/by-oauth"]


def test_who_may_call_as_nobody_and_has_a_key_shows_it(tools, api):
    said = document(
        {"/x": get(security=[{}, {"key": []}])},
        components={"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    )
    tools(said, auth={"key": "${KEY}"}, credentials=["KEY"], secrets={"KEY": "12345"})["look"]()
    tools(said)["look"]()
    assert [one.headers.get("authorization") for one in api.arrived] == ["Bearer 12345", None]


@pytest.mark.parametrize("scheme", [{"type": "mutualTLS"}, {"type": "http", "scheme": "digest"}])
def test_a_scheme_that_is_not_supported_is_named(tools, scheme):
    said = document({"/x": get(security=[{"s": []}])}, components={"securitySchemes": {"s": scheme}})
    with pytest.raises(InvalidConfiguration, match="is not supported"):
        tools(said, auth={"s": "${KEY}"}, credentials=["KEY"], secrets={"KEY": "12345"})


@pytest.mark.parametrize(("secret", "error"), [("a\nX-Evil: 1", SecretMissing), ("trailing ", InvalidConfiguration)])
def test_a_secret_that_no_header_can_hold_is_named_when_the_tools_are_made(api, secret, error):
    options = {"base_url": api.url, "private_hosts": ["127.0.0.1"], "headers": {"X-Key": "${KEY}"}}
    with pytest.raises(error) as caught:
        api_tools(document({"/x": get()}), credentials=["KEY"], secrets={"KEY": secret}, **options)
    assert secret.strip() not in str(caught.value)
