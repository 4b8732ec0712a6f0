"""What reading commands say of the gateway itself; tests/integration/test_asking.py does it over a real network."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import pytest

from gateway.cli import gateway_status as asking
from gateway.cli.gateway_status import reasons_in
from gateway.config import load_http
from gateway.config.values import local_url
from tests.unit.cli.conftest import Run

READY = (200, b'{"ready": true, "reasons": []}')
HOLDS = "the journal holds"
NOT_GATEWAYS = [
    (200, b'{"ready": true, "reasons": []'),
    (200, b"<html>It works!</html>"),
    (200, b"[]"),
    (200, b'{"ready": true}'),
    (200, b'{"ready": "true", "reasons": []}'),
    (200, b'{"ready": true, "reasons": ["why"]}'),
    (200, b'{"ready": false, "reasons": ["why"]}'),
    (503, b'{"ready": true, "reasons": []}'),
    (503, b'{"ready": false, "reasons": []}'),
    (503, b'{"ready": false, "reasons": "why"}'),
    (503, b'{"ready": false, "reasons": ["\xff"]}'),
    (404, b'{"ready": false, "reasons": ["why"]}'),
    (301, b'{"ready": false, "reasons": ["why"]}'),
    (503, b'{"ready": false, "reasons": ["' + b"x" * 70_000 + b'"]}'),
    (503, b'{"x": ' + b"[" * 60_000),
]


class Connection:
    """A gateway that gives one answer, or cannot be reached, instead of http.client's connection."""

    answer: ClassVar[tuple[int, bytes] | None] = None
    asked: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, host: str, port: int, timeout: float) -> None:
        assert timeout <= asking.PATIENCE
        self.where = host, port

    def request(self, method: str, path: str, headers: dict[str, str]) -> None:
        self.asked.append((*self.where, method, path, headers))
        if self.answer is None:
            raise ConnectionRefusedError

    def getresponse(self) -> Self:
        assert self.answer is not None
        self.status, self._body = self.answer
        return self

    def read(self, most: int) -> bytes:
        return self._body[:most]

    def close(self) -> None:
        pass


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, config: Path) -> type[Connection]:
    monkeypatch.setattr(asking, "HTTPConnection", Connection)
    monkeypatch.setattr(Connection, "asked", [])
    monkeypatch.setattr(Connection, "answer", None)
    with config.open("a") as file:
        file.write('[http]\nhost = "0.0.0.0"\nport = 8081\ntoken = "hunter2-${NOT_SET_ANYWHERE}"\n')
    return Connection


def refusing(*reasons: str) -> tuple[int, bytes]:
    return 503, json.dumps({"ready": False, "reasons": reasons}).encode()


@pytest.mark.usefixtures("here")
class TestStats:
    def test_the_first_line_is_how_the_gateway_is(self, run: Run, gateway: type[Connection]) -> None:
        gateway.answer = READY
        assert run("stats").out.splitlines()[0].split() == ["gateway", "running", "and", "ready"]
        gateway.answer = refusing("broker: refused", "the disk is full")
        (first, *_) = run("stats").out.splitlines()
        assert first.split(maxsplit=1) == ["gateway", "running, not ready: broker: refused; the disk is full"]

    @pytest.mark.usefixtures("gateway")
    def test_one_that_does_not_answer_is_not_hidden_by_what_the_journal_holds(self, run: Run) -> None:
        result = run("stats")
        (first, second, *_) = result.out.splitlines()
        said = "does not answer at http://127.0.0.1:8081: what follows is what the journal holds"
        assert first.split(maxsplit=1) == ["gateway", said]
        assert second.split()[0] == "sensors"
        assert (result.code, result.err) == (0, "")

    def test_programs_are_told_too(self, run: Run, gateway: type[Connection]) -> None:
        def answer() -> Any:
            return json.loads(run("stats", "-o", "json").out)["gateway"]

        assert answer() == {"answers": False, "reasons": []}
        gateway.answer = READY
        assert answer() == {"answers": True, "reasons": []}
        gateway.answer = refusing("a", "b")
        assert answer() == {"answers": True, "reasons": ["a", "b"]}

    def test_without_http_nothing_is_said(self, run: Run) -> None:
        assert run("stats").out.split()[0] == "sensors"
        assert json.loads(run("stats", "-o", "json").out)["gateway"] == {"answers": None, "reasons": []}

    def test_the_loopback_is_asked_once_and_gets_no_token(self, run: Run, gateway: type[Connection]) -> None:
        gateway.answer = READY
        run("stats")
        assert gateway.asked == [("127.0.0.1", 8081, "GET", "/-/ready", {"Connection": "close"})]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("noun", ["alerts", "sensors"])
class TestLists:
    def test_a_gateway_that_is_ready_is_not_mentioned(self, run: Run, gateway: type[Connection], noun: str) -> None:
        gateway.answer = READY
        result = run(noun, "list")
        assert (result.code, result.err) == (0, "")

    def test_one_that_is_not_is_a_line_beside_the_table(self, run: Run, gateway: type[Connection], noun: str) -> None:
        quiet = run(noun, "list").out
        gateway.answer = refusing("broker: refused")
        result = run(noun, "list")
        assert (result.code, result.out) == (0, quiet)
        assert result.err == "The gateway is running, not ready: broker: refused\n"

    @pytest.mark.usefixtures("gateway")
    def test_one_that_does_not_answer_is_too(self, run: Run, noun: str) -> None:
        result = run(noun, "list")
        assert result.code == 0
        assert HOLDS not in result.out
        assert result.err == "The gateway does not answer at http://127.0.0.1:8081: this is what the journal holds\n"

    def test_programs_get_their_json_and_nothing_else(self, run: Run, gateway: type[Connection], noun: str) -> None:
        result = run(noun, "list", "-o", "json")
        assert (result.code, json.loads(result.out), result.err) == (0, [], "")
        assert gateway.asked == []


class TestWhatIsTaken:
    @pytest.mark.parametrize(("status", "body"), NOT_GATEWAYS)
    @pytest.mark.usefixtures("here")
    def test_an_answer_that_is_not_a_gateways_is_none(
        self, run: Run, gateway: type[Connection], status: int, body: bytes
    ) -> None:
        with pytest.raises((ValueError, msgspec.MsgspecError, RecursionError)):
            reasons_in(status, body)
        gateway.answer = status, body
        assert " does not answer at " in run("alerts", "list").err

    def test_reasons_are_short_few_and_harmless(self) -> None:
        status, body = refusing("\x1b[2J\r\nfake row\u202e\x9b", "x" * 5000, *"abcdefghijkl")
        reasons = reasons_in(status, body)
        assert reasons[0] == "\\x1b[2J\\x0d\\x0afake row\\x202e\\x9b"
        assert (len(reasons[1]), reasons[1][-1], len(reasons)) == (300, "…", 10)


class TestWhere:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("0.0.0.0", "http://127.0.0.1:80"),
            ("::", "http://127.0.0.1:80"),
            ("::1", "http://[::1]:80"),
            ("edge-1.local", "http://edge-1.local:80"),
        ],
    )
    def test_what_listens_everywhere_is_reached_here(self, host: str, url: str) -> None:
        assert local_url(host, 80) == url

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "http = 1",
            '[http]\nport = "many"',
            '[http]\nhost = "${NOT_SET}"',
            '[http]\nhost = "http://here"',
            "[http",
            "[http]\nport = 65536",
        ],
    )
    def test_what_cannot_be_read_is_nowhere(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "some.toml"
        path.write_text(text)
        assert load_http(path, {}) is None

    def test_nothing_but_the_address_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "some.toml"
        path.write_text('[http]\ntoken = "${FILE:/nowhere}"\nunknown = 1\n[mqtt]\npassword = "${NOT_SET}"\n')
        section = load_http(path, {"VIBRATION_GATEWAY__HTTP__PORT": "8088"})
        assert section is not None
        assert (section.host, section.port, section.token) == ("127.0.0.1", 8088, None)

    @pytest.mark.usefixtures("here")
    def test_a_port_that_nobody_knows_is_not_asked(self, run: Run, gateway: type[Connection], config: Path) -> None:
        config.write_text(config.read_text().replace("port = 8081", "port = 0"))
        assert run("alerts", "list").err == ""
        assert gateway.asked == []
