from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api import DeliveryError
from gateway.errors import ConfigError
from gateway.plugins.isolation import Isolated
from gateway.plugins.registry import build_handler
from tests.notifications import notification
from tests.servers.webhook import WebhookServer


class Open(WebhookServer):
    """Accepts what comes: Apprise signs nothing."""

    def _problem(self, *_: Any) -> str:
        return ""


@pytest.fixture
def server() -> Iterator[Open]:
    server = Open()
    server.start()
    yield server
    server.stop()


def url(server: WebhookServer, path: str = "") -> str:
    return f"json://127.0.0.1:{server.port}/{path}"


async def test_every_channel_gets_title_and_body(server: Open) -> None:
    handler = build_handler("chat", "apprise", {"urls": [url(server, "a"), url(server, "b")], "title": "[7] {summary}"})
    assert isinstance(handler, Isolated)
    assert await handler.send(notification()) == "urls.0 (JSON): taken; urls.1 (JSON): taken"
    assert [posted.path for posted in server.messages] == ["/a", "/b"]
    event = server.messages[0].event
    assert event["title"].startswith("[7] CRITICAL: P-101 VB-42345 at 3.1 × baseline, since ")
    assert event["message"].startswith("12.5 m/s², baseline 4.0 m/s². Motor Assembly Line B, Conveyor Unit 4.")
    assert event["type"] == "failure"


async def test_a_retry_for_one_channel_does_not_tell_the_other_twice(server: Open) -> None:
    handler = build_handler("chat", "apprise", {"urls": [url(server, "a"), url(server, "b?retry=0")]})
    server.fail_next(200)
    server.fail_next(500)
    with pytest.raises(DeliveryError) as caught:
        await handler.send(notification())
    assert caught.value.retry
    await handler.send(notification())
    assert [posted.path for posted in server.messages] == ["/b"]


async def test_without_apprise_the_check_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError) as caught:
        build_handler("chat", "apprise", {"urls": ["json://127.0.0.1"]})
    assert "handlers.chat: this needs the extra 'apprise'" in str(caught.value)


@pytest.mark.parametrize("bad", ["nonsense://secret-token/room", "secret-token", ""])
def test_an_address_that_apprise_does_not_know_is_named_and_not_shown(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_handler("chat", "apprise", {"urls": ["json://127.0.0.1", bad]})
    assert caught.value.problems == ["handlers.chat: urls.1 is not an address that Apprise knows"]
