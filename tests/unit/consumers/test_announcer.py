import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
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

        self.expected: list[tuple[str, str]] = []
        self.may_go: list[bool] = []

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        self.published.append((topic, payload))
        self.traceparents.append(traceparent)
        self.may_go.append(may_go)

    def expect(self, topic: str, payload: str, *, may_go: bool = False) -> None:
        assert not may_go
        self.expected.append((topic, payload))


class Away(Broker):
    def __init__(self, *, retry: bool = True) -> None:
        super().__init__()
        self._retry = retry

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        await super().publish(topic, payload, traceparent, may_go=may_go)
        raise DeliveryError("not connected to the broker", retry=self._retry)


@pytest.fixture
def broker() -> Broker:
    return Broker()


async def test_an_alert_is_published_as_it_is_listed_with_its_place(broker: Broker) -> None:
    await Announcer(broker, no_trace).consume([stored()], [alert_entry(alert_of("VB-1", "critical"))])
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
    assert not {"tags", "openedNs", "newcomer", "finding"} & set(said)
    assert "traceparent" not in said


async def test_the_trace_of_the_reading_goes_along(broker: Broker) -> None:
    async def trace_of(fact: DomainEvent) -> str:
        return f"trace of {fact.id}"

    await Announcer(broker, trace_of).consume([], [alert_entry(alert_of())])
    assert broker.traceparents == ["trace of fact-alert-VB-1-1"]
    assert json.loads(broker.published[0][1])["traceparent"] == "trace of fact-alert-VB-1-1"


async def test_an_alert_about_the_sensor_itself_does_not_hide_the_machines(broker: Broker) -> None:
    changes = [alert_of(), {**alert_of(), "kind": "sensor", "state": "cleared"}]
    await Announcer(broker, no_trace).consume([], [alert_entry(change) for change in changes])
    assert [(topic.partition("pump-7/")[2], json.loads(payload)["state"]) for topic, payload in broker.published] == [
        ("VB-1", "active"),
        ("VB-1/health", "cleared"),
    ]


async def test_of_several_changes_in_a_step_the_last_one_is_what_holds(broker: Broker) -> None:
    changes = [alert_of(), alert_of(severity="critical"), alert_of("VB-2"), alert_of(state="cleared")]
    await Announcer(broker, no_trace).consume([], [alert_entry(change) for change in changes])
    assert [(topic.rsplit("/")[-1], json.loads(payload)["state"]) for topic, payload in broker.published] == [
        ("VB-1", "cleared"),
        ("VB-2", "active"),
    ]


async def test_readings_and_other_facts_are_not_announced(broker: Broker) -> None:
    entry = alert_entry(alert_of())
    other = replace(entry, fact=replace(entry.fact, type="BaselineLearned"))
    await Announcer(broker, no_trace).consume([stored()], [other])
    assert broker.published == []


async def test_a_broker_that_is_away_is_passed_on() -> None:
    with pytest.raises(DeliveryError, match="not connected"):
        await Announcer(Away(), no_trace).consume([], [alert_entry(alert_of())])


async def test_what_the_broker_refuses_does_not_hold_up_the_rest() -> None:
    away = Away(retry=False)
    await Announcer(away, no_trace).consume([], [alert_entry(alert_of("VB-1")), alert_entry(alert_of("VB-2"))])
    assert [topic.rsplit("/")[-1] for topic, _ in away.published] == ["VB-1", "VB-2"]


async def test_only_the_topic_of_an_alert_that_is_over_may_be_deleted_by_others(broker: Broker) -> None:
    for state in ("active", "stale", "cleared"):
        await Announcer(broker, no_trace).consume([], [alert_entry(alert_of(state=state))])
    assert broker.may_go == [False, False, True]


async def test_the_broker_is_expected_to_have_what_was_announced_before(broker: Broker) -> None:
    async def trace_of(fact: DomainEvent) -> str:
        return f"trace of {fact.id}"

    entry = alert_entry(alert_of())
    announcer = Announcer(broker, trace_of)
    await announcer.consume([], [entry])
    await announcer.take_up([entry.fact])
    assert broker.expected == broker.published


def topic_of(sensor: str, tags: dict[str, str], kind: str = "machine") -> str:
    return alert_topic({"kind": kind, "sensorId": sensor, "tags": tags}, "edge-1")


@pytest.mark.parametrize(
    ("sensor", "tags", "topic"),
    [
        ("VB-1", {}, "vibration/alerts/-/-/-/VB-1"),
        ("VB-1", {"site": "", "machine": "pump 7"}, "vibration/alerts/-/-/pump 7/VB-1"),
        ("a/b", {"site": "+", "area": "#", "machine": "x\0y"}, "vibration/alerts/%2B/%23/x%00y/a%2Fb"),
        ("100%", {"site": "-", "area": "--", "machine": "a_b"}, "vibration/alerts/%2D/--/a_b/100%25"),
        ("$é", {"site": "s", "area": "a", "machine": "m"}, "vibration/alerts/s/a/m/$é"),
    ],
)
def test_any_name_makes_a_topic_that_can_be_published_on(sensor: str, tags: dict[str, str], topic: str) -> None:
    assert topic_of(sensor, tags) == topic


names = st.text(st.sampled_from("AB_+#/%-25F\0"), max_size=4)


@given(st.lists(st.tuples(names, names, names, names.filter(bool)), min_size=2, max_size=2, unique=True))
def test_no_two_places_share_a_topic(places: list[tuple[str, str, str, str]]) -> None:
    topics = {
        topic_of(sensor, {"site": site, "area": area, "machine": machine}, kind)
        for site, area, machine, sensor in places
        for kind in ("machine", "sensor")
    }
    assert len(topics) == 4
    assert not any(set(topic) & set("+#\0") for topic in topics)


def test_an_alert_about_a_gateway_is_below_that_gateways_topics() -> None:
    assert topic_of("handler sms/1", {}, "gateway") == "vibration/gateway/edge-1/alerts/handler sms%2F1"
