import gzip
import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import HOST


class InfluxApi:
    """The write API of InfluxDB 2, with its points in a list: for what is about answers, not about a database.

    It answers with `status`; a line with one of `poison` in it is refused, and nothing of that request is written.
    """

    def __init__(self) -> None:
        self.status = 204
        self.poison: set[bytes] = set()
        self.lines: list[bytes] = []
        self.tokens: set[str] = set()
        self._server = ThreadingHTTPServer((HOST, 0), partial(_Request, self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, lines: list[bytes]) -> tuple[int, dict[str, str]]:
        """Take what was sent; return status and body of the answer."""
        if self.status != 204:
            return self.status, {"message": "not now"}
        if any(text in line for line in lines for text in self.poison):
            return 400, {"message": "field type conflict"}
        self.lines += lines
        return 204, {}


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5  # seconds, for a client that connects and sends nothing

    def __init__(self, api: InfluxApi, *connection: Any) -> None:
        self._api = api
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._api.tokens.add(self.headers.get("Authorization", ""))
        status, said = self._api.take(body.splitlines())
        answer = json.dumps(said).encode() if said else b""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the points are noted."""
