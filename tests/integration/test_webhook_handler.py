import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api import DeliveryError
from gateway.handlers.webhook import WebhookHandler
from tests.notifications import CRITICAL, notification
from tests.servers.webhook import WebhookServer


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    server = WebhookServer()
    server.start()
    yield server
    server.stop()


def handler_for(server: WebhookServer, **changes: Any) -> WebhookHandler:
    settings = {"url": server.url, "secret": server.secret, "allow_private": True, **changes}
    return WebhookHandler("hook", settings)


async def failure_of(handler: WebhookHandler) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await handler.send(notification())
    return caught.value


async def test_a_receiver_that_checks_the_signature_accepts_it(server: WebhookServer) -> None:
    receipt = await handler_for(server, headers={"X-Plant": "7"}).send(notification())
    assert receipt == "HTTP 200 thanks"
    (posted,) = server.messages
    assert posted.path == "/hook?plant=1"
    assert posted.headers["host"] == f"127.0.0.1:{server.port}"
    assert posted.headers["webhook-id"] == CRITICAL.id
    assert posted.headers["x-plant"] == "7"
    assert posted.event["type"] == "alert.raised"
    assert posted.event["timestamp"] == "2023-09-29T16:32:25.000Z"
    data = posted.event["data"]
    assert data["summary"].startswith("CRITICAL: P-101 VB-42345 at 3.1 × baseline, since ")
    assert (data["alertId"], data["openedAt"]) == (CRITICAL.alert_id, "2023-09-29T16:30:25.000Z")
    assert (data["level"], data["baseline"], data["unit"]) == (12.5, 4.0, "m/s²")


async def test_another_secret_is_refused_for_good(server: WebhookServer) -> None:
    failure = await failure_of(handler_for(server, secret="A" * 40))
    assert str(failure) == "HTTP 401 the signature is wrong"
    assert not failure.retry
    assert server.messages == []


@pytest.mark.parametrize(
    ("status", "retry"),
    [(400, False), (404, False), (410, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_the_status_says_whether_a_retry_helps(server: WebhookServer, status: int, *, retry: bool) -> None:
    server.fail_next(status, b"\x1b[31mnot now", {"Retry-After": "17"})
    failure = await failure_of(handler_for(server))
    assert failure.retry is retry
    assert not failure.delivered_maybe
    assert failure.retry_after == 17
    assert str(failure) == f"HTTP {status} [31mnot now"


async def test_a_redirection_is_not_followed(server: WebhookServer) -> None:
    elsewhere = WebhookServer()
    elsewhere.start()
    server.fail_next(307, headers={"Location": elsewhere.url})
    failure = await failure_of(handler_for(server))
    assert not failure.retry
    assert "not followed" in str(failure)
    assert elsewhere.requests == 0
    elsewhere.stop()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"])
async def test_this_device_is_not_reached_unless_that_is_meant(server: WebhookServer, host: str) -> None:
    handler = handler_for(server, allow_private=False, url=f"https://{host}:{server.port}/")
    failure = await failure_of(handler)
    assert not failure.retry
    assert "allow_private" in str(failure)
    assert server.requests == 0


async def test_the_name_is_looked_up_once_and_that_address_is_connected_to(
    server: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that stands for one address when it is checked and for another a moment later gains nothing."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.9.9.9", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    await handler_for(server, url=f"http://rebind.example.com:{server.port}/").send(notification())
    assert asked == ["rebind.example.com"]
    assert server.messages[0].headers["host"] == f"rebind.example.com:{server.port}"


async def test_the_next_address_is_tried_when_one_cannot_be_reached(
    server: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(_host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", ("127.0.0.9", port)), (0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await handler_for(server, url=f"http://two.example.com:{server.port}/").send(notification())


async def test_a_name_that_cannot_be_looked_up_may_be_known_later(server: WebhookServer) -> None:
    failure = await failure_of(handler_for(server, url="http://no-such-host.invalid/"))
    assert failure.retry
    assert "no-such-host.invalid" in str(failure)
