"""The newest rows in memory: exactly what the file gives, or nothing."""

import asyncio
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.events import DomainEvent
from gateway.journal import Reader, Stream
from gateway.journal.log import recent_rows as tails
from gateway.journal.log.recent_rows import Names, Tail
from gateway.journal.queries import log_reader as reading_side
from gateway.journal.sqlite.codec import decode_tags
from tests.readings import NOON_NS, Plant, event, message, plant, topic_of

SECOND = 10**9


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path, sensors_move=True) as made:
        yield made


def no_names(_key: int) -> None:
    return None


def names(key: int) -> tuple[str, dict[str, str]]:
    return f"VB-{key}", {}


def batch(first: int, count: int = 1, *, size: int = 0, at: int = 0) -> UnitOfWork:
    made = UnitOfWork(next_seq=first, recorded_ns=at, size=size)
    for _ in range(count):
        seq = made.take_seq()
        made.readings.append((seq, seq, 1, f"e{seq}", seq * 1000, seq, 4.0, None, 0, b"{}"))
    return made


def followed(source: Tail, reader: Reader, after: int, limit: int, *, readings: bool) -> tuple[LogSlice, int]:
    """Follow to the end, from memory where that answers; return all together, and how many steps came from memory."""
    everything, last, kept = LogSlice([], [], after), reader.last_seq(), 0
    while everything.until < last:
        step = source.step(everything.until, limit, readings=readings)
        kept += step is not None
        step = step or reader.step(everything.until, limit, readings=readings)
        assert len(step.readings) <= limit
        assert everything.until < step.until <= last
        everything = LogSlice(everything.readings + step.readings, everything.entries + step.entries, step.until)
    return everything, kept


@pytest.mark.parametrize("seed", range(12))
def test_who_follows_sees_what_is_in_the_file(here: Plant, seed: int) -> None:
    """Whatever is written, also behind its back, wherever one begins, and however much one takes at once."""
    draw = random.Random(seed)
    with here.reader() as reader:
        tail = Tail(reader.name)
        from_memory = 0
        machines = ["pump-7"]
        for second in range(12):
            machines += ["pump-8"] * (draw.random() < 0.1)
            sensors = [f"VB-{draw.randrange(1 + second)}" for _ in range(draw.randrange(6))]
            taken = here.take(
                *(
                    message(
                        event(second + index / 100, draw.choice([4.0, 4.0, 9.0]), sensor),
                        topic=topic_of(sensor, draw.choice(machines)),
                    )
                    for index, sensor in enumerate(sensors)
                ),
                *[message(b"{")] * draw.randrange(2),
            )
            if taken.is_move or draw.random() < 0.8:  # else it never hears of it
                tail.add(taken)
            last = reader.last_seq()
            if taken.is_move:
                reader.step(last - 1, 1)  # who comes past it asks the file
            for after in {0, last - 1, draw.randrange(last + 1)} - {last, -1}:
                for readings in (True, False):
                    found, kept = followed(tail, reader, after, draw.choice([7, 20, 1000]), readings=readings)
                    assert found == reader.step(after, 1000, readings=readings)
                    from_memory += kept
        assert from_memory > 0


@pytest.mark.parametrize(("after", "limit", "until"), [(0, 4, 4), (1, 4, 5), (2, 1, 3), (3, 100, 6), (0, 3, 3)])
def test_a_step_is_as_large_as_it_may_be(after: int, limit: int, until: int) -> None:
    """Who gets less than asked for takes it that there is no more, and rests."""
    tail = Tail(names)
    tail.add(batch(1, 3))
    tail.add(batch(4, 3))
    step = tail.step(after, limit, readings=True)
    assert step is not None
    assert (step.until, [each.seq for each in step.readings]) == (until, list(range(after + 1, until + 1)))


def test_after_a_gap_it_begins_anew() -> None:
    tail = Tail(names)
    tail.add(batch(1, 3))
    tail.add(batch(5))
    assert tail.step(0, 100, readings=True) is None
    step = tail.step(4, 100, readings=True)
    assert step is not None
    assert [each.seq for each in step.readings] == [5]


def test_what_is_announced_once_more_is_there_once() -> None:
    tail = Tail(names)
    for _ in range(2):
        tail.add(batch(1, 3))
    step = tail.step(0, 100, readings=True)
    assert step is not None
    assert [each.seq for each in step.readings] == [1, 2, 3]


@pytest.mark.parametrize(("after", "known"), [(3, names), (7, names), (0, no_names)])
def test_it_says_nothing_of_what_it_does_not_know(after: int, known: Names) -> None:
    """Nothing follows, what follows is not written yet, or the sensor is unknown."""
    tail = Tail(known)
    tail.add(batch(1, 3))
    assert tail.step(after, 100, readings=True) is None


def test_it_keeps_no_more_than_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_BYTES", 10 * (1000 + tails.ROW_BYTES))
    tail = Tail(names)
    for number in range(1, 31):
        tail.add(batch(number, size=1000))
    assert tail.step(19, 100, readings=True) is None
    step = tail.step(20, 100, readings=True)
    assert step is not None
    assert len(step.readings) == 10


def test_one_batch_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "MAX_BYTES", 1000)
    tail = Tail(names)
    tail.add(batch(1, size=2000))
    assert tail.step(0, 100, readings=True) is None
    tail.add(batch(2))
    assert tail.step(1, 100, readings=True) is not None


def test_it_keeps_nothing_for_long() -> None:
    tail = Tail(names)
    for number, at in enumerate((0, 0, 2 * SECOND), start=1):
        tail.add(batch(number, at=at))
    assert tail.step(1, 100, readings=True) is None
    assert tail.step(2, 100, readings=True) is not None


def test_a_fact_is_as_it_comes_out_of_the_file() -> None:
    tail = Tail(names)
    made = UnitOfWork(next_seq=1, recorded_ns=NOON_NS)
    made.facts.append(
        (made.take_seq(), fact := DomainEvent("f1", "SensorFault", 1, "VB-1", "a", "b", {"pair": (1, 2)}))
    )
    tail.add(made)
    step = tail.step(0, 100, readings=False)
    assert step is not None
    assert step.entries == [EventRecord(1, replace(fact, data={"pair": [1, 2]}), NOON_NS)]


def test_readings_are_made_once_for_all() -> None:
    tail = Tail(names)
    tail.add(batch(1))
    one, other = tail.step(0, 100, readings=True), tail.step(0, 100, readings=True)
    assert one is not None
    assert other is not None
    assert one.readings[0] is other.readings[0]
    assert one.readings == [StoredReading(1, 1000, "VB-1", {}, 4.0, None, 0, "e1", 1, b"{}")]


def test_nobody_changes_a_fact_for_the_others() -> None:
    """A consumer may be foreign code, and it may write into what it is given."""
    tail = Tail(names)
    made = UnitOfWork(next_seq=1)
    made.facts.append(
        (made.take_seq(), DomainEvent("f1", "SensorFault", 1, "VB-1", "a", "b", {"place": {"site": "north"}}))
    )
    tail.add(made)
    for _ in range(2):
        step = tail.step(0, 100, readings=True)
        assert step is not None
        assert step.entries[0].fact.data.pop("place") == {"site": "north"}


async def test_a_reading_after_a_move_has_the_new_place(here: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though somebody was reading the registry, as it was before the move, while that was announced."""
    stream = Stream(here.journal, here.path)
    loop = asyncio.get_running_loop()

    def take(second: float, machine: str) -> None:
        here.take(message(event(second), topic=topic_of(machine=machine)))
        stream.announce()

    def decode_late(encoded: str) -> dict[str, str]:
        monkeypatch.setattr(reading_side, "decode_tags", decode_tags)
        announced = threading.Event()
        loop.call_soon_threadsafe(take, 1, "pump-8")
        loop.call_soon_threadsafe(announced.set)
        assert announced.wait(5)
        return decode_tags(encoded)

    try:
        take(0, "pump-7")
        monkeypatch.setattr(reading_side, "decode_tags", decode_late)
        before = await stream.step(0, 100, readings=True)
        take(2, "pump-8")
        after = await stream.step(before.until, 100, readings=True)
        assert [(each.seq, each.tags["machine"]) for each in after.readings] == [(2, "pump-8"), (4, "pump-8")]
        after = await stream.step(2, 100, readings=True)
        assert [(each.seq, each.tags["machine"]) for each in after.readings] == [(4, "pump-8")]
    finally:
        stream.close()
