"""A server that takes JSON from a third party's handler or consumer."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Room(HTTPServer):
    """What was said, and with which status it answers next."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Visitor)
        self.said: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Visitor(BaseHTTPRequestHandler):
    server: Room

    def do_POST(self) -> None:
        self.server.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def open_room() -> Iterator[Room]:
    with Room() as room:
        thread = threading.Thread(target=room.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield room
        room.shutdown()
        thread.join()
