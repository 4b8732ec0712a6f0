"""An HTTP server before InfluxDB that answers by a script, or late, and passes everything else on."""

import threading
import time
from collections import deque
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.servers.influxdb import Influx
from tests.servers.ports import HOST, free_port


class InfluxFront:
    """What the gateway takes for its InfluxDB; `url`, `org`, `bucket` and `token` are as there.

    `delay` is how many seconds each answer is late. `answers` holds (status, headers) for the next requests;
    `requests` the time (monotonic) and the number of lines of each one so far.
    """

    def __init__(self, influx: Influx) -> None:
        self.org, self.bucket, self.token = influx.org, influx.bucket, influx.token
        self.delay = 0.0
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self.requests: list[tuple[float, int]] = []
        self._influx = influx
        self._port = free_port()
        self.url = f"http://{HOST}:{self._port}"
        self._stopping = threading.Event()

    def start(self) -> None:
        self._server = ThreadingHTTPServer((HOST, self._port), partial(_Request, self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, authorization: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        is_history = not body.startswith(b"gateway,")  # its own metrics are nobody's history, and in no script
        if is_history:
            self.requests.append((time.monotonic(), body.count(b"\n") + 1))
        if is_history and self.answers:
            status, headers = self.answers.popleft()
            return status, headers, b'{"code": "unavailable", "message": "as the script says"}'
        self._stopping.wait(self.delay)
        headers = {"Authorization": authorization}
        answer = httpx.post(f"{self._influx.url}{path}", content=body, headers=headers, timeout=60)
        return answer.status_code, {}, answer.content


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds, for a connection that is kept open

    def __init__(self, front: InfluxFront, *connection: Any) -> None:
        self._front = front
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, headers, content = self._front.answer(self.path, self.headers.get("Authorization", ""), body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the requests are counted."""
