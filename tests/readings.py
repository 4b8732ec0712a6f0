"""Readings as sensors publish them, and a journal with a pipeline to put them through."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.domain.detection.rules import DAY_NS, Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.id_window import LOOK_BACK
from gateway.domain.engine.quotas import Quotas, Usage
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.status import Signals, state_topics, status_topics
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import Message
from gateway.ingest.executor import Executor
from gateway.ingest.mapped import MappedInputs
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, Reader

SECOND = 1_000_000_000
WINDOW = 4000  # messages that are looked back upon for one that is delivered again
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * SECOND
TEMPLATE = "vibration/{site}/{area}/{machine}/{sensor}/reading"
SIGNALS = Signals(state_topics([TEMPLATE]), status_topics([TEMPLATE]))
FIXED = Rules(baseline=4.0, on_readings=3, off_readings=3)
"""Warning from 6.4, critical from 10, over below 5.76."""


def rfc(second: float) -> str:
    """Return the time so many seconds after noon as a sensor writes it."""
    return (NOON + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def event(
    second: float = 0, level: object = 4.0, sensor: str = "VB-1", *, id_: str | None = "", **data: Any
) -> dict[str, Any]:
    """Return an event of so many seconds after noon; without an `id_`, one that follows from time and sensor."""
    made: dict[str, Any] = {
        "eventType": "VibrationRecorded",
        "timestamp": rfc(second),
        "data": {"sensorId": sensor, "vibrationLevel": level, **data},
    }
    return made if id_ is None else {"eventId": id_ or f"{sensor}@{second}", **made}


def topic_of(sensor: str = "VB-1", machine: str = "pump-7") -> str:
    return f"vibration/plant-1/hall-2/{machine}/{sensor}/reading"


def message(payload: object, *, second: float | None = None, topic: str | None = None, **more: Any) -> Message:
    """Return a message that arrives half a second after its (first) event, or at `second`."""
    first: Any = payload[0] if isinstance(payload, list) and payload else payload
    known = isinstance(first, dict) and "data" in first
    if second is None:
        second = 0.5 + ((datetime.fromisoformat(first["timestamp"]) - NOON).total_seconds() if known else 0)
    if topic is None:
        topic = topic_of(first["data"]["sensorId"]) if known else topic_of()
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, body, NOON_NS + int(second * SECOND), **more)


def reading(second: float = 0, level: object = 4.0, sensor: str = "VB-1", **more: Any) -> Message:
    """Return a message with one event."""
    return message(event(second, level, sensor, **more))


@dataclass
class Plant:
    """A journal in a directory and the pipeline that writes it."""

    directory: Path
    rules: Rules | Callable[[Sensor], Rules] = FIXED
    templates: TopicTemplates = field(default_factory=lambda: TopicTemplates([TEMPLATE]))
    lateness_ns: int = 0
    signals: Signals = SIGNALS
    inputs: Sequence[InputSpec] = ()
    quotas: Quotas = field(default_factory=Quotas)
    sensors_move: bool = False

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.path = self.directory / "journal.db"
        self.journal = Journal(self.path)
        self.pipeline = self._pipeline()

    def take(self, *messages: Message) -> UnitOfWork:
        """Process messages as one batch."""
        return self.pipeline.process(messages, NOON_NS)

    def crash(self) -> int:
        """Forget everything that is not in the journal and restore it; return the number of readings replayed."""
        self.journal.close()
        self.journal = Journal(self.path)
        self.pipeline = self._pipeline()
        return self.pipeline.restore(self.journal.saved(LOOK_BACK, WINDOW))

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        reader = Reader(self.path)
        try:
            yield reader
        finally:
            reader.close()

    def contents(self) -> dict[str, Any]:
        """Return all that the same input must lead to: readings, facts, alerts, sensors and dead letters."""
        with self.reader() as reader:
            step = reader.step(0, 1_000_000)
            return {
                "readings": step.readings,
                "facts": [(entry.seq, entry.fact) for entry in step.entries],
                "alerts": reader.alerts(everything=True),
                "sensors": reader.sensors(),
                "dead letters": reader.dead_letters_by_reason(),
            }

    def changes(self) -> list[tuple[str, str]]:
        """Return (type of fact, severity) of every change of an alert, in order."""
        with self.reader() as reader:
            facts = [entry.fact for entry in reader.step(0, 1_000_000, readings=False).entries]
        return [(fact.type, fact.data["severity"]) for fact in facts if fact.type.startswith("Alert")]

    def _pipeline(self) -> Pipeline:
        rules = self.rules
        rules_for = rules if callable(rules) else lambda _: rules
        inputs = MappedInputs(self.inputs, WINDOW) if self.inputs else None
        made = Pipeline(
            self.journal, self.templates, rules_for, DAY_NS, self.lateness_ns,
            signals=self.signals, inputs=inputs, usage=Usage(self.quotas), sensors_move=self.sensors_move,
        )  # fmt: skip
        self.journal.execute = Executor(self.journal, made).execute
        return made


@contextmanager
def plant(
    directory: Path,
    rules: Rules | Callable[[Sensor], Rules] = FIXED,
    lateness_ns: int = 0,
    *,
    sensors_move: bool = False,
) -> Iterator[Plant]:
    """Open a plant and close its journal at the end."""
    made = Plant(directory, rules, lateness_ns=lateness_ns, sensors_move=sensors_move)
    try:
        yield made
    finally:
        made.journal.close()


def split(messages: Sequence[Message], sizes: Iterable[int]) -> list[Sequence[Message]]:
    """Return `messages` in batches of these sizes; what is left over is the last batch."""
    batches, start = [], 0
    for size in sizes:
        batches.append(messages[start : start + size])
        start += size
    return [batch for batch in [*batches, messages[start:]] if batch]
