import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.api import DeliveryError
from gateway.consumers import runner as following
from gateway.consumers.runner import Foreign, follow, watch
from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.errors import JournalError, JournalUnavailableError
from tests.plant import alert_entry, alert_of, stored
from tests.unit.consumers.journal import MemoryJournal, eventually


class Consumer:
    """Remembers what it was handed. It raises `failures`, one at each call, before it takes anything."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0
        self.seen: list[int] = []

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.seen += sorted([reading.seq for reading in readings] + [entry.seq for entry in entries])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(following, "_SAVE_AFTER", 0.0)


@pytest.fixture
def journal() -> MemoryJournal:
    made = MemoryJournal()
    made.add(stored(second=0), alert_entry(alert_of()), stored(second=1))
    return made


@asynccontextmanager
async def followed(
    consumer: Consumer | Foreign, journal: MemoryJournal, *, readings: bool = True
) -> AsyncIterator[asyncio.Task[None]]:
    """Let a consumer follow; leave it stopped, as an orderly end of the gateway does."""
    task = asyncio.create_task(follow("influx", consumer, journal, readings=readings))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_everything_is_handed_over_once_and_the_place_is_kept(journal: MemoryJournal) -> None:
    consumer = Consumer()
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == [1, 2, 3])
        journal.add(stored(second=2))
        await eventually(lambda: consumer.seen == [1, 2, 3, 4])
    assert journal.cursors == {"influx": 4}
    async with followed(consumer, journal):
        journal.add(stored(second=3))
        await eventually(lambda: consumer.seen == [1, 2, 3, 4, 5])


async def test_what_somebody_elses_consumer_does_with_a_place_is_its_own_affair(journal: MemoryJournal) -> None:
    class Careless(Consumer):
        async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
            await super().consume(readings, entries)
            for reading in readings:
                reading.tags.clear()

    careless = Careless()
    before = [{**each.tags} for each in (await journal.step(0, 10, readings=True)).readings]
    async with followed(Foreign(careless), journal):
        await eventually(lambda: careless.seen == [1, 2, 3])
    assert [each.tags for each in (await journal.step(0, 10, readings=True)).readings] == before != [{}, {}]


async def test_who_wants_facts_only_gets_facts_only(journal: MemoryJournal) -> None:
    consumer = Consumer()
    async with followed(consumer, journal, readings=False):
        await eventually(lambda: consumer.seen == [2])
        await eventually(lambda: journal.cursors == {"influx": 3})


async def test_one_that_keeps_up_is_handed_something_so_often_at_most(journal: MemoryJournal) -> None:
    consumer = Consumer()
    task = asyncio.create_task(follow("influx", consumer, journal, every=3600))
    await eventually(lambda: consumer.seen == [1, 2, 3])
    journal.add(stored(second=2))
    for _ in range(10):
        await asyncio.sleep(0)
    assert consumer.calls == 1
    task.cancel()
    await asyncio.wait([task])
    assert journal.cursors == {"influx": 3}


async def test_a_long_journal_comes_in_steps(journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "STEP_SIZE", 2)
    consumer = Consumer()
    journal.add(*(stored(second=second) for second in range(10)))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen == list(range(1, 14)))
    assert consumer.calls == 7


async def test_after_a_failure_the_same_comes_again_and_the_place_stays(journal: MemoryJournal) -> None:
    consumer = Consumer()
    with capture_logs() as logs:
        async with followed(consumer, journal):
            consumer.failures = [DeliveryError("down"), JournalUnavailableError("full")] * 1000
            await eventually(lambda: consumer.calls > 3)
            assert (consumer.seen, journal.cursors) == ([], {"influx": 0})
            consumer.failures = []
            await eventually(lambda: consumer.seen == [1, 2, 3])
    assert [entry["event"] for entry in logs] == [
        "a consumer cannot deliver; trying again",
        "a consumer delivers again",
    ]
    assert journal.cursors == {"influx": 3}


async def test_pauses_grow_and_what_the_other_side_asks_for_is_honoured_within_reason(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    asks = [None, None, 120.0, 1e-9, float("inf"), float("nan")]
    monkeypatch.setattr(following, "_FIRST_PAUSE", 1.0)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await following._hand_over(  # noqa: SLF001 - the pauses are nowhere else to be seen
        "influx",
        Consumer(*(DeliveryError("busy", retry_after=ask) for ask in asks)),
        await journal.step(0, 9, readings=True),
    )
    assert pauses == [
        pytest.approx(1, rel=0.21),
        pytest.approx(2, rel=0.21),
        120,
        pytest.approx(8, rel=0.21),
        3600,
        pytest.approx(30, rel=0.21),
    ]


async def test_a_step_that_cannot_be_delivered_is_left_out_and_logged(journal: MemoryJournal) -> None:
    consumer = Consumer(DeliveryError("never", retry=False))
    with capture_logs() as logs:
        async with followed(consumer, journal):
            await eventually(lambda: journal.cursors == {"influx": 3})
            journal.add(stored(second=2))
            await eventually(lambda: consumer.seen == [4])
    assert [(entry["event"], entry["log_level"], entry["until"]) for entry in logs] == [
        ("a consumer can never take some events; they are left out", "error", 3)
    ]


async def test_a_consumers_own_mistake_does_not_end_it(journal: MemoryJournal) -> None:
    consumer = Consumer(KeyError("a consumer's own mistake"))
    async with followed(consumer, journal):
        await eventually(lambda: consumer.seen != [])


async def test_a_damaged_journal_ends_it_with_the_place_where_it_was(journal: MemoryJournal) -> None:
    error = JournalError("damaged")
    consumer = Consumer(error)
    async with followed(consumer, journal) as task:
        await asyncio.wait([task], timeout=5)
        assert task.exception() is error
    assert journal.cursors == {"influx": 0}


async def test_the_place_is_not_saved_at_every_step_but_at_the_end(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_SAVE_AFTER", 3600.0)
    consumer = Consumer()
    async with followed(consumer, journal):
        for second in range(5):
            journal.add(stored(second=second))
            await eventually(lambda: len(consumer.seen) == journal.last_seq)
        assert journal.saves == [0]
    assert journal.saves == [0, 8]


async def test_while_nothing_new_comes_the_place_is_saved_after_a_while(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_SAVE_AFTER", 0.02)
    consumer = Consumer()
    async with followed(consumer, journal):
        await eventually(lambda: journal.saves == [0, 3])
    assert journal.saves == [0, 3]


async def test_a_place_that_cannot_be_saved_is_saved_later(journal: MemoryJournal) -> None:
    journal.full = 1
    consumer = Consumer()
    with capture_logs() as logs:
        async with followed(consumer, journal):
            await eventually(lambda: consumer.seen == [1, 2, 3])
            journal.add(stored(second=2))
            await eventually(lambda: journal.cursors == {"influx": 4})
    assert "could not be saved" in logs[0]["event"]


async def test_a_watcher_starts_where_it_is_told_and_keeps_nothing(journal: MemoryJournal) -> None:
    consumer = Consumer()
    task = asyncio.create_task(watch(consumer, journal, 3))
    journal.add(stored(second=2), stored(second=3))
    await eventually(lambda: consumer.seen == [4, 5])
    task.cancel()
    await asyncio.wait([task])
    assert journal.cursors == {}


class Unreadable(MemoryJournal):
    """One that cannot be read at the first two attempts."""

    failures = 2

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        if self.failures:
            self.failures -= 1
            raise JournalUnavailableError("the journal cannot be read: disk I/O error")
        return await super().step(after, limit, readings=readings)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_journal_that_cannot_be_read_right_now_is_read_later(*, kept: bool) -> None:
    journal, consumer = Unreadable(), Consumer()
    journal.add(stored(second=0))
    task = asyncio.create_task(follow("influx", consumer, journal) if kept else watch(consumer, journal, 0))
    await eventually(lambda: consumer.seen == [1])
    task.cancel()
    await asyncio.wait([task])
