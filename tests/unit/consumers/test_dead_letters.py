"""What a consumer does not take, from the refusal to the replay, in a journal on disk."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.api import ConsumerContext, DeliveryError, EventRecord, Refused, StoredReading, Taken
from gateway.commands import Commands
from gateway.consumers import account
from gateway.consumers.account import ConsumerAccount
from gateway.consumers.dead_letters import rows_at
from gateway.consumers.memory import MemoryConsumer
from gateway.consumers.runner import Follower, Runner
from gateway.journal import Reader, Stream
from gateway.telemetry.metrics import Metrics
from tests.readings import Plant, event, message, plant
from tests.servers.waiting import until_async
from tests.unit.consumers.test_following import running

PREFIX = "vibration_gateway_"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
def stream(here: Plant) -> Iterator[Stream]:
    with closing(Stream(here.journal, here.path)) as made:
        yield made


class Room:
    """A plant with one consumer, which keeps everything in memory."""

    def __init__(self, here: Plant, stream: Stream) -> None:
        self.here, self.stream, self.metrics = here, stream, Metrics()
        self.reports: list[tuple[str, str | None]] = []
        self.consumer = MemoryConsumer("ours", {})
        follower = Follower("consumer.ours", self.consumer, "consumer.ours")
        self.runner = Runner(follower, stream, ConsumerAccount(follower, self.metrics, here.journal, self.report))
        self.commands = Commands(here.journal, stream, {"consumer.ours": self.runner})

    async def report(self, subject: str, problem: str | None) -> None:
        self.reports.append((subject, problem))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(PREFIX + name, labels)

    async def refuse(self, count: int) -> None:
        """Let the consumer follow until so many rows are dead letters."""
        await self.follow(lambda: self.metric("rejected_total", reason="consumer_refused") == count)

    def letters(self) -> list[dict[str, Any]]:
        with self.here.reader() as reader:
            return reader.dead_letters(None, 100)

    async def follow(self, until: Callable[[], object]) -> None:
        self.stream.announce()
        async with running(self.runner):
            await until_async(until, 5, "the consumer")


@pytest.fixture
def room(here: Plant, stream: Stream) -> Room:
    return Room(here, stream)


async def test_a_row_that_is_refused_is_a_dead_letter_that_names_it(room: Room) -> None:
    room.here.take(*(message(event(second, 8.0)) for second in range(3)))  # the third raises an alert
    room.consumer.poison = {2, 4}
    await room.refuse(2)
    newest, oldest = room.letters()
    shown = ("topic", "reason", "detail", "element")
    assert [oldest[name] for name in shown] == ["consumer.ours", "consumer_refused", "poison", 2]
    assert newest["element"] == 4
    with room.here.reader() as reader:
        assert reader.dead_letter(oldest["seq"])["payload"] == message(event(1, 8.0)).payload  # type: ignore[index] # it is there
        assert b"AlertRaised" in reader.dead_letter(newest["seq"])["payload"]  # type: ignore[index] # as above
    assert room.metric("consumer_rows_taken_total", consumer="consumer.ours") == 2
    assert room.metric("consumer_dead_letters_total", consumer="consumer.ours") == 2
    assert room.metric("rejected_total", reason="consumer_refused") == 2
    assert room.metric("consumer_failures_total", consumer="consumer.ours") == 0


@pytest.mark.parametrize("way", ["returns", "raises"])
async def test_whatever_the_reason_holds_it_can_be_kept(room: Room, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    hostile = "\udcff\x00\x1b[2J" + "W" * 10_000

    async def consume(readings: Sequence[StoredReading], _entries: Sequence[EventRecord]) -> Taken:
        if way == "raises":
            raise DeliveryError(hostile, retry=False)
        return Taken([Refused(one.seq, hostile) for one in readings])

    monkeypatch.setattr(room.consumer, "consume", consume)
    room.here.take(message(event(0)))
    await room.refuse(1)
    (letter,) = room.letters()
    assert letter["detail"].startswith("?\x00")
    assert len(letter["detail"]) == 300


async def test_the_same_row_is_one_dead_letter_however_often_it_is_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_AT_ONCE", 2)
    room.here.take(*(message(event(second)) for second in range(5)))
    room.consumer.poison = {1, 2, 3, 4, 5}
    await room.refuse(5)
    await room.stream.move_cursor("consumer.ours", 0)
    room.consumer.readings.clear()
    room.here.take(message(event(9)))
    await room.follow(lambda: room.consumer.readings)
    assert len(room.letters()) == 5
    assert room.metric("consumer_dead_letters_total", consumer="consumer.ours") == 5


async def test_a_replay_hands_it_to_the_consumer_again_and_what_is_taken_is_a_dead_letter_no_longer(
    room: Room,
) -> None:
    room.here.take(*(message(event(second, 8.0)) for second in range(3)))
    room.consumer.poison = {1, 2, 4}
    await room.refuse(3)
    by_row = {letter["element"]: letter["seq"] for letter in room.letters()}
    room.consumer.poison = {2}
    assert await room.commands.replay([by_row[4]]) == {"asked": 1, "replayed": [by_row[4]], "problems": []}
    assert await room.commands.replay([]) == {"asked": 2, "replayed": [by_row[1]], "problems": []}
    assert [letter["element"] for letter in room.letters()] == [2]
    assert sorted(one.seq for one in room.consumer.readings) == [1, 3]
    assert [one.seq for one in room.consumer.facts] == [4]


async def test_a_replay_to_one_that_is_away_or_gone_says_so_and_loses_nothing(room: Room) -> None:
    room.here.take(message(event(0)), message(b"{"))
    room.consumer.poison = {1}
    await room.refuse(1)
    room.consumer.failure = DeliveryError("no room")
    outcome = await room.commands.replay([])
    assert outcome == {"asked": 2, "replayed": [], "problems": ["consumer.ours: no room"]}
    for nobody in (
        Commands(room.here.journal, room.stream),
        Commands(room.here.journal),
    ):
        (problem,) = (await nobody.replay([]))["problems"]
        assert problem.startswith("consumer.ours: no such consumer is running")
    assert len(room.letters()) == 2


async def test_a_row_that_has_left_the_journal_stays_a_dead_letter(room: Room) -> None:
    room.here.take(*(message(event(second)) for second in range(3)))
    room.consumer.poison = {1, 2}
    await room.refuse(2)
    room.here.journal.trim("trim_readings", 1, 10, 2**63 - 1)
    room.consumer.poison = set()
    outcome = await room.commands.replay([])
    assert (outcome["asked"], len(outcome["replayed"])) == (2, 1)
    assert outcome["problems"] == ["consumer.ours: the rows of 1 dead letters are not in the journal any more"]
    assert [letter["element"] for letter in room.letters()] == [1]


async def test_rows_are_found_by_their_numbers_and_no_others(room: Room) -> None:
    room.here.take(*(message(event(second, 8.0)) for second in range(3)), message(b"{"))
    with room.here.reader() as reader:
        rows = rows_at(reader, [1, 3, 4, 5, 99])
    assert [row.seq for row in rows.all()] == [1, 3, 4]


async def test_it_is_told_how_to_ask_the_gateway(room: Room, stream: Stream) -> None:
    context = ConsumerContext("edge-1", facts_with_id=lambda id_: stream.read(Reader.entries_with_id, id_))
    await room.consumer.start(context)
    assert room.consumer.context is context
    await room.consumer.close()
