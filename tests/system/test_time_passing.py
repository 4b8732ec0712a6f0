"""What follows from time alone, in a running gateway: no reading comes that could say it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.programs import Gateway
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

TOPIC = "vibration/plant/hall/pump-1/S-1/reading"
RULES = {
    "detection": {"silent_after": "3s", "lateness": "1s"},
    "sensors": [{"id": "S-1", "baseline": 4.0, "interval": "500ms"}, {"id": "S-9", "interval": "500ms"}],
}


def publish(broker: Mosquitto, *levels: float) -> None:
    """Publish readings of S-1 that were measured just now, a millisecond apart."""
    now = datetime.now(UTC)
    broker.publish_all(
        (TOPIC, json.dumps({
            "eventType": "VibrationRecorded",
            "timestamp": (now + timedelta(milliseconds=number)).isoformat(),
            "data": {"sensorId": "S-1", "vibrationLevel": level},
        }))
        for number, level in enumerate(levels)
    )  # fmt: skip


def is_open(gateway: Gateway) -> set[tuple[str, str, str]]:
    return {(alert["kind"], alert["sensorId"], alert["state"]) for alert in gateway.get("/api/v1/alerts")}


def facts(gateway: Gateway, type_: str) -> list[dict[str, Any]]:
    return [event["data"] for event in gateway.ask("events", "list", "--type", type_)]


def test_what_waits_is_judged_and_who_is_silent_is_told(tmp_path: Path, mosquitto: Mosquitto) -> None:
    gateway = Gateway(tmp_path / "gateway", mosquitto, changes=RULES)
    gateway.start()
    publish(mosquitto, 12.0, 12.1, 12.2)
    silent = {("machine", "S-1", "stale"), ("sensor", "S-1", "active"), ("sensor", "S-9", "active")}
    until(lambda: is_open(gateway) == silent, 20, "the readings judged, and both sensors missed")
    whats = {(fact["what"], fact.get("sensorId")) for fact in facts(gateway, "TimePassed")}
    assert whats == {("lateness", "S-1"), ("silence", None)}
    (sensor,) = gateway.ask("sensors", "list")
    assert (sensor["sensor"], sensor["health"]) == ("S-1", "silent")

    publish(mosquitto, 4.0, 4.1, 4.2)
    until(lambda: ("machine", "S-1", "stale") not in is_open(gateway), 20, "a reading of S-1")
    until(lambda: not any(kind == "machine" for kind, *_ in is_open(gateway)), 20, "the end of its machine's alert")
    until(lambda: ("sensor", "S-1", "active") in is_open(gateway), 20, "S-1 silent again")

    assert "forgotten, as Ada wanted" in gateway.command("sensors", "forget", "S-1", "--by", "Ada")
    assert is_open(gateway) == {("sensor", "S-9", "active")}
    gateway.stop()
    without = gateway.config.read_text().replace('"S-9"', '"S-1000"').replace("500ms", "1h")
    gateway.config.write_text(without)
    gateway.start()
    until(lambda: is_open(gateway) == set(), 20, "the end of the alert about one that is not configured")
    forgotten = [(fact["sensorId"], fact["by"]) for fact in facts(gateway, "SensorForgotten")]
    assert forgotten == [("S-1", "Ada"), ("S-9", "the configuration")]
    gateway.stop()
