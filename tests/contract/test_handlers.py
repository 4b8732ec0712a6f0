"""What holds for every handler. A new one needs a line in HANDLERS, with its own way to look at the receiving end."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from structlog.testing import capture_logs

from gateway.api import DeliveryError, Handler, Item, NotificationKind
from gateway.handlers import BUILT_IN
from gateway.handlers.memory import MemoryHandler
from gateway.plugins.registry import build_handler
from tests.notifications import notification, saying
from tests.servers.smtp import Received as Mail
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.webhook import WebhookServer

SECRET = "hunter2-and-more"
HOSTILE = {
    "line breaks": "P-1\r\nBcc: thief@example.com\r\n\r\nDATA\r\n.\r\nQUIT",
    "encoded line breaks": "=?utf-8?q?P-1=0D=0ABcc:_thief@example.com?=",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>",
    "templates": "{{1234*1000}} ${1234*1000} {0.__class__} %s %(reason)s $summary",
    "terminal": "\x1b[31m\x1b]0;title\x07\x9b2J\x08\x7f",
    "NUL": "a\x00b",
    "lone surrogates": "\ud800 \udfff",
    "direction": "\u202egnp.exe\u2066\u200b\u2028\u2029\x85",
    "every mark of direction": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "our own fields": "{sensor} {reason} {{reason}} {link.__class__} }{",
    "a link": 'javascript:alert(1)//http://evil.example/" onclick="alert(1)',
    "the escape of an SMS": "\x1b@\x1b(\x0c",
    "emoji": "🔥👩‍🔧" * 20,
    "long": "W" * 10_000,
    "many words": "word " * 2_000,
    "nothing": "",
}


@dataclass(frozen=True)
class Arrived:
    """What a person got: `id` is the same for repetitions; `page` is what a browser would show of it."""

    id: str
    text: str
    page: str = ""


@dataclass(frozen=True)
class Subject:
    handler: Handler
    arrived: Callable[[], list[Arrived]]
    go_away: Callable[[], None]
    refuse: Callable[[], None]  # the next message, for good, with a reply that quotes the secret


@contextmanager
def memory(_folder: Path) -> Iterator[Subject]:
    handler = build_handler("memory", "memory", {})
    assert isinstance(handler, MemoryHandler)

    def fail(*, retry: bool) -> None:
        handler.failure = DeliveryError("told to fail", retry=retry)

    def arrived() -> list[Arrived]:
        return [Arrived(kept.id, "") for kept in handler.sent]

    yield Subject(handler, arrived, lambda: fail(retry=True), lambda: fail(retry=False))


@contextmanager
def log(_folder: Path) -> Iterator[Subject]:
    with capture_logs() as lines:

        def arrived() -> list[Arrived]:
            return [Arrived(line["alert"], json.dumps(line, ensure_ascii=False)) for line in lines]

        yield Subject(build_handler("log", "log", {}), arrived, cannot_fail, cannot_fail)


@contextmanager
def email(folder: Path) -> Iterator[Subject]:
    server = SmtpServer(folder, security="starttls", username="gateway", password=SECRET)
    server.start()
    settings = {
        "host": "localhost",
        "port": server.port,
        "username": "gateway",
        "password": SECRET,
        "ca": str(server.ca),
        "from": "gateway@example.com",
        "to": ["maintenance@example.com"],
    }

    def arrived() -> list[Arrived]:
        return [read_mail(mail) for mail in server.messages]

    def refuse() -> None:
        server.fail_next(f"554 5.7.1 no mail from {SECRET}")

    yield Subject(build_handler("mail", "email", settings), arrived, server.stop, refuse)
    server.stop()


@contextmanager
def sms(_folder: Path) -> Iterator[Subject]:
    server = TwilioServer(auth_token=SECRET)
    server.start()
    settings = {
        "base_url": server.base_url,
        "account_sid": server.account_sid,
        "auth_token": SECRET,
        "from": "+15005550006",
        "to": ["+46700000000"],
    }

    def arrived() -> list[Arrived]:
        return [Arrived(str(sent.at), sent.form["Body"]) for sent in server.messages]  # Twilio knows no ids of ours

    def refuse() -> None:
        server.fail_next(400, {"code": 21610, "message": f"not with {SECRET}"})

    yield Subject(build_handler("sms", "sms", settings), arrived, server.stop, refuse)
    server.stop()


@contextmanager
def webhook(_folder: Path) -> Iterator[Subject]:
    server = WebhookServer()
    server.start()
    settings = {
        "url": server.url,
        "secret": server.secret,
        "headers": {"Authorization": SECRET},
        "allow_private": True,
    }

    def arrived() -> list[Arrived]:
        return [
            Arrived(posted.headers["webhook-id"], json.dumps(posted.event, ensure_ascii=False))
            for posted in server.messages
        ]

    yield Subject(
        build_handler("hook", "webhook", settings),
        arrived,
        server.stop,
        lambda: server.fail_next(403, f"not with {SECRET}".encode()),
    )
    server.stop()


class Channel(WebhookServer):
    """What Apprise posts to: it signs nothing."""

    def _problem(self, *_: Any) -> str:
        return ""


@contextmanager
def apprise(_folder: Path) -> Iterator[Subject]:
    server = Channel()
    server.start()
    settings = {"urls": [f"json://gateway:{SECRET}@127.0.0.1:{server.port}/?retry=0"]}

    def arrived() -> list[Arrived]:
        return [Arrived("", f"{posted.event['title']}\n{posted.event['message']}") for posted in server.messages]

    yield Subject(build_handler("chat", "apprise", settings), arrived, server.stop, cannot_fail)
    server.stop()


HANDLERS: dict[str, Callable[[Path], AbstractContextManager[Subject]]] = {
    "apprise": apprise,
    "email": email,
    "log": log,
    "memory": memory,
    "sms": sms,
    "webhook": webhook,
}
FALLIBLE = [name for name in HANDLERS if name != "log"]
DECISIVE = [name for name in FALLIBLE if name != "apprise"]  # it does not say why it could not


def cannot_fail() -> None:
    raise AssertionError("this handler has nobody to fail it")


def read_mail(mail: Mail) -> Arrived:
    """Return its headers and plain text, and its page; what is neither expected nor ours is not lost from sight."""
    headers = "\n".join(f"{name}: {value}" for name, value in mail.message.items())
    plain, page = mail.message.get_body(["plain"]), mail.message.get_body(["html"])
    assert plain is not None
    assert page is not None
    return Arrived(str(mail.message["Message-ID"]), f"{headers}\n{plain.get_content()}", page.get_content())


@pytest.fixture
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    with HANDLERS[request.param](tmp_path) as subject:
        yield subject


every = pytest.mark.parametrize("subject", HANDLERS, indirect=True)
decisive = pytest.mark.parametrize("subject", DECISIVE, indirect=True)
fallible = pytest.mark.parametrize("subject", FALLIBLE, indirect=True)


def test_every_built_in_handler_is_tested_here() -> None:
    assert HANDLERS.keys() == BUILT_IN.keys()


@every
async def test_delivers_and_returns_what_the_other_side_said(subject: Subject) -> None:
    receipt = await subject.handler.send(notification())
    assert receipt.strip()
    assert receipt.isprintable()
    assert len(subject.arrived()) == 1


@every
@pytest.mark.parametrize("kind", get_args(NotificationKind))
@pytest.mark.parametrize("alert_kind", ["machine", "sensor", "gateway"])
async def test_delivers_every_kind_with_nothing_but_what_must_be_known(
    subject: Subject, kind: str, alert_kind: str
) -> None:
    unknown: dict[str, Any] = {"level": None, "baseline": None, "ratio": None}
    sparse = notification(kind=kind, alert_kind=alert_kind, **unknown)
    for name in ("site", "area", "machine", "location", "unit", "page_url"):
        sparse = msgspec.structs.replace(sparse, **{name: ""})
    assert await subject.handler.send(sparse)
    assert len(subject.arrived()) == 1


@every
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_delivers_hostile_text_inert(subject: Subject, text: str) -> None:
    assert await subject.handler.send(saying(text))
    (arrived,) = subject.arrived()
    assert all(character.isprintable() or character == "\n" for character in arrived.text)
    assert "\nBcc:" not in arrived.text
    assert "1234000" not in arrived.text
    assert len(arrived.text) < 20_000
    assert not Scripts(arrived.page).found


@every
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_delivers_hostile_text_of_a_whole_flood_inert(subject: Subject, text: str) -> None:
    item = Item(
        "1", "raised", text, "machine", "warning", text, text, 0, 0, text, text, text, text, 5.0, 4.0, 1.25, text
    )
    flood = msgspec.structs.replace(saying(text), kind="digest", grouped=(item,) * 1000, count=10_000)
    assert await subject.handler.send(flood)
    (arrived,) = subject.arrived()
    assert all(character.isprintable() or character == "\n" for character in arrived.text)
    assert not Scripts(arrived.page).found


@every
async def test_a_repetition_carries_the_same_id(subject: Subject) -> None:
    await subject.handler.send(notification())
    await subject.handler.send(notification())
    assert len({arrived.id for arrived in subject.arrived()}) == 1


@every
def test_shows_no_secret(subject: Subject) -> None:
    shown = f"{subject.handler!r} {subject.handler} {vars(subject.handler)}"
    assert SECRET not in shown


@fallible
async def test_says_that_a_retry_helps_when_nobody_is_there(subject: Subject) -> None:
    subject.go_away()
    with pytest.raises(DeliveryError) as caught:
        await subject.handler.send(notification())
    assert caught.value.retry
    assert not caught.value.delivered_maybe
    assert SECRET not in everything_of(caught.value)


@decisive
async def test_says_that_a_retry_does_not_help_when_refused_for_good(subject: Subject) -> None:
    subject.refuse()
    with pytest.raises(DeliveryError) as caught:
        await subject.handler.send(notification())
    assert not caught.value.retry
    assert not caught.value.delivered_maybe
    assert SECRET not in everything_of(caught.value)
    assert subject.arrived() == []


def everything_of(error: BaseException | None) -> str:
    """Return what any kind of log could show of an exception and of all that it is chained to."""
    shown = []
    while error is not None:
        shown += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


class Scripts(HTMLParser):
    """Finds what a page would run or load by itself."""

    ACTIVE = frozenset({"script", "img", "iframe", "object", "link", "form", "svg"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        handlers = [name for name, _ in attrs if name.startswith("on")]
        targets = [value or "" for name, value in attrs if name == "href"]
        unsafe = [target for target in targets if not target.startswith(("http://", "https://"))]
        self.found += [*({tag} & self.ACTIVE), *handlers, *unsafe]
