import base64
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import HOST, free_port

OLDEST = 300  # seconds, after which a message may be a replay


@dataclass(frozen=True)
class Posted:
    path: str
    headers: Mapping[str, str]
    event: Any


class WebhookServer:
    """A receiver that believes nobody: it checks the signature as standardwebhooks.com tells receivers to.

    What it accepts is in `messages`; `requests` counts what came, accepted or not.
    """

    def __init__(self, secret: str = "whsec_" + base64.b64encode(bytes(range(32))).decode()) -> None:
        self.secret = secret
        self.messages: list[Posted] = []
        self.requests = 0
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}/hook?plant=1"
        self._answers: deque[tuple[int, bytes, Mapping[str, str]]] = deque()
        self._running: tuple[ThreadingHTTPServer, threading.Thread] | None = None

    def fail_next(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Answer the next request so."""
        self._answers.append((status, body, headers or {}))

    def start(self) -> None:
        server = ThreadingHTTPServer((HOST, self.port), partial(_Request, self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self._running = server, thread

    def stop(self) -> None:
        if self._running is not None:
            server, thread = self._running
            server.shutdown()
            thread.join()
            server.server_close()
            self._running = None

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        self.requests += 1
        if self._answers:
            return self._answers.popleft()
        problem = self._problem(headers, body)
        if problem:
            return 401, problem.encode(), {}
        self.messages.append(Posted(path, dict(headers), json.loads(body)))
        return 200, b"thanks", {}

    def _problem(self, headers: Mapping[str, str], body: bytes) -> str:
        id_, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if abs(time.time() - int(timestamp or 0)) > OLDEST:
            return "too old, or no timestamp"
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        expected = hmac.new(key, b".".join([id_.encode(), timestamp.encode(), body]), "sha256").digest()
        offered = [part.removeprefix("v1,") for part in headers.get("webhook-signature", "").split(" ")]
        good = any(hmac.compare_digest(part, base64.b64encode(expected).decode()) for part in offered)
        return "" if good else "the signature is wrong"


class _Request(BaseHTTPRequestHandler):
    timeout = 5  # seconds, for a client that connects and sends nothing

    def __init__(self, webhook: WebhookServer, *connection: Any) -> None:
        self._webhook = webhook
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, content, more = self._webhook.answer(self.path, headers, body)
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the requests are counted."""
