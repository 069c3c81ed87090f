"""Resolvers: asked in order, at the call; what cannot be had is a named error."""

from __future__ import annotations

import sys

import keyring
import pytest

from durable import Runtime, ToolContext, tool
from durable.errors import DurableError, InvalidConfiguration, SecretMissing, SecretUndeclared
from durable.secrets import Environment, Files, Keyring
from durable.secrets.store import Secrets, SecretStore


def test_resolvers_are_asked_in_order(tmp_path, monkeypatch):
    (tmp_path / "FROM_FILE").write_text("filed away\n")
    (tmp_path / "FROM_ENV").write_text("not this one")
    monkeypatch.setenv("FROM_ENV", "in the environment")
    store = SecretStore([Environment(), Files(tmp_path), {"MAPPED": "on the map"}, lambda name: f"made for {name}"])
    names = ("FROM_ENV", "FROM_FILE", "MAPPED", "ELSE")
    assert [store.resolve(name) for name in names] == [
        "in the environment",
        "filed away",
        "on the map",
        "made for ELSE",
    ]


def test_an_empty_value_counts_as_none():
    assert SecretStore([{"A": ""}, {"A": "second"}]).resolve("A") == "second"


@pytest.mark.parametrize("name", ["../KEY", "/etc/passwd", "..", ".hidden", "", "a/b", "a\0b"])
def test_a_name_that_is_no_file_name_is_not_looked_up(tmp_path, name):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "KEY").write_text("outside of the folder")
    assert Files(folder)(name) is None


def test_only_the_last_line_break_of_a_file_is_cut(tmp_path):
    (tmp_path / "PEM").write_bytes(b" begin\nend \r\n")
    assert Files(tmp_path)("PEM") == " begin\nend "


def raising(name):
    raise ConnectionError("vault said no to token abc")


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ({}, "no resolver of this worker knows it"),
        ([], "no resolver"),
        ({"KEY": "abc"}, "shorter than 4 characters"),
        (raising, "its resolver raised ConnectionError"),
    ],
)
def test_what_cannot_be_had_is_named(sources, says):
    with pytest.raises(SecretMissing, match=f"secret 'KEY' cannot be had: .*{says}") as caught:
        SecretStore(sources).resolve("KEY")
    assert "token abc" not in str(caught.value)


def test_sources_of_another_kind_are_refused():
    with pytest.raises(InvalidConfiguration, match="use a mapping"):
        SecretStore([42])


def test_without_the_package_keyring_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(InvalidConfiguration, match=r"durable-adapters\[keyring\]"):
        Keyring()


def test_the_keyring_is_asked_for_the_service(monkeypatch):
    monkeypatch.setattr(keyring, "get_password", lambda service, name: f"{service}:{name}")
    assert Keyring("billing")("KEY") == "billing:KEY"


def test_a_tool_gets_what_it_declared_and_nothing_else(sqlite_url):
    @tool(effect="read", secrets=("KEY",))
    def one(context: ToolContext) -> str:
        assert repr(context.secrets) == "Secrets(KEY)"
        assert "12345" not in repr(context)
        assert context.secrets.get("OTHER") is None
        with pytest.raises(SecretUndeclared, match="secret 'OTHER' is not declared"):
            context.secrets["OTHER"]
        return str(len(context.secrets["KEY"]))

    with Runtime(sqlite_url, secrets=[{}, {"KEY": "12345", "OTHER": "67890"}]) as runtime:
        runtime.function("one")(lambda: one())
        assert runtime.run("one").output == "5"


def test_a_secret_that_is_missing_fails_the_call_by_name(sqlite_url):
    @tool(effect="read", secrets=("KEY",))
    def one(context: ToolContext) -> str:
        return context.secrets["KEY"]

    with Runtime(sqlite_url, secrets={}) as runtime:
        runtime.function("one")(lambda: one())
        error = runtime.run("one").error
    assert error["type"] == "SecretMissing"
    assert "secret 'KEY' cannot be had" in error["message"]


def test_outside_of_executions_a_tool_finds_its_secrets_too(monkeypatch):
    monkeypatch.setenv("KEY", "from outside")

    @tool(effect="read", secrets=("KEY",))
    def one(context: ToolContext) -> str:
        return context.secrets["KEY"]

    assert one() == "from outside"


def test_the_errors_are_key_errors_with_a_plain_text():
    assert issubclass(SecretMissing, KeyError)
    assert issubclass(SecretMissing, DurableError)
    with pytest.raises(KeyError) as caught:
        Secrets()["X"]
    assert str(caught.value).startswith("secret 'X' is not declared")


def test_a_resolver_is_asked_at_each_call(sqlite_url):
    held = {"KEY": "first one"}

    @tool(effect="read", secrets=("KEY",))
    def both(context: ToolContext) -> list:
        before = context.secrets["KEY"]
        held["KEY"] = "second one"
        return [before, context.secrets["KEY"], before == context.secrets["KEY"]]

    with Runtime(sqlite_url, secrets=held) as runtime:
        runtime.function("both")(lambda: both())
        assert runtime.run("both").output == ["[redacted:KEY]", "[redacted:KEY]", False]
