"""Where each microsecond of a reading goes: the stages of the hot path one by one, in one process without a network.

Processor time of one thread, in batches of a thousand readings; of many batches the median.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import TypeVar

from mqtt5 import PubAckPacket

from bench.figures import Figure, at_most
from bench.plant import RESULTS
from gateway.consumers.influx.lines import Prefixes, to_lines
from gateway.domain.detection.rules import Rules
from gateway.domain.engine.checkpoint import Store
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.native import EVENT, decode
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import Message
from gateway.ingest.processor import Pipeline
from gateway.journal import FILE_NAME, Journal, Reader
from gateway.mqtt.mqtt5_connection import Connection
from simulator import wire
from simulator.load import Load, payloads

T = TypeVar("T")

BATCHES, SIZE = 60, 1000
TEMPLATES = TopicTemplates(["vibration/{site}/{area}/{machine}/{sensor}/reading"])
DAY_NS = 86_400 * 10**9
MOST_TIMES_THE_FLOOR = 1.5


class NoJournal:
    """Writes nothing: for what happens before the journal. `batches` gets what was to be written."""

    def __init__(self, batches: list[UnitOfWork] | None = None) -> None:
        self.next_seq = 1
        self._batches = batches

    def find_reading(self, _us: int, _sensor: int, _id: str) -> bytes | None:
        return None

    def count_same_time(self, _us: int, _sensor: int) -> int:
        return 0

    def has_dead_letter(self, _digest: bytes, _packet_id: int) -> bool:
        return False

    def write(self, batch: UnitOfWork) -> None:
        self.next_seq = batch.next_seq
        if self._batches is not None:
            self._batches.append(batch)

    def save_detector(self, *_: object) -> None: ...


def stages() -> Iterator[Figure]:
    """Measure each stage, the floor that none can go below, and the whole."""
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="stages-") as name:
        batches, receive = asyncio.run(_receive(streams(1000, BATCHES)))
        understand = cost(batches, lambda batch: [EVENT.decode(message.payload) for message in batch])
        decoded = cost(batches, lambda batch: [decode(each.payload, TEMPLATES.match(each.topic)) for each in batch])
        judge = pipeline_cost(NoJournal(), batches) - decoded
        rows: list[UnitOfWork] = []
        pipeline_cost(NoJournal(rows), batches)
        acknowledge = cost(
            batches, lambda batch: b"".join([PubAckPacket(message.packet_id).write() for message in batch])
        )
        with closing(Journal(Path(name) / "bare.db")) as bare:
            bare.write(UnitOfWork(next_seq=1, sensors=rows[0].sensors))
            insert = cost(rows, bare.write)
        with closing(Journal(Path(name) / FILE_NAME)) as journal:
            whole = receive + pipeline_cost(journal, batches) + acknowledge
        read, lines = _history(Path(name) / FILE_NAME)
    floor = receive + understand + insert
    yield Figure("receive: bytes to messages", receive, "µs")
    yield Figure("decode: topic and JSON to a checked event", decoded, "µs", note=f"{understand:.2f} of it msgspec")
    yield Figure("place, judge, make a row", judge, "µs")
    yield Figure("insert with its index, and commit", insert, "µs", note="waiting for the disk is not counted")
    yield Figure("acknowledge", acknowledge, "µs")
    yield Figure("floor: receive, msgspec, insert", floor, "µs", note="what nobody can do without")
    note = f"{whole / floor:.2f} × the floor, with snapshots"
    yield at_most("the whole hot path", whole, MOST_TIMES_THE_FLOOR * floor, "µs", note)
    yield Figure("beside it, InfluxDB: read the journal", read, "µs")
    yield Figure("beside it, InfluxDB: line protocol", lines, "µs")


def cost(batches: Iterable[T], work: Callable[[T], object]) -> float:
    """Return the processor time of `work` in µs for each reading of a batch."""
    return costs((list(batches), work))[0]


def costs(*works: tuple[Sequence[T], Callable[[T], object]]) -> list[float]:
    """Return the same of several works, whose batches take turns: their ratios hold on any machine."""
    found: list[list[float]] = [[] for _ in works]
    for turn in zip(*(batches for batches, _ in works), strict=True):
        for batch, (_, work), of_work in zip(turn, works, found, strict=True):
            began = time.thread_time_ns()
            work(batch)
            of_work.append((time.thread_time_ns() - began) / 1000 / SIZE)
    return [median(each) for each in found]


def pipeline_cost(store: Store, batches: Iterable[list[Message]]) -> float:
    """Return what the production pipeline with the default rules takes for a reading, in µs."""
    made = Pipeline(store, TEMPLATES, lambda _: Rules(), DAY_NS)
    return cost(batches, lambda batch: made.process(batch, time.time_ns()))


def streams(sensors: int, batches: int) -> list[bytes]:
    """Return batches of readings as the broker sends them, in bytes."""
    made, numbers = payloads(Load(sensors=sensors, count=batches * SIZE)), count()
    return [
        b"".join(
            wire.publish(topic, number % 60_000 + 1, b"\0", payload)
            for number, (topic, payload, _) in zip(numbers, islice(made, SIZE), strict=False)
        )
        for _ in range(batches)
    ]


async def _receive(found: list[bytes]) -> tuple[list[list[Message]], float]:
    batches: list[list[Message]] = []
    connection = Connection(1, lambda messages, _: batches.append(messages))
    return batches, cost(found, connection.data_received)


def received(found: list[bytes]) -> list[list[Message]]:
    """Return the messages in what the broker sent, a batch each."""
    return asyncio.run(_receive(found))[0]


def _history(file: Path) -> tuple[float, float]:
    """Return what reading a step costs, and what making lines of it costs, in µs for each reading."""
    steps = []
    with closing(Reader(file)) as reader:
        read = cost(range(BATCHES), lambda number: steps.append(reader.step(number * SIZE, SIZE)))
    prefixes: Prefixes = {}
    return read, cost(steps, lambda step: to_lines(step.readings, step.entries, prefixes))
