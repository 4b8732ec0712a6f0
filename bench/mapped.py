"""What it costs to read messages of any make, beside the event itself in the same run: `[[inputs]]` against none.

Processor time of one thread, in batches which take turns; of many batches the median, of each reading.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from bench.figures import Figure, at_most
from bench.stages import BATCHES, SIZE, TEMPLATES, cost, costs, received, streams
from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.native import decode
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder

AXES = ("x", "y", "z")
LEVEL = ["rms.{axis}", "g"]
SENSORS = 1000
INPUTS = 100
MOST_TIMES_THE_EVENT = 2.5
MOST_FOR_A_TOPIC = 1.0
NOON_MS = 1_772_366_400_000

TABLE: dict[str, Any] = {
    "topic": "plant/{machine}/{sensor}/data",
    "where": {"type": "features"},
    "axes": list(AXES),
    "time": "at",
    "fields": {"level": LEVEL},
}


def mapped() -> Iterator[Figure]:
    """Measure an input of three axes, and the choice among a hundred inputs."""
    event, level, more = costs(
        (received(streams(SENSORS, BATCHES)), _decoded),
        (messages(), _reading({"level": LEVEL})),
        (messages(), _reading({"level": LEVEL, "velocity_rms": "velocity.{axis}", "temperature": "t"})),
    )
    yield Figure("the event itself: topic and JSON to a checked event", event, "µs")
    note = f"{level / event:.2f} × the event; of a message with three axes"
    yield at_most("an input: topic and JSON to checked events", level, MOST_TIMES_THE_EVENT * event, "µs", note)
    yield Figure("the same with a velocity and a temperature", more, "µs", note=f"{more / event:.2f} × the event")
    many = family_of([TABLE | {"topic": f"plant-{number}/{{machine}}/{{sensor}}/data"} for number in range(INPUTS)])
    topics = [f"plant-{number % INPUTS}/pump-{number % 7}/S-{number}/data" for number in range(SIZE)]
    topic = cost([topics] * BATCHES, lambda batch: [many.routes(each) for each in batch])
    yield at_most(f"which of {INPUTS} inputs a topic is for", topic, MOST_FOR_A_TOPIC, "µs")


def family_of(tables: list[dict[str, Any]]) -> Family:
    """Return the inputs that tables of a configuration mean."""
    problems: list[str] = []
    specs = compiled(tables, load_decoder, problems)
    if problems:
        raise ValueError("; ".join(problems))
    return Family(specs)


def messages() -> list[list[Message]]:
    """Return batches of as many readings as those of events have, each message of another time."""
    size = SIZE // len(AXES)
    return [[_message(size * batch + number) for number in range(size)] for batch in range(BATCHES)]


def _message(number: int) -> Message:
    content = {
        "type": "features",
        "at": NOON_MS + number,
        "rms": dict.fromkeys(AXES, 0.25 + number % 100 / 1000),
        "velocity": dict.fromkeys(AXES, 2.5),
        "t": 41.5,
    }
    sensor = number % SENSORS
    return Message(f"plant/pump-{sensor % 7}/S-{sensor}/data", json.dumps(content).encode(), NOON_MS * 10**6)


def _decoded(batch: list[Message]) -> object:
    return [decode(each.payload, TEMPLATES.match(each.topic)) for each in batch]


def _reading(fields: dict[str, Any]) -> Callable[[list[Message]], object]:
    """Return what reads messages of three axes."""
    family, memory = family_of([TABLE | {"fields": fields}]), Memory()
    return lambda batch: [_read(family, memory, each) for each in batch]


def _read(family: Family, memory: Memory, message: Message) -> object:
    """Return the events and their bodies, as the recorder takes them up."""
    return [(reading.event, reading.body) for reading in family.read(message, memory).readings]
