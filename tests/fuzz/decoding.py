"""Coverage-guided fuzzing of what sensors say: `python -m tests.fuzz.decoding --seconds 600`.

No message may raise. Of the event's own format, every element becomes exactly one event or one dead letter with a known
reason; of every other format, what an input makes of a message can be judged and stored, and so can what it remembers.
Needs atheris, which is not among the packages that the tests need: `make faults` installs it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway.domain", "json"]):
    from gateway.domain.inputs.memory import Memory
    from gateway.domain.inputs.native import REASONS, decode
    from gateway.domain.model.events import Message, Rejected
    from gateway.domain.model.timefmt import microseconds
    from tests.fuzz.inputs import RECEIVED_NS, TABLES, check, family, topics_of
    from tests.fuzz.inputs import SEEDS as MAPPED_SEEDS

TAGS = {"site": "plant", "area": "hall", "machine": "pump", "sensor": "VB-1"}
EVENT = {
    "eventId": "a1b2c3d4-5678-90ef-ghij-klmnopqrstuv",
    "eventType": "VibrationRecorded",
    "timestamp": "2023-09-29T16:30:25Z",
    "data": {"sensorId": "VB-1", "vibrationLevel": 12.5, "baselineVibrationLevel": 4.0, "unit": "m/s²"},
}
SEEDS = [
    b"",
    b"[]",
    b"[" * 300,
    b'{"a":' * 300,
    b"\xef\xbb\xbf{}",
    json.dumps(EVENT).encode(),
    json.dumps([EVENT, {**EVENT, "timestamp": "9999-12-31T23:59:59Z"}, 5]).encode(),
    json.dumps({**EVENT, "data": {**EVENT["data"], "vibrationLevel": 1e300, "rpm": None}}).encode(),  # type: ignore[dict-item] # a dict of dicts
]
INPUTS = [(family(table), topics_of(table)) for table in TABLES]
SEPARATOR = b"\xff\xfe\xfd"
"""Between the messages of one try, which share what the input remembers."""


def one(data: bytes) -> None:
    """Check one try: the first byte says of what format it is."""
    if not data or data[0] % (len(INPUTS) + 1) == len(INPUTS):
        native(data[1:])
    else:
        mapped(data[0] % (len(INPUTS) + 1), data[1:])


def native(data: bytes) -> None:
    """Check what decoding promises, for one payload."""
    found = decode(data, TAGS)
    assert found
    for item in found:
        if isinstance(item, Rejected):
            assert item.reason in REASONS
            item.detail.encode()
        else:
            event, body = item
            assert event.event_id
            event.event_id.encode()
            event.data.sensor_id.encode()
            assert -(2**63) <= microseconds(event.timestamp) < 2**63
            assert isinstance(body, bytes)
    assert len(decode(data, None)) == 1


def mapped(number: int, data: bytes) -> None:
    """Check what an input promises, for some messages: before each of them is the number of its topic."""
    inputs, topics = INPUTS[number]
    memory = Memory()
    for payload in data.split(SEPARATOR)[:8]:
        topic = topics[payload[0] % len(topics)] if len(topics) > 1 and payload else topics[0]
        sent = Message(topic, payload[1:] if len(topics) > 1 else payload, RECEIVED_NS)
        out = inputs.read(sent, memory)
        check(out, sent, memory)
        inputs.unused_in(sent, out)
        inputs.steps(sent, out)


def main() -> None:
    """Fuzz for a while; the corpus is kept, so that the next run goes on where this one ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(".hypothesis/fuzz-decoding"))
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (options.corpus / f"seed-{number}").write_bytes(bytes([len(INPUTS)]) + seed)
    for number, seed in enumerate(MAPPED_SEEDS):
        for at, (_, topics) in enumerate(INPUTS):
            whole = seed if len(topics) == 1 else SEPARATOR.join(bytes([kind]) + seed for kind in (3, 0, 1, 2))
            (options.corpus / f"seed-{at}-{number}").write_bytes(bytes([at]) + whole)
    start = time.monotonic()
    atheris.Setup([sys.argv[0], str(options.corpus), f"-max_total_time={options.seconds}", "-max_len=4096"], one)
    print(f"fuzzing for {options.seconds} s", flush=True)  # noqa: T201 - a program of its own
    try:
        atheris.Fuzz()
    finally:
        print(f"ended after {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
