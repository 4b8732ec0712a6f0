import base64
import json
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.servers.ports import HOST, free_port

LONGEST_BODY = 1600  # characters
PHONE_NUMBER = re.compile(r"\+[1-9]\d{1,14}")  # E.164


@dataclass(frozen=True)
class Received:
    form: dict[str, str]
    at: float  # time.monotonic()


@dataclass(frozen=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


class TwilioServer:
    """Twilio's API for messages; it keeps what it accepts in `messages`, and the time of every request in `attempts`.

    With `hang` set it takes requests and never answers them.
    """

    def __init__(
        self,
        account_sid: str = "AC00000000000000000000000000000000",
        auth_token: str = "a-twilio-token",  # noqa: S107 - opens nothing but this server
        *,
        hang: bool = False,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.hang = hang
        self.messages: list[Received] = []
        self.attempts: list[float] = []
        self._port = free_port()
        self.base_url = f"http://{HOST}:{self._port}"
        self._failures: deque[Answer] = deque()
        self._stopping = threading.Event()
        self._running: tuple[ThreadingHTTPServer, threading.Thread] | None = None

    def fail_next(
        self, status: int, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next request so; called again, the one after it."""
        self._failures.append(Answer(status, body or {}, headers or {}))

    def start(self) -> None:
        assert self._running is None, "the server is running already"
        self._stopping.clear()
        server = _Server((HOST, self._port), partial(_Request, self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self._running = server, thread

    def stop(self) -> None:
        """Refuse new connections; requests that hang are cut off without an answer."""
        if self._running is not None:
            server, thread = self._running
            self._stopping.set()
            server.shutdown()
            thread.join()
            server.server_close()
            self._running = None

    def answer(self, path: str, authorization: str, body: bytes) -> Answer | None:
        """Answer one POST as Twilio would; None is no answer at all."""
        now = time.monotonic()
        self.attempts.append(now)
        if self.hang:
            self._stopping.wait()
            return None
        if self._failures:
            return self._failures.popleft()
        form = dict(parse_qsl(body.decode()))
        refusal = self._refusal(path, authorization, form)
        if refusal:
            return refusal
        self.messages.append(Received(form, now))
        created = {"sid": f"SM{uuid.uuid4().hex}", "account_sid": self.account_sid, "status": "queued"}
        return Answer(
            201, {**created, "from": form["From"], "to": form["To"], "body": form["Body"], "error_code": None}, {}
        )

    def _refusal(self, path: str, authorization: str, form: Mapping[str, str]) -> Answer | None:
        credentials = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        messages = f"/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        checks = [
            (authorization == f"Basic {credentials}", 401, 20003, "Authenticate"),
            (path == messages, 404, 20404, f"The requested resource {path} was not found"),
            ("From" in form, 400, 21603, "A 'From' phone number is required."),
            ("To" in form, 400, 21604, "A 'To' phone number is required."),
            ("Body" in form, 400, 21602, "Message body is required."),
            (PHONE_NUMBER.fullmatch(form.get("From", "")), 400, 21212, "The 'From' number is not valid."),
            (PHONE_NUMBER.fullmatch(form.get("To", "")), 400, 21211, "The 'To' number is not valid."),
            (len(form.get("Body", "")) <= LONGEST_BODY, 400, 21617, f"The body exceeds {LONGEST_BODY} characters."),
        ]
        return next((_refuse(status, code, text) for holds, status, code, text in checks if not holds), None)


def _refuse(status: int, code: int, text: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(status, {"code": code, "message": text, "more_info": more, "status": status}, {})


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for the requests that are being answered


class _Request(BaseHTTPRequestHandler):
    timeout = 5  # seconds, for a client that connects and sends nothing

    def __init__(self, twilio: TwilioServer, *connection: Any) -> None:
        self._twilio = twilio
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self._twilio.answer(self.path, self.headers.get("Authorization", ""), body)
        if answer is None:
            return
        content = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet: the requests are in `attempts`."""
