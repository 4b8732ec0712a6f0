"""What holds for every consumer. A new one needs a line in CONSUMERS, with its own way to look at the receiving end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.api import Consumer, ConsumerContext, DeliveryError, EventRecord, StoredReading
from gateway.consumers import BUILT_IN, cursor, handover
from gateway.consumers.handover import Refusal
from gateway.consumers.memory import MemoryConsumer
from gateway.consumers.runner import Follower, Runner
from gateway.plugins.registry import build_consumer
from tests.plant import NOON_NS, alert_entry, alert_of, stored
from tests.servers.influx_api import InfluxApi
from tests.servers.otlp import OtlpReceiver
from tests.unit.consumers.journal import MemoryJournal, eventually

SECRET = "hunter2-and-more"
SECOND_NS = 10**9


def time_of(seq: int) -> int:
    """Return the time of the row `seq`, by which it is known again at the receiving end."""
    return NOON_NS + seq * SECOND_NS


@dataclass(frozen=True)
class Subject:
    consumer: Consumer
    arrived: Callable[[], list[int]]  # the `seq` of every row, as often as it came
    go_away: Callable[[], None]
    come_back: Callable[[], None]
    refuse: Callable[[int], None]  # a row, for good, from now on
    readings: bool = True
    is_foreign: bool = False


@contextmanager
def memory() -> Iterator[Subject]:
    consumer = build_consumer("memory", "memory", {})
    assert isinstance(consumer, MemoryConsumer)

    def fail(failure: DeliveryError | None) -> None:
        consumer.failure = failure

    yield Subject(
        consumer,
        lambda: [one.seq for one in consumer.readings] + [one.seq for one in consumer.facts],
        lambda: fail(DeliveryError("told to fail")),
        lambda: fail(None),
        consumer.poison.add,
    )


@contextmanager
def influxdb() -> Iterator[Subject]:
    api = InfluxApi()
    api.start()
    consumer = build_consumer(
        "db", "influxdb", {"url": api.url, "org": "plant", "bucket": "vibration", "token": SECRET}
    )

    def answer(status: int) -> None:
        api.status = status

    yield Subject(
        consumer,
        lambda: [
            (int(line.split()[-1]) - NOON_NS) // SECOND_NS for line in api.lines if not line.startswith(b"gateway,")
        ],
        lambda: answer(503),
        lambda: answer(204),
        lambda seq: api.poison.add(str(time_of(seq) // 1000).encode()),  # µs: the rest tells alerts apart
    )
    assert api.tokens <= {f"Token {SECRET}"}
    api.stop()


@contextmanager
def otel() -> Iterator[Subject]:
    receiver = OtlpReceiver()
    receiver.start()
    consumer = build_consumer("traces", "otel", {"endpoint": receiver.url, "headers": {"Authorization": SECRET}})

    def answer(status: int) -> None:
        receiver.status = status

    yield Subject(
        consumer,
        lambda: [(span.start_time_unix_nano - NOON_NS) // SECOND_NS for span in receiver.spans],
        lambda: answer(503),
        lambda: answer(200),
        lambda seq: receiver.poison.add(time_of(seq)),
        readings=False,
    )
    receiver.stop()


class Historian:
    """A third party's, written against the contract of before: it only consumes, and returns whatever it likes."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.poison: set[int] = set()
        self.is_away = False

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
        if self.is_away:
            raise OSError("no route to host")
        numbers = [one.seq for one in readings] + [one.seq for one in entries]
        for reading in readings:
            reading.tags.clear()
        if self.poison.intersection(numbers):
            raise DeliveryError("HTTP 422", retry=False)
        self.rows += numbers
        return len(numbers)


@contextmanager
def foreign() -> Iterator[Subject]:
    historian = Historian()

    def be_away(*, is_away: bool) -> None:
        historian.is_away = is_away

    yield Subject(
        historian,
        lambda: historian.rows,
        lambda: be_away(is_away=True),
        lambda: be_away(is_away=False),
        historian.poison.add,
        is_foreign=True,
    )


CONSUMERS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {
    "a third party's": foreign,
    "influxdb": influxdb,
    "memory": memory,
    "otel": otel,
}


@dataclass
class Told:
    """An account that remembers."""

    rows: int = 0
    left_out: int = 0
    failures: int = 0
    refused: dict[int, str] = field(default_factory=dict)

    def taken(self, rows: int) -> None:
        self.rows += rows

    def skipped(self, rows: int) -> None:
        self.left_out += rows

    def failed(self) -> None:
        self.failures += 1

    async def refuse(self, refusals: Sequence[Refusal]) -> None:
        self.refused |= {row.seq: reason for row, reason in refusals}

    async def report(self, problem: str | None) -> None:
        """Nobody is told within the length of a test."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(handover, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(handover, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(cursor, "_SAVE_AFTER", 0.0)
    with capture_logs():  # to show a traceback takes seconds
        yield


@pytest.fixture
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with CONSUMERS[request.param]() as subject:
        yield subject


every = pytest.mark.parametrize("subject", CONSUMERS, indirect=True)


def fill(journal: MemoryJournal, count: int) -> None:
    """Append readings and alerts, in turns; the time of each follows from its `seq`."""
    for _ in range(count):
        time_ns = time_of(journal.last_seq + 1)
        reading = replace(stored(), time_ns=time_ns, event_id=f"event-{time_ns}")
        journal.add(reading if journal.last_seq % 2 else alert_at(time_ns))


def alert_at(time_ns: int) -> EventRecord:
    entry = alert_entry(alert_of())
    return replace(entry, recorded_ns=time_ns, fact=replace(entry.fact, id=f"fact-{time_ns}", time_ns=time_ns))


def wanted(subject: Subject, journal: MemoryJournal) -> list[int]:
    readings = [one.seq for one in journal.readings] if subject.readings else []
    return sorted(readings + [one.seq for one in journal.entries])


@asynccontextmanager
async def followed(subject: Subject, journal: MemoryJournal, told: Told) -> AsyncIterator[None]:
    """Let it follow from the beginning; leave it stopped, as an orderly end of the gateway does."""
    journal.cursors.setdefault("ours", 0)
    one = Follower("ours", subject.consumer, is_foreign=subject.is_foreign)
    task = asyncio.create_task(Runner(one, journal, told).run(ConsumerContext("edge-1")))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()


def test_every_built_in_consumer_is_tested_here() -> None:
    assert CONSUMERS.keys() - {"a third party's"} == BUILT_IN.keys()


@every
async def test_everything_it_wants_arrives_once_and_counts(subject: Subject) -> None:
    journal, told = MemoryJournal(), Told()
    fill(journal, 40)
    async with followed(subject, journal, told):
        await eventually(lambda: journal.cursors["ours"] == 40)
        fill(journal, 20)
        await eventually(lambda: journal.cursors["ours"] == 60)
    assert sorted(subject.arrived()) == wanted(subject, journal)
    assert (told.rows, told.refused, told.failures) == (len(wanted(subject, journal)), {}, 0)


@every
async def test_rows_that_are_refused_cost_only_themselves(subject: Subject) -> None:
    journal, told = MemoryJournal(), Told()
    fill(journal, 60)
    poison = wanted(subject, journal)[3::9]
    for seq in poison:
        subject.refuse(seq)
    async with followed(subject, journal, told):
        await eventually(lambda: journal.cursors["ours"] == 60)
    assert sorted(told.refused) == poison
    assert all(reason for reason in told.refused.values())
    assert sorted(set(subject.arrived())) == sorted({*wanted(subject, journal)} - {*poison})


@every
async def test_while_it_is_away_its_place_stays_and_then_it_gets_everything(subject: Subject) -> None:
    journal, told = MemoryJournal(), Told()
    fill(journal, 20)
    subject.go_away()
    async with followed(subject, journal, told):
        await eventually(lambda: told.failures > 1)
        assert (journal.cursors["ours"], subject.arrived(), told.refused) == (0, [], {})
        subject.come_back()
        await eventually(lambda: journal.cursors["ours"] == 20)
    assert sorted(subject.arrived()) == wanted(subject, journal)


@every
async def test_while_it_is_slow_its_place_stays_and_nothing_else_is_handed_over(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, told, calls, go_on = MemoryJournal(), Told(), list[int](), asyncio.Event()
    consume = subject.consumer.consume

    async def slowly(readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
        calls.append(len(readings) + len(entries))
        await go_on.wait()
        return await consume(readings, entries)

    monkeypatch.setattr(subject.consumer, "consume", slowly)
    fill(journal, 20)
    async with followed(subject, journal, told):
        await eventually(lambda: calls)
        fill(journal, 20)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(calls), journal.cursors["ours"], told.rows) == (1, 0, 0)
        go_on.set()
        await eventually(lambda: journal.cursors["ours"] == 40)
    assert sorted(subject.arrived()) == wanted(subject, journal)


@every
async def test_after_a_crash_it_is_handed_the_same_again_and_after_a_stop_it_is_not(subject: Subject) -> None:
    journal = MemoryJournal()
    fill(journal, 20)
    async with followed(subject, journal, Told()):
        await eventually(lambda: journal.cursors["ours"] == 20)
    journal.cursors["ours"] = 10  # what was saved last
    for _ in range(2):
        async with followed(subject, journal, Told()):
            await eventually(lambda: journal.cursors["ours"] == 20)
    again = [seq for seq in wanted(subject, journal) if seq > 10]
    assert sorted(subject.arrived()) == sorted(wanted(subject, journal) + again)


@every
def test_it_shows_no_secret(subject: Subject) -> None:
    assert SECRET not in f"{subject.consumer!r} {subject.consumer} {vars(subject.consumer)}"


@pytest.mark.parametrize("name", CONSUMERS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_whatever_happens_every_row_arrives_or_is_a_dead_letter(name: str, data: st.DataObject) -> None:
    """Away, back, poison and restarts, in any order."""
    journal, told = MemoryJournal(), Told()
    with CONSUMERS[name]() as subject:
        poison: set[int] = set()
        for _ in range(data.draw(st.integers(1, 3), "restarts")):
            for seq in data.draw(st.sets(st.integers(journal.last_seq + 1, journal.last_seq + 20)), "poison"):
                subject.refuse(seq)
                poison.add(seq)
            fill(journal, 20)
            subject.go_away()
            async with followed(subject, journal, told):
                subject.come_back()
                await eventually(lambda: journal.cursors["ours"] == journal.last_seq)
        everything = {*wanted(subject, journal)}
        assert set(told.refused) == poison & everything
        assert set(subject.arrived()) == everything - poison
