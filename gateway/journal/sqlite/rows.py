"""What is written, as rows of its tables."""

from __future__ import annotations

from sys import intern

import msgspec

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.unit_of_work import DeadLetter
from gateway.journal.sqlite.codec import decode_state, decode_tags

JSON = msgspec.json.Encoder()

RollupRow = tuple[int, int, float, float, float, int]
"""sensor key, beginning in seconds, lowest, mean and highest level, number of readings."""


def sensor_row(sensor: Sensor) -> tuple[object, ...]:
    """Return a sensor as the table `sensors` has it."""
    tags = JSON.encode(sensor.tags).decode()
    published = sensor.published or None
    return sensor.key, sensor.id, tags, sensor.unit, sensor.location, sensor.first_seen_ns, published


def sensor_of(row: tuple[int, str, str, str, str, int, bytes | None, str | None]) -> Sensor:
    """Return a sensor with its state as the last snapshot has it."""
    key, id_, tags, unit, location, first_seen, state, published = row
    said = decode_tags(tags), intern(unit), intern(location), first_seen, decode_state(state)
    return Sensor(key, intern(id_), *said, published=intern(published or ""))


def letter_row(letter: DeadLetter) -> tuple[object, ...]:
    """Return a dead letter as the table `dead_letters` has it."""
    why = letter.rejected
    return (
        letter.seq, letter.received_ns, letter.topic, why.reason, why.detail, why.element, letter.packet_id,
        letter.digest, why.payload, letter.retained,
    )  # fmt: skip


def alert_row(alert: Alert) -> tuple[object, ...]:
    """Return an alert as the table `alerts` has it."""
    encoded = JSON.encode(alert).decode()
    return alert.id, alert.sensor_id, alert.state, alert.opened_ns, encoded, alert.shelved_until_ns
