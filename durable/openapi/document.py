"""Load an OpenAPI document: fetched or read, pinned by its hash, checked, and never left through a ``$ref``.

The structure of the whole is checked here by OpenAPI's own schema; the parts that tools are made of are checked where
the tools are made. A default or an example that does not fit its own schema, as in many published documents, is no
error. A reference to a file or to another host is refused before anything follows it. So are YAML aliases, because a
few lines of them can stand for terabytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import yaml
from jsonschema.exceptions import best_match
from openapi_spec_validator import (
    OpenAPIV2SpecValidator,
    OpenAPIV30SpecValidator,
    OpenAPIV31SpecValidator,
)

from durable.openapi.errors import AnswerLost, ApiError, SpecChanged, SpecInvalid, SpecUnavailable
from durable.openapi.wire import Limits, send

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECKERS = {"2.0": OpenAPIV2SpecValidator, "3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}
_LARGEST = 20_000_000
"""Bytes of a document: the largest public ones have ten million."""

Source = Mapping[str, Any] | str | Path


_Safe: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Yaml(_Safe):  # type: ignore[valid-type,misc]  # of two classes with one interface the one in C, where it is there
    """YAML 1.2 as JSON means it: dates stay texts, and the country NO is no boolean."""


_Yaml.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in {"timestamp", "bool"}]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


@dataclass(frozen=True)
class Document:
    """Valid document of ``version`` 2.0, 3.0 or 3.1.

    ``url`` is where it was fetched from; None if the operator gave it.
    """

    root: Mapping[str, Any]
    version: str
    sha256: str
    url: str | None
    pinned: bool

    @property
    def trusted(self) -> bool:
        """True if the operator has seen the document: then the other hosts that it names are meant."""
        return self.url is None or self.pinned

    def at(self, pointer: str) -> Any:
        """Return what a reference inside the document (``#/...``) stands for. Raises SpecInvalid."""
        if pointer != "#" and not pointer.startswith("#/"):
            msg = f"the reference {pointer} is an anchor, which is not supported; use '#/...'"
            raise SpecInvalid(msg)
        node: Any = self.root
        for part in pointer.removeprefix("#").split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(key)] if isinstance(node, list) else node[key]
            except (KeyError, IndexError, ValueError, TypeError):
                msg = f"the reference {pointer} leads nowhere"
                raise SpecInvalid(msg) from None
        return node

    def followed(self, value: Any) -> Any:
        """Return the value, or what its reference stands for in the end. Raises SpecInvalid."""
        visited: set[str] = set()
        while isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
            pointer = value["$ref"]
            if pointer in visited:
                msg = f"the reference {pointer} leads back to itself"
                raise SpecInvalid(msg)
            visited.add(pointer)
            value = self.at(pointer)
        return value

    @cached_property
    def server(self) -> str | None:
        """Return the url of its first server, variables filled in with their defaults. None if it names no host."""
        if self.version == "2.0":
            schemes = self.root.get("schemes") or ["https"]
            scheme = "https" if "https" in schemes else schemes[0]
            host = self.root.get("host")
            path = self.root.get("basePath", "/")
            named = f"{scheme}://{host}{path}" if host else path
        else:
            first = (self.root.get("servers") or [{"url": "/"}])[0]
            named = first["url"]
            for name, variable in first.get("variables", {}).items():
                named = named.replace("{" + name + "}", str(variable["default"]))
        whole = urljoin(self.url or "", named)
        return whole if urlsplit(whole).scheme else None


def load(source: Source, *, sha256: str | None, limits: Limits) -> Document:
    """Return the document at a url or in a file, or one that was parsed already.

    Raises SpecUnavailable, SpecChanged, SpecInvalid.
    """
    url = source if isinstance(source, str) and source.startswith(("http://", "https://")) else None
    data = _bytes_of(source, url, limits)
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.lower():
        raise SpecChanged(sha256, digest)
    root = source if isinstance(source, Mapping) else _parsed(data)
    version = _version(root)
    _check(root, version)
    return Document(root, version, digest, url, sha256 is not None)


def _bytes_of(source: Source, url: str | None, limits: Limits) -> bytes:
    if isinstance(source, Mapping):
        return json.dumps(source, sort_keys=True, default=str).encode()
    if url is not None:
        return _fetched(url, limits)
    return _read(Path(source))


def _check(root: Any, version: str) -> None:
    """Raise SpecInvalid if a reference leads out of the document, or it does not fit OpenAPI's own schema."""
    for reference in _references(root):
        if not reference.startswith("#"):
            msg = f"the reference {reference!r} leads out of the document; bundle what it needs into one document"
            raise SpecInvalid(msg)
    wrong = best_match(_CHECKERS[version].schema_validator.iter_errors(root))
    if wrong is not None:
        where = "/".join(map(str, wrong.absolute_path)) or "the document"
        msg = f"no valid OpenAPI {version} document: {where}: {wrong.message[:500]}"
        raise SpecInvalid(msg)


def _fetched(url: str, limits: Limits) -> bytes:
    capped = Limits(limits.seconds, max(limits.size, _LARGEST), limits.private_hosts)
    try:
        answer = send(httpx.Request("GET", url, headers={"Accept": "application/json, application/yaml"}), capped)
    except (ApiError, AnswerLost, httpx.InvalidURL) as exc:
        msg = f"the OpenAPI document cannot be fetched: {exc}"
        raise SpecUnavailable(msg) from exc
    if answer.status != httpx.codes.OK:
        to = f", to {answer.headers['location']}: redirects are not followed" if "location" in answer.headers else ""
        msg = f"the OpenAPI document cannot be fetched: {url} answered with status {answer.status}{to}"
        raise SpecUnavailable(msg)
    return answer.body


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"the OpenAPI document cannot be read: {exc}"
        raise SpecUnavailable(msg) from exc


def _parsed(data: bytes) -> Any:
    try:
        text = data.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            return json.loads(text)
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Yaml)):
            reason = "it has YAML aliases; write them out"
        else:
            return json.loads(json.dumps(yaml.load(text, Loader=_Yaml)))  # noqa: S506 - it is a SafeLoader
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as exc:
        reason = f"it is neither JSON nor YAML: {str(exc)[:200]}"
    msg = f"no OpenAPI document: {reason}"
    raise SpecInvalid(msg)


def _version(root: Any) -> str:
    declared = str(root.get("swagger") or root.get("openapi") or "") if isinstance(root, Mapping) else ""
    version = ".".join(declared.split(".")[:2])
    if version not in _CHECKERS:
        msg = f"OpenAPI version {declared or 'none'}: Swagger 2.0, OpenAPI 3.0 and 3.1 are supported"
        raise SpecInvalid(msg)
    return version


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            reference = node.get("$ref")
            if isinstance(reference, str):
                yield reference
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
