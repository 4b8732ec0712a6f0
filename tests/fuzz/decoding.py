"""Coverage-guided fuzzing of decoding: `python -m tests.fuzz.decoding --seconds 600`.

No input may raise, and every element of a message becomes exactly one event or one dead letter with a known reason; an
event must be storable. Needs atheris, which is not among the packages that the tests need: `make faults` installs it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway.domain", "json"]):
    from gateway.domain.inputs.native import REASONS, decode
    from gateway.domain.model.events import Rejected
    from gateway.domain.model.timefmt import microseconds

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


def one(data: bytes) -> None:
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


def main() -> None:
    """Fuzz for a while; the corpus is kept, so that the next run goes on where this one ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path(".hypothesis/fuzz-decoding"))
    options = parser.parse_args()
    options.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (options.corpus / f"seed-{number}").write_bytes(seed)
    start = time.monotonic()
    atheris.Setup([sys.argv[0], str(options.corpus), f"-max_total_time={options.seconds}", "-max_len=4096"], one)
    print(f"fuzzing for {options.seconds} s", flush=True)  # noqa: T201 - a program of its own
    try:
        atheris.Fuzz()
    finally:
        print(f"ended after {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
