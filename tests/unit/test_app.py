"""What the wiring itself does while the journal cannot be written."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway import app
from gateway.errors import JournalUnavailableError
from gateway.journal import Journal
from gateway.mqtt.subscriber import Subscriber


class FullDisk:
    """A journal that takes a note at the third attempt only."""

    def __init__(self) -> None:
        self.attempts = 0
        self.notes: list[list[str]] = []

    async def call(self, function: Callable[..., None], *arguments: Any) -> None:
        self.attempts += 1
        if self.attempts % 3:
            raise JournalUnavailableError("the journal cannot be written: database or disk is full")
        function(*arguments)

    def write_note(self, name: str, value: str) -> None:
        assert name == app.SUBSCRIPTIONS
        self.notes.append(json.loads(value))


async def test_a_full_disk_does_not_end_what_notes_the_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_TRY_AGAIN", 0)
    journal, subscriber = FullDisk(), SimpleNamespace(subscribed=asyncio.Event())
    subscriber.subscribed.set()
    work = app.remember_subscriptions(cast("Subscriber", subscriber), cast("Journal", journal), ["a/+"], ["b/+"])
    running = asyncio.ensure_future(work)
    while not running.done() and len(journal.notes) < 2:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert journal.notes == [["a/+", "b/+"], ["a/+"]]
