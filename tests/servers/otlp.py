import threading
from collections.abc import Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.servers.ports import HOST


class OtlpReceiver:
    """A collector for traces over OTLP/HTTP. It answers with `status`, and takes the spans if that is 200.

    More than `largest` bytes are too much for it, and it refuses what has a span that begins at a time in `poison`.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.largest = 1_000_000
        self.poison: set[int] = set()
        self.spans: list[Span] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.resources: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer((HOST, 0), partial(_Request, self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}/v1/traces"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take what was sent; return the status to answer with."""
        self.requests.append((path, headers))
        status = 413 if len(body) > self.largest else self.status
        if status != 200:
            return status
        assert headers["content-type"] == "application/x-protobuf"
        resources = ExportTraceServiceRequest.FromString(body).resource_spans
        spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
        if any(span.start_time_unix_nano in self.poison for span in spans):
            return 400
        for resource in resources:
            self.resources.append({each.key: each.value.string_value for each in resource.resource.attributes})
        self.spans += spans
        return status


class _Request(BaseHTTPRequestHandler):
    timeout = 5  # seconds, for a client that connects and sends nothing

    def __init__(self, receiver: OtlpReceiver, *connection: Any) -> None:
        self._receiver = receiver
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self._receiver.take(self.path, headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the requests are noted."""
