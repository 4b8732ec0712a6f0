"""What the wiring itself does while the journal cannot be written."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.domain.alerting.liveness import Reception
from gateway.domain.engine.commands import WriteNote, Writer
from gateway.errors import JournalUnavailableError
from gateway.ingest import subscriptions, ticker
from gateway.mqtt.losses import Dropped, Known, Session, recall
from gateway.mqtt.subscriber import Subscriber


class FullDisk:
    """A journal that takes a note at the third attempt only."""

    def __init__(self) -> None:
        self.attempts = 0
        self.notes: list[list[str]] = []

    async def ask(self, command: WriteNote) -> None:
        self.attempts += 1
        if self.attempts % 3:
            raise JournalUnavailableError("the journal cannot be written: database or disk is full")
        assert command.name == subscriptions.SUBSCRIPTIONS
        self.notes.append(json.loads(command.value))


async def test_a_full_disk_does_not_end_what_notes_the_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "_TRY_AGAIN", 0)
    journal, subscriber = FullDisk(), SimpleNamespace(subscribed=asyncio.Event())
    subscriber.subscribed.set()
    work = subscriptions.remember_subscriptions(
        cast("Subscriber", subscriber), cast("Writer", journal), ["a/+"], ["b/+"]
    )
    running = asyncio.ensure_future(work)
    while not running.done() and len(journal.notes) < 2:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled()
    assert journal.notes == [["a/+", "b/+"], ["a/+"]]


@pytest.mark.parametrize(("rounds", "since"), [([0, 1, 2, 6, 7], 1), ([0, 1, 2, 30, 31], 30)])
async def test_nobody_was_silent_while_we_were_frozen(
    monkeypatch: pytest.MonkeyPatch, rounds: list[int], since: int
) -> None:
    """What the sensors sent meanwhile is still on its way to us: their silence counts from when we go on."""
    clock: Iterator[int] = iter(rounds)
    seen: list[Reception] = []

    class Enough(Exception):  # noqa: N818 - it is no error
        pass

    async def call(_function: object, _now_ns: int, reception: Reception) -> None:
        seen.append(reception)
        if len(seen) == len(rounds) - 1:
            raise Enough

    monkeypatch.setattr(ticker, "_PASS_TIME_EVERY", 0)
    stopwatch = SimpleNamespace(monotonic_ns=lambda: next(clock) * 10**9, time_ns=lambda: 0)
    monkeypatch.setattr(ticker, "time", stopwatch)
    fake: Any = SimpleNamespace(call=call, pass_time=None, announce=lambda: None, next_seq=1, deafness=list)
    with pytest.raises(Enough):
        await ticker.pass_time(fake, fake, fake, fake)
    assert seen[-1] == Reception(rounds[-1] * 10**9, since * 10**9)


async def test_what_is_known_of_the_broker_is_noted_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "_TRY_AGAIN", 0)
    notes: list[object] = []

    class Notes:
        attempts = 0

        async def ask(self, command: WriteNote) -> None:
            self.attempts += 1
            if self.attempts == 1:
                raise JournalUnavailableError("the journal cannot be written: database or disk is full")
            assert command.name == subscriptions.BROKER
            notes.append(json.loads(command.value))

    session, dropped = SimpleNamespace(is_known=True), SimpleNamespace(count=None)
    work = subscriptions.remember_broker(
        cast("Writer", Notes()), "g at b:1", cast("Session", session), cast("Dropped", dropped)
    )
    running = asyncio.ensure_future(work)
    while not notes:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0)
    dropped.count = 7
    while len(notes) < 2:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert notes == [{"session": "g at b:1", "dropped": None}, {"session": "g at b:1", "dropped": 7}]
    assert recall(json.dumps(notes[-1]), "g at b:1") == Known("g at b:1", 7)
