"""The journal as consumers and the notifier see it: the real one, and the one in memory that their tests use."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from msgspec.structs import replace

from gateway.consumers.cursor import Source
from gateway.consumers.outbox_port import Outbox as OutboxProtocol
from gateway.domain.engine.event_log import EventRecord
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import SUPPRESSED, Item, Withdrawal
from gateway.domain.notification.outbox import OutboxItem, Planning
from gateway.journal import Outbox, Stream
from gateway.journal.outbox.rows import Messages
from tests.notifications import CRITICAL
from tests.plant import alert_entry, alert_of
from tests.readings import Plant
from tests.unit.consumers.journal import MemoryJournal

ITEM = Item("c1", "raised", CRITICAL.alert_id, "machine", "critical", "VB-42345", "", 1, 1)
HOUR_NS = 3600 * 10**9


class Store(Source, OutboxProtocol, Protocol):
    """Both sides, and what a test needs to bring about."""

    def add(self, *entries: EventRecord) -> None: ...
    def resume(self) -> object: ...


class SqliteJournal(Stream, Outbox):
    """The real journal with both its faces for the event loop."""

    def __init__(self, directory: Path) -> None:
        here = Plant(directory)
        self.journal = here.journal
        Stream.__init__(self, self.journal, here.path)
        Outbox.__init__(self, self.journal, self)

    def add(self, *entries: EventRecord) -> None:
        batch = UnitOfWork(next_seq=self.journal.next_seq)
        batch.facts = [(batch.take_seq(), entry.fact) for entry in entries]
        self.journal.write(batch)
        self.announce()

    def resume(self) -> object:
        return Messages(self.journal).resume(["mail", "sms"], 0)

    def close(self) -> None:
        super().close()
        self.journal.close()


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    journal = SqliteJournal(tmp_path)
    yield journal
    journal.close()


def entries(count: int) -> list[EventRecord]:
    return [alert_entry(alert_of(number=number)) for number in range(count)]


def message(number: int = 1, handler: str = "mail", **changes: Any) -> OutboxItem:
    notification = replace(CRITICAL, id=f"n{number}", **changes)
    return OutboxItem(f"n{number}", handler, 0, 0, f"fact-{number}", "first", notification)


def planned(number: int = 1, handler: str = "mail") -> Planning:
    return Planning(0, [message(number, handler)])


async def taken(store: Store, handler: str = "mail") -> tuple[str, int] | None:
    item = await store.take(handler)
    return None if item is None else (item.id, item.attempts)


async def settle(store: Store, state: str, due_ns: int = 0) -> None:
    item = OutboxItem("n1", "mail", 1, 0, "cause", "first", CRITICAL)
    fact = DomainEvent("f1", "NotificationSent", 1, "VB-1", "first", "cause", {})
    await store.settle(item, state, due_ns, "said", [fact])  # type: ignore[arg-type] # one of its states


async def test_steps_follow_the_sequence_up_to_their_limit(store: Store) -> None:
    store.add(*entries(5))
    first = await store.step(0, 2, readings=True)
    assert ([entry.seq for entry in first.entries], first.until) == ([1, 2], 2)
    rest = await store.step(first.until, 10, readings=False)
    assert ([entry.seq for entry in rest.entries], rest.until) == ([3, 4, 5], 5)
    assert rest.entries[0].fact == entries(5)[2].fact
    after = await store.step(5, 10, readings=True)
    assert (after.readings, after.entries, after.until) == ([], [], 5)


async def test_who_waits_is_woken_by_what_is_new(store: Store) -> None:
    store.add(*entries(1))
    await asyncio.wait_for(store.wait(0), 1)
    waiting = asyncio.ensure_future(store.wait(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    store.add(*entries(1))
    await asyncio.wait_for(waiting, 1)


async def test_each_consumer_has_a_cursor_that_starts_at_nothing(store: Store) -> None:
    await store.move_cursor("influx", 3)
    assert [await store.cursor(name) for name in ("influx", "other")] == [3, 0]


async def test_planning_moves_the_cursor_and_a_message_is_taken_once(store: Store) -> None:
    await store.plan("notifier", planned(), 4)
    assert await store.cursor("notifier") == 4
    assert await store.next_due("mail") is not None
    assert [await taken(store), await taken(store), await taken(store, "sms")] == [("n1", 1), None, None]
    assert await store.next_due("mail") is None


async def test_what_is_put_off_is_taken_when_it_is_due_or_in_a_hurry(store: Store) -> None:
    await store.plan("notifier", planned(), 1)
    await taken(store)
    due_ns = time.time_ns() + HOUR_NS
    await settle(store, "pending", due_ns)
    assert (await taken(store), await store.next_due("mail")) == (None, due_ns)
    await store.hurry("sms")
    assert await taken(store) is None
    await store.hurry("mail")
    assert await taken(store) == ("n1", 2)


@pytest.mark.parametrize("state", ["sent", "failed"])
async def test_what_is_settled_is_over_even_if_it_is_planned_again(store: Store, state: str) -> None:
    await store.plan("notifier", planned(), 1)
    await taken(store)
    await settle(store, state)
    await store.plan("notifier", Planning(0, [message(), message(2)]), 2)
    assert [await taken(store), await taken(store)] == [("n2", 1), None]


async def test_what_a_crash_interrupted_is_taken_again_with_the_same_id(store: Store) -> None:
    await store.plan("notifier", Planning(0, [message(1), message(2, "sms")]), 1)
    await taken(store)
    store.resume()
    assert [await taken(store), await taken(store, "sms")] == [("n1", 2), ("n2", 1)]


async def test_what_is_over_is_withdrawn_unless_it_may_have_gone(store: Store) -> None:
    store.add(*entries(1))
    await store.plan("notifier", Planning(0, [message(1), message(2), message(3, "sms", kind="digest")]), 1)
    assert await taken(store) == ("n1", 1)
    over = Withdrawal(ITEM, "first", ("raised", "escalated"), "over", "it is over", 5)
    await store.plan("notifier", Planning(7, withdrawals=[over]), 2)
    assert [await taken(store), await taken(store, "sms")] == [None, ("n3", 1)]
    (fact,) = [entry.fact for entry in (await store.step(1, 10, readings=False)).entries]
    assert (fact.type, fact.causation_id, fact.data["handler"], fact.data["by"]) == (
        SUPPRESSED,
        "fact-2",
        "mail",
        "over",
    )


async def test_what_is_withheld_is_a_fact_in_the_same_transaction(store: Store) -> None:
    fact = DomainEvent("f1", SUPPRESSED, 1, "VB-1", "first", "cause", {})
    await store.plan("notifier", Planning(9, facts=[fact]), 3)
    assert [entry.fact for entry in (await store.step(0, 10, readings=False)).entries] == [fact]


async def test_what_the_planner_remembers_is_there_again_until_it_is_forgotten(store: Store) -> None:
    await store.plan("notifier", Planning(0, records=[("case", "a", b"{}"), ("hold", "b", b"[1]")]), 1)
    await store.plan("notifier", Planning(0, records=[("case", "a", None), ("hold", "b", b"[2]")]), 2)
    assert await store.remembered() == ([("hold", "b", b"[2]")], [])


async def test_one_message_goes_instead_of_several(store: Store) -> None:
    await store.plan("notifier", Planning(0, [message(1), message(2)]), 1)
    waiting = await store.waiting("mail")
    assert [item.id for item in waiting] == ["n1", "n2"]
    await store.merge(waiting, message(3))
    assert [await taken(store), await taken(store)] == [("n3", 1), None]


async def test_what_is_to_be_told_instead_is_planned_with_the_failure(store: Store) -> None:
    await store.plan("notifier", planned(), 1)
    item = await store.take("mail")
    assert item is not None
    await store.settle(item, "failed", 5, "550", [], [message(2, "sms")])
    assert [await taken(store), await taken(store, "sms")] == [None, ("n2", 1)]


async def test_the_times_of_what_was_sent_are_known(store: Store) -> None:
    await store.plan("notifier", Planning(0, [message(number) for number in (1, 2, 3)]), 1)
    for due_ns in (10, 20, 30):
        item = await store.take("mail")
        assert item is not None
        await store.settle(item, "sent", due_ns, "ok", [])
    assert [await store.nth_sent("mail", number) for number in (0, 1, 2, 3)] == [30, 20, 10, None]
