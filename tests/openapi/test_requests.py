"""What arrives at the server: parameters in each style, bodies, keys; and nothing for arguments that do not fit."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.openapi.test_documents import document

OK = {"responses": {"200": {"description": "ok"}}}
ARRAY = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object", "properties": {"R": {"type": "integer"}, "G": {"type": "integer"}}}


def one(tools, parameter, path="/x", **more):
    operation = {"operationId": "op", "parameters": [parameter], **OK, **more}
    return tools(document({path: {"get": operation}}))["op"]


@pytest.mark.parametrize(
    ("style", "explode", "value", "target"),
    [
        ("form", True, ["a b", "c&d"], "?p=a%20b&p=c%26d"),
        ("form", False, ["a", "b,c"], "?p=a,b%2Cc"),
        ("spaceDelimited", False, ["a", "b"], "?p=a%20b"),
        ("pipeDelimited", False, ["a", "b"], "?p=a%7Cb"),
        ("form", True, {"R": 1, "G": 2}, "?R=1&G=2"),
        ("form", False, {"R": 1, "G": 2}, "?p=R,1,G,2"),
        ("deepObject", True, {"R": 1, "G": 2}, "?p%5BR%5D=1&p%5BG%5D=2"),
    ],
)
def test_query_styles(tools, api, style, explode, value, target):
    schema = ARRAY if isinstance(value, list) else OBJECT
    call = one(tools, {"name": "p", "in": "query", "style": style, "explode": explode, "schema": schema})
    assert call(p=value) == {"ok": True}
    assert api.only.target == "/x" + target


@pytest.mark.parametrize(
    ("style", "explode", "value", "segment"),
    [
        ("simple", False, "a/b?", "a%2Fb%3F"),
        ("simple", False, ["a", "b"], "a,b"),
        ("simple", True, {"R": 1, "G": 2}, "R=1,G=2"),
        ("simple", False, {"R": 1, "G": 2}, "R,1,G,2"),
        ("label", False, ["a", "b"], ".a,b"),
        ("label", True, ["a", "b"], ".a.b"),
        ("matrix", False, "blue", ";p=blue"),
        ("matrix", True, ["a", "b"], ";p=a;p=b"),
        ("matrix", True, {"R": 1, "G": 2}, ";R=1;G=2"),
    ],
)
def test_path_styles(tools, api, style, explode, value, segment):
    schema = {"type": "string"} if isinstance(value, str) else ARRAY if isinstance(value, list) else OBJECT
    place = {"name": "p", "in": "path", "required": True, "style": style, "explode": explode, "schema": schema}
    assert one(tools, place, "/x/{p}/y")(p=value) == {"ok": True}
    assert api.only.target == f"/x/{segment}/y"


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_no_argument_leaves_its_place_in_the_path(tools, api, value):
    place = {"name": "p", "in": "path", "required": True, "schema": {"type": "string"}}
    assert "cannot stand in a path" in one(tools, place, "/x/{p}/y")(p=value)["error"]
    assert api.arrived == []


def test_headers_and_cookies(tools, api):
    parameters = [
        {"name": "X-Ids", "in": "header", "schema": {"type": "array", "items": {"type": "integer"}}},
        {"name": "seen", "in": "cookie", "schema": {"type": "boolean"}},
        {"name": "class", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
        {"name": "X-Ids", "in": "query", "schema": {"type": "string"}},
    ]
    call = tools(document({"/x": {"get": {"operationId": "op", "parameters": parameters, **OK}}}))["op"]
    call(X_Ids=[1, 2], seen=True, class_='{"a": 1}', X_Ids_query="z")
    arrived = api.only
    assert (arrived.headers["x-ids"], arrived.headers["cookie"]) == ("1,2", "seen=true")
    assert arrived.query == [("class", '{"a":1}'), ("X-Ids", "z")]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\0", "ü"])
def test_no_argument_makes_a_header_of_its_own(tools, api, value):
    call = one(tools, {"name": "X-A", "in": "header", "schema": {"type": "string"}})
    assert "cannot be sent in a header" in call(X_A=value)["error"]
    assert api.arrived == []


def test_a_body_of_json(tools, api):
    refund = tools("billing-3.1.yaml", include=["createRefund"], headers={"Authorization": "Bearer t"})["createRefund"]
    refund(amount=5, currency="EUR", order="Ä-1", reason=None)
    arrived = api.only
    assert arrived.json == {"amount": 5, "currency": "EUR", "order": "Ä-1"}
    assert (arrived.method, arrived.path, arrived.headers["content-type"]) == ("POST", "/refunds", "application/json")
    assert arrived.headers["authorization"] == "Bearer t"


def test_forms(tools, api):
    pets = tools("petstore-2.0.json", headers={"Authorization": "Bearer t", "api_key": "k"})
    pets["updatePetWithForm"](petId=7, name="Rex & Co", status=None)
    pets["uploadFile"](petId=7, file=base64.b64encode(b"\x89PNG").decode(), additionalMetadata="m")
    pets["findPetsByStatus"](status=["sold", "pending"], ids=[1, 2])
    form, file, found = api.arrived
    assert (form.path, form.form) == ("/pet/7", [("name", "Rex & Co")])
    assert b"\x89PNG" in file.body
    assert b'name="additionalMetadata"' in file.body
    assert file.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert found.target == "/pet/findByStatus?status=sold&status=pending&ids=1%7C2"
    charge = tools("billing-3.1.yaml", include=["createCharge"], headers={"Authorization": "Bearer t"})["createCharge"]
    charge(amount=5, tags=["a", "b"])
    assert api.arrived[-1].form == [("amount", "5"), ("tags", "a"), ("tags", "b")]


def test_recursive_bodies_are_checked_to_their_depth(tools, api):
    found = tools("tree-3.1.yaml")
    block = {"type": "list", "children": [{"type": "quote", "children": [{"type": "paragraph", "text": "x"}]}]}
    assert found["appendChildren"](id="a-1", type="list", children=[json.dumps(block)], color=None) == {"ok": True}
    assert api.only.json == {"type": "list", "children": [block]}
    deep = {"and": [{"and": [{"property": "p", "equals": 1}]}]}
    assert found["search"](filter=json.dumps(deep), page_size=None, sort="newest") == {"ok": True}
    assert found["search"](filter=deep) == {"ok": True}
    assert api.arrived[-1].json == {"filter": deep}
    block["children"][0]["children"][0]["type"] = "wrong"
    said = found["appendChildren"](id="a-1", type="list", children=[block])["error"]
    assert "children[0].children[0].children[0].type: 'wrong' is not one of" in said
    assert "filter.and: [] should be non-empty" in found["search"](filter='{"and": []}')["error"]
    assert len(api.arrived) == 3


def upload(tools, schema, media_type="multipart/form-data", **components):
    body = {"required": True, "content": {media_type: {"schema": schema}}}
    said = document({"/x": {"post": {"operationId": "up", "requestBody": body, **OK}}}, components=components)
    return tools(said)["up"]


def test_files_of_a_form_are_found_behind_references(tools, api):
    picture = {"type": "string", "contentMediaType": "image/png"}
    form = {
        "type": "object",
        "properties": {"a": {"$ref": "#/components/schemas/P"}, "b": {"type": "array", "items": picture}},
    }
    call = upload(
        tools, {"$ref": "#/components/schemas/F"}, schemas={"F": form, "P": {"type": "string", "format": "binary"}}
    )
    assert call(a="AAH/", b=["/wAB", "AgME"]) == {"ok": True}
    for part in (b"\x00\x01\xff", b"\xff\x00\x01", b"\x02\x03\x04"):
        assert part in api.only.body
    assert "give the bytes in base64" in call(a="no base64!")["error"]
    assert len(api.arrived) == 1


def test_bodies_of_other_types(tools, api):
    assert upload(tools, {"type": "string"}, "application/octet-stream")(body="AAH/") == {"ok": True}
    assert upload(tools, {"type": "string"}, "application/xml")(body="<a>ü</a>") == {"ok": True}
    assert upload(tools, {"type": "string"}, "text/plain")(body="ü") == {"ok": True}
    assert upload(tools, {"type": "array", "items": {"type": "integer"}}, "application/vnd.x+json")(body=[1, 2]) == {
        "ok": True
    }
    assert [one.body for one in api.arrived] == [b"\x00\x01\xff", "<a>ü</a>".encode(), "ü".encode(), b"[1,2]"]
    assert api.arrived[-1].headers["content-type"] == "application/vnd.x+json"
    free = upload(tools, {}, "application/x-www-form-urlencoded")
    assert "give an object" in free(body="[1]")["error"]


def test_a_body_of_any_shape_is_a_text_of_json_or_data(tools, api):
    body = {"content": {"application/json": {}}}
    call = tools(document({"/x": {"post": {"operationId": "any", "requestBody": body, **OK}}}))["any"]
    for body in ('{"a": [1]}', {"a": [1]}, "no json"):
        assert call(body=body) == {"ok": True}
    assert call() == {"ok": True}
    assert [one.body for one in api.arrived] == [b'{"a":[1]}', b'{"a":[1]}', b'"no json"', b""]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_not_are_not_sent(tools, api, value):
    assert "nothing was sent" in tools("petstore-3.0.yaml")["createPets"](id=1, name="x", weight=value)["error"]
    assert api.arrived == []


@pytest.mark.parametrize("value", ["\ud800", "x" * 70_000])
def test_texts_that_no_url_can_hold_are_not_sent(tools, api, value):
    assert "nothing was sent" in tools("petstore-3.0.yaml")["showPetById"](petId=value)["error"]
    assert api.arrived == []


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("listPets", {"limit": 101}, "limit: 101 is greater than the maximum of 100"),
        ("listPets", {"limit": "ten"}, "limit: 'ten' is not of type 'integer'"),
        ("listPets", {"filter": {"age": -1}}, "filter.age: -1 is less than the minimum of 0"),
        ("listPets", {"X_Request_ID": "no uuid"}, "is not a 'uuid'"),
        ("createPets", {"id": 1, "name": ""}, "name: '' "),
        ("createPets", {"id": 1, "name": "x", "weight": 0}, "weight: 0 "),
        ("createPets", {"id": None, "name": "x"}, "id: None is not of type 'integer'"),
    ],
)
def test_arguments_that_do_not_fit_never_leave_the_process(tools, api, name, arguments, says):
    said = tools("petstore-3.0.yaml")[name](**arguments)["error"]
    assert says in said
    assert said.endswith("nothing was sent")
    assert api.arrived == []


def test_arguments_that_are_not_there_are_no_call(tools, api):
    with pytest.raises(TypeError, match="missing a required argument: 'name'"):
        tools("petstore-3.0.yaml")["createPets"](id=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'registered'"):  # readOnly: the server's own
        tools("petstore-3.0.yaml")["createPets"](id=1, name="x", registered="2026-01-01T00:00:00Z")
    assert api.arrived == []


PET = {"id": st.integers(), "name": st.text(min_size=1), "tag": st.none() | st.text()}
WEIGHT = st.none() | st.floats(min_value=0, exclude_min=True, allow_infinity=False)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)


@FUZZ
@given(arguments=st.fixed_dictionaries({**PET, "weight": WEIGHT}))
def test_whatever_fits_the_schema_arrives_as_it_is(tools, api, arguments):
    api.arrived.clear()
    assert pets(tools)["createPets"](**arguments) == {"ok": True}
    assert api.only.json == {name: value for name, value in arguments.items() if value is not None}


@FUZZ
@given(
    limit=st.none() | st.integers(max_value=100),
    tags=st.none() | st.lists(st.text(st.characters(codec="utf-8")), min_size=1),
    pet=st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in {".", ".."}),
)
def test_any_text_arrives_in_its_own_place(tools, api, limit, tags, pet):
    api.arrived.clear()
    pets(tools)["listPets"](limit=limit, tags=tags)
    pets(tools)["showPetById"](petId=pet)
    listed, shown = api.arrived
    wanted = [] if limit is None else [("limit", str(limit))]
    assert listed.query == wanted + [("tags", tag) for tag in tags or []]
    assert listed.path == "/pets"
    assert shown.target.count("/") == 2
    assert "?" not in shown.target


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@FUZZ
@given(arguments=st.fixed_dictionaries({"id": ANYTHING, "name": ANYTHING, "weight": ANYTHING}))
def test_whatever_arrives_fits_the_schema(tools, api, arguments):
    api.arrived.clear()
    pets(tools)["createPets"](**arguments)
    for arrived in api.arrived:
        sent = arrived.json
        assert isinstance(sent["id"], int) or float(sent["id"]).is_integer()
        assert isinstance(sent["name"], str)
        assert sent["name"]
        assert sent.get("weight", 1) > 0


_MADE = {}


def pets(tools):
    """The tools of one server, made once for all the examples."""
    if tools not in _MADE:
        _MADE.clear()
        _MADE[tools] = tools("petstore-3.0.yaml")
    return _MADE[tools]
