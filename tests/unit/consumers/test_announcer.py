import json

import pytest
from msgspec.structs import replace

from gateway.api import DeliveryError
from gateway.consumers.mqtt_alerts import Announcer, alert_topic
from gateway.domain.model.events import DomainEvent
from tests.plant import alert_entry, alert_of, stored


async def no_trace(_: DomainEvent) -> str:
    return ""


class Broker:
    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.traceparents: list[str] = []

    async def publish(self, topic: str, payload: str, traceparent: str) -> None:
        self.published.append((topic, payload))
        self.traceparents.append(traceparent)


@pytest.fixture
def broker() -> Broker:
    return Broker()


async def test_an_alert_is_published_as_it_is_listed_with_its_place(broker: Broker) -> None:
    await Announcer(broker.publish, no_trace).consume([stored()], [alert_entry(alert_of("VB-1", "critical"))])
    ((topic, payload),) = broker.published
    assert topic == "vibration/alerts/plant-1/hall-2/pump-7/VB-1"
    said = json.loads(payload)
    listed = ("id", "kind", "sensorId", "severity", "state", "acknowledged", "shelvedUntil", "openedAt", "clearedAt")
    assert [said[name] for name in listed] == [
        "alert-VB-1-1",
        "machine",
        "VB-1",
        "critical",
        "active",
        False,
        None,
        "2023-09-29T15:06:41.000Z",
        None,
    ]
    assert (said["reason"], said["openedBy"]) == (alert_of()["reason"], "event-1")
    assert (said["site"], said["area"], said["machine"]) == ("plant-1", "hall-2", "pump-7")
    assert not {"tags", "openedNs", "finding"} & set(said)
    assert "traceparent" not in said


async def test_the_trace_of_the_reading_goes_along(broker: Broker) -> None:
    async def trace_of(fact: DomainEvent) -> str:
        return f"trace of {fact.id}"

    await Announcer(broker.publish, trace_of).consume([], [alert_entry(alert_of())])
    assert broker.traceparents == ["trace of fact-alert-VB-1-1"]
    assert json.loads(broker.published[0][1])["traceparent"] == "trace of fact-alert-VB-1-1"


async def test_an_alert_about_the_sensor_itself_does_not_hide_the_machines(broker: Broker) -> None:
    changes = [alert_of(), {**alert_of(), "kind": "sensor", "state": "cleared"}]
    await Announcer(broker.publish, no_trace).consume([], [alert_entry(change) for change in changes])
    assert [(topic.partition("pump-7/")[2], json.loads(payload)["state"]) for topic, payload in broker.published] == [
        ("VB-1", "active"),
        ("VB-1/health", "cleared"),
    ]


async def test_of_several_changes_in_a_step_the_last_one_is_what_holds(broker: Broker) -> None:
    changes = [alert_of(), alert_of(severity="critical"), alert_of("VB-2"), alert_of(state="cleared")]
    await Announcer(broker.publish, no_trace).consume([], [alert_entry(change) for change in changes])
    assert [(topic.rsplit("/")[-1], json.loads(payload)["state"]) for topic, payload in broker.published] == [
        ("VB-1", "cleared"),
        ("VB-2", "active"),
    ]


async def test_readings_and_other_facts_are_not_announced(broker: Broker) -> None:
    entry = alert_entry(alert_of())
    other = replace(entry, fact=replace(entry.fact, type="BaselineLearned"))
    await Announcer(broker.publish, no_trace).consume([stored()], [other])
    assert broker.published == []


async def test_a_broker_that_is_away_is_passed_on() -> None:
    async def publish(_topic: str, _payload: str, _traceparent: str) -> None:
        raise DeliveryError("not connected to the broker")

    with pytest.raises(DeliveryError, match="not connected"):
        await Announcer(publish, no_trace).consume([], [alert_entry(alert_of())])


@pytest.mark.parametrize(
    ("sensor", "tags", "topic"),
    [
        ("VB-1", {}, "vibration/alerts/-/-/-/VB-1"),
        ("VB-1", {"site": "", "machine": "pump 7"}, "vibration/alerts/-/-/pump 7/VB-1"),
        ("a/b", {"site": "+", "area": "#", "machine": "x\0y"}, "vibration/alerts/_/_/x_y/a_b"),
        ("$é", {"site": "s", "area": "a", "machine": "m"}, "vibration/alerts/s/a/m/$é"),
    ],
)
def test_any_name_makes_a_topic_that_can_be_published_on(sensor: str, tags: dict[str, str], topic: str) -> None:
    assert alert_topic({"kind": "machine", "sensorId": sensor, "tags": tags}) == topic
