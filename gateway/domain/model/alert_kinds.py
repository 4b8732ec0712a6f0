"""The kinds of alerts: a row for each says what follows from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

AlertKind = Literal["machine", "sensor", "gateway"]


class KindOfAlert(Struct, frozen=True):
    """What follows from the kind of an alert.

    `is_of_sensor`: it is about a sensor or what that measures, so it may come and go, it ends when the sensor is
    forgotten, and it has a page and a chart. `has_level`: level, baseline and ratio say something of it. `topic` is the
    level that its topic on MQTT has after the sensor's, so that two alerts of a sensor do not replace each other.
    """

    is_of_sensor: bool = True
    has_level: bool = False
    topic: str = ""


ALERT_KINDS: dict[AlertKind, KindOfAlert] = {
    "machine": KindOfAlert(has_level=True),
    "sensor": KindOfAlert(topic="health"),
    "gateway": KindOfAlert(is_of_sensor=False),
}
