"""The requests to InfluxDB: what influxdb-client writes, through a proxy, to whom an authority has signed."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.api import DeliveryError, Taken
from gateway.consumers.influx.lines import to_lines
from gateway.consumers.influx.writer import InfluxWriter
from tests.plant import stored
from tests.servers.certificates import Certificates, issue
from tests.servers.ports import HOST
from tests.servers.scripted_http import ScriptedHttp, answer


@pytest.fixture
def peer() -> Iterator[ScriptedHttp]:
    server = ScriptedHttp(lambda _: [answer(204)], keeps=True)
    server.start()
    yield server
    server.stop()


async def write(**settings: Any) -> Taken:
    made = InfluxWriter("influx", {"org": "plant", "bucket": "a b", "token": "a-token", **settings})
    try:
        return await made.consume([stored()], [])
    finally:
        await made.close()


async def test_a_request_is_what_influxdb_client_makes_of_it(peer: ScriptedHttp) -> None:
    assert await write(url=peer.url) == Taken([])
    (asked,) = peer.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/write?org=plant&bucket=a+b&precision=ns")
    assert asked.headers["authorization"] == "Token a-token"
    assert asked.headers["content-type"].startswith("text/plain")
    assert asked.body.splitlines() == to_lines([stored()], [])


async def test_it_goes_through_the_proxy_that_is_configured(peer: ScriptedHttp) -> None:
    await write(url="http://influxdb.example:8086/behind", proxy=peer.url)
    (asked,) = peer.asked
    assert asked.path.startswith("http://influxdb.example:8086/behind/api/v2/write?")
    assert asked.body.splitlines() == to_lines([stored()], [])
    assert asked.headers["content-encoding"] == "gzip"


async def test_it_goes_through_the_proxy_of_the_environment(
    peer: ScriptedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", peer.url)
    await write(url="http://influxdb.example:8086")
    assert peer.asked[0].path.startswith("http://influxdb.example:8086/api/v2/write?")


class _Written(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[tuple[str, Certificates]]:
    files = issue(tmp_path / "certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    server = HTTPServer((HOST, 0), _Written)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}", files
    server.shutdown()
    thread.join()
    server.server_close()


async def test_whom_the_configured_authority_has_signed_is_written_to_and_nobody_else(
    with_tls: tuple[str, Certificates], tmp_path: Path
) -> None:
    url, files = with_tls
    assert await write(url=url, ca=files.ca) == Taken([])
    others = issue(tmp_path / "others")
    for settings in ({}, {"ca": others.ca}):
        with pytest.raises(DeliveryError, match="certificate is not trusted") as caught:
            await write(url=url, **settings)
        assert caught.value.needs_person
        assert caught.value.retry


async def test_http_where_tls_is_expected_is_said_in_words(peer: ScriptedHttp) -> None:
    with pytest.raises(DeliveryError, match=r"no TLS with it.*does the address belong to https"):
        await write(url=peer.url.replace("http:", "https:"))
