"""Messages of sensors whose baseline is 4.0 and is known from their first event on."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

BASELINE, CRITICAL, WARNING = 4.0, 12.0, 7.0  # m/s²; the limits are 6.4 and 10.0

Message = tuple[str, bytes]  # topic, payload

BEGAN = datetime.now(UTC) - timedelta(minutes=10)


def topic(sensor: str) -> str:
    return f"vibration/plant/hall/pump-1/{sensor}/reading"


def event(sensor: str = "S-1", level: Any = BASELINE, *, second: float = 0, **fields: Any) -> dict[str, Any]:
    """Return an event measured `second` seconds after the tests began, less ten minutes; `fields` change it."""
    moment = BEGAN + timedelta(seconds=second)
    plain = {
        "eventId": f"{sensor}-{second}",
        "eventType": "VibrationRecorded",
        "timestamp": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": {"sensorId": sensor, "vibrationLevel": level, "baselineVibrationLevel": BASELINE},
    }
    return {**plain, **fields}


def reading(sensor: str = "S-1", level: Any = BASELINE, *, second: float = 0, **fields: Any) -> Message:
    return topic(sensor), json.dumps(event(sensor, level, second=second, **fields)).encode()


def series(sensor: str, levels: Iterable[float], *, start: float = 0) -> list[Message]:
    """Return one reading a second."""
    return [reading(sensor, level, second=start + number) for number, level in enumerate(levels)]


def waves(number: int, sensors: int = 5) -> Iterator[list[Message]]:
    """Yield lists of messages: of each sensor a reading, above the critical limit for the first one, and two bad ones.

    In each wave every message differs from all others, so that a bad one in the journal twice is one too many.
    """
    for wave in range(number):
        yield [
            *(reading(f"S-{each}", CRITICAL if each == 0 else BASELINE, second=wave) for each in range(sensors)),
            (topic("S-1"), f"no json {wave}".encode()),
            reading("S-2", "a text", second=wave),
        ]
