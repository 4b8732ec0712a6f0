"""Whatever handlers do and whenever the gateway ends, each change is settled once for each of them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.api import DeliveryError
from gateway.consumers import delivery as notifier
from gateway.domain.notification.model import Notification
from tests.unit.consumers.journal import MemoryJournal, eventually
from tests.unit.consumers.notifying import running, warning


class Moody:
    """A handler that does what a story says, and notes in which state the notification was."""

    def __init__(self, journal: MemoryJournal, story: list[str]) -> None:
        self.journal = journal
        self.story = list(story)
        self.states: list[str] = []
        self.crashed = asyncio.Event()

    async def send(self, notification: Notification) -> str:
        self.states.append(self.journal.rows[notification.id].state)
        mood = self.story.pop(0) if self.story else "well"
        if mood == "crash":
            self.crashed.set()
            await asyncio.Event().wait()
        if mood in ERRORS:
            raise ERRORS[mood]
        return "ok"


ERRORS = {
    "busy": DeliveryError("busy"),
    "maybe": DeliveryError("maybe", delivered_maybe=True),
    "never": DeliveryError("never", retry=False),
    "bug": ValueError("bug"),
}


@given(st.lists(st.sampled_from(["well", "crash", *ERRORS]), max_size=12), st.integers(1, 4))
def test_whatever_happens_each_alert_change_is_settled_once_for_each_handler(story: list[str], changes: int) -> None:
    """A crash is a stop in the middle of an attempt; what was settled before is never sent again."""

    async def run() -> None:
        journal = MemoryJournal()
        handler = Moody(journal, story)
        journal.add(*(warning(number) for number in range(changes)))
        while not settled(journal, changes):
            handler.crashed.clear()
            async with running(journal, mail=handler):
                await eventually(lambda: handler.crashed.is_set() or settled(journal, changes))
            journal.resume()
        assert set(handler.states) <= {"sending"}
        assert len(handler.states) <= changes + len(story)
        assert len({fact.data["notificationId"] for fact in journal.facts}) == len(journal.facts) == changes

    with pytest.MonkeyPatch.context() as patch, capture_logs():
        for name in ("_FIRST_PAUSE", "_GRACE", "BREAK_SECONDS"):
            patch.setattr(notifier, name, 1e-6)
        asyncio.run(run())


def settled(journal: MemoryJournal, count: int) -> bool:
    return len(journal.rows) == count and all(state in {"sent", "failed"} for _, state in journal.states())
