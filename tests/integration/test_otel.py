"""The export to OpenTelemetry, against a receiver that decodes what comes."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.api import ConsumerContext, DeliveryError
from gateway.config import OtelSection
from gateway.consumers.otel.exporter import Exporter
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.model.events import DomainEvent, derive
from tests.programs import Gateway
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, topic_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.otlp import OtlpReceiver
from tests.servers.ports import free_port
from tests.servers.waiting import until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
CHAIN = ["receive", "store", "evaluate", "AlertRaised", "notify mail"]


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    made = OtlpReceiver()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


def section(url: str) -> OtelSection:
    return OtelSection.model_validate({"endpoint": url, "headers": {"Authorization": "Bearer s3cret"}})


def happened(here: Plant, traceparent: str = "", outcome: str = "NotificationSent") -> list[EventRecord]:
    """Raise an alert and tell of it; return all facts."""
    here.take(*(message(event(second, 8.0), traceparent=traceparent) for second in range(3)))
    (alert,) = here.journal.open_alerts()
    data = {"handler": "mail", "attempts": 2, "said": "250 ok"}
    told = derive(outcome, "VB-1", NOON_NS + 9 * SECOND, cause=alert.id, correlation="", data=data)
    return [*facts(here), EventRecord(99, told, told.time_ns)]


def facts(here: Plant) -> list[EventRecord]:
    with here.reader() as reader:
        return reader.step(0, 1000, readings=False).entries


async def export(here: Plant, url: str, entries: list[EventRecord]) -> None:
    with here.reader() as reader:

        async def behind(fact: DomainEvent) -> StoredReading | None:
            return reader.reading_behind(fact)

        async def with_id(id_: str) -> list[EventRecord]:
            return reader.entries_with_id(id_)

        exporter = Exporter("otel", section(url))
        await exporter.start(ConsumerContext("edge-1", reading_behind=behind, facts_with_id=with_id))
        try:
            await exporter.consume([], entries)
        finally:
            await exporter.close()


def chain(spans: list[Span]) -> list[str]:
    """Return the names of spans, each of which must be the child of the one before it in the same trace."""
    for above, below in pairwise(spans):
        assert below.parent_span_id == above.span_id
        assert below.trace_id == above.trace_id
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)
    assert len({span.span_id for span in spans}) == len(spans)
    return [span.name for span in spans]


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.double_value for each in span.attributes}


async def test_the_way_of_a_reading_to_the_message_in_the_readings_own_trace(
    here: Plant, receiver: OtlpReceiver
) -> None:
    entries = happened(here, TRACEPARENT)
    await export(here, receiver.url, entries)
    spans = list(receiver.spans)
    assert chain(spans) == CHAIN
    assert (spans[0].trace_id.hex(), spans[0].parent_span_id.hex()) == (TRACE, PARENT)
    received = spans[0]
    assert received.end_time_unix_nano - received.start_time_unix_nano == SECOND // 2
    assert attributes(received) == {
        "sensor.id": "VB-1", "sensor.sensor": "VB-1", "sensor.site": "plant-1", "sensor.area": "hall-2",
        "sensor.machine": "pump-7", "reading.id": "VB-1@2", "reading.level": 8.0, "reading.baseline": 4.0,
    }  # fmt: skip
    assert attributes(spans[3])["alert.severity"] == "warning"
    assert attributes(spans[4]) == {"handler": "mail", "attempts": 2.0, "answer": "250 ok"}
    assert receiver.resources == [{"service.name": "vibration-gateway", "service.instance.id": "edge-1"}]
    assert receiver.requests[0][1]["authorization"] == "Bearer s3cret"
    await export(here, receiver.url, entries)
    assert receiver.spans[5:] == spans


async def test_without_a_traceparent_an_alert_is_a_trace_of_its_own(here: Plant, receiver: OtlpReceiver) -> None:
    entries = happened(here, outcome="NotificationFailed")
    (alert,) = here.journal.open_alerts()
    here.pipeline.attend(lambda alerts: alerts.acknowledge(alert.id, "Ada", "", NOON_NS), NOON_NS)
    await export(here, receiver.url, [*entries, facts(here)[-1]])
    *way, acknowledged = receiver.spans
    assert chain(way) == CHAIN
    assert way[-1].status.code == Status.STATUS_CODE_ERROR
    assert (acknowledged.name, acknowledged.trace_id) == ("AlertAcknowledged", way[0].trace_id)
    assert way[0].parent_span_id == acknowledged.parent_span_id == b""


async def test_many_go_in_several_requests(here: Plant, receiver: OtlpReceiver) -> None:
    await export(here, receiver.url, 250 * happened(here))
    assert len(receiver.spans) == 250 * len(CHAIN)
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [302, 401, 404, 429, 503])
async def test_what_is_not_taken_now_is_sent_again_later(here: Plant, receiver: OtlpReceiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(DeliveryError, match=f"answers {status}") as error:
        await export(here, receiver.url, happened(here))
    assert error.value.retry


async def test_nobody_there_is_said_without_secrets(here: Plant) -> None:
    url = f"http://s3cret:s3cret@127.0.0.1:{free_port()}/s3cret"
    with pytest.raises(DeliveryError, match="no answer from the OpenTelemetry endpoint: no connection") as error:
        await export(here, url, happened(here))
    assert "s3cret" not in repr(error.value)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_never_taken_is_said_to_be_so(here: Plant, receiver: OtlpReceiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(DeliveryError, match=f"answers {status}") as error:
        await export(here, receiver.url, happened(here))
    assert not error.value.retry


async def test_what_is_too_large_is_halved(here: Plant, receiver: OtlpReceiver) -> None:
    receiver.largest = 700
    await export(here, receiver.url, happened(here))
    assert chain(receiver.spans) == CHAIN
    assert len(receiver.requests) > 1


async def test_a_reading_that_the_disk_has_damaged_does_not_hold_up_the_rest(
    here: Plant, receiver: OtlpReceiver
) -> None:
    entries = happened(here, TRACEPARENT)
    here.journal._db.execute("UPDATE readings SET body = x'00'")  # noqa: SLF001 - as a damaged disk does
    await export(here, receiver.url, entries)
    assert chain(receiver.spans) == CHAIN


def publish(broker: Mosquitto, count: int) -> None:
    """Publish readings that exceed their baseline, with a traceparent beside them."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own lack
    properties.UserProperty = ("traceparent", TRACEPARENT)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for second in range(count):
        reading = event(second, 8.0, baselineVibrationLevel=4.0)
        client.publish(topic_of(), json.dumps(reading), 1, properties=properties).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def test_the_gateway_exports_what_a_collector_missed(
    tmp_path: Path, mosquitto: Mosquitto, receiver: OtlpReceiver
) -> None:
    """While the collector is away the alert goes out all the same; a restart forgets nothing."""
    receiver.status = 503
    changes = {
        "otel": {"endpoint": receiver.url, "headers": {"Authorization": "Bearer s3cret"}},
        "detection": {"clock_tolerance": "36500d"},
        "handlers": {"mail": {"type": "log"}},
        "routes": [{"severity": "warning", "handlers": ["mail"]}],
    }
    gateway = Gateway(tmp_path / "gateway", mosquitto, changes=changes)
    gateway.start()
    with mosquitto.record("vibration/alerts/#") as announced:
        publish(mosquitto, 3)
        until(lambda: bool(announced.messages), 20, "the alert")
    assert json.loads(announced.messages[0].payload)["traceparent"] == TRACEPARENT
    until(lambda: gateway.metric("notifications_total{mail,sent}") == 1, 20, "the message")
    until(lambda: gateway.metric("otel_lag_entries") > 0, 20, "the export to fall behind")
    assert gateway.answers("/-/ready")
    assert gateway.ask("trace", "VB-1@2")["traceparent"] == TRACEPARENT
    gateway.stop()
    receiver.status = 200
    gateway.start()
    until(lambda: len(receiver.spans) >= len(CHAIN), 20, "the spans")
    until(lambda: gateway.metric("otel_lag_entries") == 0, 20, "the export to catch up")
    gateway.stop()
    assert chain(receiver.spans) == CHAIN
    assert receiver.spans[0].trace_id.hex() == TRACE
    assert "s3cret" not in gateway.log.read_text()
