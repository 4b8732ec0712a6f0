"""The image's health check, run as it stands in the Dockerfile."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text().replace("\\\n", " ")


class Answer(BaseHTTPRequestHandler):
    status = HTTPStatus.OK

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/-/healthy" else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    answer = type("Answer", (Answer,), {"status": request.param})
    with ThreadingHTTPServer(("127.0.0.1", 0), answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("port", "healthy"), [(HTTPStatus.OK, True), (HTTPStatus.SERVICE_UNAVAILABLE, False)], indirect=["port"]
)
def test_the_health_check_tells_a_healthy_gateway_from_a_sick_one(port: int, *, healthy: bool) -> None:
    (command,) = re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    _, *arguments = json.loads(command.replace(":8080/", f":{port}/"))
    done = subprocess.run([sys.executable, *arguments], env={"http_proxy": "http://127.0.0.1:9"}, check=False)
    assert (done.returncode == 0) == healthy
