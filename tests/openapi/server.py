"""A local HTTP server that writes down what arrives, and answers what a test tells it to."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Arrived:
    method: str
    target: str
    headers: dict
    body: bytes

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def query(self):
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self):
        return parse_qsl(self.body.decode(), keep_blank_values=True)


@dataclass
class Reply:
    status: int = 200
    body: object = None
    headers: dict = field(default_factory=dict)
    act: object = None

    def content(self):
        if isinstance(self.body, bytes):
            return self.body, {}
        return (
            (b"", {}) if self.body is None else (json.dumps(self.body).encode(), {"Content-Type": "application/json"})
        )


class Api:
    """``arrived`` is what came; ``replies`` are given in their order, then ``{"ok": true}`` for ever."""

    def __init__(self):
        self.arrived, self.replies, self.lock = [], [], threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with api.lock:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    api.arrived.append(Arrived(self.command, self.path, headers, body))
                    reply = api.replies.pop(0) if api.replies else Reply(body={"ok": True})
                if callable(reply):
                    reply = reply(api.arrived[-1])
                if reply.act is not None:
                    return reply.act(self)
                content, more = reply.content()
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **more, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)
                return None

            do_GET = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = do_POST = do_PATCH = serve  # noqa: N815 - names of http.server

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def only(self):
        (one,) = self.arrived
        return one

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
