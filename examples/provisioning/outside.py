"""The outside world of the example: a product, a billing and a mail system behind one small HTTP server.

It counts what really happened. Only the product system honours ``Idempotency-Key``: a repeated key is answered with
what the first request did. Billing and mail do whatever they are told, as often as they are told; billing wants its
key, and hangs up after it has sent an invoice.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

BILLING_KEY = "sk-billing-5b1f0c"


class Outside:
    """A context manager; ``url`` is where it listens, ``effects`` counts what happened."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.requests: list[tuple[str, str | None]] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.created = threading.Event()
        self.hold = threading.Event()
        self._answers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/billing/openapi.yaml":
                    self._send(200, "application/yaml", Path(__file__).with_name("billing.yaml").read_bytes())
                else:
                    self._answer({"id": "cus_42", "name": "Acme", "email": self.path.rpartition("=")[2]})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                if self.path.startswith("/billing/") and self.headers.get("Authorization") != f"Bearer {BILLING_KEY}":
                    self._answer({"error": "no key"}, 401)
                    return
                answer = outside.act(self.path, body, self.headers.get("Idempotency-Key"))
                outside.delay(self.path)
                if self.path != "/billing/invoices":  # it is sent, and nobody is told
                    self._answer(answer)

            def _answer(self, answer: dict[str, Any], status: int = 200) -> None:
                self._send(status, "application/json", json.dumps(answer).encode())

            def _send(self, status: int, content_type: str, data: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    return  # whoever asked is gone

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def delay(self, path: str) -> None:
        """The first workspace is made, and its answer is on the way until the worker that asked is gone."""
        if path == "/workspaces" and not self.hold.is_set():
            self.created.set()
            self.hold.wait(30)

    def act(self, path: str, body: dict[str, Any], key: str | None) -> dict[str, Any]:
        """Do what is asked, once for each key where keys are honoured."""
        with self._lock:
            self.requests.append((path, key))
            if path == "/workspaces" and key is not None and key in self._answers:
                return self._answers[key]
            self.effects[path] += 1
            self.bodies[path] = body
            answer = {"id": f"{path.rpartition('/')[2][:2]}_{self.effects[path]}", **body}
            if key is not None:
                self._answers[key] = answer
            return answer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="outside", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
